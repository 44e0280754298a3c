/* SPDX-License-Identifier: Apache-2.0 */
/* The shared library of the network driver under test. */
#define _GNU_SOURCE
#include "net_harness.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static bool complain(struct rp_net_harness *harness, const char *what)
{
    (void)rp_process_refuse(&harness->process, what);
    return false;
}

static bool check_version(struct rp_net_harness *harness, const struct rp_net_driver *driver)
{
    char line[128];

    if (driver->abi_version != RP_NET_ABI_VERSION) {
        (void)snprintf(line, sizeof(line),
                       "it was built for version %u of the network driver ABI; this is version %u",
                       driver->abi_version, RP_NET_ABI_VERSION);
        return complain(harness, line);
    }
    if (driver->size < sizeof(struct rp_net_driver)) {
        (void)snprintf(line, sizeof(line), "its struct rp_net_driver says it has %u bytes; version %u has %zu",
                       driver->size, RP_NET_ABI_VERSION, sizeof(struct rp_net_driver));
        return complain(harness, line);
    }
    return true;
}

/* The members no driver can do without. */
static bool check_table(struct rp_net_harness *harness)
{
    const struct rp_net_driver *driver = &harness->driver;

    if (driver->probe == NULL)
        return complain(harness, "its rp_net_driver lacks probe");
    if (driver->remove == NULL)
        return complain(harness, "its rp_net_driver lacks remove");
    if (driver->transmit == NULL)
        return complain(harness, "its rp_net_driver lacks transmit");
    if (driver->interrupt == NULL)
        return complain(harness, "its rp_net_driver lacks interrupt");
    if (driver->statistics == NULL)
        return complain(harness, "its rp_net_driver lacks statistics");
    if ((driver->transports & (1u << RP_NET_LEGACY | 1u << RP_NET_MODERN)) == 0)
        return complain(harness, "its rp_net_driver knows no transport, neither legacy nor modern");
    return true;
}

bool rp_net_library_open(struct rp_net_harness *harness, const char *path)
{
    struct rp_net_shared *shared = harness->shared;
    const struct rp_net_driver *(*entry)(void);
    const struct rp_net_driver *driver;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol;

    if (library == NULL) {
        const char *why = dlerror();

        return complain(harness, why != NULL ? why : "it cannot be loaded");
    }
    symbol = dlsym(library, "rp_net_driver_entry");
    if (symbol == NULL)
        return complain(harness, "it does not define rp_net_driver_entry");
    memcpy(&entry, &symbol, sizeof(entry));
    driver = entry();
    if (driver == NULL)
        return complain(harness, "its rp_net_driver_entry returns null");
    if (!check_version(harness, driver))
        return false;
    harness->driver = *driver;
    if (!check_table(harness))
        return false;
    shared->driver_features = driver->features;
    shared->driver_traits = driver->traits;
    shared->driver_transports = driver->transports;
    (void)snprintf(shared->driver_name, sizeof(shared->driver_name), "%s",
                   driver->name != NULL ? driver->name : "(unnamed)");
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The shared library of the driver under test. */
#define _GNU_SOURCE
#include "accesses.h"
#include "harness.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static bool complain(struct rp_harness *harness, const char *what)
{
    (void)snprintf(harness->shared->message, sizeof(harness->shared->message), "%s", what);
    return false;
}

static bool check_version(struct rp_harness *harness, const struct rp_driver *driver)
{
    char line[128];

    if (driver->abi_version != RP_ABI_VERSION) {
        (void)snprintf(line, sizeof(line),
                       "it was built for version %u of the driver ABI; this is version %u",
                       driver->abi_version, RP_ABI_VERSION);
        return complain(harness, line);
    }
    if (driver->size < sizeof(struct rp_driver)) {
        (void)snprintf(line, sizeof(line), "its struct rp_driver says it has %u bytes; version %u has %zu",
                       driver->size, RP_ABI_VERSION, sizeof(struct rp_driver));
        return complain(harness, line);
    }
    return true;
}

/* The operations no driver can do without. */
static bool check_table(struct rp_harness *harness)
{
    const struct rp_driver *driver = &harness->driver;

    if (driver->create == NULL)
        return complain(harness, "its rp_driver lacks create");
    if (driver->destroy == NULL)
        return complain(harness, "its rp_driver lacks destroy");
    if (driver->add == NULL)
        return complain(harness, "its rp_driver lacks add");
    if (driver->kick == NULL)
        return complain(harness, "its rp_driver lacks kick");
    if (driver->get_buf == NULL && (driver->traits & RP_TRAIT_PUSHES_BUFFERS) == 0)
        return complain(harness, "its rp_driver lacks get_buf, and it does not push its buffers");
    return true;
}

bool rp_library_open(struct rp_harness *harness, const char *path)
{
    struct rp_shared *shared = harness->shared;
    const struct rp_driver *(*entry)(void);
    const struct rp_driver *driver;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol;

    if (library == NULL) {
        const char *why = dlerror();

        return complain(harness, why != NULL ? why : "it cannot be loaded");
    }
    symbol = dlsym(library, "rp_driver_entry");
    if (symbol == NULL)
        return complain(harness, "it does not define rp_driver_entry");
    memcpy(&entry, &symbol, sizeof(entry));
    driver = entry();
    if (driver == NULL)
        return complain(harness, "its rp_driver_entry returns null");
    if (!check_version(harness, driver))
        return false;
    harness->driver = *driver;
    if (!check_table(harness))
        return false;
    if (rp_accesses_called)
        shared->instrumented |= RP_INSTRUMENTED_ACCESSES;
    shared->driver_features = driver->features;
    shared->driver_traits = driver->traits;
    shared->driver_has = rp_operations_offered(driver);
    (void)snprintf(shared->driver_name, sizeof(shared->driver_name), "%s",
                   driver->name != NULL ? driver->name : "(unnamed)");
    return true;
}

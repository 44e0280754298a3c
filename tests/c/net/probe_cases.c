/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define ALL (OFFLOADS | MAC | MRG | STATUS | CTRL | MQ | INDIRECT | EVENT)

static void refused(int error)
{
    CHECK(probe() == error);
    check_nothing_held();
}

void case_entry(void)
{
    const struct rp_net_driver *driver = rp_net_driver_entry();

    CHECK(driver->abi_version == RP_NET_ABI_VERSION);
    CHECK(driver->size == sizeof(*driver));
    CHECK(driver->features == (ALL | VERSION_1));
    CHECK(driver->transports == 3);
    CHECK(driver->traits == RP_NET_TRAIT_LINUX_3_11 || driver->traits == RP_NET_TRAIT_VIRTIO_1);
    CHECK(strcmp(driver->name, linux_3_11() ? "ringproof linux-3.11" : "ringproof virtio-1.x") == 0);

    prepare(LEGACY, 0);
    bench.env.abi_version += 1;
    refused(RP_NET_EINVAL);
    prepare(LEGACY, 0);
    bench.env.size -= 1;
    refused(RP_NET_EINVAL);
    prepare(2, 0);
    refused(RP_NET_EINVAL);
    prepare(LEGACY, 0);
    bench.env.features |= UINT64_C(1) << 34;
    refused(RP_NET_EINVAL);
    prepare(LEGACY, 0);
    bench.env.wake_queue = NULL;
    refused(RP_NET_EINVAL);
    prepare(LEGACY, 0);
    bench.env.read = NULL;
    refused(RP_NET_EINVAL);
    prepare(LEGACY, 0);
    CHECK(bench.driver->probe(NULL, &bench.device) == RP_NET_EINVAL);
    CHECK(bench.driver->probe(&bench.env, NULL) == RP_NET_EINVAL);
    EXPECT_LOG("");
}

void case_probe_legacy(void)
{
    prepare(LEGACY, 0);
    bench.size = 4;
    CHECK(probe() == RP_NET_OK);
    EXPECT_LOG("Wi18=0 Ri18=0 Ri18=0 Wi18=1 Ri18=1 Wi18=3 Ri0=0 Wi4=0 "
               "Wi14=0 Ri12=4 Ri8=0 Wi8=100 Wi14=1 Ri12=4 Ri8=0 Wi8=102 Ri18=3 Wi18=7");
    CHECK(avail_ring(0)[0] == 0 && avail_ring(1)[0] == 0);
    CHECK(statistics(0).num_free == 4);
    close_device();
    EXPECT_LOG("Wi18=0 Ri18=0 Wi14=0 Wi8=0 Wi14=1 Wi8=0 Ri18=0 Wi18=1");
}

void case_probe_modern(void)
{
    prepare(MODERN, 0);
    bench.size = 4;
    CHECK(probe() == RP_NET_OK);
    EXPECT_LOG("Wc20=0 Rc20=0 Rc20=0 Wc20=1 Rc20=1 Wc20=3 Wc0=0 Rc4=0 Wc0=1 Rc4=1 Wc8=0 Wc12=0 Wc8=1 Wc12=1 "
               "Rc20=3 Wc20=b Rc20=b "
               "Wc22=0 Rc24=4 Rc28=0 Rc30=1 Wc24=4 Wc32=100000 Wc36=0 Wc40=100040 Wc44=0 Wc48=100050 Wc52=0 "
               "Wc28=1 Wc22=1 Rc24=4 Rc28=0 Rc30=4 Wc24=4 Wc32=100080 Wc36=0 Wc40=1000c0 Wc44=0 Wc48=1000d0 "
               "Wc52=0 Wc28=1 Rc20=b Wc20=f");
    close_device();
    EXPECT_LOG("Wc20=0 Rc20=0 Rc20=0 Wc20=1");
}

void case_probe_all(void)
{
    prepare(LEGACY, ALL);
    bench.size = 4;
    bench.max_pairs = 2;
    CHECK(probe() == RP_NET_OK);
    EXPECT_LOG("Wi18=0 Ri18=0 Ri18=0 Wi18=1 Ri18=1 Wi18=3 Ri0=3043f821 Wi4=3043f821 Ri28=2 Ri29=0 Ri20=52 "
               "Ri21=54 Ri22=0 Ri23=12 Ri24=34 Ri25=56 Wi14=0 Ri12=4 Ri8=0 Wi8=100 Wi14=1 Ri12=4 Ri8=0 "
               "Wi8=102 Wi14=2 Ri12=4 Ri8=0 Wi8=104 Wi14=3 Ri12=4 Ri8=0 Wi8=106 Wi14=4 Ri12=4 Ri8=0 Wi8=108 "
               "Ri26=1 Ri27=0 Ri18=3 Wi18=7");
    for (uint32_t queue = 0; queue < 5; queue++) /* the control queue wants no interrupts */
        CHECK(avail_ring(queue)[0] == (queue == 4 && linux_3_11() ? 1 : 0));
    close_device();
    EXPECT_LOG("Wi18=0 Ri18=0 Wi14=0 Wi8=0 Wi14=1 Wi8=0 Wi14=2 Wi8=0 Wi14=3 Wi8=0 Wi14=4 Wi8=0 Ri18=0 Wi18=1");

    prepare(MODERN, ALL);
    bench.size = 1;
    CHECK(probe() == RP_NET_OK);
    EXPECT_LOG("Wc20=0 Rc20=0 Rc20=0 Wc20=1 Rc20=1 Wc20=3 Wc0=0 Rc4=3043f821 Wc0=1 Rc4=1 Wc8=0 Wc12=3043f821 "
               "Wc8=1 Wc12=1 Rc20=3 Wc20=b Rc20=b Rc21=0 Rd8=1 Rc21=0 "
               "Rc21=0 Rd0=52 Rd1=54 Rd2=0 Rd3=12 Rd4=34 Rd5=56 Rc21=0 "
               "Wc22=0 Rc24=1 Rc28=0 Rc30=1 Wc24=1 Wc32=100000 Wc36=0 Wc40=100010 Wc44=0 Wc48=100018 Wc52=0 "
               "Wc28=1 Wc22=1 Rc24=1 Rc28=0 Rc30=4 Wc24=1 Wc32=100040 Wc36=0 Wc40=100050 Wc44=0 Wc48=100058 "
               "Wc52=0 Wc28=1 Wc22=2 Rc24=1 Rc28=0 Rc30=7 Wc24=1 Wc32=100080 Wc36=0 Wc40=100090 Wc44=0 "
               "Wc48=100098 Wc52=0 Wc28=1 Rc21=0 Rd6=1 Rc21=0 Rc20=b Wc20=f");
    close_device();
}

static void accepts(uint32_t transport, uint64_t offered, uint64_t accepted)
{
    open_device(transport, 4, offered);
    CHECK(bench.accepted == accepted);
    close_device();
}

void case_features(void)
{
    accepts(LEGACY, 0, 0);
    accepts(LEGACY, ALL, ALL);
    accepts(LEGACY, UINT32_MAX, ALL);
    accepts(MODERN, UINT64_MAX, ALL | VERSION_1);
    accepts(MODERN, MAC, MAC | VERSION_1);
    /* What lacks its prerequisite. */
    accepts(LEGACY, OFFLOADS & ~CSUM, linux_3_11() ? OFFLOADS & ~CSUM : 0);
    accepts(LEGACY, CSUM | UFO | ECN, linux_3_11() ? CSUM | UFO | ECN : CSUM | UFO);
    accepts(LEGACY, CSUM | TSO6 | ECN, CSUM | TSO6 | ECN);
    accepts(LEGACY, CSUM | TSO4 | ECN, CSUM | TSO4 | ECN);
    accepts(LEGACY, MQ, linux_3_11() ? MQ : 0);
    /* What the harness keeps from the driver. */
    prepare(MODERN, ALL);
    bench.env.features = VERSION_1 | CSUM | TSO4;
    CHECK(probe() == RP_NET_OK);
    CHECK(bench.accepted == (VERSION_1 | CSUM | TSO4));
    close_device();
}

void case_declined(void)
{
    prepare(MODERN, ALL);
    bench.offers &= ~VERSION_1;
    refused(RP_NET_ENODEV);
    EXPECT_LOG("Wc20=0 Rc20=0 Rc20=0 Wc20=1 Rc20=1 Wc20=3 Wc0=0 Rc4=3043f821 Wc0=1 Rc4=0 Rc20=3 Wc20=83");

    prepare(MODERN, 0);
    bench.env.features = 0;
    refused(RP_NET_ENODEV);
    CHECK(position("Wc8=0") < 0);

    prepare(MODERN, 0);
    bench.refuses_features = true;
    refused(RP_NET_ENODEV);
    EXPECT_LOG("Wc20=0 Rc20=0 Rc20=0 Wc20=1 Rc20=1 Wc20=3 Wc0=0 Rc4=0 Wc0=1 Rc4=1 Wc8=0 Wc12=0 Wc8=1 Wc12=1 "
               "Rc20=3 Wc20=b Rc20=3 Rc20=3 Wc20=83");
}

static uint32_t words(void)
{
    uint32_t count = bench.logged > 0;

    for (const char *at = bench.log; *at != '\0'; at++)
        count += *at == ' ';
    return count;
}

void case_reset(void)
{
    for (uint32_t transport = LEGACY; transport <= MODERN; transport++) {
        bool waits = transport == MODERN || !linux_3_11();

        prepare(transport, 0);
        bench.reset_reads = 999;
        CHECK(probe() == RP_NET_OK);
        CHECK((words() > 1000) == waits);
        bench.reset_reads = 0;
        close_device();

        prepare(transport, 0);
        bench.reset_reads = 1000;
        if (waits) {
            refused(RP_NET_ETIMEDOUT);
            CHECK(words() == 1001);
        }
    }
}

void case_generation(void)
{
    prepare(MODERN, MAC);
    bench.changes = 1;
    CHECK(probe() == RP_NET_OK);
    CHECK(strstr(bench.log, "Rc20=b Rc21=0 Rd0=52 Rd1=54 Rd2=0 Rd3=12 Rd4=34 Rd5=56 Rc21=1 "
                            "Rc21=1 Rd0=52 Rd1=54 Rd2=0 Rd3=12 Rd4=34 Rd5=56 Rc21=1 Wc22=0") != NULL);
    close_device();

    prepare(MODERN, STATUS);
    bench.changes = 999;
    CHECK(probe() == RP_NET_OK);
    close_device();

    prepare(MODERN, STATUS);
    bench.changes = 1000;
    refused(RP_NET_ETIMEDOUT);
    CHECK(strstr(bench.log, "Rc20=b Wc20=8b") != NULL); /* FAILED */
    CHECK(position("Wc20=f") < 0);

    prepare(MODERN, CTRL | MQ | MAC);
    bench.changes = 1000;
    refused(RP_NET_ETIMEDOUT);
    CHECK(position("Rd0=52") < 0 && position("Wc22=0") < 0);
}

void case_pairs_offered(void)
{
    static const uint16_t odd[] = {0, 0x8001, 0xffff};

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        prepare(LEGACY, CTRL | MQ);
        bench.max_pairs = odd[i];
        bench.size = 4;
        CHECK(probe() == RP_NET_OK);
        CHECK(position("Wi14=2") > 0 && position("Wi14=3") < 0);
        close_device();
    }
    prepare(LEGACY, CTRL | MQ);
    bench.max_pairs = 8;
    CHECK(probe() == RP_NET_OK);
    CHECK(position("Wi14=16") < 0 && position("Wi14=f") > 0 && position("Wi14=10") > 0);
    CHECK(bench.driver->set_pairs(bench.device, 8) == RP_NET_OK);
    close_device();

    prepare(LEGACY, CTRL | MQ);
    bench.max_pairs = 16;
    CHECK(probe() == RP_NET_OK);
    CHECK(position("Wi14=10") < 0 && position("Wi14=f") > 0 && position("Wi14=20") > 0);
    CHECK(bench.driver->set_pairs(bench.device, 9) == RP_NET_EINVAL);
    CHECK(bench.driver->set_pairs(bench.device, 8) == RP_NET_OK);
    close_device();

    /* Without a control queue, or without MQ, there is one pair. */
    prepare(LEGACY, MQ | MAC);
    bench.max_pairs = 4;
    CHECK(probe() == RP_NET_OK);
    CHECK(position("Ri28=4") < 0 && position("Wi14=2") < 0);
    close_device();
    prepare(LEGACY, CTRL);
    bench.max_pairs = 4;
    CHECK(probe() == RP_NET_OK);
    CHECK(position("Ri28=4") < 0 && position("Wi14=2") > 0 && position("Wi14=3") < 0);
    close_device();
}

void case_no_queue(void)
{
    prepare(LEGACY, CTRL);
    bench.missing = 2;
    bench.size = 4;
    refused(RP_NET_ENOENT);
    EXPECT_LOG("Wi18=0 Ri18=0 Ri18=0 Wi18=1 Ri18=1 Wi18=3 Ri0=20000 Wi4=20000 Wi14=0 Ri12=4 Ri8=0 Wi8=100 "
               "Wi14=1 Ri12=4 Ri8=0 Wi8=102 Wi14=2 Ri12=0 Ri8=0 "
               "Wi14=0 Wi8=0 Wi14=1 Wi8=0 Ri18=3 Wi18=83");
    prepare(LEGACY, 0);
    bench.busy = 1;
    refused(RP_NET_ENOENT);
    CHECK(strstr(bench.log, "Ri8=1 Wi14=0 Wi8=0 Ri18=3 Wi18=83") != NULL);
    prepare(MODERN, 0);
    bench.missing = 1;
    refused(RP_NET_ENOENT);
    CHECK(strstr(bench.log, "Wc22=1 Rc24=0 Rc28=0 Rc20=b Wc20=8b") != NULL);
    prepare(MODERN, 0);
    bench.busy = 0;
    refused(RP_NET_ENOENT);
    CHECK(strstr(bench.log, "Wc22=0 Rc24=100 Rc28=1 Rc20=b Wc20=8b") != NULL);

    for (uint32_t transport = LEGACY; transport <= MODERN; transport++) {
        static const uint32_t sizes[] = {3, 65535, 49152};

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            prepare(transport, 0);
            bench.size = sizes[i];
            refused(RP_NET_EINVAL);
            CHECK(bench.allocations == 1); /* of the device itself */
            CHECK(position("Rc30=1") < 0 && position("Wi8=100") < 0);
        }
        prepare(transport, 0);
        bench.size = 32768;
        CHECK(probe() == RP_NET_OK);
        close_device();
    }

    /* Header and data cannot share the only descriptor of a legacy queue. */
    prepare(LEGACY, INDIRECT);
    bench.size = 1;
    CHECK(probe() == (linux_3_11() ? RP_NET_OK : RP_NET_EINVAL));
    CHECK(strstr(bench.log, linux_3_11() ? "Ri18=3 Wi18=7" : "Wi14=0 Wi8=0 Ri18=3 Wi18=83") != NULL);
    if (linux_3_11())
        close_device();
}

void case_no_memory(void)
{
    for (uint32_t transport = LEGACY; transport <= MODERN; transport++) {
        int error = RP_NET_ENOMEM;
        uint32_t fail_at = 0;

        while (error != RP_NET_OK) {
            prepare(transport, ALL);
            bench.max_pairs = 2;
            bench.fail_at = ++fail_at;
            error = probe();
            if (error != RP_NET_OK) {
                CHECK(error == RP_NET_ENOMEM);
                check_nothing_held();
                CHECK(bench.allocations == fail_at);
                CHECK((bench.status & 0x80) != 0 || fail_at == 1);
            }
        }
        CHECK(fail_at == 1 + 1 + 2 * 5); /* the device; five queues, each with its ring */
        bench.fail_at = 0;
        close_device();
    }
    prepare(LEGACY, 0);
    bench.no_memory = true;
    refused(RP_NET_ENOMEM);
    EXPECT_LOG("Wi18=0 Ri18=0 Ri18=0 Wi18=1 Ri18=1 Wi18=3 Ri0=0 Wi4=0 Wi14=0 Ri12=100 Ri8=0 Ri18=3 Wi18=83");
}

void case_high_ring(void)
{
    prepare(LEGACY, 0);
    bench.next_address = (UINT64_C(1) << 44) - 3 * 4096; /* the first of two rings is below */
    refused(RP_NET_ENOMEM);
    CHECK(position("Wi8=fffffffd") > 0);
    CHECK(strstr(bench.log, "Wi14=1 Ri12=100 Ri8=0 Wi14=0 Wi8=0 Ri18=3 Wi18=83") != NULL);
    prepare(MODERN, 0);
    bench.next_address = UINT64_C(1) << 44;
    CHECK(probe() == RP_NET_OK);
    CHECK(position("Wc36=1000") > 0);
    close_device();
}

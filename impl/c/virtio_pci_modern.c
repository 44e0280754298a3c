/* SPDX-License-Identifier: Apache-2.0 */
/* The interface behind PCI capabilities (VIRTIO 1.3 section 4.1.4). */
#include "virtio_pci.h"

/* The common configuration, section 4.1.4.3. */
enum {
    DEVICE_FEATURE_SELECT = 0,
    DEVICE_FEATURE = 4,
    DRIVER_FEATURE_SELECT = 8,
    DRIVER_FEATURE = 12,
    DEVICE_STATUS = 20,
    CONFIG_GENERATION = 21,
    QUEUE_SELECT = 22,
    QUEUE_SIZE = 24,
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY_OFF = 30,
    QUEUE_DESC = 32,
    QUEUE_DRIVER = 40,
    QUEUE_DEVICE = 48,
};

static uint32_t in(const struct rp_net_device *device, uint32_t offset, uint32_t width)
{
    return rp_pci_read(device, RP_NET_COMMON, offset, width);
}

static void out(const struct rp_net_device *device, uint32_t offset, uint32_t width, uint32_t value)
{
    rp_pci_write(device, RP_NET_COMMON, offset, width, value);
}

/* Section 3.1.1, steps 4 to 6. */
static int negotiate(struct rp_net_device *device, uint64_t understood)
{
    uint64_t offered;

    out(device, DEVICE_FEATURE_SELECT, 4, 0);
    offered = in(device, DEVICE_FEATURE, 4);
    out(device, DEVICE_FEATURE_SELECT, 4, 1);
    offered |= (uint64_t)in(device, DEVICE_FEATURE, 4) << 32;
    if ((offered & understood & RP_NET_F_VERSION_1) == 0)
        return RP_NET_ENODEV;
    device->features = rp_net_acceptable(offered, understood, device->mended);
    out(device, DRIVER_FEATURE_SELECT, 4, 0);
    out(device, DRIVER_FEATURE, 4, (uint32_t)device->features);
    out(device, DRIVER_FEATURE_SELECT, 4, 1);
    out(device, DRIVER_FEATURE, 4, (uint32_t)(device->features >> 32));

    rp_pci_add_status(device, RP_STATUS_FEATURES_OK);
    if ((rp_pci_status(device) & RP_STATUS_FEATURES_OK) == 0)
        return RP_NET_ENODEV;
    return RP_NET_OK;
}

/* Section 2.5.3: a change between the reads shows in the generation. */
static int configuration(const struct rp_net_device *device, uint32_t offset, uint32_t width, void *to,
                         uint32_t bytes)
{
    uint8_t *at = to;

    for (uint32_t tries = 0; tries < RP_PCI_MOST_READS; tries++) {
        uint32_t before = in(device, CONFIG_GENERATION, 1);

        for (uint32_t done = 0; done < bytes; done += width) {
            uint32_t value = rp_pci_read(device, RP_NET_DEVICE, offset + done, width);

            for (uint32_t i = 0; i < width; i++)
                at[done + i] = (uint8_t)(value >> (8 * i));
        }
        if (in(device, CONFIG_GENERATION, 1) == before)
            return RP_NET_OK;
    }
    return RP_NET_ETIMEDOUT;
}

static int find(const struct rp_net_device *device, uint32_t index, uint32_t *size, uint32_t *notify_off)
{
    uint32_t enabled;
    int error;

    out(device, QUEUE_SELECT, 2, index);
    *size = in(device, QUEUE_SIZE, 2) & 0xffff;
    enabled = in(device, QUEUE_ENABLE, 2);
    if (*size == 0 || enabled != 0)
        return RP_NET_ENOENT;
    error = rp_pci_check_size(*size);
    if (error == RP_NET_OK)
        *notify_off = in(device, QUEUE_NOTIFY_OFF, 2) & 0xffff;
    return error;
}

static void out_address(const struct rp_net_device *device, uint32_t offset, uint64_t address)
{
    out(device, offset, 4, (uint32_t)address);
    out(device, offset + 4, 4, (uint32_t)(address >> 32));
}

static int activate(const struct rp_net_queue *queue)
{
    const struct rp_net_device *device = queue->device;

    out(device, QUEUE_SIZE, 2, queue->vq.queue_size);
    out_address(device, QUEUE_DESC, queue->vq.desc_address);
    out_address(device, QUEUE_DRIVER, queue->vq.avail_address);
    out_address(device, QUEUE_DEVICE, queue->vq.used_address);
    out(device, QUEUE_ENABLE, 2, 1);
    return RP_NET_OK;
}

/* A device that was reset, or never came to DRIVER_OK, uses no queue. */
static void deactivate(const struct rp_net_queue *queue)
{
    (void)queue;
}

static void notify(const struct rp_net_queue *queue)
{
    const struct rp_net_device *device = queue->device;

    rp_pci_write(device, RP_NET_NOTIFY, queue->notify_off * device->env->notify_off_multiplier, 2,
                 queue->index);
}

const struct rp_pci_ops rp_pci_modern = {
    .status = {RP_NET_COMMON, DEVICE_STATUS},
    .isr = {RP_NET_ISR, 0},
    .features = UINT64_MAX,
    .reset_waits = true,
    .negotiate = negotiate,
    .configuration = configuration,
    .find = find,
    .activate = activate,
    .deactivate = deactivate,
    .notify = notify,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The legacy interface: all registers in one region of I/O space (VIRTIO 1.3 section 4.1.4.10). Each function
 * says which function of Linux 3.11's virtio_pci.c it follows. */
#include "virtio_pci.h"

enum {
    DEVICE_FEATURES = 0,
    DRIVER_FEATURES = 4,
    QUEUE_PAGE_FRAME = 8,
    QUEUE_SIZE = 12,
    QUEUE_SELECT = 14,
    QUEUE_NOTIFY = 16,
    DEVICE_STATUS = 18,
    ISR_STATUS = 19,
    CONFIGURATION = 20,
};

#define PAGE_SHIFT 12

static uint32_t in(const struct rp_net_device *device, uint32_t offset, uint32_t width)
{
    return rp_pci_read(device, RP_NET_IO, offset, width);
}

static void out(const struct rp_net_device *device, uint32_t offset, uint32_t width, uint32_t value)
{
    rp_pci_write(device, RP_NET_IO, offset, width, value);
}

/* vp_get_features, vp_finalize_features */
static int negotiate(struct rp_net_device *device, uint64_t understood)
{
    device->features = rp_net_acceptable(in(device, DEVICE_FEATURES, 4), understood, device->mended);
    out(device, DRIVER_FEATURES, 4, (uint32_t)device->features);
    return RP_NET_OK;
}

/* vp_get: byte by byte, whatever the field. */
static int configuration(const struct rp_net_device *device, uint32_t offset, uint32_t width, void *to,
                         uint32_t bytes)
{
    uint8_t *at = to;

    (void)width;
    for (uint32_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)in(device, CONFIGURATION + offset + i, 1);
    return RP_NET_OK;
}

/* The first half of setup_vq. */
static int find(const struct rp_net_device *device, uint32_t index, uint32_t *size, uint32_t *notify_off)
{
    uint32_t page_frame;

    out(device, QUEUE_SELECT, 2, index);
    *size = in(device, QUEUE_SIZE, 2) & 0xffff;
    page_frame = in(device, QUEUE_PAGE_FRAME, 4);
    *notify_off = 0;
    if (*size == 0 || page_frame != 0)
        return RP_NET_ENOENT;
    return rp_pci_check_size(*size);
}

/* The second half of setup_vq. */
static int activate(const struct rp_net_queue *queue)
{
    uint64_t page_frame = queue->vq.desc_address >> PAGE_SHIFT;

    if (page_frame > UINT32_MAX)
        return RP_NET_ENOMEM;
    out(queue->device, QUEUE_PAGE_FRAME, 4, (uint32_t)page_frame);
    return RP_NET_OK;
}

/* vp_del_vq */
static void deactivate(const struct rp_net_queue *queue)
{
    out(queue->device, QUEUE_SELECT, 2, queue->index);
    out(queue->device, QUEUE_PAGE_FRAME, 4, 0);
}

/* vp_notify */
static void notify(const struct rp_net_queue *queue)
{
    out(queue->device, QUEUE_NOTIFY, 2, queue->index);
}

const struct rp_pci_ops rp_pci_legacy = {
    .status = {RP_NET_IO, DEVICE_STATUS},
    .isr = {RP_NET_IO, ISR_STATUS},
    .features = UINT32_MAX,
    .reset_waits = false,
    .negotiate = negotiate,
    .configuration = configuration,
    .find = find,
    .activate = activate,
    .deactivate = deactivate,
    .notify = notify,
};

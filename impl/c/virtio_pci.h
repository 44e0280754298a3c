/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device on PCI: what its two register layouts have in common, and a table of where they differ.
 * Linux 3.11's virtio_pci.c knows the legacy one; the modern one is written by VIRTIO 1.3 section 4.1. */
#ifndef RP_VIRTIO_PCI_H
#define RP_VIRTIO_PCI_H

#include "virtio_net.h"

/* Bits of the device status (VIRTIO 1.3 section 2.1). */
#define RP_STATUS_ACKNOWLEDGE 1u
#define RP_STATUS_DRIVER      2u
#define RP_STATUS_DRIVER_OK   4u
#define RP_STATUS_FEATURES_OK 8u
#define RP_STATUS_FAILED      128u

#define RP_ISR_CONFIGURATION 2u

/* After so many reads of a register the device is not going to change it. */
#define RP_PCI_MOST_READS 1000u

struct rp_pci_register {
    uint32_t region, offset;
};

struct rp_pci_ops {
    struct rp_pci_register status, isr; /* one byte each */
    uint64_t               features;    /* those that can be said here */
    bool                   reset_waits; /* the status tells when a reset is over */

    /* Reads what the device offers and writes what of it the driver takes: `understood` and, if `mended`,
     * not without its prerequisites. RP_NET_OK, RP_NET_ENODEV. */
    int (*negotiate)(struct rp_net_device *device, uint64_t understood);
    /* `bytes` of configuration from `offset` on, in fields of `width` bytes, little endian.
     * RP_NET_OK, RP_NET_ETIMEDOUT. */
    int (*configuration)(const struct rp_net_device *device, uint32_t offset, uint32_t width, void *to,
                         uint32_t bytes);
    /* Looks queue `index` up. RP_NET_OK, RP_NET_ENOENT, RP_NET_EINVAL. */
    int (*find)(const struct rp_net_device *device, uint32_t index, uint32_t *size, uint32_t *notify_off);
    /* Tells the device where the ring of the queue found last is. RP_NET_OK, RP_NET_ENOMEM when it cannot
     * be told. */
    int (*activate)(const struct rp_net_queue *queue);
    /* Makes the device forget the ring, before it is released. */
    void (*deactivate)(const struct rp_net_queue *queue);
    void (*notify)(const struct rp_net_queue *queue);
};

extern const struct rp_pci_ops rp_pci_legacy, rp_pci_modern;

static inline uint32_t rp_pci_read(const struct rp_net_device *device, uint32_t region, uint32_t offset,
                                   uint32_t width)
{
    return device->env->read(device->env->context, region, offset, width);
}

static inline void rp_pci_write(const struct rp_net_device *device, uint32_t region, uint32_t offset,
                                uint32_t width, uint32_t value)
{
    device->env->write(device->env->context, region, offset, width, value);
}

/* A queue_size the device may offer, or an error. */
static inline int rp_pci_check_size(uint32_t size)
{
    return size > RP_VQ_MAX_SIZE || (size & (size - 1)) != 0 ? RP_NET_EINVAL : RP_NET_OK;
}

/* Of the features offered, those to accept. */
uint64_t rp_net_acceptable(uint64_t offered, uint64_t understood, bool mended);

uint8_t rp_pci_status(const struct rp_net_device *device);
/* add_status, later named virtio_add_status */
void rp_pci_add_status(const struct rp_net_device *device, uint8_t bit);

#endif

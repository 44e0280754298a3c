/* SPDX-License-Identifier: Apache-2.0 */
/* How a device is found, lost and interrupts: Linux 3.11's virtio.c, virtio_pci.c and virtnet_probe. */
#include "virtio_pci.h"

/* struct virtio_net_config, VIRTIO 1.3 section 5.1.4 */
enum { CONFIG_MAC = 0, CONFIG_STATUS = 6, CONFIG_MAX_PAIRS = 8 };

#define MOST_PAIRS_OF_VIRTIO 0x8000u

/* -- what a virtqueue needs -- */

static void *ring_allocate(void *context, size_t bytes, size_t alignment, uint64_t *address)
{
    const struct rp_net_env *env = ((struct rp_net_queue *)context)->device->env;

    return env->allocate(env->context, bytes, alignment, address);
}

static void ring_release(void *context, void *memory, size_t bytes)
{
    const struct rp_net_env *env = ((struct rp_net_queue *)context)->device->env;

    env->release(env->context, memory, bytes);
}

static void ring_notify(void *context, uint32_t queue_index)
{
    const struct rp_net_queue *queue = context;

    (void)queue_index;
    queue->device->pci->notify(queue);
}

/* Receive queues hold no buffers. */
static void nothing_received(void *context)
{
    (void)context;
}

#define QUEUE_OPS(function)                                                                            \
    {.allocate = ring_allocate, .release = ring_release, .notify = ring_notify, .callback = (function), \
     .read_segment = rp_sg_read}

static const struct rp_vq_ops receive_ops = QUEUE_OPS(nothing_received);
static const struct rp_vq_ops transmit_ops = QUEUE_OPS(rp_net_xmit_done);
static const struct rp_vq_ops control_ops = QUEUE_OPS(NULL);

/* -- status and features -- */

uint8_t rp_pci_status(const struct rp_net_device *device)
{
    return (uint8_t)rp_pci_read(device, device->pci->status.region, device->pci->status.offset, 1);
}

static void set_status(const struct rp_net_device *device, uint8_t status)
{
    rp_pci_write(device, device->pci->status.region, device->pci->status.offset, 1, status);
}

void rp_pci_add_status(const struct rp_net_device *device, uint8_t bit)
{
    uint8_t status = rp_pci_status(device);

    set_status(device, status | bit);
}

/* vp_reset, which reads the status back once, whatever it says. */
static int reset(const struct rp_net_device *device)
{
    bool waits = device->pci->reset_waits || device->mended;

    set_status(device, 0);
    for (uint32_t reads = 0; reads < RP_PCI_MOST_READS; reads++)
        if (rp_pci_status(device) == 0 || !waits)
            return RP_NET_OK;
    return RP_NET_ETIMEDOUT;
}

/* The original takes all it understands; VIRTIO 1.3 section 5.1.3.1 says what needs what. */
uint64_t rp_net_acceptable(uint64_t offered, uint64_t understood, bool mended)
{
    uint64_t features = offered & understood;

    if (!mended)
        return features;
    if ((features & RP_NET_F_CSUM) == 0)
        features &= ~(RP_NET_F_HOST_TSO4 | RP_NET_F_HOST_TSO6 | RP_NET_F_HOST_UFO);
    if ((features & (RP_NET_F_HOST_TSO4 | RP_NET_F_HOST_TSO6)) == 0)
        features &= ~RP_NET_F_HOST_ECN;
    if ((features & RP_NET_F_CTRL_VQ) == 0)
        features &= ~RP_NET_F_MQ;
    return features;
}

/* -- configuration -- */

static int read_u16(const struct rp_net_device *device, uint32_t offset, uint16_t *value)
{
    uint8_t bytes[2];
    int error = device->pci->configuration(device, offset, 2, bytes, 2);

    if (error == RP_NET_OK)
        *value = (uint16_t)(bytes[0] | bytes[1] << 8);
    return error;
}

static int read_configuration(struct rp_net_device *device)
{
    uint16_t pairs = 1;
    int error = RP_NET_OK;

    if (rp_net_has(device, RP_NET_F_MQ | RP_NET_F_CTRL_VQ))
        error = read_u16(device, CONFIG_MAX_PAIRS, &pairs);
    if (error == RP_NET_OK && rp_net_has(device, RP_NET_F_MAC))
        error = device->pci->configuration(device, CONFIG_MAC, 1, device->mac, sizeof(device->mac));
    if (pairs == 0 || pairs > MOST_PAIRS_OF_VIRTIO)
        pairs = 1;
    device->most_pairs = pairs < RP_NET_MOST_PAIRS ? pairs : RP_NET_MOST_PAIRS;
    device->pairs = 1;
    device->control_index = 2u * pairs;
    return error;
}

/* virtnet_config_changed_work */
static int read_link(struct rp_net_device *device)
{
    return rp_net_has(device, RP_NET_F_STATUS) ? read_u16(device, CONFIG_STATUS, &device->link) : RP_NET_OK;
}

/* -- queues -- */

static void release_queue(struct rp_net_queue *queue)
{
    const struct rp_net_env *env = queue->device->env;

    env->release_private(env->context, queue, queue->bytes);
}

/* setup_vq */
static int set_queue_up(struct rp_net_device *device, uint32_t number)
{
    const struct rp_net_env *env = device->env;
    bool control = number == 2 * device->most_pairs;
    bool transmits = !control && number % 2 == 1;
    uint32_t index = control ? device->control_index : number;
    const struct rp_vq_ops *ops = control ? &control_ops : transmits ? &transmit_ops : &receive_ops;
    struct rp_vq_config config;
    struct rp_net_queue *queue;
    uint32_t size, notify_off;
    int error = device->pci->find(device, index, &size, &notify_off);

    if (error != RP_NET_OK)
        return error;
    if (device->mended && transmits && size == 1 && !rp_net_has(device, RP_NET_F_VERSION_1))
        return RP_NET_EINVAL; /* header and data need a descriptor each */
    queue = env->allocate_private(env->context, rp_net_queue_bytes(size, transmits));
    if (queue == NULL)
        return RP_NET_ENOMEM;
    queue->device = device;
    queue->index = index;
    queue->notify_off = notify_off;
    queue->bytes = rp_net_queue_bytes(size, transmits);
    if (transmits)
        rp_net_send_init(queue, size, index / 2);

    config.queue_size = size;
    config.queue_index = (uint16_t)index;
    config.layout = device->pci == &rp_pci_legacy ? RP_VQ_LEGACY : RP_VQ_MODERN;
    config.profile = device->mended ? RP_PROFILE_VIRTIO_1 : RP_PROFILE_LINUX_3_11;
    config.features = device->features;
    config.data = queue->data;
    error = rp_vq_init(&queue->vq, &config, ops, queue);
    if (error == RP_NET_OK) {
        error = device->pci->activate(queue);
        if (error != RP_NET_OK)
            rp_vq_destroy(&queue->vq);
    }
    if (error != RP_NET_OK) {
        release_queue(queue);
        return error;
    }
    device->queues[device->queue_count++] = queue;
    return RP_NET_OK;
}

/* vp_find_vqs */
static int set_queues_up(struct rp_net_device *device)
{
    uint32_t count = 2 * device->most_pairs + (rp_net_has(device, RP_NET_F_CTRL_VQ) ? 1 : 0);
    int error = RP_NET_OK;

    for (uint32_t number = 0; number < count && error == RP_NET_OK; number++)
        error = set_queue_up(device, number);
    return error;
}

/* vp_del_vqs */
static void take_queues_down(struct rp_net_device *device)
{
    for (uint32_t i = 0; i < device->queue_count; i++) {
        struct rp_net_queue *queue = device->queues[i];

        device->pci->deactivate(queue);
        rp_vq_destroy(&queue->vq);
        release_queue(queue);
    }
    device->queue_count = 0;
}

/* -- probe, remove, interrupt -- */

static int bring_up(struct rp_net_device *device)
{
    const struct rp_net_env *env = device->env;
    int error;

    rp_pci_add_status(device, RP_STATUS_ACKNOWLEDGE);
    rp_pci_add_status(device, RP_STATUS_DRIVER);
    error = device->pci->negotiate(device, env->features & device->pci->features);
    if (error != RP_NET_OK)
        return error;
    device->header_bytes = rp_net_header_bytes(device->features, device->mended);
    error = read_configuration(device);
    if (error == RP_NET_OK)
        error = set_queues_up(device);
    if (error == RP_NET_OK)
        error = read_link(device);
    if (error == RP_NET_OK)
        rp_pci_add_status(device, RP_STATUS_DRIVER_OK);
    return error;
}

int rp_net_probe(const struct rp_net_env *env, bool mended, struct rp_net_device **device)
{
    struct rp_net_device *self = env->allocate_private(env->context, sizeof(*self));
    int error;

    if (self == NULL)
        return RP_NET_ENOMEM;
    self->env = env;
    self->pci = env->transport == RP_NET_LEGACY ? &rp_pci_legacy : &rp_pci_modern;
    self->mended = mended;
    error = reset(self);
    if (error == RP_NET_OK) {
        error = bring_up(self);
        if (error != RP_NET_OK) {
            take_queues_down(self);
            rp_pci_add_status(self, RP_STATUS_FAILED);
        }
    }
    if (error != RP_NET_OK) {
        env->release_private(env->context, self, sizeof(*self));
        return error;
    }
    *device = self;
    return RP_NET_OK;
}

void rp_net_remove(struct rp_net_device *device)
{
    const struct rp_net_env *env = device->env;

    if (reset(device) != RP_NET_OK)
        return; /* the device may still use all of it */
    for (uint32_t pair = 0; pair < device->most_pairs; pair++)
        rp_net_free_unused(rp_net_send_queue(device, pair));
    if (rp_net_control_queue(device) != NULL)
        rp_net_free_commands(rp_net_control_queue(device));
    take_queues_down(device);
    rp_pci_add_status(device, RP_STATUS_ACKNOWLEDGE);
    env->release_private(env->context, device, sizeof(*device));
}

bool rp_net_interrupt(struct rp_net_device *device)
{
    uint8_t isr = (uint8_t)rp_pci_read(device, device->pci->isr.region, device->pci->isr.offset, 1);
    bool ours = (isr & RP_ISR_CONFIGURATION) != 0;

    if (isr == 0)
        return false;
    if (ours)
        (void)read_link(device); /* one that cannot be read stays as it was */
    for (uint32_t i = 0; i < device->queue_count; i++)
        if (rp_vq_interrupt(&device->queues[i]->vq))
            ours = true;
    return ours;
}

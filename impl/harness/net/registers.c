/* SPDX-License-Identifier: Apache-2.0 */
#include "registers.h"

#include <string.h>

#define PAGE 4096u
#define CONFIGURATION_AT 20u /* in legacy I/O space */
#define CONFIGURATION_BYTES 12u
#define WITHOUT_MTU 10u
#define F_MTU (UINT64_C(1) << 3)
#define NO_VECTOR 0xffffu
#define AREAS_AT 32u /* modern: six halves of three addresses */
#define AREAS_END 56u

#define AT(offset, width) ((uint64_t)(offset) << 3 | (width)) /* a register and how wide it is */

uint64_t rp_net_registers_features(const struct rp_net_registers *registers,
                                   const struct rp_net_config *config)
{
    return registers->driver_features & config->offered;
}

uint32_t rp_net_registers_queues(const struct rp_net_registers *registers, const struct rp_net_config *config)
{
    return 2 * ((rp_net_registers_features(registers, config) & RP_NET_F_MQ) != 0 ? config->pairs : 1) + 1;
}

static void reset(struct rp_net_registers *registers, const struct rp_net_config *config)
{
    uint32_t epoch = registers->epoch + 1;

    memset(registers, 0, sizeof(*registers));
    registers->epoch = epoch;
    registers->control_pairs = 1;
    registers->isr = config->early_interrupt;
    for (uint32_t queue = 0; queue < RP_NET_MOST_QUEUES; queue++)
        registers->queues[queue].size = queue == config->missing_queue ? 0 : (uint16_t)config->queue_size;
}

void rp_net_registers_init(struct rp_net_registers *registers, const struct rp_net_config *config)
{
    registers->epoch = UINT32_MAX;
    reset(registers, config);
}

static struct rp_net_queue *selected(struct rp_net_registers *registers, const struct rp_net_config *config)
{
    if (registers->queue_select >= rp_net_registers_queues(registers, config))
        return NULL;
    return &registers->queues[registers->queue_select];
}

static uint32_t read_status(struct rp_net_registers *registers)
{
    if (registers->reads_before == 0)
        return registers->status;
    registers->reads_before--;
    return registers->status_before;
}

static void write_status(struct rp_net_registers *registers, const struct rp_net_config *config,
                         uint32_t value, enum rp_net_effect *effect)
{
    if (value == 0) {
        uint8_t before = registers->reads_before != 0 ? registers->status_before : registers->status;

        reset(registers, config);
        registers->reads_before = config->reset_reads;
        registers->status_before = before;
        return;
    }
    registers->reads_before = 0;
    if (config->refuses_features != 0)
        value &= ~RP_NET_STATUS_FEATURES_OK;
    if ((value & ~(uint32_t)registers->status & RP_NET_STATUS_DRIVER_OK) != 0)
        *effect = RP_NET_EFFECT_LIVE;
    registers->status = (uint8_t)value;
}

static uint32_t read_isr(struct rp_net_registers *registers)
{
    uint32_t value = registers->isr;

    registers->isr = 0;
    return value;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
    return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

/* mac, status with the link up, max_virtqueue_pairs, and mtu if that is offered. */
static bool read_configuration(const struct rp_net_config *config, uint32_t at, uint32_t width,
                               uint32_t *value)
{
    uint32_t end = (config->offered & F_MTU) != 0 ? CONFIGURATION_BYTES : WITHOUT_MTU;
    uint32_t pairs = config->lies_on_pairs != 0 ? config->told_pairs : config->pairs;
    uint8_t bytes[CONFIGURATION_BYTES] = {0};

    if ((width != 1 && width != 2 && width != 4) || at % width != 0 || at > end - width)
        return false;
    memcpy(bytes, config->mac, sizeof(config->mac));
    bytes[6] = 1;
    bytes[8] = (uint8_t)pairs;
    bytes[9] = (uint8_t)(pairs >> 8);
    bytes[10] = (uint8_t)config->mtu;
    bytes[11] = (uint8_t)(config->mtu >> 8);
    *value = 0;
    memcpy(value, bytes + at, width);
    return true;
}

static bool read_legacy(struct rp_net_registers *registers, const struct rp_net_config *config,
                        uint32_t offset, uint32_t width, uint32_t *value)
{
    const struct rp_net_queue *queue = selected(registers, config);

    switch (AT(offset, width)) {
    case AT(0u, 4u):
        *value = (uint32_t)config->offered;
        return true;
    case AT(4u, 4u):
        *value = (uint32_t)registers->driver_features;
        return true;
    case AT(8u, 4u):
        *value = queue != NULL ? queue->page_frame : 0;
        return true;
    case AT(12u, 2u):
        *value = queue != NULL ? queue->size : 0;
        return true;
    case AT(14u, 2u):
        *value = registers->queue_select;
        return true;
    case AT(18u, 1u):
        *value = read_status(registers);
        return true;
    case AT(19u, 1u):
        *value = read_isr(registers);
        return true;
    default:
        /* The subtraction wraps for what lies before; the offset itself must be a multiple of the width. */
        return offset % (width != 0 ? width : 1) == 0 &&
               read_configuration(config, offset - CONFIGURATION_AT, width, value);
    }
}

static bool read_modern(struct rp_net_registers *registers, const struct rp_net_config *config,
                        uint32_t offset, uint32_t width, uint32_t *value)
{
    const struct rp_net_queue *queue = selected(registers, config);

    switch (AT(offset, width)) {
    case AT(0u, 4u):
        *value = registers->device_feature_select;
        return true;
    case AT(4u, 4u):
        *value = feature_word(config->offered, registers->device_feature_select);
        return true;
    case AT(8u, 4u):
        *value = registers->driver_feature_select;
        return true;
    case AT(12u, 4u):
        *value = feature_word(registers->driver_features, registers->driver_feature_select);
        return true;
    case AT(16u, 2u):
    case AT(26u, 2u):
        *value = NO_VECTOR;
        return true;
    case AT(18u, 2u):
        *value = (config->offered & RP_NET_F_MQ) != 0 ? 2 * config->pairs + 1 : 3;
        return true;
    case AT(20u, 1u):
        *value = read_status(registers);
        return true;
    case AT(21u, 1u): /* the configuration never changes */
        *value = 0;
        return true;
    case AT(22u, 2u):
        *value = registers->queue_select;
        return true;
    case AT(24u, 2u):
        *value = queue != NULL ? queue->size : 0;
        return true;
    case AT(28u, 2u):
        *value = queue != NULL ? queue->enabled : 0;
        return true;
    case AT(30u, 2u):
        *value = queue != NULL ? RP_NET_NOTIFY_SPREAD * registers->queue_select + 1 : 0;
        return true;
    default:
        break;
    }
    if (width != 4 || offset % 4 != 0 || offset < AREAS_AT || offset >= AREAS_END)
        return false;
    *value = queue != NULL ? feature_word(queue->addresses[(offset - AREAS_AT) / 8], offset / 4 % 2) : 0;
    return true;
}

uint32_t rp_net_registers_read(struct rp_net_registers *registers, const struct rp_net_config *config,
                               uint32_t region, uint32_t offset, uint32_t width, enum rp_net_effect *effect)
{
    uint32_t value = width == 1 || width == 2 ? (1u << 8 * width) - 1 : UINT32_MAX;
    bool legacy = config->transport == RP_NET_LEGACY, known = false;

    if (width == 0 || width > 4)
        known = false; /* AT would mix it up with the offset */
    else if (legacy && region == RP_NET_IO)
        known = read_legacy(registers, config, offset, width, &value);
    else if (!legacy && region == RP_NET_COMMON)
        known = read_modern(registers, config, offset, width, &value);
    else if (!legacy && region == RP_NET_DEVICE)
        known = read_configuration(config, offset, width, &value);
    else if (!legacy && region == RP_NET_ISR && offset == 0 && width == 1) {
        value = read_isr(registers);
        known = true;
    }
    *effect = known ? RP_NET_EFFECT_NONE : RP_NET_EFFECT_UNKNOWN;
    return value;
}

static void write_page_frame(struct rp_net_queue *queue, uint32_t value)
{
    if (queue == NULL || queue->size == 0)
        return;
    queue->page_frame = value;
    queue->placed = value != 0;
    queue->placed_size = queue->size;
    queue->parts[0] = (uint64_t)value * PAGE;
    queue->parts[1] = queue->parts[0] + 16u * queue->size;
    queue->parts[2] = (queue->parts[1] + 6u + 2u * queue->size + PAGE - 1) / PAGE * PAGE;
}

static bool write_legacy(struct rp_net_registers *registers, const struct rp_net_config *config,
                         uint32_t offset, uint32_t width, uint32_t value, enum rp_net_effect *effect,
                         uint32_t *queue)
{
    switch (AT(offset, width)) {
    case AT(4u, 4u):
        registers->driver_features = value;
        return true;
    case AT(8u, 4u):
        write_page_frame(selected(registers, config), value);
        return true;
    case AT(14u, 2u):
        registers->queue_select = (uint16_t)value;
        return true;
    case AT(16u, 2u):
        *queue = value;
        *effect = RP_NET_EFFECT_NOTIFY;
        return true;
    case AT(18u, 1u):
        write_status(registers, config, value, effect);
        return true;
    default:
        return false;
    }
}

static void set_word(uint64_t *number, uint32_t word, uint32_t value)
{
    if (word < 2)
        *number = (*number & ~(UINT64_C(0xffffffff) << 32 * word)) | (uint64_t)value << 32 * word;
}

static bool write_modern(struct rp_net_registers *registers, const struct rp_net_config *config,
                         uint32_t offset, uint32_t width, uint32_t value, enum rp_net_effect *effect)
{
    struct rp_net_queue *queue = selected(registers, config);

    switch (AT(offset, width)) {
    case AT(0u, 4u):
        registers->device_feature_select = value;
        return true;
    case AT(8u, 4u):
        registers->driver_feature_select = value;
        return true;
    case AT(12u, 4u):
        set_word(&registers->driver_features, registers->driver_feature_select, value);
        return true;
    case AT(20u, 1u):
        write_status(registers, config, value, effect);
        return true;
    case AT(22u, 2u):
        registers->queue_select = (uint16_t)value;
        return true;
    case AT(24u, 2u):
        if (queue != NULL && queue->size != 0)
            queue->size = (uint16_t)value;
        return true;
    case AT(28u, 2u):
        if (queue != NULL && queue->size != 0 && value == 1) {
            queue->enabled = 1;
            queue->placed = 1;
            queue->placed_size = queue->size;
            memcpy(queue->parts, queue->addresses, sizeof(queue->parts));
        }
        return true;
    default:
        break;
    }
    if (width != 4 || offset % 4 != 0 || offset < AREAS_AT || offset >= AREAS_END)
        return false;
    if (queue != NULL)
        set_word(&queue->addresses[(offset - AREAS_AT) / 8], offset / 4 % 2, value);
    return true;
}

static bool write_notify(uint32_t offset, uint32_t width, enum rp_net_effect *effect, uint32_t *queue)
{
    uint32_t place = offset / RP_NET_NOTIFY_OFF_MULTIPLIER;

    if (width != 2 || offset % RP_NET_NOTIFY_OFF_MULTIPLIER != 0 || place % RP_NET_NOTIFY_SPREAD != 1 ||
        place / RP_NET_NOTIFY_SPREAD >= RP_NET_MOST_QUEUES)
        return false;
    *queue = place / RP_NET_NOTIFY_SPREAD;
    *effect = RP_NET_EFFECT_NOTIFY;
    return true;
}

void rp_net_registers_write(struct rp_net_registers *registers, const struct rp_net_config *config,
                            uint32_t region, uint32_t offset, uint32_t width, uint32_t value,
                            enum rp_net_effect *effect, uint32_t *queue)
{
    bool legacy = config->transport == RP_NET_LEGACY, known = false;

    *effect = RP_NET_EFFECT_NONE;
    if (width == 0 || width > 4)
        known = false;
    else if (legacy && region == RP_NET_IO)
        known = write_legacy(registers, config, offset, width, value, effect, queue);
    else if (!legacy && region == RP_NET_COMMON)
        known = write_modern(registers, config, offset, width, value, effect);
    else if (!legacy && region == RP_NET_NOTIFY)
        known = write_notify(offset, width, effect, queue);
    if (!known)
        *effect = RP_NET_EFFECT_UNKNOWN;
}

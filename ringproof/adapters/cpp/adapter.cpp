// @NAME@: an adapter, through which `ringproof validate` drives a virtqueue.
//
// It works as it is: `make check` builds it and gets a verdict on a tiny queue, of one descriptor per buffer, that
// only polls. Put your driver in its place, piece by piece: each is marked TODO. What the operations have to do and
// may return is said in ringproof_driver.h. (Little-endian machines: numbers in the ring are little endian.)
#include "ringproof_driver.h"

#include <atomic>
#include <cstring>
#include <new>

namespace {

// TODO: your driver: its headers instead of these, and its sources in the Makefile.
struct Descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct Element { uint32_t id, length; };
struct Slot { void *token; uint16_t free; };

// What the adapter keeps of a queue; behind it lie as many slots as the queue has descriptors.
struct Adapter {
    const rp_env *env; // outlives the queue
    size_t ring_bytes;
    // TODO: your driver: its queue instead of the rest.
    volatile Descriptor *desc;
    volatile uint16_t *avail, *used; // flags, idx, ring
    uint16_t size, num_free, avail_idx, last_used_idx;
    Slot *slots; // [d].token: whose buffer descriptor d has; [0 to num_free - 1].free: those with none
};

// Sets up a queue of env->queue_size descriptors: RP_EINVAL for sizes that your driver does not take.
int create(const rp_env *env, rp_ring_parts *parts, void **queue)
{
    const size_t n = env->queue_size, used_at = (18 * n + 6 + 4095) / 4096 * 4096;
    const size_t bytes = sizeof(Adapter) + n * sizeof(Slot), ring_bytes = used_at + 6 + 8 * n;

    if (n == 0 || n > 32768 || (n & (n - 1)) != 0)
        return RP_EINVAL;
    void *memory = env->allocate_private(env->context, bytes); // zeroed
    if (memory == nullptr)
        return RP_ENOMEM;
    // TODO: your driver: let it allocate its ring through env->allocate, or hand it this one.
    auto *ring = static_cast<unsigned char *>(env->allocate(env->context, ring_bytes, 4096, &parts->desc));
    if (ring == nullptr) {
        env->release_private(env->context, memory, bytes);
        return RP_ENOMEM;
    }
    std::memset(ring, 0, ring_bytes);    // its contents are arbitrary
    parts->avail = parts->desc + 16 * n; // where the device sees the parts, which is not where they are for us
    parts->used = parts->desc + used_at;
    auto *a = new (memory) Adapter{env, ring_bytes, reinterpret_cast<Descriptor *>(ring),
        reinterpret_cast<uint16_t *>(ring + 16 * n), reinterpret_cast<uint16_t *>(ring + used_at),
        static_cast<uint16_t>(n), 0, 0, 0, nullptr};
    a->avail[0] = 1; // NO_INTERRUPT, as it only polls
    a->slots = reinterpret_cast<Slot *>(a + 1);
    for (; a->num_free < n; a->num_free++)
        a->slots[a->num_free].free = a->num_free;
    *queue = a;
    return RP_OK;
}

// Gives back all that was allocated; buffers still in flight are forgotten.
void destroy(void *queue)
{
    auto *a = static_cast<Adapter *>(queue);

    a->env->release(a->env->context, const_cast<Descriptor *>(a->desc), a->ring_bytes); // TODO: your driver
    a->env->release_private(a->env->context, a, sizeof *a + a->size * sizeof(Slot));
}

// Offers `out` segments to be read, then `in` to be written: one chain, whose token get_buf returns in the end.
int add(void *queue, const rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    auto *a = static_cast<Adapter *>(queue);

    if (token == nullptr || uint64_t{out} + in != 1)
        return RP_EINVAL; // TODO: your driver: what it would never take; this one takes no longer chains
    if (a->num_free == 0)
        return RP_ENOSPC;
    // TODO: your driver. It offers `address`, which is the device's; at `data` you find the same bytes.
    const uint16_t d = a->slots[--a->num_free].free;
    a->slots[d].token = token;
    a->desc[d].address = segments->address;
    a->desc[d].length = segments->length;
    a->desc[d].flags = in > 0 ? 2 : 0; // WRITE
    a->avail[2 + (a->avail_idx & (a->size - 1))] = d;
    std::atomic_thread_fence(std::memory_order_release); // the buffer before the index that publishes it
    a->avail[1] = ++a->avail_idx;
    return RP_OK;
}

// Notifies the device, if it wants to know of what was added since the last kick.
void kick(void *queue)
{
    auto *a = static_cast<Adapter *>(queue);

    // TODO: your driver, with env->notify where it writes its doorbell.
    std::atomic_thread_fence(std::memory_order_seq_cst); // the index before the device's flags
    if ((a->used[0] & 1) == 0) // NO_NOTIFY
        a->env->notify(a->env->context, a->env->queue_index);
}

// Takes back a completed buffer: 1 with token and length written, 0 for none, RP_EBROKEN if the device lies.
int get_buf(void *queue, void **token, uint32_t *length)
{
    auto *a = static_cast<Adapter *>(queue);

    // TODO: your driver.
    if (a->last_used_idx == a->used[1])
        return 0;
    std::atomic_thread_fence(std::memory_order_acquire); // the index before the element
    const auto *used = reinterpret_cast<volatile Element *>(a->used + 2) + (a->last_used_idx & (a->size - 1));
    const uint32_t id = used->id;
    if (id >= a->size || a->slots[id].token == nullptr)
        return RP_EBROKEN;
    *token = a->slots[id].token;
    *length = used->length;
    a->slots[id].token = nullptr;
    a->slots[a->num_free++].free = static_cast<uint16_t>(id);
    a->last_used_idx++;
    return 1;
}

const rp_driver driver = {
    RP_ABI_VERSION, sizeof(rp_driver), "@NAME@",
    RP_F_VERSION_1, // TODO: features: what yours can: | RP_F_EVENT_IDX | RP_F_INDIRECT_DESC ...
    0, 0,           // TODO: traits: its habits, as RP_TRAIT_ bits
    create, destroy, add, kick, get_buf,
    // TODO: what else yours has: disable_cb, enable_cb, enable_cb_delayed, enable_cb_prepare, poll, interrupt (then
    // callbacks are on from the start, if env->has_callback), num_free, detach_unused. What is left out is null, and
    // what it would show is reported as not exercised.
    nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
};

} // namespace

const rp_driver *rp_driver_entry() { return &driver; }

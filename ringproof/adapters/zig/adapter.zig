//! @NAME@: an adapter, through which `ringproof validate` drives a virtqueue.
//!
//! It works as it is: `make check` builds it and gets a verdict on a tiny queue, of one descriptor per buffer, that
//! only polls. Put your driver in its place, piece by piece: each is marked TODO. What the operations have to do and
//! may return is said in ringproof_driver.h. (Little-endian machines: numbers in the ring are little endian.)
const rp = @import("ringproof_driver.zig"); // ringproof_driver.h in Zig

// TODO: your driver: import it instead of these.
const Descriptor = extern struct { address: u64, length: u32, flags: u16, next: u16 };
const Element = extern struct { id: u32, length: u32 };
const Slot = extern struct { token: ?*anyopaque, free: u16 };

/// What the adapter keeps of a queue.
const Adapter = extern struct {
    env: *const rp.struct_rp_env, // outlives the queue
    ring_bytes: usize,
    // TODO: your driver: its queue instead of the rest.
    desc: [*]volatile Descriptor,
    avail: [*]volatile u16, // flags, idx, ring
    used: [*]volatile u16,
    slots: [*]Slot, // [d].token: whose buffer descriptor d has; [0..num_free].free: those with none
    size: u16, num_free: u16, last_used_idx: u16,
};

fn of(queue: ?*anyopaque) *Adapter { return @ptrCast(@alignCast(queue.?)); }

/// Sets up a queue of env.queue_size descriptors: RP_EINVAL for sizes that your driver does not take.
fn create(given: [*c]const rp.struct_rp_env, parts: [*c]rp.struct_rp_ring_parts, queue: [*c]?*anyopaque) callconv(.c) c_int {
    const env: *const rp.struct_rp_env = given;
    const n: usize = env.queue_size;
    if (n == 0 or n > 32768 or n & (n - 1) != 0) return rp.RP_EINVAL;
    const used_at = (18 * n + 6 + 4095) / 4096 * 4096;
    const ring_bytes = used_at + 6 + 8 * n;
    const bytes = @sizeOf(Adapter) + n * @sizeOf(Slot);
    const private = env.allocate_private.?(env.context, bytes) orelse return rp.RP_ENOMEM; // zeroed
    // TODO: your driver: let it allocate its ring through env.allocate, or hand it this one.
    const ring: [*]u8 = @ptrCast(env.allocate.?(env.context, ring_bytes, 4096, &parts.*.desc) orelse {
        env.release_private.?(env.context, private, bytes);
        return rp.RP_ENOMEM;
    });
    @memset(ring[0..ring_bytes], 0); // its contents are arbitrary
    parts.*.avail = parts.*.desc + 16 * n; // where the device sees the parts, which is not where they are for us
    parts.*.used = parts.*.desc + used_at;
    const a = of(private);
    a.* = .{
        .env = env,
        .ring_bytes = ring_bytes,
        .desc = @ptrCast(@alignCast(ring)),
        .avail = @ptrCast(@alignCast(ring + 16 * n)),
        .used = @ptrCast(@alignCast(ring + used_at)),
        .slots = @ptrCast(@alignCast(@as([*]u8, @ptrCast(private)) + @sizeOf(Adapter))),
        .size = @intCast(n),
        .num_free = @intCast(n),
        .last_used_idx = 0,
    };
    for (a.slots[0..n], 0..) |*slot, d| slot.free = @intCast(d);
    a.avail[0] = 1; // NO_INTERRUPT, as it only polls
    queue.* = a;
    return rp.RP_OK;
}

/// Gives back all that was allocated; buffers still in flight are forgotten.
fn destroy(queue: ?*anyopaque) callconv(.c) void {
    const a = of(queue);
    const env = a.env;
    env.release.?(env.context, @volatileCast(a.desc), a.ring_bytes); // TODO: your driver
    env.release_private.?(env.context, a, @sizeOf(Adapter) + @as(usize, a.size) * @sizeOf(Slot));
}

/// Offers `out` segments to be read, then `in` to be written: one chain, whose token get_buf returns in the end.
fn add(queue: ?*anyopaque, segments: [*c]const rp.struct_rp_segment, out: u32, in: u32, token: ?*anyopaque) callconv(.c) c_int {
    const a = of(queue);
    // TODO: your driver: what it would never take; this one takes no longer chains.
    if (token == null or @as(u64, out) + in != 1) return rp.RP_EINVAL;
    if (a.num_free == 0) return rp.RP_ENOSPC;
    // TODO: your driver. It offers `address`, which is the device's; at `data` you find the same bytes.
    a.num_free -= 1;
    const d = a.slots[a.num_free].free;
    a.slots[d].token = token;
    const flags: u16 = if (in > 0) 2 else 0; // WRITE
    a.desc[d] = .{ .address = segments[0].address, .length = segments[0].length, .flags = flags, .next = 0 };
    const idx = a.avail[1];
    a.avail[2 + (idx & (a.size - 1))] = d;
    @atomicStore(u16, &a.avail[1], idx +% 1, .seq_cst); // after the buffer that it publishes, before kick's look
    return rp.RP_OK;
}

/// Notifies the device, if it wants to know of what was added since the last kick.
fn kick(queue: ?*anyopaque) callconv(.c) void {
    const a = of(queue);
    // TODO: your driver, with env.notify where it writes its doorbell.
    if (@atomicLoad(u16, &a.used[0], .seq_cst) & 1 == 0) // NO_NOTIFY
        a.env.notify.?(a.env.context, a.env.queue_index);
}

/// Takes back a completed buffer: 1 with token and length written, 0 for none, RP_EBROKEN if the device lies.
fn get_buf(queue: ?*anyopaque, token: [*c]?*anyopaque, length: [*c]u32) callconv(.c) c_int {
    const a = of(queue);
    // TODO: your driver.
    if (a.last_used_idx == @atomicLoad(u16, &a.used[1], .acquire)) return 0;
    const ring: [*]volatile Element = @ptrCast(@alignCast(a.used + 2));
    const used = ring[a.last_used_idx & (a.size - 1)];
    if (used.id >= a.size or a.slots[used.id].token == null) return rp.RP_EBROKEN;
    token.* = a.slots[used.id].token;
    length.* = used.length;
    a.slots[used.id].token = null;
    a.slots[a.num_free].free = @intCast(used.id);
    a.num_free += 1;
    a.last_used_idx +%= 1;
    return 1;
}

const driver = rp.struct_rp_driver{
    .abi_version = rp.RP_ABI_VERSION,
    .size = @sizeOf(rp.struct_rp_driver),
    .name = "@NAME@",
    .features = rp.RP_F_VERSION_1, // TODO: what yours can: | rp.RP_F_EVENT_IDX | rp.RP_F_INDIRECT_DESC ...
    .traits = 0, // TODO: its habits, as RP_TRAIT_ bits
    .create = create,
    .destroy = destroy,
    .add = add,
    .kick = kick,
    .get_buf = get_buf,
    // TODO: what else yours has, of: disable_cb, enable_cb, enable_cb_delayed, enable_cb_prepare, poll, interrupt
    // (then callbacks are on from the start, if env.has_callback), num_free, detach_unused. What is left out is null,
    // and what it would show is reported as not exercised.
};

export fn rp_driver_entry() *const rp.struct_rp_driver { return &driver; }

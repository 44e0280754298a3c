//! The driver ABI of ringproof, version 1, for Zig: the same structures, in the same order, as ringproof_driver.h,
//! which says what each field means and each operation has to do.

pub const RP_ABI_VERSION: u32 = 1;

pub const RP_F_INDIRECT_DESC: u64 = 1 << 28;
pub const RP_F_EVENT_IDX: u64 = 1 << 29;
pub const RP_F_VERSION_1: u64 = 1 << 32;
pub const RP_F_IN_ORDER: u64 = 1 << 35;
pub const RP_F_NOTIFICATION_DATA: u64 = 1 << 38;

pub const RP_OK: c_int = 0;
pub const RP_EINVAL: c_int = -22;
pub const RP_ENOSPC: c_int = -28;
pub const RP_ENOMEM: c_int = -12;
pub const RP_EBROKEN: c_int = -5;

pub const RP_LAYOUT_LEGACY: u16 = 0;
pub const RP_LAYOUT_MODERN: u16 = 1;

pub const RP_TRAIT_LINUX_3_11: u32 = 1 << 0;
pub const RP_TRAIT_VIRTIO_1: u32 = 1 << 1;
pub const RP_TRAIT_PUBLISH_AT_KICK: u32 = 1 << 2;
pub const RP_TRAIT_PUSHES_BUFFERS: u32 = 1 << 3;
pub const RP_TRAIT_ARMS_ONCE: u32 = 1 << 4;
pub const RP_TRAIT_ANY_QUEUE_SIZE: u32 = 1 << 5;
pub const RP_TRAIT_MAPS: u32 = 1 << 6;
pub const RP_TRAIT_C11_ORDER: u32 = 1 << 7;

pub const struct_rp_segment = extern struct {
    data: ?*anyopaque = null,
    address: u64 = 0,
    length: u32 = 0,
    reserved: u32 = 0,
};

pub const struct_rp_ring_parts = extern struct {
    desc: u64 = 0,
    avail: u64 = 0,
    used: u64 = 0,
};

pub const struct_rp_env = extern struct {
    abi_version: u32 = 0,
    size: u32 = 0,
    context: ?*anyopaque = null,
    features: u64 = 0,
    queue_size: u32 = 0,
    queue_index: u16 = 0,
    layout: u16 = 0,
    has_callback: u32 = 0,
    reserved: u32 = 0,
    allocate: ?*const fn (?*anyopaque, usize, usize, [*c]u64) callconv(.c) ?*anyopaque = null,
    release: ?*const fn (?*anyopaque, ?*anyopaque, usize) callconv(.c) void = null,
    allocate_private: ?*const fn (?*anyopaque, usize) callconv(.c) ?*anyopaque = null,
    release_private: ?*const fn (?*anyopaque, ?*anyopaque, usize) callconv(.c) void = null,
    notify: ?*const fn (?*anyopaque, u32) callconv(.c) void = null,
    callback: ?*const fn (?*anyopaque) callconv(.c) void = null,
    completed: ?*const fn (?*anyopaque, ?*anyopaque, u32) callconv(.c) void = null,
    map: ?*const fn (?*anyopaque, ?*const anyopaque, u32, [*c]u64) callconv(.c) c_int = null,
    unmap: ?*const fn (?*anyopaque, u64, u32) callconv(.c) void = null,
};

pub const struct_rp_driver = extern struct {
    abi_version: u32 = 0,
    size: u32 = 0,
    name: [*c]const u8 = null,
    features: u64 = 0,
    traits: u32 = 0,
    reserved: u32 = 0,
    create: ?*const fn ([*c]const struct_rp_env, [*c]struct_rp_ring_parts, [*c]?*anyopaque) callconv(.c) c_int = null,
    destroy: ?*const fn (?*anyopaque) callconv(.c) void = null,
    add: ?*const fn (?*anyopaque, [*c]const struct_rp_segment, u32, u32, ?*anyopaque) callconv(.c) c_int = null,
    kick: ?*const fn (?*anyopaque) callconv(.c) void = null,
    get_buf: ?*const fn (?*anyopaque, [*c]?*anyopaque, [*c]u32) callconv(.c) c_int = null,
    disable_cb: ?*const fn (?*anyopaque) callconv(.c) void = null,
    enable_cb: ?*const fn (?*anyopaque) callconv(.c) c_int = null,
    enable_cb_delayed: ?*const fn (?*anyopaque) callconv(.c) c_int = null,
    enable_cb_prepare: ?*const fn (?*anyopaque) callconv(.c) u32 = null,
    poll: ?*const fn (?*anyopaque, u32) callconv(.c) c_int = null,
    interrupt: ?*const fn (?*anyopaque) callconv(.c) c_int = null,
    num_free: ?*const fn (?*anyopaque) callconv(.c) u32 = null,
    detach_unused: ?*const fn (?*anyopaque, [*c]?*anyopaque) callconv(.c) c_int = null,
};

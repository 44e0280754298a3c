//! ringproof_driver.h in Rust: the same names and members, in the same order. What each of them means is said there.
#![allow(dead_code)]

use core::ffi::{c_char, c_int, c_void};

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

#[repr(C)]
pub struct rp_segment {
    pub data: *mut c_void,
    pub address: u64,
    pub length: u32,
    pub reserved: u32,
}

#[repr(C)]
pub struct rp_ring_parts {
    pub desc: u64,
    pub avail: u64,
    pub used: u64,
}

#[repr(C)]
pub struct rp_env {
    pub abi_version: u32,
    pub size: u32,
    pub context: *mut c_void,
    pub features: u64,
    pub queue_size: u32,
    pub queue_index: u16,
    pub layout: u16,
    pub has_callback: u32,
    pub reserved: u32,
    pub allocate: unsafe extern "C" fn(*mut c_void, usize, usize, *mut u64) -> *mut c_void,
    pub release: unsafe extern "C" fn(*mut c_void, *mut c_void, usize),
    pub allocate_private: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    pub release_private: unsafe extern "C" fn(*mut c_void, *mut c_void, usize),
    pub notify: unsafe extern "C" fn(*mut c_void, u32),
    pub callback: unsafe extern "C" fn(*mut c_void),
    pub completed: unsafe extern "C" fn(*mut c_void, *mut c_void, u32),
    pub map: unsafe extern "C" fn(*mut c_void, *const c_void, u32, *mut u64) -> c_int,
    pub unmap: unsafe extern "C" fn(*mut c_void, u64, u32),
}

#[repr(C)]
pub struct rp_driver {
    pub abi_version: u32,
    pub size: u32,
    pub name: *const c_char,
    pub features: u64,
    pub traits: u32,
    pub reserved: u32,
    pub create: Option<unsafe extern "C" fn(*const rp_env, *mut rp_ring_parts, *mut *mut c_void) -> c_int>,
    pub destroy: Option<unsafe extern "C" fn(*mut c_void)>,
    pub add: Option<unsafe extern "C" fn(*mut c_void, *const rp_segment, u32, u32, *mut c_void) -> c_int>,
    pub kick: Option<unsafe extern "C" fn(*mut c_void)>,
    pub get_buf: Option<unsafe extern "C" fn(*mut c_void, *mut *mut c_void, *mut u32) -> c_int>,
    pub disable_cb: Option<unsafe extern "C" fn(*mut c_void)>,
    pub enable_cb: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    pub enable_cb_delayed: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    pub enable_cb_prepare: Option<unsafe extern "C" fn(*mut c_void) -> u32>,
    pub poll: Option<unsafe extern "C" fn(*mut c_void, u32) -> c_int>,
    pub interrupt: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    pub num_free: Option<unsafe extern "C" fn(*mut c_void) -> u32>,
    pub detach_unused: Option<unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> c_int>,
}

// The table is only read, and everything runs on one thread.
unsafe impl Sync for rp_driver {}

// As the C compiler lays them out; where a pointer has 8 bytes.
#[cfg(target_pointer_width = "64")]
const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<rp_segment>() == 24 && offset_of!(rp_segment, length) == 16);
    assert!(size_of::<rp_ring_parts>() == 24);
    assert!(size_of::<rp_env>() == 112 && offset_of!(rp_env, queue_index) == 28);
    assert!(offset_of!(rp_env, allocate) == 40 && offset_of!(rp_env, unmap) == 104);
    assert!(size_of::<rp_driver>() == 136 && offset_of!(rp_driver, create) == 32);
    assert!(offset_of!(rp_driver, detach_unused) == 128);
};

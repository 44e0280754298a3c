//! @NAME@: an adapter, through which `ringproof validate` drives a virtqueue.
//!
//! It works as it is: `make check` builds it and gets a verdict on a tiny queue, of one descriptor per buffer, that
//! only polls. Put your driver in its place, piece by piece: each is marked TODO. What the operations have to do and
//! may return is said in ringproof_driver.h. (Little-endian machines: numbers in the ring are little endian.)
#![allow(non_camel_case_types)]

mod ringproof_driver;

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU16, Ordering::*};
use ringproof_driver::*;

// TODO: your driver: its crate instead of these, named in Cargo.toml.
#[repr(C)]
struct Descriptor { address: u64, length: u32, flags: u16, next: u16 }
#[repr(C)]
#[derive(Clone, Copy)]
struct Element { id: u32, length: u32 }

/// What the adapter keeps of a queue.
struct Adapter<'a> {
    env: &'a rp_env, // outlives the queue
    ring_bytes: usize,
    // TODO: your driver: its queue instead of the rest.
    desc: *mut Descriptor,
    avail: *mut AtomicU16, // flags, idx, ring
    used: *mut AtomicU16,
    tokens: Vec<*mut c_void>, // whose buffer each descriptor has
    free: Vec<u16>,           // the descriptors that have none
    last_used_idx: u16,
}

/// Sets up a queue of env.queue_size descriptors: RP_EINVAL for sizes that your driver does not take.
unsafe extern "C" fn create(env: *const rp_env, parts: *mut rp_ring_parts, queue: *mut *mut c_void) -> c_int {
    let (env, parts) = (&*env, &mut *parts);
    let n = env.queue_size as usize;
    if !n.is_power_of_two() || n > 32768 {
        return RP_EINVAL;
    }
    let used_at = (18 * n + 6).next_multiple_of(4096);
    let ring_bytes = used_at + 6 + 8 * n;
    // TODO: your driver: let it allocate its ring through env.allocate, or hand it this one.
    let ring = (env.allocate)(env.context, ring_bytes, 4096, &mut parts.desc).cast::<u8>();
    if ring.is_null() { return RP_ENOMEM; }
    ring.write_bytes(0, ring_bytes); // its contents are arbitrary
    parts.avail = parts.desc + 16 * n as u64; // where the device sees the parts, which is not where they are for us
    parts.used = parts.desc + used_at as u64;
    let a = Adapter {
        env, ring_bytes,
        desc: ring.cast(),
        avail: ring.add(16 * n).cast(),
        used: ring.add(used_at).cast(),
        tokens: vec![core::ptr::null_mut(); n],
        free: (0..n as u16).collect(),
        last_used_idx: 0,
    };
    (*a.avail).store(1, Relaxed); // NO_INTERRUPT, as it only polls
    *queue = Box::into_raw(Box::new(a)).cast();
    RP_OK
}

/// Gives back all that was allocated; buffers still in flight are forgotten.
unsafe extern "C" fn destroy(queue: *mut c_void) {
    let a = Box::from_raw(queue.cast::<Adapter>());
    (a.env.release)(a.env.context, a.desc.cast(), a.ring_bytes); // TODO: your driver
}

/// Offers `out` segments to be read, then `in` to be written: one chain, whose token get_buf returns in the end.
unsafe extern "C" fn add(
    queue: *mut c_void, segments: *const rp_segment, out: u32, in_: u32, token: *mut c_void,
) -> c_int {
    let a = &mut *queue.cast::<Adapter>();
    if token.is_null() || out.checked_add(in_) != Some(1) {
        return RP_EINVAL; // TODO: your driver: what it would never take; this one takes no longer chains
    }
    // TODO: your driver. It offers `address`, which is the device's; at `data` you find the same bytes.
    let Some(d) = a.free.pop() else { return RP_ENOSPC };
    a.tokens[d as usize] = token;
    let flags = if in_ > 0 { 2 } else { 0 }; // WRITE
    let descriptor = Descriptor { address: (*segments).address, length: (*segments).length, flags, next: 0 };
    a.desc.add(d as usize).write_volatile(descriptor);
    let idx = (*a.avail.add(1)).load(Relaxed);
    (*a.avail.add(2 + idx as usize % a.tokens.len())).store(d, Relaxed);
    (*a.avail.add(1)).store(idx.wrapping_add(1), Release); // after the buffer that it publishes
    RP_OK
}

/// Notifies the device, if it wants to know of what was added since the last kick.
unsafe extern "C" fn kick(queue: *mut c_void) {
    let a = &*queue.cast::<Adapter>();
    // TODO: your driver, with env.notify where it writes its doorbell.
    core::sync::atomic::fence(SeqCst); // the index before the device's flags
    if (*a.used).load(Relaxed) & 1 == 0 { // NO_NOTIFY
        (a.env.notify)(a.env.context, a.env.queue_index.into());
    }
}

/// Takes back a completed buffer: 1 with token and length written, 0 for none, RP_EBROKEN if the device lies.
unsafe extern "C" fn get_buf(queue: *mut c_void, token: *mut *mut c_void, length: *mut u32) -> c_int {
    let a = &mut *queue.cast::<Adapter>();
    // TODO: your driver.
    if a.last_used_idx == (*a.used.add(1)).load(Acquire) { return 0; }
    let ring = a.used.add(2).cast::<Element>();
    let used = ring.add(a.last_used_idx as usize % a.tokens.len()).read_volatile();
    let kept = a.tokens.get_mut(used.id as usize).filter(|kept| !kept.is_null());
    let Some(kept) = kept else { return RP_EBROKEN };
    *token = core::mem::replace(kept, core::ptr::null_mut());
    *length = used.length;
    a.free.push(used.id as u16);
    a.last_used_idx = a.last_used_idx.wrapping_add(1);
    1
}

static DRIVER: rp_driver = rp_driver {
    abi_version: RP_ABI_VERSION, size: size_of::<rp_driver>() as u32, name: c"@NAME@".as_ptr(), reserved: 0,
    features: RP_F_VERSION_1, // TODO: what yours can: | RP_F_EVENT_IDX | RP_F_INDIRECT_DESC ...
    traits: 0,                // TODO: its habits, as RP_TRAIT_ bits
    create: Some(create), destroy: Some(destroy), add: Some(add), kick: Some(kick), get_buf: Some(get_buf),
    // TODO: what else yours has. With interrupt, callbacks are on from the start, if env.has_callback. What is None
    // would show something that is reported as not exercised.
    disable_cb: None, enable_cb: None, enable_cb_delayed: None, enable_cb_prepare: None, poll: None,
    interrupt: None, num_free: None, detach_unused: None,
};

#[no_mangle]
pub extern "C" fn rp_driver_entry() -> *const rp_driver { &DRIVER }

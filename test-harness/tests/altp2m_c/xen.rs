// SPDX-License-Identifier: GPL-2.0-only
//! What altp2m.c calls of the rest of Xen, on the machine of the harness. All calls are noted, by name,
//! in order.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void, CStr};
use std::rc::Rc;

use test_harness::{live, Domain, Vcpu, World};
use xen_sys::{domain, p2m_views, vcpu};

use crate::request::SIZE;
use crate::EPERM;

/// `XSM_OTHER`, and what a mode is to XSM.
const XSM_OTHER: c_int = 5;
const MIXED: u64 = 1;
const EXTERNAL: u64 = 2;

/// `__HYPERVISOR_hvm_op`.
const HVM_OP: c_uint = 34;
const DOMID_SELF: u16 = 0x7ff0;

/// What `xsm_hvm_altp2mhvm_op()` was asked: the action, the domain, the mode and the operation.
pub(crate) type Question = (c_int, usize, u64, u32);

/// What the test knows of the rest of Xen.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) world: Option<Rc<World>>,
    /// All that can be named; and those that may have views.
    pub(crate) domains: Vec<*mut domain>,
    pub(crate) guests: Vec<Domain>,
    pub(crate) vcpus: Vec<Vcpu>,
    /// The functions that were called.
    pub(crate) calls: Vec<&'static str>,
    /// What no caller of Xen may do.
    pub(crate) wrong: Vec<String>,

    /// The structure that the caller names, and whether it can be read and written.
    pub(crate) structure: usize,
    pub(crate) unreadable: bool,
    pub(crate) unwritable: bool,
    /// It can be written once more.
    pub(crate) then_unwritable: bool,
    pub(crate) reads: u32,
    /// Where was written, and how much.
    pub(crate) writes: Vec<(usize, usize)>,
    /// Another vCPU of the caller overwrites the structure as soon as it was read.
    pub(crate) overwrites: Option<[u8; SIZE]>,

    pub(crate) rcu: i32,
    /// Pauses of domains and vCPUs, by address; and who was running when they began, and where.
    pub(crate) paused: Vec<usize>,
    pub(crate) taken_off: Vec<(usize, Vcpu)>,
    /// vCPUs that wait for a monitor's answer.
    pub(crate) waiting: Vec<usize>,

    pub(crate) asked: Vec<Question>,
    /// What XSM answers, whoever asks.
    pub(crate) xsm: Option<i32>,
    /// A domain that XSM knows as this one's device model.
    pub(crate) privileged: Option<usize>,

    pub(crate) continuation: Option<c_ulong>,
    pub(crate) no_memory: bool,
    pub(crate) allocated: Vec<usize>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

pub(crate) fn with<R>(f: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(f)
}

pub(crate) fn note(name: &'static str) {
    with(|s| s.calls.push(name));
}

fn wrong(what: impl Into<String>) {
    let what = what.into();
    with(|s| s.wrong.push(what));
}

pub(crate) fn world() -> Rc<World> {
    with(|s| s.world.clone()).unwrap()
}

/// The domain that runs on this CPU.
fn caller() -> *mut domain {
    // SAFETY: the machine's own vCPUs live as long as it does.
    unsafe { (*xen_sys::current_vcpu()).domain }
}

fn id_of(d: *mut domain) -> u16 {
    // SAFETY: a domain of the machine.
    unsafe { (*d).domain_id }
}

// Who runs, and who may not.

extern "C" fn get_current() -> *mut vcpu {
    xen_sys::current_vcpu()
}

extern "C" fn assert_unreachable() {
    wrong("ASSERT_UNREACHABLE()");
}

/// Waits until no CPU runs it.
fn take_off(v: Vcpu) {
    let w = world();
    for cpu in 0..xen_sys::XS_NR_CPUS as usize {
        if w.on_cpu(cpu, xen_sys::current_vcpu) == v.pointer() {
            w.run(cpu, w.toolstack(cpu));
            with(|s| s.taken_off.push((cpu, v)));
        }
    }
}

/// Whoever was taken off a CPU goes on there, unless something else keeps it.
fn go_on() {
    let kept = |s: &State, v: Vcpu| {
        // SAFETY: a vCPU of the machine.
        let d = unsafe { (*v.pointer()).domain }.addr();
        let v = v.pointer().addr();
        s.paused.contains(&v) || s.paused.contains(&d) || s.waiting.contains(&v)
    };
    let free = with(|s| {
        let all = std::mem::take(&mut s.taken_off);
        let (kept, free): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, v)| kept(s, *v));
        s.taken_off = kept;
        free
    });
    for (cpu, v) in free {
        world().run(cpu, v);
    }
}

fn unpause(address: usize) {
    let at = with(|s| s.paused.iter().position(|&p| p == address));
    match at {
        Some(at) => with(|s| {
            s.paused.remove(at);
        }),
        None => wrong("what is not paused is unpaused"),
    }
    go_on();
}

extern "C" fn domain_pause(d: *mut domain) {
    note("domain_pause");
    if d == caller() {
        wrong("domain_pause(current->domain)");
    }
    with(|s| s.paused.push(d.addr()));
    let all = with(|s| s.vcpus.clone());
    // SAFETY: vCPUs of the machine.
    let of_d = all
        .into_iter()
        .filter(|v| unsafe { (*v.pointer()).domain } == d);
    of_d.for_each(take_off);
}

extern "C" fn domain_unpause(d: *mut domain) {
    note("domain_unpause");
    unpause(d.addr());
}

extern "C" fn vcpu_pause(v: *mut vcpu) {
    note("vcpu_pause");
    if v == xen_sys::current_vcpu() {
        wrong("vcpu_pause(current)");
    }
    with(|s| s.paused.push(v.addr()));
    let named = with(|s| s.vcpus.iter().copied().find(|known| known.pointer() == v));
    named.into_iter().for_each(take_off);
}

extern "C" fn vcpu_unpause(v: *mut vcpu) {
    note("vcpu_unpause");
    unpause(v.addr());
}

// Domains and what is asked of them.

extern "C" fn rcu_lock_domain_by_any_id(id: u16) -> *mut domain {
    note("rcu_lock_domain_by_any_id");
    let id = if id == DOMID_SELF {
        id_of(caller())
    } else {
        id
    };
    let found = with(|s| s.domains.iter().copied().find(|&d| id_of(d) == id));
    let Some(found) = found else {
        return std::ptr::null_mut();
    };
    with(|s| s.rcu += 1);
    found
}

extern "C" fn rcu_unlock_domain(_: *mut domain) {
    with(|s| s.rcu -= 1);
}

extern "C" fn domain_vcpu(d: *const domain, id: c_uint) -> *const vcpu {
    let found = xen_sys::xs_domain_vcpu(live(d.cast_mut()), id);
    found.map_or(std::ptr::null(), |v| v.as_ptr().cast_const())
}

/// As xsm/dummy.h: for external mode XSM_DM_PRIV, that is a control domain or the device model's.
extern "C" fn xsm_hvm_altp2mhvm_op(action: c_int, d: *mut domain, mode: u64, op: u32) -> c_int {
    note("xsm_hvm_altp2mhvm_op");
    if action != XSM_OTHER {
        wrong("XSM_ASSERT_ACTION(XSM_OTHER)");
    }
    let caller = caller();
    with(|s| {
        s.asked.push((action, d.addr(), mode, op));
        let privileged = id_of(caller) == 0 || s.privileged == Some(caller.addr());
        s.xsm.unwrap_or(match mode {
            MIXED if caller == d || privileged => 0,
            EXTERNAL if privileged => 0,
            _ => EPERM,
        })
    })
}

// The caller's memory.

/// Whether that is in the structure that the caller named: the offset.
fn offset(at: *const c_void, len: usize) -> Option<usize> {
    let offset = at.addr().wrapping_sub(with(|s| s.structure));
    let inside = offset < SIZE && len <= SIZE - offset;
    if !inside {
        wrong(format!("{len} bytes at {offset} of the caller's structure"));
    }
    inside.then_some(offset)
}

extern "C" fn raw_copy_from_guest(to: *mut c_void, from: *const c_void, len: c_uint) -> c_ulong {
    note("raw_copy_from_guest");
    if with(|s| s.unreadable) || offset(from, len as usize).is_none() {
        return len.into();
    }
    with(|s| s.reads += 1);
    // SAFETY: the C's own structure, and a part of the caller's.
    unsafe { from.cast::<u8>().copy_to(to.cast(), len as usize) };
    if let Some(bytes) = with(|s| s.overwrites) {
        let place = from.cast_mut().cast::<[u8; SIZE]>();
        // SAFETY: the caller's structure, which nobody has borrowed meanwhile.
        unsafe { place.write(bytes) };
    }
    0
}

extern "C" fn raw_copy_to_guest(to: *mut c_void, from: *const c_void, len: c_uint) -> c_ulong {
    note("raw_copy_to_guest");
    let Some(offset) = offset(to, len as usize) else {
        return len.into();
    };
    if with(|s| s.unwritable) {
        return len.into();
    }
    with(|s| {
        s.unwritable = std::mem::take(&mut s.then_unwritable);
        s.writes.push((offset, len as usize));
    });
    // SAFETY: a part of the caller's structure, and the C's own.
    unsafe { from.cast::<u8>().copy_to(to.cast(), len as usize) };
    0
}

/// What it returns is the first argument of the next call, which Xen writes where that is.
extern "C" fn create_continuation(
    nr: c_uint,
    format: *const c_char,
    op: c_ulong,
    arg: *mut c_void,
) -> c_ulong {
    note("hypercall_create_continuation");
    // SAFETY: a text of the C's.
    let format = unsafe { CStr::from_ptr(format) };
    if nr != HVM_OP || format != c"lh" || arg.addr() != with(|s| s.structure) {
        wrong("the continuation is another hypercall");
    }
    if with(|s| s.rcu) != 0 {
        wrong("the continuation begins with a domain locked");
    }
    with(|s| s.continuation = Some(op));
    op
}

extern "C" fn xzalloc_bytes(size: usize) -> *mut c_void {
    note("xzalloc");
    if with(|s| s.no_memory) {
        return std::ptr::null_mut();
    }
    assert_eq!(size, size_of::<p2m_views>());
    // SAFETY: numbers, and pointers that may be null.
    let views: p2m_views = unsafe { std::mem::zeroed() };
    let views = Box::into_raw(Box::new(views));
    with(|s| s.allocated.push(views.addr()));
    views.cast()
}

extern "C" fn xfree(p: *mut c_void) {
    note("xfree");
    if p.is_null() {
        return;
    }
    let before = with(|s| s.allocated.len());
    with(|s| s.allocated.retain(|&known| known != p.addr()));
    if with(|s| s.allocated.len()) == before {
        return wrong("xfree() of what was not allocated");
    }
    // SAFETY: from Box::into_raw above, and freed once.
    drop(unsafe { Box::from_raw(p.cast::<p2m_views>()) });
}

/// All of them, by name.
pub(crate) fn calls() -> Vec<(&'static str, *const ())> {
    macro_rules! all {
        ($($name:ident)*) => { vec![$((stringify!($name), $name as *const ())),*] };
    }
    all!(
        get_current assert_unreachable domain_pause domain_unpause vcpu_pause vcpu_unpause
        rcu_lock_domain_by_any_id rcu_unlock_domain domain_vcpu xsm_hvm_altp2mhvm_op
        raw_copy_from_guest raw_copy_to_guest create_continuation xzalloc_bytes xfree
    )
}

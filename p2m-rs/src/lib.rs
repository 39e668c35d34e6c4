// SPDX-License-Identifier: GPL-2.0-only
//! Xen/Arm's stage-2 page tables: `p2m.c` and `mmu/p2m.c` in Rust.
//!
//! Stage 2 is the wall between guests: it decides which machine frames a guest
//! frame reaches, and with which rights.
//!
//! Each folder is a layer, and imports only those below it (a test sees to that). From
//! the ground up:
//!
//! 1. [`types`]: numbers, entries and error codes;
//! 2. [`xen`]: Xen's structures and functions, and this CPU, made safe to call;
//! 3. [`p2m`]: the lock, what is deferred until it is released, and what may not be
//!    called while it is held. Begin here: [`p2m::lock`] is the rule that no p2m lock is
//!    taken under a p2m lock, as types;
//! 4. [`table`]: translation tables, and the only ways in which an entry may change
//!    (break-before-make as types);
//! 5. [`map`]: the verbs: look up, insert, remove, set the access;
//! 6. [`guest`]: what a guest's traps and context switches need; [`lifecycle`]: from boot
//!    to the end of a domain;
//! 7. [`ffi`]: every symbol that C calls, in the C's order.
//!
//! # Design principles
//!
//! 1. What must not happen does not compile, where types can say it. A p2m lock under a p2m
//!    lock, a live entry that changes without break-before-make, a reference that is dropped
//!    without an IOTLB flush: each is a type error. What types cannot say is
//!    written beside the type.
//! 2. A guest is hostile, and so may be its backend and its device. There is no panic and no
//!    unbounded loop or recursion, and the work between two preemption checks is bounded.
//! 3. C keeps its structures. This code is a view on them; nothing about a p2m is stored
//!    twice, and each exported function keeps the C's name, ABI and lock state.
//! 4. Behaviour is the C's. Each difference is listed in docs/differences.md with what can
//!    be observed, and each defect that is kept, with the reason.
//! 5. `unsafe` stays at the border: one operation a block, with a reason that a sceptic
//!    accepts, in few files. Above `xen/`, `p2m/` and `table/`, and below `ffi/`, the code is
//!    safe but for where a p2m begins and ends.
//! 6. Work is deferred and done once: a call goes down the tables once, and one barrier and
//!    one flush, at the unlock, cover all that it changed.
//! 7. The general path of each verb is simple enough to be read in one sitting. A fast path
//!    names the count that it improves, and does nothing that the general path would not.
#![cfg_attr(target_os = "none", no_std)]

pub mod ffi;
mod guest;
mod lifecycle;
#[cfg(config_altp2m)]
pub use lifecycle::views;
pub mod map;
pub mod p2m;
pub mod table;
pub mod types;
pub mod xen;

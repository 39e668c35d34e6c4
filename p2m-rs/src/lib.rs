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
#![cfg_attr(target_os = "none", no_std)]

pub mod ffi;
pub mod guest;
pub mod lifecycle;
pub mod map;
pub mod p2m;
pub mod table;
pub mod types;
pub mod xen;

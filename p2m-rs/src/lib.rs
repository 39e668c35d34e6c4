// SPDX-License-Identifier: GPL-2.0-only
//! Xen/Arm's stage-2 page tables: `p2m.c` and `mmu/p2m.c` in Rust.
//!
//! Stage 2 is the wall between guests: it decides which machine frames a guest
//! frame reaches, and with which rights. Read in this order:
//!
//! 1. [`lock`]: the rule that no p2m lock is taken under a p2m lock, as types;
//! 2. [`addr`], [`level`], [`types`], [`access`], [`pte`]: the vocabulary;
//! 3. [`xen::table`]: how an entry may change (break-before-make as types);
//! 4. [`owed`]: what may wait until the lock is released;
//! 5. [`lookup`], [`update`], [`remove`], [`split`], [`restrict`], [`merge`], [`retire`]: the
//!    work;
//! 6. [`fault`], [`cache`], [`gva`], [`context`]: what a guest's traps need;
//! 7. [`lifecycle`], [`allocation`], [`vmid`], [`setup`], [`globals`]: from
//!    boot to the end of a domain;
//! 8. [`ffi`]: every symbol that C calls, in the C's order.
#![cfg_attr(target_os = "none", no_std)]

pub mod access;
pub mod addr;
pub mod allocation;
pub mod cache;
pub mod context;
pub mod dump;
pub mod error;
pub mod fault;
pub mod ffi;
pub mod globals;
pub mod gva;
pub mod level;
pub mod lifecycle;
pub mod lock;
pub mod lookup;
pub mod mapping;
pub mod merge;
pub mod owed;
pub mod p2m;
pub mod pte;
pub mod remove;
pub mod restrict;
pub mod retire;
pub mod setup;
pub mod split;
pub mod types;
pub mod update;
pub mod vmid;
pub mod xen;

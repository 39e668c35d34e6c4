// SPDX-License-Identifier: GPL-2.0-only
//! A machine for the p2m to run on, without Xen and without Arm.
//!
//! The library defines every function that the mock face of `xen-sys`
//! declares, over a model of what matters to stage-2 translation: frames and
//! their references, the heap, page lists, locks with owners, CPUs with their
//! registers, the IOMMU, the monitor, guests with tables of their own. A test
//! builds a [`World`], calls the code under test through its C symbols
//! ([`symbols`], or the short forms on [`Domain`] and [`Vcpu`]), and asks the
//! world to [`check`](World::check) what must always hold.
//!
//! Rules, by id. A broken one is noted with a sentence and fails the test when
//! the world is checked or goes:
//!
//! | id | rule |
//! |---|---|
//! | L0 | a lock is initialised, dropped only by its holder, and held by nobody between calls |
//! | L1 | no CPU takes a read lock that it holds: a writer in between is a deadlock |
//! | L2 | no upgrade, no write lock inside a write lock |
//! | L3 | p2m lock before paging lock, which is a leaf; no p2m lock inside another |
//! | L4 | live tables are read under their p2m's lock, and written under its write lock; AT may read them without, if a failure is tried again under it (of AT by stage 1 alone, behind an ISB there, or in software) |
//! | L5 | nothing that may take a p2m lock is called with one held |
//! | L6 | nobody waits for a lock that will not be dropped |
//! | L7 | a pool's list and total are used under its lock, a list of table pages under the p2m's write lock |
//! | T1 | break before make: no new value while TLBs may hold one that differs in more than permissions |
//! | T2 | a TLBI comes after an ISB that follows the write of VTTBR_EL2 |
//! | T3 | TLBs hold nothing stale when the write lock is dropped |
//! | T4 | no table is freed while an entry or a guest's VTTBR_EL2 points to it; nor freed, written or linked while a walk cache may hold it |
//! | T5 | no reference of a foreign mapping is put, and no page that nobody owns, while TLBs may hold the page |
//! | T6 | interrupts are off while a foreign VTTBR_EL2 is loaded, and it is put back |
//! | T7 | a VMID is one domain's, flushed before that runs; a CPU's TLB is flushed before another of its vCPUs runs there, both stages before tables of another view are walked |
//! | T8 | a table's entries are visible to walkers before it can be walked to |
//! | T9 | so are all stores to reachable tables, before the unlock and the IOTLB flush; the latter by a DSB SY, where devices walk them |
//! | T10 | no register that controls the EL1&0 translation regime is written while walks of a guest may be in flight |
//! | T11 | a CPU's instruction cache is invalidated before another vCPU of a domain runs there |
//! | V1 | a view maps what the host p2m maps: at the same frame or, for one that was remapped, at its source |
//! | V3 | a vCPU is told its view while no CPU runs it |
//! | P1 | a table is in memory before it is linked, when the IOMMU reads memory |
//! | P2 | so is each changed word, before the IOTLB flush and the unlock |
//! | P3 | no page is put, no table freed or written, before the IOTLB flush of where it was mapped |
//! | P4 | the IOMMU is told of each change, as what it is, before the unlock |
//! | P5 | break before make for the IOMMU's TLB: no new value while the IOTLB may hold one that differs in more than permissions, but for a block beside a table of its parts |
//! | P6 | at each moment a device comes to what was mapped or what will be, and is refused only where address, type or size change; where a block is split, only if its IOTLB does not hold the block |
//! | M1 | device models hear of the domain's RAM that leaves its place, under the write lock |
//! | C1 | `p2m_flush_vm` cleans what was dirty of the domain's RAM when it began, whoever wrote it |
//! | C2 | so does `p2m_cache_flush_range`, as far as it got |
//! | R0 | pages, lists and references are used as what they are |
//! | R1 | references of a frame: its owner's and one for each foreign mapping |
//! | R2 | pool = free pages + tables in use |
//! | R4 | the statistics count the tree |
//! | R5 | each table is reachable once and listed, and no view is lost; nobody touches a free page of the heap or of a pool |
//! | R6 | a page's M2P is written only by who holds a reference to the page, or the p2m lock of the living domain that owns it |
//! | W1 | what can be preempted looks for it every so many entries and pages |
//! | W2 | each call ends |
//! | A1 | values have the meaning that they claim |
//! | X1 | what a function of Xen asserts of its caller, or silently relies on, holds |
//! | X2 | at the end of a call the registers of the running vCPU are what its structures say |
//!
//! There is no R3, "what is mapped is unmapped": on Arm64 Xen maps all memory,
//! so that `map_domain_page` is arithmetic and has no counterpart (`helpers.c`
//! refuses to compile where that is not so).
//!
//! The model sees all that the code does as one list of [`Event`]s; a
//! [`Checker`] that subscribes may add rules, and [`trace`] writes it down for
//! checkers outside of this repository.
//!
//! Floors, from the ground up; each uses those below it:
//!
//! | folder | what it is |
//! |---|---|
//! | `ground` | configuration, events and their trace, entries, handles on the C structures, the exports |
//! | `model` | parts of the machine: frames, lists, locks, CPUs, domains, devices |
//! | `books` | what the rules remember: TLBs, tables, caches, work |
//! | `rules` | the state of the machine, and the rules that it must keep |
//! | `machine` | that state behind a lock, and how a thread finds it |
//! | `shims`, `world` | the mock functions; the test's handle on a machine |
//!
//! Unsafe code is where C's pointers are: `shims` (the mock functions),
//! `world::calls`, `ground::handles` and `machine::guest_walk` (the other
//! direction), and the memory of the C structures in `world` and `model`.

// This crate exists to fail tests: it may stop on the spot, and what it
// converts are numbers of its own making.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod books;
mod ground;
mod machine;
mod model;
mod rules;
mod shims;
mod world;

pub use books::dirty::Writer;
pub use books::work;
pub use ground::config::{Config, Iommu};
pub use ground::event::{Checker, Event, LockOp, PreemptCheck, Register, Topic, Violation};
pub use ground::handles::{live, Answer, Domain, Given, Vcpu, View};
pub use ground::{abi, config, event, pte, symbols, trace};
pub use machine::guest_walk::{guest_walk, PageFromGfn};
pub use machine::{Machine, Scheduler};
pub use model::cpu::{Preempt, Waiting};
pub use model::devices::MonitorRequest;
pub use model::domains::poison_p2m;
pub use model::guests::Stage1Entry;
pub use world::calls;
pub use world::calls::{Entry, Page, INVALID};
pub use world::neighbours::{Neighbours, Reach};
pub use world::snapshot::{DumpedTable, Leaf, Snapshot};
pub use world::{attach, attach_alone, Attached, World};

// SPDX-License-Identifier: GPL-2.0-only
//! The state of the machine, and the rules that it must keep.
//!
//! What happens is done to the parts of [`State`] by the methods in this folder, which note each
//! broken rule. A rule is noted, not raised: a panic may not unwind through the C ABI. The world's
//! end, or [`crate::World::check`], turns notes into a panic.
#![forbid(unsafe_code)]

mod agreement;
mod census;
mod cleaning;
mod devices;
mod pool;
mod tables;
mod tlb;
pub(crate) mod tree;
mod visible;
mod vmids;
mod walk;
mod work;

use std::backtrace::{Backtrace, BacktraceStatus};

use xen_sys::page_info;

use crate::books::dirty::Dirty;
use crate::books::iotlb::Iotlb;
use crate::books::mapcache::Mapcache;
use crate::books::pools::Pools;
use crate::books::stage1::Translations;
use crate::books::tables::Tables;
use crate::books::tlb::Tlb;
use crate::books::visible::Visible;
use crate::books::vmids::Vmids;
use crate::books::work::Work;
use crate::ground::config::Config;
use crate::ground::event::{Event, Mfn, Violation};
use crate::ground::log::Log;
use crate::model::contents::Contents;
use crate::model::cpu::Cpus;
use crate::model::devices::Devices;
use crate::model::domains::Domains;
use crate::model::frames::Frames;
use crate::model::guests::Guests;
use crate::model::lists::Lists;
use crate::model::locks::{Broken, Locks};
use crate::model::radix::Radix;

/// Everything that the mock knows.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) violations: Vec<Violation>,
    pub(crate) console: Vec<String>,
    /// Text of the BUG or panic that stopped Xen.
    pub(crate) stopped: Option<String>,
    pub(crate) frames: Frames,
    pub(crate) lists: Lists,
    pub(crate) radix: Radix,
    pub(crate) locks: Locks,
    pub(crate) cpus: Cpus,
    pub(crate) domains: Domains,
    pub(crate) guests: Guests,
    pub(crate) contents: Contents,
    pub(crate) devices: Devices,
    pub(crate) dirty: Dirty,
    pub(crate) tables: Tables,
    pub(crate) tlb: Tlb,
    pub(crate) visible: Visible,
    pub(crate) iotlb: Iotlb,
    /// What the IOTLB may still hold.
    pub(crate) iotlb_cache: Tlb,
    pub(crate) mapcache: Mapcache,
    pub(crate) pools: Pools,
    pub(crate) vmids: Vmids,
    pub(crate) translations: Translations,
    pub(crate) work: Work,
    /// What CPU 1 does as soon as another drops a read lock.
    pub(crate) meanwhile: Option<(u32, Box<dyn FnOnce() + Send>)>,
}

impl State {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            log: Log::new(config.log_capacity),
            violations: Vec::new(),
            console: Vec::new(),
            stopped: None,
            frames: Frames::new(config.heap_pages),
            lists: Lists::default(),
            radix: Radix::default(),
            locks: Locks::default(),
            cpus: Cpus::default(),
            domains: Domains::default(),
            guests: Guests::default(),
            contents: Contents::default(),
            devices: Devices::default(),
            dirty: Dirty::default(),
            tables: Tables::default(),
            tlb: Tlb::default(),
            visible: Visible::default(),
            iotlb: Iotlb::default(),
            iotlb_cache: Tlb::default(),
            mapcache: Mapcache::default(),
            pools: Pools::default(),
            vmids: Vmids::default(),
            translations: Translations::default(),
            work: Work::default(),
            meanwhile: None,
        }
    }

    // These three are inlined into each mock function, where it is known which event it is.
    /// Notes an event; a subscribed checker may find fault with it.
    #[inline(always)]
    pub(crate) fn event(&mut self, cpu: usize, event: Event) {
        let visible = event.is_visible();
        self.note(cpu, event, visible);
    }

    /// Notes an event that no other CPU can tell: a store to a table of its own.
    #[inline(always)]
    pub(crate) fn private_event(&mut self, cpu: usize, event: Event) {
        self.note(cpu, event, false);
    }

    #[inline(always)]
    fn note(&mut self, cpu: usize, event: Event, visible: bool) {
        self.count_work(cpu, &event);
        if let Some(Violation { rule, what }) = self.log.push(cpu, &event, visible) {
            self.broken(rule, what);
        }
    }

    /// Notes a broken rule, with the call path when RUST_BACKTRACE is set.
    #[cold]
    pub(crate) fn broken(&mut self, rule: &'static str, mut what: String) {
        let trace = if self.config.call_paths {
            Backtrace::capture()
        } else {
            Backtrace::disabled()
        };
        if trace.status() == BacktraceStatus::Captured {
            what = format!("{what}\n{trace}");
        }
        self.violations.push(Violation { rule, what });
    }

    /// Rule X1: Xen's ASSERT_NOT_IN_ATOMIC(): interrupts on, no spinlock held;
    /// p2m locks are rule L5's.
    pub(crate) fn must_not_be_atomic(&mut self, cpu: usize, what: &str) {
        if self.cpus.cpus[cpu].irqs_off || self.locks.holds_any_spin(cpu) {
            self.broken("X1", format!("CPU {cpu}: {what} in atomic context"));
        }
    }

    /// Rule X1: Xen's ASSERT_ALLOC_CONTEXT(): interrupts on.
    pub(crate) fn must_be_in_alloc_context(&mut self, cpu: usize, what: &str) {
        if self.cpus.cpus[cpu].irqs_off {
            self.broken("X1", format!("CPU {cpu}: {what} with interrupts off"));
        }
    }

    /// Rule X1: all locks here are taken with interrupts on somewhere, and Xen's check_lock() stops at one
    /// that is taken with interrupts off as well.
    pub(crate) fn must_be_lockable(&mut self, cpu: usize) {
        if self.cpus.cpus[cpu].irqs_off {
            self.broken(
                "X1",
                format!("CPU {cpu}: takes a lock with interrupts off, which it takes with them on elsewhere"),
            );
        }
    }

    /// Rule L5: nothing that may take a p2m lock while this CPU holds one.
    pub(crate) fn must_not_hold_p2m_lock(&mut self, cpu: usize, what: &str) {
        if self.locks.holds_any_rw(cpu) {
            self.broken("L5", format!("CPU {cpu} calls {what} with a p2m lock held"));
        }
    }

    /// The rule that a part of the machine found broken, if any.
    pub(crate) fn noted_rule(&mut self, broken: Option<Broken>) {
        if let Some((rule, what)) = broken {
            self.broken(rule, what);
        }
    }

    /// The frame behind a page pointer; rule R0 if it is no page pointer.
    pub(crate) fn frame_of(&mut self, pg: *const page_info, what: &str) -> Option<Mfn> {
        let mfn = self.frames.of_info(pg);
        if mfn.is_none() {
            self.broken("R0", format!("{what} of {pg:?}, which is no page"));
        }
        mfn
    }

    /// Rule `rule`, if something went wrong.
    pub(crate) fn noted(&mut self, rule: &'static str, result: Result<(), String>) {
        if let Err(what) = result {
            self.broken(rule, what);
        }
    }
}

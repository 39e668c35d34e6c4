// SPDX-License-Identifier: GPL-2.0-only
//! The test's handle on a machine: build it, change it, look at it.

pub mod calls;
mod controls;
mod guest;
mod memory;
pub(crate) mod neighbours;
pub(crate) mod snapshot;
mod stand_in;
mod switch;
mod toolstack;
mod views;
mod writers;

use std::sync::atomic::Ordering;
use std::sync::Arc;

use xen_sys::{vm_event_domain, XS_NR_CPUS};

use crate::ground::config::Config;
use crate::ground::event::{Mfn, Violation};
use crate::ground::handles::{Domain, Vcpu};
use crate::machine::alone::{self, Own};
use crate::machine::{self, set_here, Here, Machine, Scheduler};
use crate::model::domains::{new_domain, new_vcpu, DomainRecord, VcpuRecord};
use crate::model::guests::Stage1Entry;
use crate::rules::State;

/// Domains that each machine begins with: the idle one, and one whose vCPUs run
/// on all CPUs until a test has others run. Its p2m is never initialised.
const SYSTEM_DOMAINS: u16 = 2;

/// A machine with Xen on it, and this thread as its CPU 0.
///
/// What a test calls is called by a toolstack: a vCPU of a control domain runs,
/// as in a hypercall, and not the idle one.
///
/// When it goes, it checks all rules once more and panics on any that was
/// broken, unless the test is failing already.
pub struct World {
    machine: Arc<Machine>,
    outer: Option<Here>,
}

/// Proof that a thread is attached; leaves the world when dropped.
pub struct Attached {
    machine: Arc<Machine>,
    outer: Option<Here>,
    /// It has the machine alone; what it had so before.
    alone: Option<Option<Own>>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(before) = self.alone.take() {
            alone::leave(before);
        }
        self.machine.attached.fetch_sub(1, Ordering::SeqCst);
        self.machine.ring();
        set_here(self.outer.take());
    }
}

impl World {
    /// Builds the machine and runs `setup_virt_paging()`.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_scheduler(config, None)
    }

    /// A machine whose CPUs are another scheduler's tasks.
    #[must_use]
    pub fn with_scheduler(config: Config, scheduler: Option<Box<dyn Scheduler>>) -> Self {
        crate::ground::panics::show_aborting_panics();
        let machine = Arc::new(Machine::new(config, scheduler));
        machine.attached.store(1, Ordering::SeqCst);
        let here = Here {
            machine: machine.clone(),
            cpu: 0,
            may_stop: false,
        };
        let world = Self {
            machine,
            outer: set_here(Some(here)),
        };
        let idle = world.make_domain(0x7FFF, false);
        let control = world.make_domain(0, false);
        for cpu in 0..XS_NR_CPUS as usize {
            world.make_vcpu(idle, cpu as i32, true);
            let v = world.make_vcpu(control, cpu as i32, false);
            world.machine.lock().cpus.cpus[cpu].current = v.0.addr();
        }
        world.setup_virt_paging();
        world
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// A reference for another thread, to attach with.
    #[must_use]
    pub fn shared(&self) -> Arc<Machine> {
        self.machine.clone()
    }

    /// Runs `body` on another CPU of this machine, on this thread.
    pub fn on_cpu<R>(&self, cpu: usize, body: impl FnOnce() -> R) -> R {
        let outer = set_here(Some(Here {
            cpu,
            ..machine::here()
        }));
        let result = body();
        set_here(outer);
        result
    }

    fn make_domain(&self, id: u16, hardware: bool) -> Domain {
        let ring = Box::into_raw(Box::new(vm_event_domain::default()));
        let pointer = Box::into_raw(new_domain(id));
        let state = &mut *self.machine.lock();
        state.domains.rings.push(ring);
        state.domains.domains.push(DomainRecord {
            pointer,
            id,
            hardware,
            paused: false,
            ring: false,
            crashes: 0,
            shutdowns: Vec::new(),
            iommu: true,
            iomem: Vec::new(),
            gone: false,
        });
        Domain(pointer)
    }

    fn make_vcpu(&self, d: Domain, id: i32, idle: bool) -> Vcpu {
        let pointer = Box::into_raw(new_vcpu(id, d.0));
        self.machine.lock().domains.vcpus.push(VcpuRecord {
            pointer,
            domain: d.address(),
            id,
            idle,
        });
        Vcpu(pointer)
    }

    /// A domain structure whose p2m is not initialised yet.
    #[must_use]
    pub fn raw_domain(&self, hardware: bool) -> Domain {
        let made = self.machine.lock().domains.domains.len() as u16;
        self.make_domain(made - SYSTEM_DOMAINS + 1, hardware)
    }

    /// Makes a domain that has no IOMMU, whatever the machine has. Before its
    /// `p2m_init()`.
    pub fn without_iommu(&self, d: Domain) {
        self.locked(|m| {
            if let Some(record) = m.domains.by_address_mut(d.address()) {
                record.iommu = false;
            }
        });
    }

    /// A guest with an initialised p2m and `pool` pages for its tables.
    #[must_use]
    pub fn domain(&self, pool: u64) -> Domain {
        let d = self.raw_domain(false);
        assert_eq!(d.init(), 0, "p2m_init()");
        assert_eq!(d.set_pool(pool), 0, "p2m_set_allocation({pool})");
        d
    }

    /// The hardware domain, whose tables come from the heap.
    #[must_use]
    pub fn hardware_domain(&self) -> Domain {
        let d = self.raw_domain(true);
        assert_eq!(d.init(), 0, "p2m_init()");
        d
    }

    /// A vCPU of `d`.
    #[must_use]
    pub fn vcpu(&self, d: Domain) -> Vcpu {
        let id = self.locked(|m| {
            m.domains
                .vcpus
                .iter()
                .filter(|v| v.domain == d.address())
                .count() as i32
        });
        self.make_vcpu(d, id, false)
    }

    /// Once a p2m read lock is dropped, CPU 1 does this: what happens between two
    /// steps of a call, without a scheduler.
    pub fn meanwhile(&self, body: impl FnOnce() + Send + 'static) {
        self.meanwhile_after(1, body);
    }

    /// [`World::meanwhile`], when a read lock is dropped for the `n`th time from now.
    pub fn meanwhile_after(&self, n: u32, body: impl FnOnce() + Send + 'static) {
        self.locked(|m| m.meanwhile = Some((n, Box::new(body))));
    }

    /// Forgets what was to happen meanwhile, if no read lock was dropped.
    pub fn nothing_meanwhile(&self) {
        self.locked(|m| m.meanwhile = None);
    }

    /// The control domain's vCPU of a CPU: who runs when a hypercall does what a
    /// guest would not. It has no stage 2 of its own, so that what was loaded for
    /// the vCPU before stays loaded, as for an idle one.
    ///
    /// # Panics
    ///
    /// Never: the machine begins with it.
    #[must_use]
    pub fn toolstack(&self, cpu: usize) -> Vcpu {
        self.locked(|m| {
            let id = cpu as i32;
            let of_cpu = |v: &&VcpuRecord| v.id == id && m.domains.is_control(v.domain);
            let found = m.domains.vcpus.iter().find(of_cpu);
            Vcpu(found.expect("a vCPU of the control domain").pointer)
        })
    }

    pub(crate) fn is_toolstack(&self, v: Vcpu) -> bool {
        self.locked(|m| {
            let record = m.domains.vcpu(v.0.addr());
            record.is_some_and(|v| m.domains.is_control(v.domain))
        })
    }

    /// Maps a page in the vCPU's own tables.
    pub fn stage1_map(&self, v: Vcpu, gva: u64, entry: Stage1Entry) {
        self.locked(|m| {
            m.guests
                .entry(v.0.addr())
                .or_default()
                .pages
                .insert(gva >> 12, entry);
        });
    }

    /// The guest frame that holds the vCPU's stage-1 tables.
    pub fn stage1_tables_in(&self, v: Vcpu, gfn: u64) {
        self.locked(|m| m.guests.entry(v.0.addr()).or_default().tables_in = Some(gfn));
    }

    /// Maps a page in the tables that the vCPU has if it reads that frame as its tables.
    pub fn stage1_shadow(&self, v: Vcpu, tables: Mfn, gva: u64, entry: Stage1Entry) {
        self.locked(|m| {
            let stage1 = m.guests.entry(v.0.addr()).or_default();
            let shadow = stage1.shadows.entry(tables).or_default();
            shadow.insert(gva >> 12, entry);
        });
    }

    pub(crate) fn locked<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        alone::on(&self.machine, |own| match own {
            Some(own) => f(own),
            None => f(&mut self.machine.lock()),
        })
    }

    /// Takes the rules that were broken so far, for a test that breaks some.
    pub fn take_violations(&self) -> Vec<Violation> {
        self.locked(|m| std::mem::take(&mut m.violations))
    }

    /// Takes the rules broken so far and those that the state breaks now.
    pub fn violations(&self) -> Vec<Violation> {
        self.locked(|m| {
            m.check();
            std::mem::take(&mut m.violations)
        })
    }

    /// Notes the rules that the state breaks now.
    pub fn check_rules(&self) {
        self.locked(State::check);
    }

    /// Panics if any rule is broken.
    #[track_caller]
    pub fn check(&self) {
        let broken = self.violations();
        assert!(broken.is_empty(), "rules broken:\n{broken:#?}");
    }
}

/// Makes the calling thread a CPU of a machine, until the value is dropped.
#[must_use = "the thread leaves the machine when this is dropped"]
pub fn attach(machine: &Arc<Machine>, cpu: usize, may_stop: bool) -> Attached {
    machine.attached.fetch_add(1, Ordering::SeqCst);
    let here = Here {
        machine: machine.clone(),
        cpu,
        may_stop,
    };
    Attached {
        machine: machine.clone(),
        outer: set_here(Some(here)),
        alone: None,
    }
}

/// The same as CPU 0, for a thread that has the machine alone until then: nothing is locked, and who else uses it
/// meanwhile is stopped.
#[must_use = "the thread leaves the machine when this is dropped"]
pub fn attach_alone(machine: &Arc<Machine>) -> Attached {
    let mut attached = attach(machine, 0, false);
    attached.alone = Some(alone::enter(machine));
    attached
}

impl Drop for World {
    fn drop(&mut self) {
        let stopped = self.locked(|m| m.stopped.is_some());
        let broken = if stopped {
            Vec::new()
        } else {
            self.violations()
        };
        set_here(self.outer.take());
        if std::thread::panicking() || stopped {
            return;
        }
        self.free_structures();
        assert!(broken.is_empty(), "rules broken:\n{broken:#?}");
    }
}

impl World {
    fn free_structures(&self) {
        let state = &mut *self.machine.lock();
        for d in state.domains.domains.drain(..) {
            // SAFETY: from Box::into_raw, and no handle is used after the world.
            drop(unsafe { Box::from_raw(d.pointer) });
        }
        for v in state.domains.vcpus.drain(..) {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(v.pointer) });
        }
        for v in state.domains.views.drain(..) {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(v) });
        }
        for v in state.domains.all_views.drain(..) {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(v) });
        }
        for r in state.domains.rings.drain(..) {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(r) });
        }
    }
}

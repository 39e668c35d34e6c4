// SPDX-License-Identifier: GPL-2.0-only
//! Another implementation of the exports on this machine: Xen's C, next to
//! which the Rust is compared.
//!
//! [`World`] calls the code under test by its C symbols. A second
//! implementation has other symbols; these are the steps that its caller has to
//! share with the machine.

use super::snapshot::Snapshot;
use super::World;
use crate::ground::handles::{Domain, Vcpu, View};
use crate::model::domains::new_views;
use xen_sys::p2m_views;

impl World {
    /// The machine learns of the root that another `p2m_init()` made.
    pub fn adopt(&self, d: Domain) {
        self.locked(|m| {
            if let Some(root) = m.root_of(d.address()) {
                m.adopt_root(d.address(), root);
            }
        });
    }

    /// A domain may have views from now on: what `arch_domain_create()` does for one with altp2m.
    pub fn allow_views(&self, d: Domain) {
        self.allow_so_many_views(d, new_views().nr);
    }

    /// The same of a domain that is created with a number of views, the host p2m included.
    ///
    /// # Panics
    ///
    /// If `altp2m_is_allowed()` would refuse that number.
    pub fn allow_so_many_views(&self, d: Domain, nr: u16) {
        assert!(
            (1..=new_views().nr).contains(&nr),
            "no domain has {nr} views"
        );
        self.locked(|m| {
            let views = Box::into_raw(Box::new(p2m_views { nr, ..*new_views() }));
            m.domains.all_views.push(views);
            d.set_views(views);
        });
    }

    /// The machine learns of the root of a new view.
    ///
    /// # Panics
    ///
    /// If there is no such view.
    pub fn adopt_view(&self, d: Domain, number: u16) {
        self.locked(|m| m.adopt_view(d, number));
    }

    /// What the view maps.
    pub fn view_snapshot(&self, view: View) -> Snapshot {
        self.snapshot_with(|m, leaves| m.visit_view(view, leaves))
    }

    /// The guest on CPU 0 traps: what the next call finds in flight.
    pub fn guest_traps(&self) {
        self.locked(|m| m.guest_traps(0));
    }

    /// The guest on CPU 0 writes its SCTLR_EL1: no register that Xen writes.
    pub fn guest_writes_sctlr(&self, value: u64) {
        self.locked(|m| m.cpus.cpus[0].sctlr = value);
    }

    /// The idle vCPU of CPU 0.
    ///
    /// # Panics
    ///
    /// Never: the machine begins with it.
    #[must_use]
    pub fn idle(&self) -> Vcpu {
        self.locked(|m| {
            let idle = m.domains.vcpus.iter().find(|v| v.idle);
            Vcpu(idle.expect("an idle vCPU").pointer)
        })
    }
}

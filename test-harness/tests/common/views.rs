// SPDX-License-Identifier: GPL-2.0-only
//! A guest with views, and vCPUs that run in them.

use p2m_rs::p2m::lock::WriteView;
use p2m_rs::p2m::token::unlocked_entry;
use p2m_rs::p2m::P2m;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::errno::{Errno, Result};
use test_harness::{Config, Domain, Vcpu, View, World};

use super::{guest, world};

/// A guest that may have views, on a machine.
pub struct Viewed {
    pub w: World,
    pub d: Domain,
}

/// Where a guest's page is, in bytes.
pub const fn ipa(gfn: u64) -> u64 {
    gfn << 12
}

impl Viewed {
    pub fn on(config: Config) -> Self {
        Self::of(world(config))
    }

    pub fn of(w: World) -> Self {
        let d = guest(&w, 0);
        w.allow_views(d);
        assert_eq!(d.use_views(true), 0);
        Self { w, d }
    }

    pub fn plain() -> Self {
        Self::on(Config::default())
    }

    /// Runs `body` under the host p2m's write lock, as a hypercall of the toolstack.
    pub fn locked<R>(&self, body: impl FnOnce(&mut WriteView<'_>) -> R) -> R {
        // SAFETY: the world keeps the structure alive.
        let p2m = unsafe { P2m::from_ptr(self.d.p2m()) };
        // SAFETY: the test holds no lock.
        unsafe { unlocked_entry(|cx| body(&mut p2m.write(cx))) }
    }

    pub fn try_create(&self, access: P2mAccess) -> Result<u16> {
        let created = self.d.create_view(access.to_c());
        created.map_err(|rc| Errno::check(rc).unwrap_err())
    }

    pub fn create(&self) -> u16 {
        self.try_create(P2mAccess::Rwx).unwrap()
    }

    /// To the end.
    pub fn destroy(&self, number: u16) -> Result {
        Errno::check(self.d.destroy_view(number))
    }

    pub fn view(&self, number: u16) -> View {
        let views = self.d.views();
        views.iter().find(|(n, _)| *n == number).unwrap().1
    }

    pub fn remap(&self, number: u16, gfn: u64, source: u64) -> Result {
        Errno::check(self.d.change_gfn(number, gfn, source))
    }

    pub fn forget_remapping(&self, number: u16, gfn: u64) -> Result {
        Errno::check(self.d.restore_gfn(number, gfn))
    }

    pub fn set_access(&self, number: u16, gfn: u64, access: P2mAccess) -> Result {
        let rc = self.d.set_access_in_view(number, gfn, access.to_c());
        Errno::check(i32::try_from(rc).unwrap())
    }

    pub fn access(&self, number: u16, gfn: u64) -> Option<P2mAccess> {
        match self.d.access_in_view(number, gfn) {
            (0, access) => P2mAccess::from_c(access.into()),
            (rc, _) => {
                assert_eq!(Errno::check(rc), Err(Errno::ESRCH));
                None
            }
        }
    }

    /// A vCPU that runs on a CPU, in a view.
    pub fn vcpu_in(&self, cpu: usize, number: u16) -> Vcpu {
        let v = self.w.vcpu(self.d);
        v.set_view(number);
        self.w.run(cpu, v);
        v
    }

    /// What the guest on `cpu` reads at a frame, with as many faults as it takes; `None` if it
    /// gets an abort.
    pub fn read(&self, cpu: usize, gfn: u64) -> Option<u64> {
        for _ in 0..4 {
            if let Some(maddr) = self.w.guest_reads(cpu, ipa(gfn)) {
                return Some(maddr >> 12);
            }
            if !self.w.on_cpu(cpu, || self.d.resolve(gfn)) {
                return None;
            }
        }
        panic!("the guest faults for ever at {gfn:#x}");
    }

    /// How much of the pool is used.
    pub fn used(&self) -> u64 {
        self.d.pool_pages() - self.w.free_pool_pages(self.d)
    }
}

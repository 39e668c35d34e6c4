// SPDX-License-Identifier: GPL-2.0-only
//! A guest with views, and vCPUs that run in them.

use p2m_rs::map::views::{access_of, forget_remapping, remap, set_access};
use p2m_rs::p2m::lock::WriteView;
use p2m_rs::p2m::token::unlocked_entry;
use p2m_rs::p2m::views::Number;
use p2m_rs::p2m::P2m;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::Gfn;
use p2m_rs::types::errno::Result;
use p2m_rs::views::{create, destroy};
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
        let w = world(config);
        let d = guest(&w, 0);
        w.allow_views(d);
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
        let number = self.locked(|write| create(write, access))?;
        let number = (1..10)
            .find(|n| Number::from_c(*n) == Some(number))
            .unwrap();
        self.w.adopt_view(self.d, number);
        Ok(number)
    }

    pub fn create(&self) -> u16 {
        self.try_create(P2mAccess::Rwx).unwrap()
    }

    /// No vCPU is in it.
    pub fn destroy(&self, number: u16) -> Result {
        let number = Number::from_c(number).unwrap();
        // SAFETY: the test has none there.
        self.locked(|write| unsafe { destroy(write, number) })
    }

    pub fn view(&self, number: u16) -> View {
        let views = self.d.views();
        views.iter().find(|(n, _)| *n == number).unwrap().1
    }

    pub fn remap(&self, number: u16, gfn: u64, source: u64) -> Result {
        let number = Number::from_c(number).unwrap();
        self.locked(|write| remap(write, number, Gfn::new(gfn), Gfn::new(source)))
    }

    pub fn forget_remapping(&self, number: u16, gfn: u64) -> Result {
        let number = Number::from_c(number).unwrap();
        self.locked(|write| forget_remapping(write, number, Gfn::new(gfn)))
    }

    pub fn set_access(&self, number: u16, gfn: u64, access: P2mAccess) -> Result {
        let number = Number::from_c(number).unwrap();
        self.locked(|write| set_access(write, number, Gfn::new(gfn), access))
    }

    pub fn access(&self, number: u16, gfn: u64) -> Option<P2mAccess> {
        let number = Number::from_c(number).unwrap();
        self.locked(|write| access_of(write, number, Gfn::new(gfn)))
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

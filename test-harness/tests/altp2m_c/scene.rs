// SPDX-License-Identifier: GPL-2.0-only
//! A guest that was created with altp2m, its monitor, and the hypercall.

use std::ffi::c_void;
use std::rc::Rc;

use test_harness::symbols::GuestHandle;
use test_harness::{Config, Domain, Vcpu, World};
use xen_sys::HVM_PARAMS;

use crate::common::{guest, p2mt, ram, world};
use crate::library::{library, Library, Tree};
use crate::request::{cmd, Request};
use crate::xen::{self, Question, State};
use crate::ERESTART;

/// `HVMOP_altp2m`.
pub(crate) const ALTP2M: u64 = 25;

/// `HVM_PARAM_ALTP2M`, and its values.
pub(crate) const PARAM: usize = 35;
pub(crate) const DISABLED: u64 = 0;
pub(crate) const EXTERNAL: u64 = 2;

/// `DOMID_SELF`, the domain that each machine begins with, and one that there is not.
pub(crate) const SELF: u16 = 0x7ff0;
pub(crate) const CONTROL: u16 = 0;
pub(crate) const NOBODY: u16 = 0x7000;

/// Where the guest has pages.
pub(crate) const PAGES: u64 = 0x1000;

pub(crate) struct Scene {
    pub(crate) w: Rc<World>,
    /// The guest, and its vCPUs.
    pub(crate) d: Domain,
    pub(crate) vcpus: [Vcpu; 2],
    /// A domain of another kind.
    pub(crate) monitor: Domain,
    pub(crate) monitor_vcpu: Vcpu,
    pub(crate) c: &'static Library,
}

/// The bytes of a domain's creation that altp2m.c looks at.
pub(crate) fn creation(tree: Tree, opts: u32, nr: u16) -> [u8; 4] {
    match tree {
        Tree::Mode => opts.to_ne_bytes(),
        Tree::Number => {
            let [low, high] = u16::try_from(opts).unwrap().to_ne_bytes();
            let [first, last] = nr.to_ne_bytes();
            [low, high, first, last]
        }
    }
}

/// What a refused call must leave as it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    active: bool,
    visible: u16,
    numbers: Vec<u16>,
    vcpus: Vec<u16>,
    accesses: Vec<(i32, u32)>,
    pool: u64,
    heap: u64,
}

impl Scene {
    /// Of a guest that was created for views, and does not use them yet.
    pub(crate) fn new() -> Self {
        Self::created(Tree::chosen(), 10)
    }

    /// The same with so many views, where a tree is told how many.
    pub(crate) fn created(tree: Tree, nr: u16) -> Self {
        let c = library(tree);
        let w = Rc::new(world(Config::default()));
        let (d, monitor) = (guest(&w, 0), guest(&w, 1));
        assert_eq!(d.insert(PAGES, 64, ram(0), p2mt::RAM_RW), 0);
        let vcpus = [w.vcpu(d), w.vcpu(d)];
        let monitor_vcpu = w.vcpu(monitor);
        // SAFETY: a vCPU of the machine.
        let control = unsafe { (*w.toolstack(0).pointer()).domain };
        let it = Self {
            w,
            d,
            vcpus,
            monitor,
            monitor_vcpu,
            c,
        };
        xen::with(|s| {
            *s = State {
                world: Some(it.w.clone()),
                domains: vec![d.pointer(), monitor.pointer(), control],
                guests: vec![d, monitor],
                vcpus: vec![vcpus[0], vcpus[1], monitor_vcpu],
                ..State::default()
            };
        });
        assert_eq!(it.init(d, tree, creation(tree, 2, nr)), 0);
        it.forget();
        it
    }

    /// Of one that uses them.
    pub(crate) fn active() -> Self {
        let it = Self::new();
        assert_eq!(it.call(&mut it.use_views(1)), 0);
        it.forget();
        it
    }

    /// Forgets what was called and asked.
    pub(crate) fn forget(&self) {
        xen::with(|s| {
            s.calls.clear();
            s.asked.clear();
        });
    }

    pub(crate) fn init(&self, d: Domain, tree: Tree, config: [u8; 4]) -> i32 {
        // SAFETY: a domain of the machine, and a structure of that tree.
        unsafe { (library(tree).init)(d.pointer(), config.as_ptr().cast::<c_void>()) }
    }

    pub(crate) fn id(&self) -> u16 {
        self.id_of(self.d)
    }

    pub(crate) fn id_of(&self, d: Domain) -> u16 {
        // SAFETY: a domain of the machine.
        unsafe { (*d.pointer()).domain_id }
    }

    pub(crate) fn params(&self, d: Domain) -> [u64; HVM_PARAMS] {
        // SAFETY: a domain of the machine.
        unsafe { (*d.pointer()).arch.hvm.params }
    }

    pub(crate) fn set_mode(&self, d: Domain, mode: u64) {
        // SAFETY: a domain of the machine.
        unsafe { (*d.pointer()).arch.hvm.params[PARAM] = mode };
    }

    /// A request that names the guest.
    pub(crate) fn of(&self, cmd: u32) -> Request {
        Request::new(cmd, self.id())
    }

    pub(crate) fn use_views(&self, state: u8) -> Request {
        self.of(cmd::SET_DOMAIN_STATE).u8(0, state)
    }

    pub(crate) fn view(&self, cmd: u32, view: u16) -> Request {
        self.of(cmd).u16(0, view)
    }

    /// One step of the hypercall: what it returns, and the operation that it goes on with.
    pub(crate) fn step(&self, op: u64, request: &mut Request) -> (i64, Option<u64>) {
        let pointer: *mut Request = request;
        xen::with(|s| {
            s.structure = pointer.addr();
            s.reads = 0;
            s.writes.clear();
            s.continuation = None;
        });
        let arg = GuestHandle {
            pointer: pointer.cast_const().cast(),
        };
        let mut rc = i64::MIN;
        // SAFETY: the C reads and writes the structure by the functions of xen.rs alone.
        let ours = unsafe { (self.c.hvm_op)(op, arg, &mut rc) };
        assert!(ours, "{op:#x} is an operation of altp2m's");
        xen::with(|s| {
            assert_eq!(s.wrong, Vec::<String>::new());
            assert_eq!(s.rcu, 0, "a domain stays locked");
            assert!(s.paused.is_empty(), "somebody stays paused");
            assert!(s.reads <= 1, "the structure is read again");
        });
        self.w.check();
        assert_ne!(rc, i64::from(ERESTART), "no answer to a guest");
        let next = xen::with(|s| s.continuation);
        if let Some(op) = next {
            assert_eq!(u64::try_from(rc), Ok(op), "what a continuation returns");
        }
        (rc, next)
    }

    /// The hypercall, to its end.
    #[track_caller]
    pub(crate) fn call(&self, request: &mut Request) -> i64 {
        self.go_on(ALTP2M, request)
    }

    #[track_caller]
    pub(crate) fn go_on(&self, op: u64, request: &mut Request) -> i64 {
        let mut op = op;
        for _ in 0..1000 {
            match self.step(op, request) {
                (_, Some(next)) => op = next,
                (rc, None) => return rc,
            }
        }
        panic!("the hypercall goes on for ever");
    }

    /// A call that is refused, which changes nothing, of the caller's structure neither.
    #[track_caller]
    pub(crate) fn refused(&self, rc: i32, request: Request) {
        let before = self.seen();
        let mut after = request;
        assert_eq!(self.call(&mut after), i64::from(rc), "{request:?}");
        assert_eq!(after, request, "the caller's structure");
        assert_eq!(self.seen(), before, "{request:?}");
    }

    /// A call that returns 0.
    #[track_caller]
    pub(crate) fn ok(&self, request: Request) -> Request {
        let mut after = request;
        assert_eq!(self.call(&mut after), 0, "{request:?}");
        after
    }

    /// Creates a view: its number.
    #[track_caller]
    pub(crate) fn create(&self, access: u32) -> u16 {
        let access = u16::try_from(access).unwrap();
        self.ok(self.of(cmd::CREATE_P2M).u16(2, access)).get_u16(0)
    }

    /// The functions that were called since last asked.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        xen::with(|s| std::mem::take(&mut s.calls))
    }

    /// How many of them were the Rust's.
    pub(crate) fn works(&self) -> usize {
        self.calls()
            .iter()
            .filter(|name| name.starts_with("p2m_"))
            .count()
    }

    pub(crate) fn asked(&self) -> Vec<Question> {
        xen::with(|s| std::mem::take(&mut s.asked))
    }

    /// The guest's vCPU runs.
    pub(crate) fn run(&self, cpu: usize, n: usize) -> Vcpu {
        self.w.run(cpu, self.vcpus[n]);
        self.vcpus[n]
    }

    /// The frame that the guest reads on a CPU, with as many faults as it takes.
    pub(crate) fn read(&self, cpu: usize, gfn: u64) -> Option<u64> {
        for _ in 0..4 {
            if let Some(maddr) = self.w.guest_reads(cpu, gfn << 12) {
                return Some(maddr >> 12);
            }
            self.w.on_cpu(cpu, || self.d.resolve(gfn));
        }
        None
    }

    fn seen(&self) -> Seen {
        // SAFETY: a domain of the machine.
        let all = unsafe { (*self.d.pointer()).arch.p2m.views };
        // SAFETY: as above.
        let all = unsafe { all.as_ref() };
        let views = self.d.views();
        let numbers: Vec<u16> = views.iter().map(|(number, _)| *number).collect();
        let existing = numbers.iter().fold(1, |all, number| all | 1 << number);
        let gfns = [PAGES, PAGES + 1, PAGES + 63, !0];
        let mut accesses = Vec::new();
        for number in numbers.iter().chain(&[0]) {
            accesses.extend(gfns.map(|gfn| self.d.access_in_view(*number, gfn)));
        }
        Seen {
            active: all.is_some_and(|all| all.active),
            // That of a number without a view means nothing.
            visible: all.map_or(0, |all| all.visible) & existing,
            numbers,
            vcpus: self.vcpus.map(Vcpu::view).to_vec(),
            accesses,
            pool: self.w.free_pool_pages(self.d),
            heap: self.w.heap_in_use(),
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // The machine ends with the last who knows it, here.
        xen::with(|s| s.world = None);
    }
}

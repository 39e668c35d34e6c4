// SPDX-License-Identifier: GPL-2.0-only
//! Which page a hypercall gets for a buffer that it names by virtual address
//! (`get_page_from_gva`, `p2m_mem_access_check_and_get_page`): every state of the
//! guest's own tables with every state of the buffer.
//!
//! One rule for all of them: the page is given exactly if the guest's tables allow
//! the access, the page is RAM of the domain's own, and it is not read-only RAM that
//! is to be written. Restrictions of mem_access and valid bits that are clear for
//! tracking keep the guest away, of the buffer and of the tables, but not Xen.

mod common;
use common::{access, guest, p2mt, plain, ram};
use test_harness::{Domain, Stage1Entry, Vcpu, World};

const GVA: u64 = 0x8000_0000;
const GFN: u64 = 0x1000;
const TABLES: u64 = 0x2000;
/// A page that has nothing to do with it, restricted so that mem_access is in use.
const ELSEWHERE: u64 = 0x3000;

/// What is mapped at the buffer's frame.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Buffer {
    /// The domain's own page, with a type.
    Own(u32),
    /// Another domain's page, with a type.
    Others(u32),
    /// A device.
    Device(u32),
    /// Nothing.
    Nothing,
}

const BUFFERS: [Buffer; 12] = [
    Buffer::Own(p2mt::RAM_RW),
    Buffer::Own(p2mt::RAM_RO),
    Buffer::Own(p2mt::GRANT_RW),
    Buffer::Others(p2mt::RAM_RW),
    Buffer::Others(p2mt::FOREIGN_RW),
    Buffer::Others(p2mt::FOREIGN_RO),
    Buffer::Others(p2mt::GRANT_RW),
    Buffer::Others(p2mt::GRANT_RO),
    Buffer::Device(p2mt::MMIO_DEV),
    Buffer::Device(p2mt::MMIO_NC),
    Buffer::Device(p2mt::MMIO_C),
    Buffer::Nothing,
];

/// What the guest has touched since tracking began.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Touched {
    /// The page: all valid bits on the way are set.
    Itself,
    /// A neighbour in the same table: the valid bit of its own entry is clear.
    Neighbour,
    /// Nothing near it: that of an entry above is.
    Nothing,
}

const TOUCHED: [Touched; 3] = [Touched::Itself, Touched::Neighbour, Touched::Nothing];

/// How the buffer, or the page with the guest's tables, is mapped.
#[derive(Debug, Clone, Copy, PartialEq)]
struct State {
    access: u32,
    touched: Touched,
}

fn states() -> impl Iterator<Item = State> {
    TOUCHED
        .into_iter()
        .flat_map(|touched| (access::N..=access::R_PW).map(move |access| State { access, touched }))
}

struct Scene {
    w: World,
    d: Domain,
    v: Vcpu,
    frame: u64,
}

/// A guest whose stage-1 tables map the buffer.
fn scene(buffer: Buffer, state: State, tables: State, in_use: bool) -> Scene {
    let w = plain();
    let (d, other) = (guest(&w, 0), guest(&w, 1));
    let v = w.vcpu(d);
    let mut frame = ram(0) + 7;
    match buffer {
        Buffer::Own(t) => assert_eq!(d.insert(GFN, 1, frame, t), 0),
        Buffer::Others(t @ (p2mt::FOREIGN_RW | p2mt::FOREIGN_RO)) => {
            frame = ram(1);
            w.take_references(frame, 1);
            assert_eq!(d.insert(GFN, 1, frame, t), 0);
        }
        Buffer::Others(t) => {
            frame = ram(1);
            assert_eq!(d.insert(GFN, 1, frame, t), 0);
        }
        Buffer::Device(t) => {
            frame = 0x9000;
            assert_eq!(d.insert(GFN, 1, frame, t), 0);
        }
        Buffer::Nothing => {}
    }
    let _ = other;
    let pages = [TABLES, ELSEWHERE, GFN + 1, TABLES + 1];
    for (gfn, mfn) in pages.into_iter().zip(ram(0) + 1..) {
        assert_eq!(d.insert(gfn, 1, mfn, p2mt::RAM_RW), 0);
    }
    for (gfn, access) in [(GFN, state.access), (TABLES, tables.access)] {
        if access != access::RWX {
            assert_eq!(d.set_access(gfn, 1, 0, access), 0);
        }
    }
    if in_use {
        assert_eq!(d.set_access(ELSEWHERE, 1, 0, access::N), 0);
        assert!(d.mem_access_enabled());
    }
    w.stage1_tables_in(v, TABLES);
    w.run(0, v);
    Scene { w, d, v, frame }
}

impl Scene {
    /// Valid bits as the states say, after whatever came before.
    fn track(&self, state: State, tables: State) {
        self.d.creation_finished();
        for (gfn, state) in [(GFN, state), (TABLES, tables)] {
            match state.touched {
                Touched::Itself => {
                    let _nothing_there = self.d.resolve(gfn);
                }
                Touched::Neighbour => assert!(self.d.resolve(gfn + 1)),
                Touched::Nothing => {}
            }
        }
    }

    /// Asks for the page in every way there is.
    fn ask(&self, buffer: Buffer, state: State, tables: State, in_use: bool) {
        let (w, d, v) = (&self.w, self.d, self.v);
        // Another vCPU faults between the AT instruction and what follows.
        let untouched = [(GFN, state), (TABLES, tables)]
            .into_iter()
            .filter(|(_, state)| state.touched != Touched::Itself)
            .map(|(gfn, _)| gfn)
            .collect::<Vec<_>>();
        let touched = [&[][..], &[GFN], &[TABLES], &[GFN, TABLES]];
        for touched in touched {
            if !touched.iter().all(|gfn| untouched.contains(gfn)) {
                continue;
            }
            for (writable, write) in [(true, false), (true, true), (false, true)] {
                w.stage1_map(v, GVA, Stage1Entry { gfn: GFN, writable });
                let expected = (!write || writable)
                    && match buffer {
                        Buffer::Own(p2mt::RAM_RW) => true,
                        Buffer::Own(p2mt::RAM_RO) => !write,
                        // A grant to oneself is one's own page, but the software's
                        // part does not take it for RAM.
                        _ => false,
                    };
                let what = || {
                    format!(
                        "{buffer:?} {state:?}, tables {tables:?}, in use {in_use}, writable \
                         {writable}, write {write}, {touched:x?} touched meanwhile"
                    )
                };
                for by_itself in [false, true] {
                    if by_itself && !in_use {
                        continue;
                    }
                    self.track(state, tables);
                    let touched = touched.to_vec();
                    w.meanwhile(move || {
                        for gfn in touched {
                            let _nothing_there = d.resolve(gfn);
                        }
                    });
                    let before = w.references(self.frame);
                    let page = if by_itself {
                        v.check_and_get_page(GVA + 0x21, write)
                    } else {
                        v.page_from_gva(GVA + 0x21, write)
                    };
                    w.nothing_meanwhile();
                    let given = page.is_some();
                    if buffer == Buffer::Own(p2mt::GRANT_RW) {
                        // The hardware gives it.
                        assert!(!given || writable || !write, "{}", what());
                    } else {
                        assert_eq!(given, expected, "{}", what());
                    }
                    let one_more = before + u64::from(given);
                    assert_eq!(w.references(self.frame), one_more, "{}", what());
                    assert!(page.is_none_or(|page| page.put() == self.frame));
                }
            }
        }
        w.check();
    }
}

/// Every state of the buffer with every state of the tables.
fn all(buffer: Buffer) {
    for state in states() {
        for tables in states() {
            // The walker only reads, so an access of the tables allows that or not; and
            // with read-only RAM the tables are no other question.
            let some: &[u32] = match buffer {
                Buffer::Own(p2mt::RAM_RW) => &[access::RWX, access::N, access::R],
                _ => &[access::RWX, access::N],
            };
            let is_same = tables.touched == Touched::Nothing && buffer == Buffer::Own(p2mt::RAM_RO);
            if !some.contains(&tables.access) || is_same {
                continue;
            }
            let is_restricted = state.access != access::RWX || tables.access != access::RWX;
            for in_use in [false, true] {
                if is_restricted && !in_use {
                    continue;
                }
                scene(buffer, state, tables, in_use).ask(buffer, state, tables, in_use);
            }
        }
    }
}

#[test]
fn a_hypercall_gets_its_buffer_exactly_if_stage_1_and_the_type_allow_it() {
    all(Buffer::Own(p2mt::RAM_RW));
}

#[test]
fn read_only_ram_is_given_to_be_read_and_never_to_be_written() {
    all(Buffer::Own(p2mt::RAM_RO));
}

#[test]
fn what_is_not_the_domains_own_ram_is_never_given() {
    for buffer in BUFFERS {
        if matches!(buffer, Buffer::Own(p2mt::RAM_RW | p2mt::RAM_RO)) {
            continue;
        }
        for touched in TOUCHED {
            for of_tables in TOUCHED {
                for access in [access::RWX, access::N, access::R] {
                    let state = State { access, touched };
                    let tables = State {
                        access,
                        touched: of_tables,
                    };
                    scene(buffer, state, tables, true).ask(buffer, state, tables, true);
                }
            }
        }
    }
}

#[test]
fn tables_at_which_nothing_is_mapped_lead_nowhere() {
    for in_use in [false, true] {
        let state = State {
            access: access::RWX,
            touched: Touched::Itself,
        };
        let s = scene(Buffer::Own(p2mt::RAM_RW), state, state, in_use);
        s.w.stage1_map(
            s.v,
            GVA,
            Stage1Entry {
                gfn: GFN,
                writable: true,
            },
        );
        s.w.stage1_tables_in(s.v, TABLES + 2);
        assert_eq!(s.v.page_from_gva(GVA, false), None);
        s.w.check();
    }
}

/// The guest's tables may be where Xen's own walk does not read them: in another domain's page.
#[test]
fn tables_that_only_the_hardware_reads_lead_to_a_restricted_buffer() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    let v = w.vcpu(d);
    assert_eq!(d.insert(GFN, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.map_foreign(owner, TABLES, ram(1)), 0);
    assert_eq!(d.set_access(GFN, 1, 0, access::N), 0);
    w.stage1_tables_in(v, TABLES);
    w.run(0, v);
    for writable in [true, false] {
        w.stage1_map(v, GVA, Stage1Entry { gfn: GFN, writable });
        let page = v.page_from_gva(GVA, true).map(|page| page.put());
        assert_eq!(page, writable.then_some(ram(0)));
    }
    w.check();
}

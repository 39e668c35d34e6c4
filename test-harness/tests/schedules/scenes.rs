// SPDX-License-Identifier: GPL-2.0-only
//! What is done at the same time. Each scene builds a machine, lets its CPUs
//! loose, and says what must be true whatever the schedule was; the rules of
//! the machine are checked on top.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use test_harness::{Domain, Page, Preempt, Vcpu, World, Writer, INVALID};

use xen_sys as sys;

use crate::common::by_hand::xen;
use crate::common::{access, errno, p2mt, ram, M2};
use crate::explorer::{machine, together};
use crate::stage::{buffer, copy, end, guest, with_buffer, BUFFER, BUFFER_GFN, TABLES_GFN};

/// A page appears once, and stays.
pub(crate) fn lookup_and_insert() {
    let w = machine();
    let d = guest(&w, 0, 4);
    together(
        || {
            let (first, second) = (d.lookup(5).0, d.lookup(5).0);
            assert!(first.is_none() || first == second, "the page went away");
            assert!(second.is_none_or(|mfn| mfn == ram(0)));
        },
        &[&|| assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0)],
    );
    assert_eq!(d.lookup(5), (Some(ram(0)), p2mt::RAM_RW));
    end(&w, &[d]);
}

/// The same of the hardware domain, whose tables come from the heap and go back to it: a table is left over by
/// nobody, and a lookup is never in one that was freed.
pub(crate) fn lookup_and_heap() {
    let w = machine();
    let d = w.hardware_domain();
    w.ram(ram(0), M2, d);
    together(
        || assert!(d.lookup(5).0.is_none_or(|mfn| mfn == ram(0))),
        &[&|| {
            assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
            assert_eq!(d.set_entry(0, M2, INVALID, 0, access::RWX), 0);
        }],
    );
    assert_eq!(d.lookup(5).0, None);
    end(&w, &[d]);
}

/// Two CPUs count a page that each allocates, or frees, and take no lock: an update may be lost, if another CPU may go
/// on at that moment.
pub(crate) fn pages_counted_without_a_lock<const FREES: bool>() {
    let _w = machine();
    let pages = AtomicU64::new(0);
    let alloc = || Handed(xen!(alloc_domheap_pages(null_mut(), 0, 0)));
    let spare = [alloc(), alloc()];
    let count = |spare: &Handed| {
        let before = pages.load(Relaxed);
        if FREES {
            xen!(free_domheap_pages(spare.0, 0));
        } else {
            alloc();
        }
        pages.store(before + 1, Relaxed);
    };
    together(|| count(&spare[0]), &[&|| count(&spare[1])]);
    assert_eq!(pages.load(Relaxed), 2, "an update is lost");
}

/// A page that one CPU has from another.
struct Handed(*mut sys::page_info);

// SAFETY: a name for a page; what it is depends on no thread.
unsafe impl Sync for Handed {}

/// Whoever removes a page names the frame that it believes to be there: another
/// that took its place is never removed.
pub(crate) fn remove_and_replace() {
    let w = machine();
    let d = guest(&w, 0, 4);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    together(
        || {
            let rc = d.remove(5, 1, ram(0));
            assert!(rc == 0 || rc == errno::EILSEQ, "{rc}");
        },
        &[&|| assert_eq!(d.insert(5, 1, ram(0) + 9, p2mt::RAM_RW), 0)],
    );
    assert_eq!(d.lookup(5), (Some(ram(0) + 9), p2mt::RAM_RW));
    end(&w, &[d]);
}

/// Splitting a block is not seen by who looks at another page of it.
pub(crate) fn lookup_and_split() {
    let w = machine();
    let d = guest(&w, 0, 4);
    assert_eq!(d.insert(0, M2, ram(0), p2mt::RAM_RW), 0);
    together(
        || {
            let (page, _) = d.page_from_gfn(6);
            assert_eq!(page.unwrap().put(), ram(0) + 6);
            assert!(d.lookup(5).0.is_none_or(|mfn| mfn == ram(0) + 5));
        },
        &[&|| assert_eq!(d.remove(5, 1, ram(0) + 5), 0)],
    );
    assert_eq!(w.snapshot(d).len() as u64, M2 - 1);
    end(&w, &[d]);
}

/// Xen copies while a monitor restricts the buffer and the guest's tables, so
/// that the hardware's walk fails and the software's begins.
pub(crate) fn copy_and_restrict() {
    let w = machine();
    let (d, v) = with_buffer(&w);
    assert_eq!(d.set_access_fully(BUFFER_GFN, 2, access::N), 0);
    together(
        || {
            w.run(0, v);
            assert!(copy(v), "a restriction keeps the guest away, not Xen");
        },
        &[&|| assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::R), 0)],
    );
    assert_eq!(d.access(BUFFER_GFN), (0, access::R));
    end(&w, &[d]);
}

/// The buffer's page is replaced, and for a moment there is none: Xen gets the
/// one or the other.
pub(crate) fn copy_and_replace() {
    let w = machine();
    let (d, v) = with_buffer(&w);
    together(
        || {
            w.run(0, v);
            let page = v.page_from_gva(BUFFER, true).map(Page::put);
            assert!(
                page == Some(ram(0)) || page == Some(ram(0) + 5),
                "{page:x?}"
            );
        },
        &[&|| assert_eq!(d.insert(BUFFER_GFN, 1, ram(0) + 5, p2mt::RAM_RW), 0)],
    );
    end(&w, &[d]);
}

/// mem_access is in use, and what the guest touches is tracked: it has touched neither
/// its tables nor the buffer. Xen copies, and another vCPU's fault validates the buffer's
/// entry: before the AT instruction, after it, or while the walk by software looks.
pub(crate) fn copy_and_fault() {
    let w = machine();
    let (d, v) = with_buffer(&w);
    assert_eq!(d.insert(0x20, 1, ram(0) + 8, p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(0x20, 1, 0, access::N), 0);
    d.creation_finished();
    // A neighbour: the bits of the entries above are set.
    assert!(d.resolve(0x20));
    together(
        || {
            w.run(0, v);
            assert!(copy(v), "what the guest has touched is no matter of Xen's");
        },
        &[&|| assert!(d.resolve(BUFFER_GFN), "a mapped page faults for ever")],
    );
    end(&w, &[d]);
}

/// The same with tables that a monitor watches as well, two vCPUs that fault, and one that
/// has all invalidated again.
pub(crate) fn copies_and_faults() {
    let w = machine();
    let (d, v) = with_buffer(&w);
    let other = w.vcpu(d);
    assert_eq!(d.set_access(TABLES_GFN, 1, 0, access::X), 0);
    d.creation_finished();
    together(
        || {
            w.run(0, v);
            for _ in 0..2 {
                assert!(copy(v), "a restriction keeps the guest away, not Xen");
            }
        },
        &[
            &|| {
                [TABLES_GFN, BUFFER_GFN]
                    .into_iter()
                    .for_each(|gfn| assert!(d.resolve(gfn)))
            },
            &|| {
                assert!(d.resolve(BUFFER_GFN));
                assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::R), 0);
            },
            &|| {
                w.run(3, other);
                other.set_need_flush_to_ram(true);
                other.flush_vm();
            },
        ],
    );
    assert_eq!(d.access(TABLES_GFN), (0, access::X), "an update is lost");
    end(&w, &[d]);
}

/// A guest writes its memory while another vCPU's set/way operation has it cleaned, and
/// Xen and a backend write too. What the pass came too late for, the next one cleans
/// (rule C1): nobody's page is taken for clean.
pub(crate) fn cleaning() {
    let w = machine();
    let (d, v) = with_buffer(&w);
    let vcpus = [w.vcpu(d), w.vcpu(d)];
    d.creation_finished();
    let clean = |v: Vcpu| {
        v.set_need_flush_to_ram(true);
        v.flush_vm();
    };
    together(
        || {
            w.run(0, vcpus[0]);
            (0..2).for_each(|_| clean(vcpus[0]));
        },
        &[
            &|| {
                w.run(1, vcpus[1]);
                for gfn in [TABLES_GFN, BUFFER_GFN] {
                    // An invalidation may come between each fault and the next try.
                    d.guest_writes(gfn);
                }
            },
            &|| {
                w.run(2, v);
                assert!(w.xen_copies_to(v, BUFFER).is_some());
            },
            &|| assert!(w.foreign_writes(Writer::Backend, d, TABLES_GFN).is_some()),
        ],
    );
    w.on_cpu(0, || clean(vcpus[0]));
    assert_eq!(w.dirty_pages(), []);
    end(&w, &[d]);
}

/// [`copy_and_restrict`] with the lock of old: `get_page_from_gva()` before Xen commit
/// 0012ae8afb held it over the whole of the software's part.
pub(crate) fn copy_and_restrict_as_of_old() {
    let w = machine();
    let (d, v) = with_buffer(&w);
    assert_eq!(d.set_access_fully(BUFFER_GFN, 2, access::N), 0);
    together(
        || {
            w.run(0, v);
            let page = d.read_locked(|| v.check_and_get_page(BUFFER, true));
            assert!(page.is_some_and(|page| page.put() == ram(0)));
        },
        &[&|| assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::R), 0)],
    );
    // L1 finds it in any schedule; here the question is the deadlock itself.
    w.take_violations();
    end(&w, &[d]);
}

/// The vCPU of CPU 0 was refused a write to [`BUFFER_GFN`]. Whether it got an abort.
fn refused_a_write(w: &World) -> bool {
    let bits = 1 << 1 | 1 << 4 | 2 << 5;
    let goes_on = w.permission_fault(BUFFER_GFN << 12, BUFFER, xen_sys::npfec { bits });
    assert!(goes_on);
    !w.aborts_injected().is_empty()
}

/// A restriction explained the fault, and the monitor lifts it: between the fault and the
/// judgement, or while mem_access looks, or before the type is looked at. No abort.
pub(crate) fn fault_and_lift() {
    let w = machine();
    let (d, v) = with_buffer(&w);
    assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::RX), 0);
    w.monitor_listens(d, true);
    together(
        || {
            w.run(0, v);
            assert!(!refused_a_write(&w), "the type allows the access");
            assert!(w.monitor_requests().len() < 2);
        },
        &[&|| assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::RWX), 0)],
    );
    assert!(w.guest_can(0, BUFFER_GFN << 12, true));
    end(&w, &[d]);
}

/// A read-only page was refused, and another CPU replaces it by one that may be written: the
/// abort is for the one, the next try for the other, or for the hole between them.
pub(crate) fn fault_and_replace() {
    let w = machine();
    let d = guest(&w, 0, 4);
    assert_eq!(d.insert(BUFFER_GFN, 1, ram(0), p2mt::RAM_RO), 0);
    let v = w.vcpu(d);
    together(
        || {
            w.run(0, v);
            if !refused_a_write(&w) {
                assert_eq!(d.lookup(BUFFER_GFN), (Some(ram(0) + 5), p2mt::RAM_RW));
                assert!(w.guest_can(0, BUFFER_GFN << 12, true));
            }
        },
        &[&|| assert_eq!(d.insert(BUFFER_GFN, 1, ram(0) + 5, p2mt::RAM_RW), 0)],
    );
    assert!(!refused_a_write(&w), "the page may be written by now");
    end(&w, &[d]);
}

/// Two vCPUs fault on one page while a monitor lifts and restricts, and a toolstack replaces
/// the page. All that is ever mapped may be written: nobody gets an abort.
pub(crate) fn refusals() {
    let w = machine();
    let (d, v) = with_buffer(&w);
    let other = w.vcpu(d);
    assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::RX), 0);
    w.monitor_listens(d, true);
    let faults = |cpu, v| {
        w.run(cpu, v);
        for _ in 0..2 {
            assert!(!refused_a_write(&w), "the type allows the access");
        }
    };
    together(
        || faults(0, v),
        &[
            &|| faults(1, other),
            &|| {
                assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::RWX), 0);
                assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::N), 0);
            },
            &|| assert_eq!(d.insert(BUFFER_GFN, 1, ram(0) + 5, p2mt::RAM_RW), 0),
        ],
    );
    end(&w, &[d]);
}

/// Three CPUs change a block and the table next to it, one looks on.
pub(crate) fn changes_of_one_block() {
    let w = machine();
    let d = guest(&w, 0, 8);
    assert_eq!(d.insert(0, M2, ram(0), p2mt::RAM_RW), 0);
    together(
        || {
            for gfn in [5, 6, 7] {
                let (page, _) = d.page_from_gfn(gfn);
                let gone = gfn == 5 && page.is_none();
                assert!(gone || page.is_some_and(|page| page.put() == ram(0) + gfn));
            }
        },
        &[
            &|| assert_eq!(d.remove(5, 1, ram(0) + 5), 0),
            &|| assert_eq!(d.set_access_fully(6, 2, access::R), 0),
            &|| assert_eq!(d.insert(M2 + 1, 2, ram(0) + M2, p2mt::RAM_RO), 0),
        ],
    );
    let all = w.snapshot(d);
    assert_eq!(all.len() as u64, M2 - 1 + 2, "an update is lost");
    assert!(!all.contains_key(&5) && !all[&6].write && !all[&7].write && all[&8].write);
    assert_eq!(all[&(M2 + 2)].mfn, ram(0) + M2 + 1);
    end(&w, &[d]);
}

/// Faults are resolved while the root is invalidated again and pages come.
pub(crate) fn faults() {
    let w = machine();
    let d = guest(&w, 0, 8);
    let v = w.vcpu(d);
    assert_eq!(d.insert(1, 3, ram(0), p2mt::RAM_RW), 0);
    d.creation_finished();
    together(
        || (0..4).for_each(|_| assert!(d.resolve(1), "a mapped page faults for ever")),
        &[
            &|| (0..4).for_each(|_| assert!(d.resolve(2), "a mapped page faults for ever")),
            &|| assert_eq!(d.insert(4, 1, ram(0) + 3, p2mt::RAM_RW), 0),
            &|| {
                w.run(3, v);
                v.set_need_flush_to_ram(true);
                v.flush_vm();
            },
        ],
    );
    for gfn in 1..5 {
        (0..4).for_each(|_| assert!(d.resolve(gfn)));
        assert!(w.guest_can(3, gfn << 12, true), "gfn {gfn} is not reached");
    }
    assert_eq!(w.snapshot(d).len(), 4, "an update is lost");
    end(&w, &[d]);
}

/// Copies on two CPUs, faults of the guest on a third, and a monitor that
/// changes its mind on the same pages.
pub(crate) fn copies() {
    let w = machine();
    let (d, v) = with_buffer(&w);
    let others = [buffer(&w, d), w.vcpu(d)];
    assert_eq!(d.set_access(TABLES_GFN, 1, 0, access::N), 0);
    together(
        || {
            w.run(0, v);
            copy(v);
        },
        &[
            &|| {
                w.run(1, others[0]);
                copy(others[0]);
            },
            &|| {
                w.run(2, others[1]);
                // No listener: the restriction is lifted.
                w.mem_access_check(BUFFER_GFN << 12, BUFFER, xen_sys::npfec::default());
            },
            &|| {
                assert_eq!(d.set_access_fully(BUFFER_GFN, 2, access::N), 0);
                assert_eq!(d.set_access(TABLES_GFN, 1, 0, access::RWX), 0);
            },
        ],
    );
    assert_eq!(w.references(ram(0)), 1);
    assert_eq!(d.access(TABLES_GFN), (0, access::RWX), "an update is lost");
    end(&w, &[d]);
}

/// The domain is killed while others map, look and restrict.
pub(crate) fn killing() {
    let w = machine();
    let (d, owner) = (guest(&w, 0, 8), guest(&w, 1, 1));
    assert_eq!(d.insert(1, 2, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    assert_eq!(d.map_foreign(owner, 9, ram(1)), 0);
    w.preempt(Preempt::Always);
    together(
        || {
            d.set_dying_state(1);
            while d.relinquish() == errno::ERESTART {}
            assert!(w.snapshot(d).is_empty(), "a mapping survives");
        },
        &[
            &|| {
                let rc = d.insert(3, 2, ram(0) + 2, p2mt::RAM_RW);
                assert!(rc == 0 || d.is_dying(), "{rc}");
            },
            &|| {
                let (page, _) = d.page_from_gfn(9);
                assert!(page.is_none_or(|page| page.put() == ram(1)));
                let (page, _) = d.page_from_gfn(M2 + 3);
                assert!(page.is_none_or(|page| page.put() == ram(0) + M2 + 3));
            },
            &|| {
                // Splits the block, if it is still there.
                let rc = d.set_access(M2, 3, 0, access::R);
                assert!(rc >= 0 || d.is_dying(), "{rc}");
            },
        ],
    );
    assert!(w.snapshot(d).is_empty(), "a mapping survives");
    assert_eq!(w.references(ram(1)), 1);
    end(&w, &[d, owner]);
}

/// One page is mapped by two domains and taken out again.
pub(crate) fn foreign_pages() {
    let w = machine();
    let (d, e, owner) = (guest(&w, 0, 4), guest(&w, 2, 4), guest(&w, 1, 1));
    together(
        || {
            assert_eq!(d.map_foreign(owner, 7, ram(1)), 0);
            assert_eq!(d.remove(7, 1, ram(1)), 0);
        },
        &[
            &|| {
                let (page, t) = d.page_from_gfn(7);
                assert!(page.is_none() || t == p2mt::FOREIGN_RW);
                assert!(page.is_none_or(|page| page.put() == ram(1)));
            },
            &|| assert_eq!(e.map_foreign(owner, 7, ram(1)), 0),
            &|| assert_eq!(d.insert(8, 1, ram(0), p2mt::RAM_RW), 0),
        ],
    );
    assert_eq!(w.references(ram(1)), 2, "the owner's and e's");
    assert_eq!((d.lookup(7).0, d.lookup(8).0), (None, Some(ram(0))));
    end(&w, &[d, e, owner]);
}

/// The pool grows and shrinks while tables are taken from it.
pub(crate) fn pool() {
    let w = machine();
    let d = guest(&w, 0, 2);
    let map = |gfn: u64, mfn: u64| {
        let rc = d.insert(gfn, 1, mfn, p2mt::RAM_RW);
        assert!(rc == 0 || rc == errno::ENOMEM, "{rc}");
        assert_eq!(d.lookup(gfn).0, (rc == 0).then_some(mfn));
    };
    w.preempt(Preempt::Always);
    together(
        || while w.set_mempool_size(d, 5 << 12) == errno::ERESTART {},
        &[&|| map(1, ram(0)), &|| map(M2, ram(0) + 1), &|| {
            map(4 * M2, ram(0) + 2)
        }],
    );
    assert_eq!(w.mempool_size(d), 5 << 12);
    end(&w, &[d]);
}

/// Domains come and go at the same time.
pub(crate) fn births_and_deaths() {
    let w = machine();
    let old = guest(&w, 0, 2);
    let young = [w.raw_domain(false), w.raw_domain(false)];
    assert_eq!(old.insert(1, 1, ram(0), p2mt::RAM_RW), 0);
    let be_born = |d: Domain| {
        assert_eq!(d.init(), 0);
        assert_eq!(d.set_pool(3), 0);
        assert_eq!(d.insert(1, 1, ram(1), p2mt::MMIO_DEV), 0);
    };
    together(
        || w.destroy(old),
        &[&|| be_born(young[0]), &|| be_born(young[1])],
    );
    assert_ne!(young[0].vmid(), young[1].vmid());
    end(&w, &young);
}

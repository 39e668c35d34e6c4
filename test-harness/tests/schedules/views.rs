// SPDX-License-Identifier: GPL-2.0-only
//! vCPUs in views, and others that change the host p2m, the view, or what is remapped in it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use p2m_rs::types::access::P2mAccess;
use test_harness::{Vcpu, World};

use crate::common::views::{ipa, Viewed};
use crate::common::{access, p2mt, ram};
use crate::explorer::{machine, together};
use crate::stage::{buffer, copy, end, guest, BUFFER_GFN, TABLES_GFN};

/// A page that is shown in the place of the buffer.
const SHADOW_GFN: u64 = 0x12;

/// A guest with a view, and a vCPU that will run in it.
fn stage() -> (Viewed, u16, Vcpu) {
    let w = machine();
    let d = guest(&w, 0, 12);
    w.allow_views(d);
    assert_eq!(d.use_views(true), 0);
    assert_eq!(d.insert(BUFFER_GFN, 3, ram(0), p2mt::RAM_RW), 0);
    let vcpu = buffer(&w, d);
    let v = Viewed { w, d };
    let n = v.create();
    vcpu.set_view(n);
    (v, n, vcpu)
}

/// The vCPU of the CPU that calls, which is `cpu`, comes to a page until it reads something or gets
/// an abort.
fn reads(v: &Viewed, cpu: usize, gfn: u64) -> Option<u64> {
    for _ in 0..8 {
        if let Some(maddr) = v.w.guest_reads(cpu, ipa(gfn)) {
            return Some(maddr >> 12);
        }
        if !v.d.resolve(gfn) {
            return None;
        }
    }
    panic!("the guest faults for ever at {gfn:#x}");
}

/// A guest faults on a page that it has never come to in its view, while the page is unmapped,
/// freed, and given to another domain.
pub(crate) fn fill_and_unmap() {
    let (v, _, vcpu) = stage();
    let next = guest(&v.w, 1, 1);
    let is_gone = AtomicBool::new(false);
    together(
        || {
            v.w.run(0, vcpu);
            let late = is_gone.load(Relaxed);
            let read = reads(&v, 0, BUFFER_GFN);
            assert!(read.is_none() || read == Some(ram(0)) && !late);
        },
        &[&|| {
            assert_eq!(v.d.remove(BUFFER_GFN, 1, ram(0)), 0);
            is_gone.store(true, Relaxed);
            // No CPU comes to it any more, whatever it has in its TLB.
            assert_eq!(v.w.guest_reads(0, ipa(BUFFER_GFN)), None);
            v.w.owner_frees(ram(0));
            v.w.allocated_to(ram(0), next);
        }],
    );
    assert_eq!(reads(&v, 0, BUFFER_GFN), None);
    end(&v.w, &[v.d, next]);
}

/// Another page takes the place of the one that is copied.
pub(crate) fn fill_and_replace() {
    let (v, n, vcpu) = stage();
    together(
        || {
            v.w.run(0, vcpu);
            let read = reads(&v, 0, BUFFER_GFN);
            assert!(
                read == Some(ram(0)) || read == Some(ram(0) + 5),
                "{read:x?}"
            );
        },
        &[&|| assert_eq!(v.d.insert(BUFFER_GFN, 1, ram(0) + 5, p2mt::RAM_RW), 0)],
    );
    assert_eq!(reads(&v, 0, BUFFER_GFN), Some(ram(0) + 5));
    assert_eq!(v.access(n, BUFFER_GFN), Some(P2mAccess::Rwx));
    end(&v.w, &[v.d]);
}

/// The source of what the view shows is unmapped while the guest comes to it.
pub(crate) fn shown_and_unmapped() {
    let (v, n, vcpu) = stage();
    assert_eq!(v.remap(n, BUFFER_GFN, SHADOW_GFN), Ok(()));
    together(
        || {
            v.w.run(0, vcpu);
            let read = reads(&v, 0, BUFFER_GFN);
            assert!(
                read == Some(ram(0) + 2) || read == Some(ram(0)),
                "{read:x?}"
            );
        },
        &[&|| {
            assert_eq!(v.d.remove(SHADOW_GFN, 1, ram(0) + 2), 0);
            assert_ne!(v.w.guest_reads(0, ipa(BUFFER_GFN)), Some(ipa(ram(0) + 2)));
        }],
    );
    assert_eq!(reads(&v, 0, BUFFER_GFN), Some(ram(0)));
    end(&v.w, &[v.d]);
}

/// A hypercall of the vCPU copies while a monitor shows another page in the view: the copy goes to
/// the host's page.
pub(crate) fn copy_and_remap() {
    let (v, n, vcpu) = stage();
    v.w.run(0, vcpu);
    // The guest has used its tables.
    assert_eq!(reads(&v, 0, TABLES_GFN), Some(ram(0) + 1));
    assert_eq!(reads(&v, 0, BUFFER_GFN), Some(ram(0)));
    together(
        || assert!(copy(vcpu), "not the host's page"),
        &[&|| assert_eq!(v.remap(n, BUFFER_GFN, SHADOW_GFN), Ok(()))],
    );
    end(&v.w, &[v.d]);
}

/// The page with the guest's tables is restricted in the view.
pub(crate) fn copy_and_restrict_in_view() {
    let (v, n, vcpu) = stage();
    v.w.run(0, vcpu);
    assert_eq!(reads(&v, 0, TABLES_GFN), Some(ram(0) + 1));
    together(
        || assert!(copy(vcpu), "a view restricts the guest, not Xen"),
        &[&|| assert_eq!(v.set_access(n, TABLES_GFN, P2mAccess::N), Ok(()))],
    );
    end(&v.w, &[v.d]);
}

/// The vCPU of that CPU was refused a write to [`BUFFER_GFN`].
fn refused_a_write(w: &World) {
    let bits = 1 << 1 | 1 << 4 | 2 << 5;
    let fault = xen_sys::npfec { bits };
    assert!(w.permission_fault(BUFFER_GFN << 12, 0, fault));
    assert!(w.aborts_injected().is_empty(), "the type allows it");
}

/// Nobody listens, so a restriction is lifted in the view, while the toolstack sets another one in
/// the view, and one in the host: neither is lost.
pub(crate) fn lift_and_restrict() {
    let (v, n, vcpu) = stage();
    assert_eq!(v.set_access(n, BUFFER_GFN, P2mAccess::R), Ok(()));
    together(
        || {
            v.w.run(0, vcpu);
            refused_a_write(&v.w);
        },
        &[&|| {
            assert_eq!(v.set_access(n, BUFFER_GFN, P2mAccess::Rw), Ok(()));
            assert_eq!(v.d.set_access(BUFFER_GFN, 1, 0, access::X), 0);
        }],
    );
    assert_eq!(v.access(n, BUFFER_GFN), Some(P2mAccess::Rw));
    assert_eq!(v.d.access(BUFFER_GFN), (0, access::X));
    end(&v.w, &[v.d]);
}

/// The page is replaced while its restriction in the view is judged and lifted: the new page has
/// the view's default, and the host's access is its own.
pub(crate) fn lift_and_replace() {
    let (v, n, vcpu) = stage();
    assert_eq!(v.set_access(n, BUFFER_GFN, P2mAccess::R), Ok(()));
    together(
        || {
            v.w.run(0, vcpu);
            refused_a_write(&v.w);
            let wrote = v.d.guest_writes(BUFFER_GFN);
            let shown = [Some(ram(0)), Some(ram(0) + 5)];
            assert!(shown.contains(&wrote), "{wrote:x?}");
        },
        &[&|| assert_eq!(v.d.insert(BUFFER_GFN, 1, ram(0) + 5, p2mt::RAM_RW), 0)],
    );
    assert_eq!(v.access(n, BUFFER_GFN), Some(P2mAccess::Rwx));
    assert_eq!(reads(&v, 0, BUFFER_GFN), Some(ram(0) + 5));
    end(&v.w, &[v.d]);
}

/// Two vCPUs in two views come to the same pages, one CPU unmaps and maps, one restricts and shows
/// other pages.
pub(crate) fn views() {
    let (v, n, vcpu) = stage();
    let other = v.create();
    let second = v.w.vcpu(v.d);
    second.set_view(other);
    let comes = |cpu: usize, vcpu| {
        v.w.run(cpu, vcpu);
        for gfn in [BUFFER_GFN, TABLES_GFN, SHADOW_GFN] {
            let read = reads(&v, cpu, gfn);
            assert!(read.is_none_or(|mfn| (ram(0)..ram(0) + 8).contains(&mfn)));
        }
    };
    together(
        || comes(0, vcpu),
        &[
            &|| comes(1, second),
            &|| {
                assert_eq!(v.d.remove(BUFFER_GFN, 1, ram(0)), 0);
                assert_eq!(v.d.insert(SHADOW_GFN, 1, ram(0) + 5, p2mt::RAM_RW), 0);
            },
            &|| {
                let shown = v.remap(n, TABLES_GFN, SHADOW_GFN);
                assert_eq!(shown, Ok(()));
                assert_eq!(v.set_access(other, TABLES_GFN, P2mAccess::R), Ok(()));
            },
        ],
    );
    for cpu in [0, 1] {
        v.w.on_cpu(cpu, || {
            assert_eq!(reads(&v, cpu, BUFFER_GFN), None);
            assert_eq!(reads(&v, cpu, SHADOW_GFN), Some(ram(0) + 5));
        });
    }
    assert_eq!(v.access(other, TABLES_GFN), Some(P2mAccess::R));
    end(&v.w, &[v.d]);
}

/// A hypercall, a fault that lifts, and a set/way operation of three vCPUs in one view, while the
/// host's mapping changes.
pub(crate) fn traps_in_a_view() {
    let (v, n, vcpu) = stage();
    let others = [v.w.vcpu(v.d), v.w.vcpu(v.d)];
    for other in others {
        other.set_view(n);
    }
    assert_eq!(v.set_access(n, BUFFER_GFN, P2mAccess::R), Ok(()));
    v.d.creation_finished();
    together(
        || {
            v.w.run(0, vcpu);
            let page = vcpu.page_from_gva(crate::stage::BUFFER, true);
            let page = page.map(|page| page.put());
            assert!([Some(ram(0)), Some(ram(0) + 5)].contains(&page));
        },
        &[
            &|| {
                v.w.run(1, others[0]);
                refused_a_write(&v.w);
                v.d.guest_writes(TABLES_GFN);
            },
            &|| {
                v.w.run(2, others[1]);
                others[1].set_need_flush_to_ram(true);
                others[1].flush_vm();
            },
            &|| assert_eq!(v.d.insert(BUFFER_GFN, 1, ram(0) + 5, p2mt::RAM_RW), 0),
        ],
    );
    v.w.run(0, vcpu);
    vcpu.set_need_flush_to_ram(true);
    vcpu.flush_vm();
    assert_eq!(v.w.dirty_pages(), []);
    end(&v.w, &[v.d]);
}

// SPDX-License-Identifier: GPL-2.0-only
//! Xen copies to a guest while another CPU changes what the buffer is mapped to. The AT instruction
//! takes no lock, so each scene is played twice: with `STALE` it finds whatever TLBs may
//! still hold.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use test_harness::{Domain, Vcpu, World};

use crate::common::{access, p2mt, ram};
use crate::explorer::{machine, together};
use crate::stage::{copy, end, guest, with_buffer, BUFFER, BUFFER_GFN};

/// A guest with a buffer, whose vCPU copies on CPU 0.
fn stage<const STALE: bool>() -> (World, Domain, Vcpu) {
    let w = machine();
    let (d, v) = with_buffer(&w);
    w.translations_are_stale(STALE);
    (w, d, v)
}

/// A copy while another CPU does `change`: it gets the buffer's page, while that is the guest's,
/// or none; and none, if it began when the change was complete.
fn copies_until(
    w: &World,
    (d, v): (Domain, Vcpu),
    change: &(dyn Fn() + Sync),
    then: &(dyn Fn() + Sync),
) {
    let is_changed = AtomicBool::new(false);
    together(
        || {
            w.run(0, v);
            let late = is_changed.load(Relaxed);
            if let Some(page) = v.page_from_gva(BUFFER, true) {
                assert!(!late, "what is no longer mapped so is found");
                assert!(w.is_owned_by(ram(0), d), "a page of somebody else's");
                assert_eq!(page.put(), ram(0));
            }
        },
        &[&|| {
            change();
            is_changed.store(true, Relaxed);
            then();
        }],
    );
}

/// The buffer's page is unmapped and freed, and goes to another domain at once.
pub(crate) fn copy_and_removal<const STALE: bool>() {
    let (w, d, v) = stage::<STALE>();
    let next = guest(&w, 1, 1);
    let remove = || assert_eq!(d.remove(BUFFER_GFN, 1, ram(0)), 0);
    copies_until(&w, (d, v), &remove, &|| {
        w.owner_frees(ram(0));
        w.allocated_to(ram(0), next);
    });
    assert!(!w.is_owned_by(ram(0), d));
    end(&w, &[d, next]);
}

/// Another domain's page takes the place of the buffer's.
pub(crate) fn copy_and_foreign_page<const STALE: bool>() {
    let (w, d, v) = stage::<STALE>();
    let other = guest(&w, 1, 1);
    let replace = || assert_eq!(d.map_foreign(other, BUFFER_GFN, ram(1)), 0);
    copies_until(&w, (d, v), &replace, &|| ());
    assert_eq!(w.references(ram(1)), 2, "the owner's and the mapping's");
    end(&w, &[d, other]);
}

/// The buffer becomes read-only, and Xen wants to write.
pub(crate) fn copy_and_write_protection<const STALE: bool>() {
    let (w, d, v) = stage::<STALE>();
    let protect = || assert_eq!(d.insert(BUFFER_GFN, 1, ram(0), p2mt::RAM_RO), 0);
    copies_until(&w, (d, v), &protect, &|| ());
    end(&w, &[d]);
}

/// The buffer is restricted, and the page with the guest's tables: that restricts the guest and
/// not Xen.
pub(crate) fn copy_and_restriction<const STALE: bool>() {
    let (w, d, v) = stage::<STALE>();
    together(
        || {
            w.run(0, v);
            assert!(copy(v), "a restriction keeps the guest away, not Xen");
        },
        &[&|| assert_eq!(d.set_access_fully(BUFFER_GFN, 2, access::N), 0)],
    );
    end(&w, &[d]);
}

/// The domain dies under a copy: its p2m is relinquished, and its page is freed and
/// goes to another domain. (Xen has descheduled the vCPU by then; here that is not relied on.)
pub(crate) fn copy_and_destruction<const STALE: bool>() {
    let (w, d, v) = stage::<STALE>();
    let next = guest(&w, 1, 1);
    let relinquish = || {
        d.set_dying_state(1);
        assert_eq!(d.relinquish(), 0);
    };
    copies_until(&w, (d, v), &relinquish, &|| {
        w.owner_frees(ram(0));
        w.allocated_to(ram(0), next);
    });
    end(&w, &[d, next]);
}

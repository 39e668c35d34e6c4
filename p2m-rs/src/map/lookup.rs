// SPDX-License-Identifier: GPL-2.0-only
//! Looking a guest frame up (`p2m_get_entry`, `p2m_lookup`,
//! `p2m_get_page_from_gfn`).
//!
//! A lookup needs the read lock. Its result borrows the view, so it cannot
//! outlive the lock. What must outlive the lock is either copied out explicitly (`mfn()`,
//! for the callers of `p2m_lookup`, who know that the frame is only a hint), or is a
//! reference to the page ([`get_page_from_gfn`]).
use core::marker::PhantomData;
use core::sync::atomic::Ordering::Relaxed;

use crate::p2m::lock::ReadView;
use crate::table::walk::Walk;
use crate::table::Table;
use crate::types::access::P2mAccess;
use crate::types::addr::{Gfn, Mfn, PAGE_SHIFT};
use crate::types::level::Level;
use crate::types::p2m_type::P2mType;
use crate::types::pte::Pte;
use crate::xen::globals::{root_level, root_page_order, root_pages};
use crate::xen::page::{Page, PageRef};

/// The mapping of a guest frame, or the size of the hole around the frame.
#[derive(Clone, Copy)]
pub struct Lookup<'v> {
    /// The entry of the mapping, advanced to the frame that was looked up;
    /// [`Pte::EMPTY`] for a hole.
    leaf: Pte,
    /// log2 of the number of pages that the entry that ended the walk spans.
    order: u32,
    _lock: PhantomData<&'v ()>,
}

impl<'v> Lookup<'v> {
    /// A hole: an entry of `level` ended the walk and maps nothing.
    #[inline(always)]
    fn hole(level: Level) -> Self {
        Self {
            leaf: Pte::EMPTY,
            order: level.order(),
            _lock: PhantomData,
        }
    }

    /// What the entry that ended the walk to `gfn` says, which spans 2^`order` pages.
    #[inline(always)]
    fn of_entry(pte: Pte, order: u32, gfn: Gfn) -> Self {
        let offset = gfn.raw() & ((1 << order) - 1);
        Self {
            // A hole has no frame.
            leaf: if pte.is_mapped() {
                pte.advanced(offset)
            } else {
                Pte::EMPTY
            },
            order,
            _lock: PhantomData,
        }
    }

    /// Level of the entry that ended the walk.
    pub fn level(&self) -> Level {
        Level::of_order(self.order)
    }

    /// log2 of the number of pages of the mapping or of the hole.
    #[inline(always)]
    pub fn order(&self) -> u32 {
        self.order
    }

    /// The machine frame; `None` for a hole.
    #[inline(always)]
    pub fn mfn(&self) -> Option<Mfn> {
        self.leaf.is_mapped().then(|| self.leaf.mfn())
    }

    /// The type of the mapping; `None` for a hole.
    #[inline(always)]
    pub fn ty(&self) -> Option<P2mType> {
        self.leaf.ty()
    }

    /// The access that is stored in the entry; `None` for a hole.
    #[inline(always)]
    pub fn access(&self) -> Option<P2mAccess> {
        self.leaf.is_mapped().then(|| self.leaf.access())
    }

    /// The valid bit of the mapping's own entry (C's `valid`); false for a hole.
    pub fn valid_bit(&self) -> bool {
        self.leaf.valid_bit()
    }
}

/// The level of the largest block that holds `gfn` and begins above `max`. Its size in pages
/// is at most the value of the highest bit in which `gfn` and `max` differ.
#[inline(always)]
fn block_above(gfn: Gfn, max: Gfn) -> Level {
    // C masks with a 64-bit address shifted to a frame number, and so ignores
    // the top bits of the frame number.
    let gfn = gfn.raw() & (!0 >> PAGE_SHIFT);
    if gfn <= max.raw() {
        return Level::L3;
    }
    Level::of_order((gfn ^ max.raw()).ilog2())
}

/// What is mapped at `gfn`, or the hole that holds it (`p2m_get_entry`), for
/// any 64-bit frame number.
#[inline(always)]
pub fn get_entry(view: &ReadView, gfn: Gfn) -> Lookup<'_> {
    match hole_beyond_max(view, gfn) {
        Some(level) => Lookup::hole(level),
        None => find(view, gfn),
    }
}

/// The mapping at `gfn`, if there is one: [`get_entry`] for callers that do not
/// need the size of a hole.
#[inline(always)]
pub fn lookup(view: &ReadView, gfn: Gfn) -> Option<Lookup<'_>> {
    if gfn > view.max_mapped_gfn() {
        return None;
    }
    Some(find(view, gfn)).filter(|found| found.leaf.is_mapped())
}

#[inline(never)]
fn find(view: &ReadView, gfn: Gfn) -> Lookup<'_> {
    match Walk::from_root(view, gfn) {
        None => Lookup::hole(root_level()),
        // Out of line, so that the common path saves no registers for a call.
        Some(walk) if walk.calls_for_each_table() => find_by_calls(view, gfn),
        Some(walk) => end_of_walk(walk, gfn),
    }
}

#[cold]
#[inline(never)]
fn find_by_calls(view: &ReadView, gfn: Gfn) -> Lookup<'_> {
    match Table::last(view, gfn) {
        None => Lookup::hole(root_level()),
        Some(table) => {
            let level = table.level();
            Lookup::of_entry(table.load(level.index(gfn)), level.order(), gfn)
        }
    }
}

#[inline(always)]
fn end_of_walk(mut walk: Walk<'_>, gfn: Gfn) -> Lookup<'_> {
    loop {
        let (pte, descended) = walk.step(gfn);
        if !descended {
            return Lookup::of_entry(pte, walk.order(), gfn);
        }
    }
}

/// For a frame above every frame that was ever mapped: the level of the largest
/// block that holds `gfn` and lies entirely above those frames.
#[inline(always)]
pub(crate) fn hole_beyond_max(view: &ReadView, gfn: Gfn) -> Option<Level> {
    let max = view.max_mapped_gfn();
    (gfn > max).then(|| block_above(gfn, max).max(root_level()))
}

/// The first frame that the root has no entry for, since it is beyond the IPA space.
pub fn end_of_ipa_space(_view: &ReadView) -> Gfn {
    Gfn::new(root_pages() << root_page_order().load(Relaxed))
}

/// The access of a frame that was looked up (`p2m_mem_access_radix_get`).
/// In today's Xen no caller of `p2m_get_entry` outside of these files asks for it.
pub fn access_of(view: &ReadView, found: &Lookup<'_>) -> Option<P2mAccess> {
    if view.p2m().mem_access_enabled() {
        found.access()
    } else {
        Some(view.default_access())
    }
}

/// The page mapped at `gfn`, with a reference, and the mapping's type
/// (`p2m_get_page_from_gfn`). The reference is taken under the lock: once
/// the lock is released, the page may have been freed (XSA-473).
pub fn get_page_from_gfn(view: &ReadView, gfn: Gfn) -> (Option<PageRef>, Option<P2mType>) {
    let Some(mapping) = lookup(view, gfn) else {
        return (None, None);
    };
    (reference(view, &mapping), mapping.ty())
}

fn reference(view: &ReadView, mapping: &Lookup<'_>) -> Option<PageRef> {
    let ty = mapping.ty().filter(|ty| ty.is_any_ram())?;
    let mfn = mapping.mfn()?;
    let domain = view.p2m().domain()?;
    if !ty.is_foreign() {
        return Page::get_at(mfn, domain);
    }
    let page = Page::of(mfn)?;
    // A foreign page belongs to another domain, which may be freeing it just now.
    // Then no reference can be taken, and that is no error.
    let (reference, is_own) = page.get_any(domain)?;
    debug_assert!(!is_own, "a domain's own page mapped as foreign");
    (!is_own).then_some(reference)
}

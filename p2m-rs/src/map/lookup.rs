// SPDX-License-Identifier: GPL-2.0-only
//! Looking a guest frame up (`p2m_get_entry`, `p2m_lookup`,
//! `p2m_get_page_from_gfn`).
//!
//! A lookup needs the read lock. Its result borrows the view, so it cannot
//! outlive the lock. What must outlive the lock is either a reference to the page
//! ([`get_page_from_gfn`]), or no more than a hint ([`with_mapping`]): the callers of `p2m_lookup`
//! know that.
use core::marker::PhantomData;
use core::sync::atomic::Ordering::Relaxed;

use crate::p2m::lock::ReadView;
use crate::p2m::token::Unlocked;
use crate::p2m::P2m;
use crate::table::walk::Walk;
use crate::table::Table;
use crate::types::access::P2mAccess;
use crate::types::addr::{Gfn, Mfn, PAGE_SHIFT};
use crate::types::level::Level;
use crate::types::p2m_type::P2mType;
use crate::types::pte::Pte;
use crate::xen::domain::Domain;
use crate::xen::globals::{root_level, root_page_order, root_pages};
use crate::xen::page::{Page, PageRef};

/// The mapping of a guest frame, or the size of the hole around the frame.
#[derive(Clone, Copy)]
pub struct Lookup<'v> {
    end: End,
    /// The frame that was looked up.
    gfn: Gfn,
    _lock: PhantomData<&'v ()>,
}

/// Where a walk ended.
#[derive(Clone, Copy)]
struct End {
    /// The entry that maps the frame; [`Pte::EMPTY`] for a hole.
    entry: Pte,
    /// log2 of the number of pages that the entry which ended the walk spans.
    order: u32,
}

impl End {
    /// An entry of `level` that maps nothing.
    #[inline(always)]
    fn hole(level: Level) -> Self {
        Self::of(Pte::EMPTY, level.order())
    }

    /// What the entry that ended the walk says, which spans 2^`order` pages.
    #[inline(always)]
    fn of(pte: Pte, order: u32) -> Self {
        let entry = if pte.is_mapped() { pte } else { Pte::EMPTY };
        Self { entry, order }
    }

    /// The result for `gfn`, which may be used only as long as the lock is held.
    #[inline(always)]
    fn locked<'v>(self, _view: &'v ReadView, gfn: Gfn) -> Lookup<'v> {
        Lookup {
            end: self,
            gfn,
            _lock: PhantomData,
        }
    }
}

impl Lookup<'_> {
    /// log2 of the number of pages of the mapping or of the hole.
    #[inline(always)]
    pub fn order(&self) -> u32 {
        self.end.order
    }

    /// Whether anything is mapped.
    #[inline(always)]
    fn is_mapped(&self) -> bool {
        self.end.entry.is_mapped()
    }

    /// The machine frame; `None` for a hole.
    #[inline(always)]
    pub fn mfn(&self) -> Option<Mfn> {
        let offset = self.gfn.raw() & ((1 << self.end.order) - 1);
        let entry = self.end.entry;
        self.is_mapped().then(|| entry.advanced(offset).mfn())
    }

    /// The type of the mapping; `None` for a hole.
    #[inline(always)]
    pub fn ty(&self) -> Option<P2mType> {
        self.end.entry.ty()
    }

    /// [`Self::ty`] as C's value.
    #[inline(always)]
    pub fn ty_to_c(&self) -> u32 {
        self.end.entry.ty_to_c()
    }

    /// The access that is stored in the entry; `None` for a hole.
    #[inline(always)]
    pub fn access(&self) -> Option<P2mAccess> {
        self.is_mapped().then(|| self.end.entry.access())
    }

    /// [`Self::access`] as C's value.
    #[inline(always)]
    pub fn access_to_c(&self) -> Option<u32> {
        self.is_mapped().then(|| self.end.entry.access_to_c())
    }

    /// The valid bit of the mapping's own entry (C's `valid`); false for a hole.
    pub fn valid_bit(&self) -> bool {
        self.end.entry.valid_bit()
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
        Some(level) => End::hole(level).locked(view, gfn),
        None => find(view, gfn).locked(view, gfn),
    }
}

/// The mapping at `gfn`, if there is one: [`get_entry`] for callers that do not
/// need the size of a hole.
#[inline(always)]
pub fn lookup(view: &ReadView, gfn: Gfn) -> Option<Lookup<'_>> {
    if gfn > view.max_mapped_gfn() {
        return None;
    }
    Some(find(view, gfn).locked(view, gfn)).filter(Lookup::is_mapped)
}

/// Takes the read lock, calls `of` with the mapping at `gfn` (`None` for a hole), and returns
/// what `of` returns.
#[inline(always)]
pub fn with_mapping<R>(
    cx: &mut Unlocked<'_>,
    p2m: &P2m,
    gfn: Gfn,
    of: impl FnOnce(&ReadView, Option<Lookup<'_>>) -> R,
) -> R {
    match with_mapping_if_free(cx, p2m, gfn, of) {
        Ok(result) => result,
        Err(of) => with_mapping_waiting(cx, p2m, gfn, of),
    }
}

/// [`with_mapping`] where it takes no call of a C function, which is nearly always. Gives `of`
/// back if a writer holds or awaits the lock, or if the direct map has a hole.
#[inline(always)]
fn with_mapping_if_free<R, F>(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn, of: F) -> Result<R, F>
where
    F: FnOnce(&ReadView, Option<Lookup<'_>>) -> R,
{
    p2m.with_free_lock(cx, of, |view, of| {
        if gfn > view.max_mapped_gfn() {
            return Ok(of(view, None));
        }
        match Walk::from_root(view, gfn) {
            None => Ok(of(view, None)),
            Some(walk) if walk.calls_for_each_table() => Err(of),
            Some(walk) => {
                let found = end_of_walk(walk, gfn).locked(view, gfn);
                Ok(of(view, Some(found).filter(Lookup::is_mapped)))
            }
        }
    })
}

/// [`with_mapping`] in all other cases: waits for the lock.
#[cold]
#[inline(never)]
fn with_mapping_waiting<R>(
    cx: &mut Unlocked<'_>,
    p2m: &P2m,
    gfn: Gfn,
    of: impl FnOnce(&ReadView, Option<Lookup<'_>>) -> R,
) -> R {
    let view = p2m.read(cx);
    of(&view, lookup(&view, gfn))
}

#[inline(never)]
fn find(view: &ReadView, gfn: Gfn) -> End {
    match Walk::from_root(view, gfn) {
        None => End::hole(root_level()),
        // Out of line, so that the common path saves no registers for a call.
        Some(walk) if walk.calls_for_each_table() => find_by_calls(view, gfn),
        Some(walk) => end_of_walk(walk, gfn),
    }
}

#[cold]
#[inline(never)]
fn find_by_calls(view: &ReadView, gfn: Gfn) -> End {
    match Table::last(view, gfn) {
        None => End::hole(root_level()),
        Some(table) => {
            let level = table.level();
            End::of(table.load(level.index(gfn)), level.order())
        }
    }
}

#[inline(always)]
fn end_of_walk(mut walk: Walk<'_>, gfn: Gfn) -> End {
    loop {
        let (pte, descended) = walk.step(gfn);
        if !descended {
            return End::of(pte, walk.order());
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

/// The first frame beyond the root: it has no entry for it. (That may be more than the IPA space.)
pub fn end_of_root() -> Gfn {
    Gfn::new(root_pages() << root_page_order().load(Relaxed))
}

/// The access of a frame that was looked up (`p2m_mem_access_radix_get`) as C's value; `None` for a
/// hole. In today's Xen no caller of `p2m_get_entry` outside of these files asks for it.
pub fn access_to_c(view: &ReadView, found: &Lookup<'_>) -> Option<u32> {
    let access = found.access_to_c()?;
    Some(if view.p2m().mem_access_enabled() {
        access
    } else {
        view.default_access().to_c()
    })
}

/// The page mapped at `gfn`, with a reference, and the mapping's type as C's value
/// (`p2m_get_page_from_gfn`). The reference is taken under the lock: once
/// the lock is released, the page may have been freed (XSA-473).
pub fn get_page_from_gfn(view: &ReadView, gfn: Gfn) -> (Option<PageRef>, u32) {
    let Some(mapping) = lookup(view, gfn) else {
        return (None, P2mType::to_c(None));
    };
    (reference(view, &mapping), mapping.ty_to_c())
}

/// A reference to the page of `mapping`; `None` if it maps no RAM, or the page is being freed.
#[inline(always)]
fn reference(view: &ReadView, mapping: &Lookup<'_>) -> Option<PageRef> {
    let entry = mapping.end.entry;
    if !entry.is_any_ram() {
        return None;
    }
    let (mfn, domain) = (mapping.mfn()?, view.p2m().domain()?);
    if entry.is_foreign() {
        return foreign_reference(mfn, domain);
    }
    Page::get_at(mfn, domain)
}

/// A foreign page belongs to another domain than `domain`, which may be freeing it just now. Then
/// no reference can be taken, and that is no error.
#[inline(never)]
fn foreign_reference(mfn: Mfn, domain: &Domain) -> Option<PageRef> {
    let (reference, is_own) = Page::of(mfn)?.get_any(domain)?;
    debug_assert!(!is_own, "a domain's own page mapped as foreign");
    (!is_own).then_some(reference)
}

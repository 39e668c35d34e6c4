// SPDX-License-Identifier: GPL-2.0-only
//! Looking a guest frame up (`p2m_get_entry`, `p2m_lookup`,
//! `p2m_get_page_from_gfn`).
//!
//! Needs the lock for reading; the result borrows the view, so it cannot
//! outlive the lock. What must outlive it is copied out on purpose (`mfn()`
//! for the callers of `p2m_lookup`, who know that it is a hint) or is a
//! reference to the page ([`ReadView::get_page`]).
#![forbid(unsafe_code)]

use core::marker::PhantomData;

use crate::access::P2mAccess;
use crate::addr::{Gfn, Mfn, PAGE_SHIFT};
use crate::globals::root_level;
use crate::level::Level;
use crate::lock::ReadView;
use crate::pte::{Kind, Pte};
use crate::types::P2mType;
use crate::xen::page::{Page, PageRef};
use crate::xen::table::Table;

/// What is mapped at a frame, or how large the hole is that holds it.
#[derive(Clone, Copy)]
pub struct Lookup<'v> {
    level: Level,
    leaf: Option<(Pte, Mfn)>,
    walkable: bool,
    _lock: PhantomData<&'v ()>,
}

impl<'v> Lookup<'v> {
    /// Nothing mapped, at the entry of `level` that ended the walk.
    fn hole(level: Level) -> Self {
        Self {
            level,
            leaf: None,
            walkable: false,
            _lock: PhantomData,
        }
    }

    /// Level of the entry that ended the walk.
    pub fn level(&self) -> Level {
        self.level
    }

    /// log2 of the pages of the mapping or of the hole.
    pub fn order(&self) -> u32 {
        self.level.order()
    }

    /// The machine frame.
    pub fn mfn(&self) -> Option<Mfn> {
        self.leaf.map(|(_, mfn)| mfn)
    }

    /// The type.
    pub fn ty(&self) -> Option<P2mType> {
        self.leaf.and_then(|(pte, _)| pte.ty())
    }

    /// The access that introspection set; `None` for a hole.
    pub fn setting(&self) -> Option<P2mAccess> {
        self.leaf.and_then(|(pte, _)| pte.setting())
    }

    /// Whether the hardware gets to the mapping: bit 0 of its entry and of all
    /// above it. False for a hole.
    pub fn is_walkable(&self) -> bool {
        self.walkable
    }

    /// Bit 0 of the mapping's own entry (C's `valid`). False for a hole.
    pub fn hw_valid(&self) -> bool {
        self.leaf.is_some_and(|(pte, _)| pte.hw_valid())
    }
}

impl ReadView<'_> {
    /// What is mapped at `gfn` (`p2m_get_entry`), for any 64-bit frame number.
    pub fn get(&self, gfn: Gfn) -> Lookup<'_> {
        if let Some(level) = self.hole_beyond_max(gfn) {
            return Lookup::hole(level);
        }
        let Some((table, above)) = self.last_table(gfn) else {
            return Lookup::hole(root_level());
        };
        let level = table.level();
        let pte = table.load(level.index(gfn));
        match pte.kind(level) {
            Kind::Leaf => Lookup {
                level,
                leaf: Some((pte, pte.mfn().add(level.offset(gfn)))),
                walkable: above && pte.hw_valid(),
                _lock: PhantomData,
            },
            Kind::Empty | Kind::Table(_) => Lookup::hole(level),
        }
    }

    /// The table whose entry ends the walk to `gfn`, and whether bit 0 is set
    /// in all entries above. None for a frame beyond the root's.
    #[inline]
    pub(crate) fn last_table(&self, gfn: Gfn) -> Option<(Table<'_>, bool)> {
        let mut table = self.root_table(gfn)?;
        let mut walkable = true;
        loop {
            let pte = table.load(table.level().index(gfn));
            match table.next(pte) {
                Some(next) => {
                    walkable &= pte.hw_valid();
                    table = next;
                }
                None => return Some((table, walkable)),
            }
        }
    }

    /// The table in which to begin to change what is at `gfn`: the first on the
    /// way whose level is `enough`, or else the last there is. None for a frame
    /// beyond the root's.
    #[inline]
    pub(crate) fn table_for(&self, gfn: Gfn, enough: impl Fn(Level) -> bool) -> Option<Table<'_>> {
        let mut table = self.root_table(gfn)?;
        while !enough(table.level()) {
            match table.next(table.load(table.level().index(gfn))) {
                Some(next) => table = next,
                None => break,
            }
        }
        Some(table)
    }

    /// The table of `level` on the way to `gfn`, if there is one.
    #[inline]
    pub(crate) fn table_at(&self, gfn: Gfn, level: Level) -> Option<Table<'_>> {
        let mut table = self.root_table(gfn)?;
        while table.level() < level {
            table = table.next(table.load(table.level().index(gfn)))?;
        }
        Some(table)
    }

    /// For a frame above all that were ever mapped: the level of the largest
    /// block that holds it and lies above them altogether.
    pub(crate) fn hole_beyond_max(&self, gfn: Gfn) -> Option<Level> {
        let max = self.max_mapped_gfn();
        if gfn <= max {
            return None;
        }
        let mut level = root_level();
        // C masks with a 64-bit address shifted to a frame number, and so
        // ignores the top bits of the frame number.
        let block = |l: Level| gfn.raw() & ((!0 << l.order()) & (!0 >> PAGE_SHIFT));
        while let Some(next) = level.next() {
            if block(level) > max.raw() {
                break;
            }
            level = next;
        }
        Some(level)
    }

    /// The access of a frame that was looked up
    /// (`p2m_mem_access_radix_get`).
    // UPSTREAM-DEFECT: B20: no caller of p2m_get_entry asks for it.
    pub fn access_of(&self, lookup: &Lookup<'_>) -> Option<P2mAccess> {
        if self.p2m().mem_access_enabled() {
            lookup.setting()
        } else {
            Some(self.default_access())
        }
    }

    /// The page mapped at `gfn`, with a reference, and the mapping's type
    /// (`p2m_get_page_from_gfn`). The reference is taken under the lock: once
    /// it is released, the page may be gone (XSA-473).
    pub fn get_page(&self, gfn: Gfn) -> (Option<PageRef>, Option<P2mType>) {
        let lookup = self.get(gfn);
        let ty = lookup.ty();
        (self.reference(&lookup), ty)
    }

    fn reference(&self, lookup: &Lookup<'_>) -> Option<PageRef> {
        let ty = lookup.ty().filter(|ty| ty.is_any_ram())?;
        let page = Page::of(lookup.mfn()?)?;
        let domain = self.p2m().domain()?;
        if !ty.is_foreign() {
            return page.get(domain);
        }
        // A foreign page has another owner, who may be giving it up just now:
        // then there is none, and that is no error.
        let (reference, is_own) = page.get_any(domain)?;
        debug_assert!(!is_own, "a domain's own page mapped as foreign");
        (!is_own).then_some(reference)
    }
}

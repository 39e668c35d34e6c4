// SPDX-License-Identifier: GPL-2.0-only
//! Translation tables in memory: reading, and the only ways to write.
//!
//! **Reading** needs a view, that is the lock; a [`Table`] borrows it.
//!
//! **Writing** a live entry follows break-before-make (DDI 0487K, D8.16.1): what
//! the TLBs may hold of the old entry must be gone before a new one with
//! another address, type or size is valid. These are all the ways to write:
//!
//! ```text
//! Table::fill_one, fill_empty                      empty entries
//! Table::set_permissions                           no break needed; flush deferred
//! Table::replace ─────────────────► Removed        break, flush, make
//! Table::link                                      a new table: as replace, or nothing to break
//! Table::clear, take_run ─────────► Removed        flush deferred
//! Place::validate, Table::clear_valid_bits           the valid bit alone
//! Pending ────── map / link ──────► Removed        break: valid bit clear
//!              └─ complete                         one flush for all; make
//! ```
//!
//! **An IOMMU that walks the same tables** has a TLB of its own, for which the same
//! holds: [`Table::replace`] and [`Table::link`] flush the IOTLB between break and
//! make as well, so that a device never meets a block beside its pages. Between
//! the two the device finds nothing there. Unlike a guest it does not try again:
//! its transaction is aborted and recorded by the SMMU. C has the same moment, but
//! flushes the IOTLB only after it. So where an IOMMU uses the tables no more is
//! replaced live than the caller asks for, and no table is put together to a
//! block when restrictions are lifted ([`crate::map::merge`]).
//!
//! **What was in an entry** comes back as a [`removed::Removed`]: it owns the references
//! of a leaf, or the whole subtree, and must be released
//! ([`crate::map::release`]).
//!
//! **Barriers.** C has DSB SY before and after each store. Here stores are
//! plain, and a barrier stands where the architecture asks for one:
//!
//! - *After new entries*: one DSB ISHST before the lock is released
//!   ([`crate::p2m::deferred`]), or the one that a TLB flush begins with. A walker is an
//!   observer of its own, and is sure to see a store only after a DSB. Should
//!   it look before, it faults, and the fault finds the entry valid
//!   ([`crate::guest::fault::resolve`]).
//! - *Before a pointer to a new table is valid*: one for all tables that are
//!   linked together ([`pending::Pending`]), or the one of [`Table::link`], so that no
//!   walker gets there before the entries. A [`new::NewTable`] is filled without barriers, and so are the tables
//!   that are attached to it.
//! - *After a break*: none of its own. The TLB flush begins with a DSB, and the
//!   IOMMU flush is preceded by one ([`crate::p2m::iommu`]).
//! - *Before new entries*, for what the mapped pages hold: none. Their contents
//!   were written before the write lock was taken, and taking it is a full
//!   barrier (`atomic_cmpxchg`). Whoever fills a page *under* the lock and maps
//!   it then must add one.
//!
//! KVM (`kvm_pgtable_stage2_map`) and Hafnium (`arch_mm_sync_table_writes`) do
//! the same: one barrier an operation. An IOMMU that does not snoop the caches
//! is another matter: each store is cleaned to memory immediately.
//!
//! On Arm64 Xen maps all memory, so a table needs no unmap (helpers.c refuses
//! to compile where that is not so).

pub(crate) mod change;
pub(crate) mod new;
pub(crate) mod pending;
pub(crate) mod removed;
pub(crate) mod run;
pub(crate) mod walk;

use core::ffi::c_void;
use core::marker::PhantomData;
use core::sync::atomic::Ordering::Relaxed;

use xen_sys as sys;
use xen_sys::arch;

use crate::p2m::lock::{ReadView, WriteView};
use crate::types::addr::{Gfn, Mfn, PAGE_SIZE};
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::pte::{Kind, Pte};
use crate::xen::globals::{root_level, root_page_order, root_pages};

/// A table of the tree.
///
/// # Invariants
///
/// `entries` points to the 512 entries of a table of `level`, which is not freed during
/// `'v`: a lock of its p2m is held, or the table belongs to whoever has this value
/// ([`new::NewTable`], [`removed::RemovedTable`]). It does not prove that the entries
/// stand still, nor that the hardware walks the table.
#[derive(Clone, Copy)]
pub struct Table<'v> {
    entries: *mut u64,
    level: Level,
    _lock: PhantomData<&'v P2mTree>,
}

/// Stands for the tree in [`Table`]'s lifetime.
struct P2mTree;

/// What an entry leads to.
pub enum Entry<'v> {
    /// Nothing.
    Empty,
    /// The next table.
    Table(Table<'v>),
    /// A mapping.
    Leaf(Pte),
}

impl<'v> Table<'v> {
    /// The root page in which `gfn` is looked up (`p2m_get_root_pointer`);
    /// `None` if the frame is beyond the IPA space, or if there is no root
    /// (a domain that p2m_init never saw).
    #[inline(always)]
    pub fn root(view: &'v ReadView, gfn: Gfn) -> Option<Self> {
        let number = gfn.raw() >> root_page_order().load(Relaxed);
        if number >= root_pages() {
            return None;
        }
        Self::root_page(view, number)
    }

    /// Root page `number` as a table.
    #[inline(always)]
    fn root_page(view: &'v ReadView, number: u64) -> Option<Self> {
        let root = view.p2m().vttbr().root()?;
        // SAFETY: a page of the root, which lives as long as the p2m; callers
        // pass a number below root_pages().
        Some(unsafe { Self::map(root.add(number), root_level()) })
    }

    /// All pages of the root.
    pub fn roots(view: &'v ReadView) -> impl Iterator<Item = Self> {
        (0..root_pages()).filter_map(|number| Self::root_page(view, number))
    }

    /// Maps a frame that holds a table of `level`.
    ///
    /// # Safety
    ///
    /// The frame holds a table of this p2m, root or below, that is not freed
    /// during `'v`.
    #[inline(always)]
    unsafe fn map(mfn: Mfn, level: Level) -> Self {
        // SAFETY: a frame of memory, by the caller's promise: Xen maps all.
        let entries = unsafe { sys::map_domain_page(mfn.raw()) };
        Self {
            entries,
            level,
            _lock: PhantomData,
        }
    }

    /// The level of this table's entries.
    #[inline(always)]
    pub fn level(self) -> Level {
        self.level
    }

    #[inline(always)]
    fn at(self, index: TableIndex) -> *mut u64 {
        // SAFETY: the index is below 512, the table has 512 entries.
        unsafe { self.entries.add(index.get()) }
    }

    /// The entry, raw.
    #[inline(always)]
    pub fn load(self, index: TableIndex) -> Pte {
        // SAFETY: an entry of a live table: the lock is held for 'v.
        Pte::from_bits(unsafe { arch::pte_load(self.at(index)) })
    }

    /// Writes an entry (`write_pte`, `p2m_write_pte`), without a barrier and without
    /// cleaning: [`Self::stored`] follows.
    #[inline(always)]
    fn store(self, index: TableIndex, pte: Pte) {
        // SAFETY: an entry of a live table; all callers have a WriteView, or
        // own the table.
        unsafe { arch::pte_store(self.at(index), pte.bits()) };
    }

    /// What the entry leads to.
    #[inline(always)]
    pub fn entry(self, index: TableIndex) -> Entry<'v> {
        let pte = self.load(index);
        match pte.kind(self.level) {
            Kind::Empty => Entry::Empty,
            Kind::Leaf => Entry::Leaf(pte),
            Kind::Table(_) => self.next(pte).map_or(Entry::Empty, Entry::Table),
        }
    }

    /// The table that `pte`, an entry of this table, points to, if it does
    /// (`p2m_next_level`).
    #[inline(always)]
    pub(crate) fn next(self, pte: Pte) -> Option<Self> {
        let Kind::Table(mfn) = pte.kind(self.level) else {
            return None;
        };
        let below = self.level.next()?;
        // SAFETY: a table entry of the tree points to a table, which is freed
        // only after the entry is gone and with an exclusive view, so not
        // during 'v.
        Some(unsafe { Self::map(mfn, below) })
    }

    /// `count` entries from `first` on were written. Walkers must see them: the
    /// CPUs' and a coherent SMMU's, whose walks are inner shareable as VTCR
    /// says, after a barrier, which is deferred; any other SMMU's after cleaning
    /// to the point of coherency, which is done immediately.
    fn stored(self, write: &WriteView<'_>, first: TableIndex, count: u64) {
        debug_assert!(count <= first.room());
        if write.p2m().clean_pte() {
            let start = self.at(first).cast::<c_void>();
            // SAFETY: part of a mapped table.
            unsafe { sys::xs_clean_dcache_va_range(start, count * size_of::<u64>() as u64) };
        }
        write.deferred().defer_barrier();
    }
}

/// Stores to entries of the tree that walkers have not been told of.
///
/// # Invariants
///
/// Whoever has one has written entries of a table, and nothing has been deferred or
/// cleaned for that yet. It does not say which entries.
#[must_use = "walkers must see the stores: report them"]
#[derive(Debug)]
pub(crate) struct Unreported(());

impl Unreported {
    /// The stores were to some of the `count` entries of `table` from `first` on, and to
    /// no others. Walkers will see them, as [`Table::stored`] says.
    #[inline(always)]
    pub(crate) fn report(
        self,
        write: &WriteView<'_>,
        table: Table<'_>,
        first: TableIndex,
        count: u64,
    ) {
        table.stored(write, first, count);
        let _reported = core::mem::ManuallyDrop::new(self);
    }

    /// Reports those of another store together with these.
    #[inline(always)]
    pub(crate) fn merge(self, other: Option<Self>) -> Self {
        let _with_self = other.map(core::mem::ManuallyDrop::new);
        self
    }
}

#[cfg(debug_assertions)]
impl Drop for Unreported {
    fn drop(&mut self) {
        debug_assert!(false, "entries were written, and walkers never told");
    }
}

/// Clears all pages of the root and cleans them to memory. A flush is
/// deferred. The tables below stay on the list of pages.
pub(crate) fn clear_root(write: &mut WriteView<'_>) {
    write.deferred().defer_whole_flush();
    let Some(root) = write.p2m().root() else {
        return;
    };
    for page in (0..root_pages()).filter_map(|n| root.nth(n)) {
        // SAFETY: a root page of this p2m, and the write lock is held.
        unsafe { page.clear_and_clean() };
    }
}

/// A table fills its page.
const _: () = assert!(ENTRIES as u64 * size_of::<u64>() as u64 == PAGE_SIZE);

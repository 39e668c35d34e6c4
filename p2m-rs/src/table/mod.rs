// SPDX-License-Identifier: GPL-2.0-only
//! Translation tables in memory: reading them, and the only ways to write them.
//!
//! **Reading** needs a view, which stands for the lock; a [`Table`] borrows the view.
//!
//! **Writing** a live entry follows break-before-make (DDI 0487K, D8.16.1): the
//! TLBs must hold nothing of the old entry before a new one with
//! another address, type or size becomes valid. These are all the ways to write:
//!
//! ```text
//! Table::fill_one, fill_empty                      empty entries
//! Table::set_permission, set_permissions           no break needed; flush deferred
//! Table::replace ─────────────────► Removed        break, flush, make
//! Table::link                                      a new table: break (of a leaf), flush, make
//! Table::clear, take_run ─────────► Removed        flush deferred
//! Slot::validate                                   the valid bit alone
//! Table::clear_valid_bits, set_valid_bits          the same, of a whole table
//! clear_root, empty_root, empty_root_in_use        all of the root; flush deferred, or done
//! Pending ────── map / link ──────► Removed        break: valid bit clear
//!              ├─ replace_block                    the same for a block, or Table::link
//!              └─ complete                         one flush for all; make
//! ```
//!
//! **A run** is a sequence of entries of one table that map consecutive frames with the same
//! attributes, or are all empty ([`run`]).
//!
//! **An IOMMU that walks these tables** has a TLB of its own, and no fault handler: between
//! break and make a device's transaction that the IOTLB does not answer finds no mapping. A
//! guest would retry, but the SMMU aborts and records the transaction.
//!
//! - *Another frame* takes the place of a live leaf ([`Table::replace`]): the IOTLB is flushed
//!   between break and make, so that it never holds both. Devices are refused the old frame
//!   from then on, as they must be.
//! - *A block becomes a table of its parts* ([`Table::link`]), some of which may be empty or
//!   have other permissions: the IOTLB is flushed after the make, as in C. While the entry is
//!   broken, the IOTLB goes on answering for a block that is in use, so that hardly any
//!   transaction to the parts that stay is aborted. (After a flush of anything of the domain it has
//!   to look again: Xen's drivers flush for the VMID.) To flush it before the make would abort all
//!   of them until the flush is complete. The price is that between make and flush the
//!   IOTLB may hold the block together with its parts. An SMMU may abort a transaction that finds
//!   both (F_TLB_CONFLICT). Otherwise, whichever it uses, or whatever it makes of both, the device
//!   stays within the block: they name the same frames, all of which the domain keeps until the
//!   flush. (Some SMMUs promise to use one of them, SMMU_IDR3.BBML; Xen's drivers do not ask.) A part
//!   that gets another frame is replaced after that.
//!
//! Only the blocks that hold what the caller asked to change are split, and tables are not
//! merged into blocks when restrictions are lifted (`map::merge`).
//!
//! **What an old entry owned** is returned as a [`removed::Removed`]: it owns the references
//! of a leaf, or the whole subtree, and must be released
//! (`map::release`).
//!
//! **Barriers.** C has DSB SY before and after each store. Here stores are
//! plain, and a barrier is issued only where the architecture requires one:
//!
//! - *After new entries*: one DSB ISHST before the lock is released
//!   ([`crate::p2m::deferred`]), or the DSB with which a TLB flush begins. A table walker is a
//!   separate observer, and is guaranteed to see a store only after a DSB. A walk that
//!   comes earlier faults, and the fault handler finds the entry valid
//!   ([`crate::guest::fault::resolve`]).
//! - *Before a pointer to a new table becomes valid*: one barrier for all tables that are
//!   linked together ([`pending::Pending`]), or the one of [`Table::link`], so that no
//!   walker reaches the table before its entries are visible. A [`new::NewTable`], and the
//!   tables attached to it, are filled without barriers.
//! - *After a break*: no separate barrier. The TLB flush begins with a DSB, and the
//!   IOTLB flush is preceded by one ([`crate::p2m::iommu`]).
//! - *Before new entries*, for the contents of the mapped pages: no barrier. The contents
//!   were written before the write lock was taken, and taking the lock is a full
//!   barrier (`atomic_cmpxchg`). Code that fills a page *under* the lock and then maps
//!   it must add a barrier.
//!
//! KVM (`kvm_pgtable_stage2_map`) and Hafnium (`arch_mm_sync_table_writes`) also
//! use one barrier per operation. Where an IOMMU does not snoop the caches,
//! each store is also cleaned to memory immediately.
//!
//! On Arm64 Xen maps all memory, so a mapped table needs no unmap (helpers.c refuses
//! to compile for a configuration where that does not hold).

pub(crate) mod change;
pub(crate) mod new;
pub(crate) mod pending;
pub(crate) mod removed;
pub(crate) mod run;
pub(crate) mod sweep;
pub(crate) mod walk;

use core::ffi::c_void;
use core::marker::PhantomData;
use core::sync::atomic::Ordering::Relaxed;

use xen_sys as sys;
use xen_sys::arch;

use crate::p2m::lock::{ReadView, WriteView};
#[cfg(config_altp2m)]
use crate::p2m::views::EmptyRoot;
use crate::types::addr::{Gfn, Mfn, PAGE_SIZE};
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::owner::Owner;
#[cfg(config_altp2m)]
use crate::types::owner::View;
use crate::types::pte::{Kind, Pte};
use crate::xen::globals::{root_level, root_page_order, root_pages};

/// A table of the tree.
///
/// # Invariants
///
/// `entries` points to the 512 entries of a table of `level`, which is not freed during
/// `'v`: a lock of its p2m is held, or the table belongs to whoever has this value
/// ([`new::NewTable`], [`removed::RemovedTable`]). A `Table` does not prove that its entries
/// do not change, nor that the hardware walks the table.
#[derive(Clone, Copy)]
pub struct Table<'v> {
    entries: *mut u64,
    level: Level,
    _lock: PhantomData<&'v ()>,
}

/// One entry of a table.
///
/// # Invariants
///
/// It points to an entry of a table that is not freed during `'v`, as that of a [`Table`]. It does not
/// prove of which level the entry is.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'v>(*mut u64, PhantomData<&'v ()>);

/// What an entry leads to.
pub enum Entry<'v> {
    /// The entry maps nothing.
    Empty,
    /// The next table.
    Table(Table<'v>),
    /// A mapping.
    Leaf(Pte),
}

impl<'v> Table<'v> {
    /// The root page that holds the entry for `gfn` (`p2m_get_root_pointer`);
    /// `None` if the frame is beyond the root, or if there is no root
    /// (`p2m_init` was never called for the domain).
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

    /// The table of `level` in the frame `mfn`, mapped by Xen.
    ///
    /// # Safety
    ///
    /// The frame holds a table of this p2m, root or below, that is not freed
    /// during `'v`.
    #[inline(always)]
    unsafe fn map(mfn: Mfn, level: Level) -> Self {
        Self {
            entries: sys::map_domain_page(mfn.raw()),
            level,
            _lock: PhantomData,
        }
    }

    /// The level of this table's entries.
    #[inline(always)]
    pub fn level(self) -> Level {
        self.level
    }

    /// Entry `index`.
    #[inline(always)]
    fn slot(self, index: TableIndex) -> Slot<'v> {
        // SAFETY: the index is below 512, and the table has 512 entries.
        Slot(unsafe { self.entries.add(index.get()) }, PhantomData)
    }

    /// Reads entry `index`.
    #[inline(always)]
    pub fn load(self, index: TableIndex) -> Pte {
        self.slot(index).load()
    }

    /// Writes an entry (`write_pte`, `p2m_write_pte`) without a barrier and without
    /// cleaning; [`Self::stored`] must follow.
    #[inline(always)]
    fn store(self, index: TableIndex, pte: Pte) {
        self.slot(index).store(pte);
    }

    /// What entry `index` leads to.
    #[inline(always)]
    pub fn entry(self, index: TableIndex) -> Entry<'v> {
        let pte = self.load(index);
        match pte.kind(self.level) {
            Kind::Empty => Entry::Empty,
            Kind::Leaf => Entry::Leaf(pte),
            Kind::Table(mfn) => self.next(mfn).map_or(Entry::Empty, Entry::Table),
        }
    }

    /// The table that the entry points to, if it does (`p2m_next_level`).
    #[inline(always)]
    pub(crate) fn below(self, index: TableIndex) -> Option<Self> {
        match self.entry(index) {
            Entry::Table(below) => Some(below),
            Entry::Empty | Entry::Leaf(_) => None,
        }
    }

    /// The table in the frame that an entry of this table was just found to point to.
    #[inline(always)]
    fn next(self, mfn: Mfn) -> Option<Self> {
        let below = self.level.next()?;
        // SAFETY: a table entry of the tree points to a table, which is freed
        // only after the entry is gone and with an exclusive view, so not
        // during 'v.
        Some(unsafe { Self::map(mfn, below) })
    }

    /// Makes the `count` entries from `first` on, which were just written, visible to walkers.
    fn stored(self, write: &WriteView<'_, impl Owner>, first: TableIndex, count: u64) {
        debug_assert!(count <= first.entries_left());
        self.slot(first).stored(write, count);
    }
}

impl Slot<'_> {
    /// Reads the entry.
    #[inline(always)]
    pub(crate) fn load(self) -> Pte {
        // SAFETY: an entry of a table that is not freed.
        Pte::from_bits(unsafe { arch::pte_load(self.0) })
    }

    /// Writes the entry; [`Self::stored`] must follow.
    #[inline(always)]
    fn store(self, pte: Pte) {
        // SAFETY: an entry of a table that is not freed; all callers have a WriteView, or own
        // the table.
        unsafe { arch::pte_store(self.0, pte.bits()) };
    }

    /// Sets the entry's valid bit and changes no other bit, which needs no
    /// break-before-make.
    #[inline(never)]
    pub(crate) fn validate(self, write: &WriteView<'_, impl Owner>) {
        let pte = self.load();
        // On an empty entry the valid bit would make a valid block descriptor.
        debug_assert!(pte.is_mapped());
        self.store(pte.with_valid_bit());
        self.stored(write, 1);
    }

    /// Makes this entry and those after it, `count` in all, which were just written, visible to walkers.
    /// CPUs and coherent SMMUs, whose walks are inner shareable (VTCR_EL2), need a
    /// barrier, which is deferred. Any other SMMU needs the entries cleaned
    /// to the point of coherency, which is done immediately.
    fn stored(self, write: &WriteView<'_, impl Owner>, count: u64) {
        if write.p2m().clean_pte() {
            let (start, bytes) = (self.0.cast::<c_void>(), count * size_of::<u64>() as u64);
            // SAFETY: part of a table that is not freed.
            unsafe { sys::xs_clean_dcache_va_range(start, bytes) };
        }
        write.deferred().defer_barrier();
    }
}

/// Proof of stores to entries of the tree for which no barrier was deferred yet.
///
/// # Invariants
///
/// The holder has written entries of a table, and has neither deferred a barrier nor
/// cleaned the entries yet. The value does not record which entries.
#[must_use = "walkers must see the stores: report them"]
#[derive(Debug)]
pub(crate) struct Unreported(());

impl Unreported {
    /// Calls [`Table::stored`] for the `count` entries of `table` from `first` on. The stores
    /// must have been to some of these entries, and to no others.
    #[inline(always)]
    pub(crate) fn report(
        self,
        write: &WriteView<'_, impl Owner>,
        table: Table<'_>,
        first: TableIndex,
        count: u64,
    ) {
        table.stored(write, first, count);
        let _reported = core::mem::ManuallyDrop::new(self);
    }

    /// Combines two values, so that one report covers the stores of both.
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

/// Clears all pages of the root, which no guest runs on any more, and cleans them to memory. A flush
/// of the whole VMID is deferred. The tables below stay on the list of pages.
pub(crate) fn clear_root(write: &mut WriteView<'_, impl Owner>) {
    write.deferred().defer_whole_flush();
    let Some(root) = write.p2m().root() else {
        return;
    };
    for page in (0..root_pages()).filter_map(|n| root.nth(n)) {
        // SAFETY: a root page of this p2m; the write lock is held, and no guest walks it.
        unsafe { page.clear_and_clean() };
    }
}

/// [`clear_root`] of a view that no vCPU runs in any more, and the flush.
#[cfg(config_altp2m)]
pub(crate) fn empty_root<'w, 'l>(write: &'w mut WriteView<'l, View>) -> EmptyRoot<'w, 'l> {
    clear_root(write);
    flush_empty_root(write)
}

/// [`empty_root`] of a view that vCPUs may run in. So each entry is cleared by a single-copy atomic
/// store: DC ZVA, with which Xen clears a page, stores byte by byte (DDI 0601), and a walk might see
/// half of an entry.
#[cfg(config_altp2m)]
pub(crate) fn empty_root_in_use<'w, 'l>(write: &'w mut WriteView<'l, View>) -> EmptyRoot<'w, 'l> {
    write.deferred().defer_whole_flush();
    // Not `Table::roots`: the symbol of its instance would exceed KSYM_NAME_LEN.
    for number in 0..root_pages() {
        let Some(root) = Table::root_page(write, number) else {
            break;
        };
        let stores = root.clear_all(write);
        stores.report(write, root, TableIndex::FIRST, ENTRIES as u64);
    }
    flush_empty_root(write)
}

/// All entries of the root were just cleared.
#[cfg(config_altp2m)]
fn flush_empty_root<'w, 'l>(write: &'w mut WriteView<'l, View>) -> EmptyRoot<'w, 'l> {
    write.deferred().force_tlb_flush_sync();
    // SAFETY: both callers have just cleared all entries of the root, under this lock; nothing is mapped
    // without `write`, which the result borrows.
    unsafe { EmptyRoot::new(write) }
}

// A table fills its page.
const _: () = assert!(ENTRIES as u64 * size_of::<u64>() as u64 == PAGE_SIZE);

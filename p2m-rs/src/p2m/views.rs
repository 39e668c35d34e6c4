// SPDX-License-Identifier: GPL-2.0-only
//! Views of a host p2m (altp2m): other tables for the same guest.
//!
//! A view has a root and tables of its own. It has no VMID of its own, and no lock that is ever
//! taken: the host p2m's stand for them (docs/altp2m.md says why). So there is no way to a view
//! but through a guard of its host (except for the context switch, [`P2m::vttbr_in_view`](super::P2m)),
//! and with the guard comes all that the lock rule says ([`super::lock`]): to change a view takes no
//! second p2m lock, no view outlives the unlock, and one that is changed borrows the guard, so that
//! neither another view nor the host can be changed meanwhile.
//!
//! What a change of the host p2m owes its views is a type too ([`Forgotten`]); this file has the
//! three ways to come by one.

use super::lock::{ReadView, WriteView};
use crate::types::owner::Forgotten;

impl<'l> WriteView<'l> {
    /// All views have forgotten the frames whose entries will change. For `map::views`, which
    /// has seen to that.
    #[inline(always)]
    pub(crate) fn forgotten(&self) -> Forgotten<'l> {
        Forgotten::promised()
    }

    /// Nothing is mapped at the entries that will change, and no view maps what its host does
    /// not.
    #[inline(always)]
    pub(crate) fn nothing_to_forget(&self) -> Forgotten<'l> {
        Forgotten::promised()
    }

    /// The entries that will change go on mapping the same frames with the same types, in
    /// larger leaves: what views have copied stays right.
    #[inline(always)]
    pub(crate) fn same_mapping(&self) -> Forgotten<'l> {
        Forgotten::promised()
    }
}

#[cfg(not(config_altp2m))]
impl ReadView {
    /// Whether the domain can have views.
    #[inline(always)]
    pub(crate) fn has_views(&self) -> bool {
        false
    }
}

#[cfg(config_altp2m)]
pub(crate) use self::with_altp2m::{EmptyRoot, LastInView, Record};
#[cfg(config_altp2m)]
pub use self::with_altp2m::{Number, ViewRead, ViewWrite};

/// What there is with CONFIG_ALTP2M.
#[cfg(config_altp2m)]
mod with_altp2m {
    use core::ops::Deref;
    use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};

    use xen_sys as sys;
    use xen_sys::{Link, Opaque};

    use super::super::{P2m, UnsharedP2m};
    use super::{ReadView, WriteView};
    use crate::types::access::P2mAccess;
    use crate::types::addr::Gfn;
    use crate::types::owner::View;
    use crate::types::vttbr::Vttbr;
    use crate::xen::vcpu::Vcpu;

    const VIEWS: usize = sys::XS_P2M_VIEWS as usize;

    sys::fields! {
        unsafe AllViews: p2m_domain.views as Link<sys::p2m_views>, "set before anybody else can reach the domain, and freed when nobody can any more";
        unsafe Active: p2m_views.active as AtomicBool, "written under the host p2m's write lock";
        unsafe Reclaim: p2m_views.reclaim as AtomicU16, "under the host p2m's write lock";
        unsafe LastRan: p2m_views.last_ran as [AtomicU16; sys::XS_NR_CPUS as usize], "each CPU has its own";
        unsafe Slots: p2m_views.view as [Link<sys::p2m_view>; VIEWS], "borrowed under the host p2m's lock, or by a CPU that enters the view; a view is taken out of its slot under the write lock, while no vCPU is in it, and freed later";
        unsafe ViewP2m: p2m_view.p2m as Opaque<sys::p2m_domain>, "a place";
        unsafe FirstSource: p2m_view.first_source as AtomicU64, "under the host p2m's write lock";
        unsafe LastSource: p2m_view.last_source as AtomicU64, "under the host p2m's write lock";
    }

    /// The number of a view in its domain. View 0 is the host p2m itself, and has none.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Number(usize);

    impl Number {
        /// The view number that C passes; `None` for 0, and for numbers that no view can have.
        /// A guest may choose the number, so speculation past the check must not index beyond
        /// the arrays either (`array_index_nospec`). C's helper does the masking: the compiler
        /// would turn a mask written in Rust into a conditional select, which a CPU may predict.
        #[inline]
        pub fn from_c(number: u16) -> Option<Self> {
            Self::checked(number)?;
            let size = sys::XS_P2M_VIEWS;
            let number = sys::xs_array_index_nospec(number.into(), size);
            Some(Self(number as usize))
        }

        /// As C has it.
        pub fn to_c(self) -> u16 {
            // Below `VIEWS`.
            #[allow(clippy::cast_possible_truncation)]
            let number = self.0 as u16;
            number
        }

        /// Of the view that a vCPU is in, which Xen has written; `None` for the host p2m.
        #[inline(always)]
        pub fn of_vcpu(vcpu: &Vcpu) -> Option<Self> {
            Self::checked(vcpu.view())
        }

        #[inline(always)]
        fn checked(number: u16) -> Option<Self> {
            let number = usize::from(number);
            (1..VIEWS).contains(&number).then_some(Self(number))
        }

        /// All that there can be.
        pub fn all() -> impl Iterator<Item = Self> {
            (1..VIEWS).map(Self)
        }

        /// All that there can be, this one first and the one before it last.
        fn all_from(self) -> impl Iterator<Item = Self> {
            (self.0..VIEWS).chain(1..self.0).map(Self)
        }
    }

    /// The last vCPU in a view that ran on a CPU, beside one that is about to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum LastInView {
        /// The same in the same view.
        Same,
        /// Another one in the same view.
        OtherVcpu,
        /// One in another view.
        OtherView,
    }

    /// A view whose host's lock is held, for reading at least.
    ///
    /// # Invariants
    ///
    /// As of [`ReadView`], but the lock is that of the host p2m.
    #[derive(Clone, Copy)]
    pub struct ViewRead<'v> {
        tables: &'v ReadView,
        record: &'v Opaque<sys::p2m_view>,
    }

    /// A view whose host's lock is held for writing. Dropping it does the work that changes of
    /// its tables have deferred: barrier, TLB flush, and the freeing of tables. So what is done
    /// to the host afterwards finds a view without loose ends. (But for
    /// [`Self::leave_to_host`].)
    ///
    /// # Invariants
    ///
    /// The [`WriteView`] of the host is borrowed for `'v`, which holds the lock: so there is no
    /// other `ViewWrite` of the domain.
    #[must_use = "the view's deferred work is done at once if this is not kept"]
    pub struct ViewWrite<'v> {
        tables: WriteView<'v, View>,
        record: &'v Opaque<sys::p2m_view>,
        host: &'v WriteView<'v>,
    }

    static_assertions::assert_not_impl_any!(ViewRead<'static>: Send, Sync);
    static_assertions::assert_not_impl_any!(ViewWrite<'static>: Send, Sync, Clone, Copy);

    impl P2m {
        /// VTTBR_EL2's value for a vCPU in that view; the host's if there is no such view. Needs no
        /// lock: a view is not destroyed while a vCPU is in it.
        pub(crate) fn vttbr_in_view(&self, number: u16) -> Vttbr {
            let all = self.views().map(|all| all.field(Slots));
            match all.and_then(|all| all.get(usize::from(number))?.get()) {
                Some(view) => Self::of(view.field(ViewP2m)).vttbr(),
                None => self.vttbr(),
            }
        }

        /// Notes that `cpu` is about to run that vCPU in its view. Returns what the last one that
        /// ran there in a view was.
        pub(crate) fn last_in_view(&self, cpu: usize, vcpu: &Vcpu) -> LastInView {
            let Some(last) = self.views().and_then(|all| all.field(LastRan).get(cpu)) else {
                return LastInView::OtherView;
            };
            // A view has four bits, a vCPU of a domain eight.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let this = vcpu.view() << 8 | vcpu.id() as u16;
            let previous = last.load(Relaxed);
            last.store(this, Relaxed);
            match previous ^ this {
                0 => LastInView::Same,
                1..256 => LastInView::OtherVcpu,
                _ => LastInView::OtherView,
            }
        }

        /// What the domain has for views.
        #[inline(always)]
        pub(crate) fn views(&self) -> Option<&Opaque<sys::p2m_views>> {
            self.c().field(AllViews).get()
        }
    }

    impl ReadView {
        /// Whether the domain can have views.
        #[inline(always)]
        pub(crate) fn has_views(&self) -> bool {
            self.p2m().views().is_some()
        }

        /// Whether the domain uses views (`altp2m_active`).
        pub fn uses_views(&self) -> bool {
            let all = self.p2m().views();
            all.is_some_and(|all| all.field(Active).load(Relaxed))
        }

        /// Where a view of that number is, or can be.
        pub(crate) fn slot(&self, number: Number) -> Option<&Link<sys::p2m_view>> {
            self.p2m().views()?.field(Slots).get(number.0)
        }

        #[inline(always)]
        fn record(&self, number: Number) -> Option<&Opaque<sys::p2m_view>> {
            self.slot(number)?.get()
        }

        /// The view of that number, if there is one.
        pub fn view(&self, number: Number) -> Option<ViewRead<'_>> {
            let record = self.record(number)?;
            Some(ViewRead {
                tables: Self::of(P2m::of(record.field(ViewP2m))),
                record,
            })
        }
    }

    /// The structure of a view that is in no slot.
    ///
    /// # Invariants
    ///
    /// It is nobody's but this value's.
    #[must_use = "a structure that is dropped is lost"]
    pub(crate) struct Record<'r>(&'r Opaque<sys::p2m_view>);

    impl<'r> Record<'r> {
        /// A new one, all zeroes.
        pub(crate) fn alloc() -> Option<Self> {
            let record = Self(sys::xs_alloc_p2m_view()?);
            record.0.field(FirstSource).store(!0, Relaxed);
            Some(record)
        }

        /// What was in a slot.
        ///
        /// # Safety
        ///
        /// The slot was emptied, and no vCPU is in the view, or will ever run again.
        pub(crate) unsafe fn taken(record: &'r Opaque<sys::p2m_view>) -> Self {
            Self(record)
        }

        /// The structure, for a slot.
        pub(crate) fn into_slot(self) -> &'r Opaque<sys::p2m_view> {
            self.0
        }

        /// Its p2m.
        pub(crate) fn p2m(&self) -> UnsharedP2m<'_> {
            UnsharedP2m(P2m::of(self.0.field(ViewP2m)))
        }

        /// Frees it.
        pub(crate) fn free(self) {
            // SAFETY: nobody else has it, and this value is gone.
            unsafe { sys::xs_free_p2m_view(self.0) };
        }
    }

    impl WriteView<'_> {
        /// Whether the domain uses views from now on.
        pub(crate) fn set_uses_views(&mut self, uses: bool) {
            if let Some(all) = self.p2m().views() {
                all.field(Active).store(uses, Relaxed);
            }
        }

        /// The numbers of all views, in the order in which these give up tables now.
        pub(crate) fn turns(&self) -> impl Iterator<Item = Number> {
            let first = self
                .p2m()
                .views()
                .map_or(0, |all| all.field(Reclaim).load(Relaxed));
            Number::checked(first).unwrap_or(Number(1)).all_from()
        }

        /// Has the view after this one be the first of [`Self::turns`].
        pub(crate) fn end_turn_of(&mut self, number: Number) {
            if let Some(all) = self.p2m().views() {
                let next = number.all_from().nth(1).unwrap_or(number);
                all.field(Reclaim).store(next.to_c(), Relaxed);
            }
        }

        /// The view of that number, if there is one, to be changed.
        pub fn view_mut(&mut self, number: Number) -> Option<ViewWrite<'_>> {
            let record = self.record(number)?;
            // SAFETY: it is a view of this p2m, and `self` is borrowed as long as the result
            // lives.
            Some(unsafe { ViewWrite::of(record, self) })
        }
    }

    /// A view of which nothing is mapped: no walk, and no TLB, comes to a table of it but its root.
    ///
    /// # Invariants
    ///
    /// All entries of the root are empty, and the TLBs were flushed since it was emptied. Nothing is mapped
    /// as long as the view is borrowed.
    pub(crate) struct EmptyRoot<'w, 'l>(&'w mut WriteView<'l, View>);

    impl<'w, 'l> EmptyRoot<'w, 'l> {
        /// Of a view whose root was just emptied, and the TLBs flushed.
        ///
        /// # Safety
        ///
        /// The invariants hold.
        pub(crate) unsafe fn new(tables: &'w mut WriteView<'l, View>) -> Self {
            Self(tables)
        }

        /// Frees all tables but the root, in one step however many there are. The domain has a pool, for
        /// the hardware domain has no views.
        pub(crate) fn free_tables(self) {
            let pages = self.0.deferred().pages();
            let Some(domain) = pages.p2m().domain() else {
                return;
            };
            debug_assert!(!domain.is_hardware_domain());
            let mut pool = domain.lock_pool();
            // SAFETY: the pool's lock is held, and the host's, which stands for the list's. The pages came
            // from this pool, and nobody comes to one of them, since the root is empty.
            unsafe { sys::xs_page_list_splice(pages.all(), pool.freelist()) };
        }
    }

    impl<'v> Deref for ViewWrite<'v> {
        type Target = WriteView<'v, View>;

        #[inline(always)]
        fn deref(&self) -> &WriteView<'v, View> {
            &self.tables
        }
    }

    impl Drop for ViewWrite<'_> {
        fn drop(&mut self) {
            self.tables.finish_early();
        }
    }

    impl<'v> ViewRead<'v> {
        /// The view's tables.
        pub fn tables(&self) -> &'v ReadView {
            self.tables
        }

        /// The access that what is copied from the host gets.
        pub fn default_access(&self) -> P2mAccess {
            self.tables.default_access()
        }

        /// The frames of the host that are mapped somewhere else than at their own guest
        /// frames are all in this range.
        pub fn sources(&self) -> (Gfn, Gfn) {
            sources(self.record)
        }

        /// Whether any frame may be mapped somewhere else than at its own guest frame. If not, the
        /// view maps what the host maps, where it maps anything.
        pub fn may_have_remapped(&self) -> bool {
            let (first, last) = self.sources();
            first <= last
        }
    }

    impl<'v> ViewWrite<'v> {
        /// # Safety
        ///
        /// It is a view, or was one, of this host p2m, whose [`WriteView`] is borrowed
        /// exclusively for `'v`.
        pub(crate) unsafe fn of(
            record: &'v Opaque<sys::p2m_view>,
            host: &'v WriteView<'v>,
        ) -> Self {
            // SAFETY: the lock that stands for the view's is held for writing, by the caller's
            // promise, and there is no other.
            let tables = unsafe { WriteView::of(P2m::of(record.field(ViewP2m))) };
            Self {
                tables,
                record,
                host,
            }
        }

        /// The host p2m, which does not change meanwhile.
        pub(crate) fn host(&self) -> &'v ReadView {
            self.host
        }

        /// Has the host do what is deferred, for whoever changes several views and does it once for all
        /// of them, before anything relies on it. Returns whether a flush is needed.
        pub(crate) fn leave_to_host(self) -> bool {
            let deferred = self.tables.deferred();
            let is_any = deferred.is_flush_needed();
            self.host.deferred().take_over_from_view(deferred);
            is_any
        }

        /// The view's tables, for what changes all of them.
        pub(crate) fn tables_mut(&mut self) -> &mut WriteView<'v, View> {
            &mut self.tables
        }

        /// Whether one of `pages` frames from `gfn` on may be mapped somewhere else than at its
        /// own guest frame.
        pub(crate) fn may_have_remapped(&self, gfn: Gfn, pages: u64) -> bool {
            let (first, last) = sources(self.record);
            gfn <= last && first.raw() < gfn.raw().saturating_add(pages)
        }

        /// Extends the range of sources to include `source`.
        pub(crate) fn widen_sources(&self, source: Gfn) {
            let (first, last) = sources(self.record);
            self.set_sources(first.min(source), last.max(source));
        }

        /// Sets the range in which all frames lie that are mapped somewhere else; none, if it is
        /// empty.
        pub(crate) fn set_sources(&self, first: Gfn, last: Gfn) {
            self.record.field(FirstSource).store(first.raw(), Relaxed);
            self.record.field(LastSource).store(last.raw(), Relaxed);
        }
    }

    fn sources(record: &Opaque<sys::p2m_view>) -> (Gfn, Gfn) {
        let first = record.field(FirstSource).load(Relaxed);
        let last = record.field(LastSource).load(Relaxed);
        (Gfn::new(first), Gfn::new(last))
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! Names for domains and vCPUs: the fields of their C structures that tests and checkers read, and the
//! few that the rest of Xen writes; and what gives a pointer to a function of Xen's that takes a reference.

use xen_sys::{domain, p2m_domain, p2m_view, p2m_views, page_info, vcpu, vm_event_domain, Opaque};

/// A domain of a [`World`](crate::World); valid as long as the world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain(pub(crate) *mut domain);

/// A vCPU of a [`World`](crate::World); valid as long as the world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vcpu(pub(crate) *mut vcpu);

// SAFETY: a name for a structure; what is behind it is Xen's to synchronise.
unsafe impl Send for Domain {}
// SAFETY: as above.
unsafe impl Sync for Domain {}
// SAFETY: as above.
unsafe impl Send for Vcpu {}
// SAFETY: as above.
unsafe impl Sync for Vcpu {}

/// Reads a field of the structure behind a handle.
macro_rules! read {
    ($(#[$doc:meta])* $name:ident: $ty:ty = $($field:tt).+) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(self) -> $ty {
            // SAFETY: the world keeps the structure alive, and the field is plain data.
            unsafe { (*self.0).$($field).+ }
        }
    };
}

/// Writes a field, as other parts of Xen do.
macro_rules! write {
    ($(#[$doc:meta])* $name:ident: $ty:ty = $($field:tt).+) => {
        $(#[$doc])*
        pub fn $name(self, value: $ty) {
            // SAFETY: as for reading.
            unsafe { (*self.0).$($field).+ = value }
        }
    };
}

/// The address of a field.
macro_rules! place {
    ($name:ident: $($field:tt).+) => {
        pub(crate) fn $name(self) -> usize {
            // SAFETY: the world keeps the structure alive.
            unsafe { (&raw const (*self.0).$($field).+).addr() }
        }
    };
}

impl Domain {
    /// The C structure.
    #[must_use]
    pub fn pointer(self) -> *mut domain {
        self.0
    }

    /// The p2m's C structure.
    #[must_use]
    pub fn p2m(self) -> *mut p2m_domain {
        // SAFETY: the world keeps the structure alive.
        unsafe { &raw mut (*self.0).arch.p2m }
    }

    pub(crate) fn address(self) -> usize {
        self.0.addr()
    }

    place!(pages_head: arch.p2m.pages);
    place!(freelist_head: arch.paging.p2m_freelist);
    place!(access_tree: arch.p2m.mem_access_settings);

    read!(/// The root, or null.
        root: *mut page_info = arch.p2m.root);
    read!(/// The VMID.
        vmid: u16 = arch.p2m.vmid);
    read!(/// VTTBR_EL2 for this domain.
        vttbr: u64 = arch.p2m.vttbr);
    read!(/// Highest frame ever mapped.
        max_mapped: u64 = arch.p2m.max_mapped_gfn);
    read!(/// Lowest frame ever mapped.
        lowest_mapped: u64 = arch.p2m.lowest_mapped_gfn);
    read!(/// Tables are cleaned to memory.
        cleans: bool = arch.p2m.clean_pte);
    read!(/// A TLB flush is owed.
        need_flush: bool = arch.p2m.need_flush);
    read!(/// A fault without a listener crashes the domain.
        access_required: bool = arch.p2m.access_required);
    read!(/// mem_access is in use.
        mem_access_enabled: bool = arch.p2m.mem_access_enabled);
    read!(/// Access of new mappings.
        default_access: u32 = arch.p2m.default_access);
    read!(/// Pages in the pool, free or used.
        pool_pages: u64 = arch.paging.p2m_total_pages);
    read!(/// The domain is shutting down.
        is_shutting_down: bool = is_shutting_down);

    write!(/// All views of the domain.
        set_views: *mut p2m_views = arch.p2m.views);
    write!(/// `d->vm_event_monitor`.
        set_monitor: *mut vm_event_domain = vm_event_monitor);
    write!(/// `domain_shutdown()` was called, or not.
        set_shutting_down: bool = is_shutting_down);
    write!(/// `domain_kill()` has begun, or not.
        set_dying_state: u32 = is_dying);
    write!(/// As after `arch_p2m_set_access_required()`.
        set_access_required: bool = arch.p2m.access_required);

    /// Mappings at each level.
    #[must_use]
    pub fn mapping_stats(self) -> [u64; 4] {
        // SAFETY: the world keeps the structure alive.
        unsafe { (*self.0).arch.p2m.stats.mappings }
    }

    /// Blocks that were split, at each level.
    #[must_use]
    pub fn shattered_stats(self) -> [u64; 4] {
        // SAFETY: the world keeps the structure alive.
        unsafe { (*self.0).arch.p2m.stats.shattered }
    }

    /// `d->is_dying`.
    #[must_use]
    pub fn is_dying(self) -> bool {
        // SAFETY: the world keeps the structure alive.
        unsafe { (*self.0).is_dying != 0 }
    }

    /// `p2m_init()` got as far as the back pointer, and no teardown came.
    #[must_use]
    pub fn p2m_is_initialised(self) -> bool {
        // SAFETY: the world keeps the structure alive.
        unsafe { !(*self.0).arch.p2m.domain.is_null() }
    }

    /// Whether it has what views take, which C allocates when the domain is created.
    #[must_use]
    pub fn can_have_views(self) -> bool {
        // SAFETY: the world keeps the structure alive.
        unsafe { !(*self.0).arch.p2m.views.is_null() }
    }

    /// Its views, by number.
    #[must_use]
    pub fn views(self) -> Vec<(u16, View)> {
        // SAFETY: the world keeps the structure alive.
        let all = unsafe { (*self.0).arch.p2m.views };
        if all.is_null() {
            return Vec::new();
        }
        // SAFETY: as above.
        let slots = unsafe { (*all).view };
        let numbered = (0_u16..).zip(slots);
        numbered
            .filter(|(_, view)| !view.is_null())
            .map(|(number, view)| (number, View(view)))
            .collect()
    }

    /// Whether it uses views, and by bits which of their numbers all vCPUs may be told to enter.
    #[must_use]
    pub fn use_of_views(self) -> (bool, u16) {
        // SAFETY: the world keeps the structure alive.
        let all = unsafe { (*self.0).arch.p2m.views };
        if all.is_null() {
            return (false, 0);
        }
        // SAFETY: as above.
        let all = unsafe { &*all };
        (all.active, all.visible)
    }

    /// The vCPU that ran last on a CPU.
    #[must_use]
    pub fn last_vcpu_ran(self, cpu: usize) -> u8 {
        // SAFETY: the world keeps the structure alive.
        let p2m = unsafe { &(*self.0).arch.p2m };
        p2m.last_vcpu_ran[cpu]
    }
}

/// A view of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View(pub(crate) *mut p2m_view);

impl View {
    pub(crate) fn address(self) -> usize {
        self.0.addr()
    }

    place!(pages_head: p2m.pages);

    read!(/// The root, or null.
        root: *mut page_info = p2m.root);
    read!(/// VTTBR_EL2 for a vCPU in this view.
        vttbr: u64 = p2m.vttbr);
    read!(/// The domain that it is a view of.
        domain: *mut domain = p2m.domain);
    read!(/// The access that what is copied gets.
        default_access: u32 = p2m.default_access);
    read!(/// The first frame that may be mapped somewhere else.
        first_source: u64 = first_source);
    read!(/// The last one.
        last_source: u64 = last_source);
}

impl Vcpu {
    read!(/// The number of the view that it runs in.
        view: u16 = arch.p2m_view);
    write!(/// As a monitor has it go on in a view. It is not running.
        set_view: u16 = arch.p2m_view);

    /// The C structure.
    #[must_use]
    pub fn pointer(self) -> *mut vcpu {
        self.0
    }

    read!(/// A set/way operation waits for its flush.
        need_flush_to_ram: bool = arch.need_flush_to_ram);
    read!(/// Saved HCR_EL2.
        hcr: u64 = arch.hcr_el2);
    read!(/// Saved SCTLR_EL1.
        sctlr: u64 = arch.sctlr);
    write!(/// Saved SCTLR_EL1.
        set_sctlr: u64 = arch.sctlr);
    write!(/// Saved HCR_EL2.
        set_hcr: u64 = arch.hcr_el2);
    write!(/// As after a set/way operation.
        set_need_flush_to_ram: bool = arch.need_flush_to_ram);
}

/// The structure behind a pointer of this world.
// Tests have no other pointers than those that the harness gives.
#[allow(clippy::not_unsafe_ptr_arg_deref)]
pub fn live<'a, T>(it: *mut T) -> &'a Opaque<T> {
    assert!(!it.is_null());
    // SAFETY: a world keeps its structures for as long as anybody has a pointer to them.
    unsafe { Opaque::from_ptr(it) }
}

/// What may be given for a parameter of type `T`: xen-sys takes references where C's pointers
/// are never null.
pub trait Given<T> {
    /// The parameter.
    fn given(self) -> T;
}

impl<T> Given<T> for T {
    fn given(self) -> T {
        self
    }
}

impl<'a, T> Given<&'a Opaque<T>> for *mut T {
    fn given(self) -> &'a Opaque<T> {
        live(self)
    }
}

impl<'a, T> Given<Option<&'a Opaque<T>>> for *mut T {
    fn given(self) -> Option<&'a Opaque<T>> {
        (!self.is_null()).then(|| live(self))
    }
}

impl Given<*const std::ffi::c_void> for *mut std::ffi::c_void {
    fn given(self) -> *const std::ffi::c_void {
        self
    }
}

/// What a function answers.
pub trait Answer {
    /// To C.
    type Raw;
    /// The answer as C has it.
    fn raw(self) -> Self::Raw;
}

macro_rules! answers {
    ($($ty:ty)*) => {$(
        impl Answer for $ty {
            type Raw = Self;
            fn raw(self) -> Self {
                self
            }
        }
    )*};
}
answers!(() bool i32 u32 u64);

impl<T> Answer for *mut T {
    type Raw = Self;
    fn raw(self) -> Self {
        self
    }
}

impl<T> Answer for Option<&Opaque<T>> {
    type Raw = *mut T;
    fn raw(self) -> *mut T {
        self.map_or(std::ptr::null_mut(), Opaque::as_ptr)
    }
}

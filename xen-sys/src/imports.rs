// SPDX-License-Identifier: GPL-2.0-only
//! Every function of Xen's that is called, once for both faces: Xen's own and those of
//! `helpers.c` (`xs_*`) in the hypervisor, the harness's on the host. In the build for
//! the hypervisor each prototype is compared with bindgen's, which has the header's.
//!
//! `safe` is what is always safe to call, whatever the arguments and in any state; a
//! reference proves that the structure is there, and its kind ([`Opaque`]). Each says
//! why. What has a precondition (a lock that is held, a page that is the caller's, an
//! address) is `unsafe`, and says which.

use core::ffi::{c_int, c_uint, c_ulong, c_void};

use crate::{
    cpu_user_regs, domain, gfn_t, hsr, mfn_t, paddr_t, page_info, page_list_head, rwlock_t,
    spinlock_t, vaddr_t, vcpu, Opaque,
};

#[cfg(any(config_mem_access, not(target_os = "none")))]
use crate::{vm_event_domain, vm_event_st};

#[cfg(config_altp2m)]
use crate::p2m_view;

macro_rules! imports {
    ($($(#[$meta:meta])* $safety:ident fn $name:ident($($a:ident: $t:ty),* $(,)?) $(-> $r:ty)?;)*) => {
        // Structures of bindgen's hold some that are empty, which the lint minds.
        #[allow(improper_ctypes)]
        unsafe extern "C" {
            $($(#[$meta])* pub $safety fn $name($($a: $t),*) $(-> $r)?;)*
        }

        #[cfg(target_os = "none")]
        const _: () = {$(
            crate::same_prototype(
                $name as unsafe extern "C" fn($(crate::infer!($a)),*) -> _,
                crate::prototypes::$name as unsafe extern "C" fn($(crate::infer!($a)),*) -> _,
            );
        )*};
    };
}

imports! {
    // Locks: Xen's own, so that CONFIG_DEBUG_LOCKS sees every acquisition.

    /// # Safety
    /// Nobody else can reach the lock yet.
    unsafe fn xs_rwlock_init(l: &Opaque<rwlock_t>);
    /// # Safety
    /// Initialised, and not held by this CPU.
    unsafe fn xs_read_lock(l: &Opaque<rwlock_t>);
    /// Safe: never waits, and a lock that is never released stops others, but breaks nothing.
    safe fn xs_read_trylock(l: &Opaque<rwlock_t>) -> bool;
    /// # Safety
    /// This CPU holds it for reading, and gives it up.
    unsafe fn xs_read_unlock(l: &Opaque<rwlock_t>);
    /// # Safety
    /// Initialised, and not held by this CPU.
    unsafe fn xs_write_lock(l: &Opaque<rwlock_t>);
    /// # Safety
    /// This CPU holds it for writing, and gives it up.
    unsafe fn xs_write_unlock(l: &Opaque<rwlock_t>);
    /// Safe: reads the lock's word.
    safe fn xs_rw_is_locked(l: &Opaque<rwlock_t>) -> bool;
    /// Safe: reads the lock's word.
    safe fn xs_rw_is_write_locked(l: &Opaque<rwlock_t>) -> bool;
    /// # Safety
    /// Nobody else can reach the lock yet.
    unsafe fn xs_spin_lock_init(l: &Opaque<spinlock_t>);
    /// # Safety
    /// Initialised, and not held by this CPU.
    unsafe fn xs_spin_lock(l: &Opaque<spinlock_t>);
    /// # Safety
    /// This CPU holds it, and gives it up.
    unsafe fn xs_spin_unlock(l: &Opaque<spinlock_t>);
    /// Safe: reads the lock's word.
    safe fn xs_spin_is_locked(l: &Opaque<spinlock_t>) -> bool;

    // Frames and pages.

    /// Safe: arithmetic on the address of an entry of the frame table.
    safe fn xs_page_to_mfn(pg: &Opaque<page_info>) -> mfn_t;
    /// Safe: looks a number up, whatever it is. The frame table is never freed.
    safe fn xs_page_of(mfn: mfn_t) -> Option<&'static Opaque<page_info>>;
    /// Safe: reads a word of the frame table's entry.
    safe fn xs_is_xen_heap_page(pg: &Opaque<page_info>) -> bool;
    /// Safe: as above. What the word says of a page that is not allocated is no domain.
    safe fn xs_page_is_owned_by(pg: &Opaque<page_info>, d: &Opaque<domain>) -> bool;
    /// # Safety
    /// The caller owns a reference to each of these pages, and gives it up.
    unsafe fn xs_put_pages(mfn: c_ulong, nr: c_ulong);
    /// Safe: looks numbers up, and reads a word of each entry that there is.
    safe fn xs_before_xen_heap(mfn: c_ulong, nr: c_ulong) -> c_ulong;
    /// # Safety
    /// The page is allocated: of a free one the same word says something else.
    unsafe fn xs_page_set_xenheap_gfn(pg: &Opaque<page_info>, gfn: gfn_t);
    /// Safe: reads variables that are constant once the boot has mapped all memory.
    #[cfg(target_os = "none")]
    safe fn xs_directmap_offset() -> u64;
    /// Safe: arithmetic, and nothing is read there. (Xen's debug builds stop at a frame
    /// that has no place in the direct map.)
    safe fn xs_map_domain_page(mfn: mfn_t) -> *mut u64;
    /// # Safety
    /// `page` is the begin of a page that nobody else uses.
    unsafe fn xs_clear_page(page: *mut c_void);
    /// # Safety
    /// Nobody else can reach the list yet.
    unsafe fn xs_init_page_list_head(head: &Opaque<page_list_head>);
    /// # Safety
    /// The list is initialised, and its lock is held; the page is in no list.
    unsafe fn xs_page_list_add(pg: &Opaque<page_info>, head: &Opaque<page_list_head>);
    /// # Safety
    /// As for `xs_page_list_add`.
    unsafe fn xs_page_list_add_tail(pg: &Opaque<page_info>, head: &Opaque<page_list_head>);
    /// # Safety
    /// The list is initialised, and its lock is held; the page is in this list.
    unsafe fn xs_page_list_del(pg: &Opaque<page_info>, head: &Opaque<page_list_head>);
    /// # Safety
    /// The list is initialised, and its lock is held.
    unsafe fn xs_page_list_remove_head(
        head: &Opaque<page_list_head>,
    ) -> Option<&'static Opaque<page_info>>;
    /// # Safety
    /// The list is initialised, and its lock is held.
    unsafe fn xs_page_list_last(
        head: &Opaque<page_list_head>,
    ) -> Option<&'static Opaque<page_info>>;
    /// Safe: compares a pointer. Without the lock the answer may be old.
    safe fn xs_page_list_empty(head: &Opaque<page_list_head>) -> bool;
    /// Safe: allocates, or not. The heap looks at the order and the flags.
    safe fn alloc_domheap_pages(
        d: Option<&Opaque<domain>>,
        order: c_uint,
        memflags: c_uint,
    ) -> Option<&'static Opaque<page_info>>;
    /// # Safety
    /// The pages were allocated together, by this order; they are the caller's, and
    /// nobody can reach them any more.
    unsafe fn free_domheap_pages(pg: &Opaque<page_info>, order: c_uint);
    /// Safe: takes a reference, or refuses, whatever state the page is in.
    safe fn get_page(page: &Opaque<page_info>, d: &Opaque<domain>) -> bool;
    /// Safe: `xs_page_of` and `get_page`.
    safe fn xs_get_page_at(mfn: mfn_t, d: &Opaque<domain>) -> Option<&'static Opaque<page_info>>;
    /// # Safety
    /// The caller owns a reference to the page, and gives it up.
    unsafe fn put_page(page: &Opaque<page_info>);
    /// Safe: takes a reference, or refuses, whatever state the page is in. The owner may
    /// be gone before long, so it is a pointer.
    safe fn page_get_owner_and_reference(page: &Opaque<page_info>) -> *mut domain;
    /// # Safety
    /// Nobody else uses the page, or it is a root whose lock is held for writing, and on which no
    /// guest runs: DC ZVA clears byte by byte, and a walk might see half of an entry.
    unsafe fn clear_and_clean_page(page: &Opaque<page_info>);

    // Caches and TLBs, with the erratum work-arounds of the C.

    /// # Safety
    /// So many bytes from `p` on are mapped.
    unsafe fn xs_clean_dcache_va_range(p: *const c_void, size: c_ulong);
    /// # Safety
    /// The frames are of memory that Xen has mapped: any other address is a fault.
    unsafe fn xs_flush_frames_to_ram(mfn: c_ulong, nr: c_ulong);
    /// Safe: drops cached instructions, which are fetched again.
    safe fn xs_invalidate_icache();
    /// Safe: invalidates what is read from the tables again, of the VMID in VTTBR_EL2.
    safe fn xs_flush_guest_tlb();
    /// # Safety
    /// `order` is that of a level: a shift by 64 or more has no meaning in C.
    unsafe fn xs_flush_guest_tlb_by_ipa(gfn: u64, count: u64, order: c_uint);
    /// What it invalidates are these frames if `nr` is below 2^21 and none is above 2^37,
    /// else it may be others.
    ///
    /// # Safety
    /// `xs_has_tlb_range()`: without FEAT_TLBIRANGE the instruction is undefined.
    unsafe fn xs_flush_guest_tlb_range(gfn: u64, nr: u64);
    /// Safe: reads what the boot has found.
    safe fn xs_has_tlb_range() -> bool;
    /// Safe: as `xs_flush_guest_tlb`, of all VMIDs on this CPU.
    safe fn xs_flush_all_guests_tlb_local();

    // Address translation by the hardware of the current vCPU.

    /// `v` is the current one, as a debug build checks.
    ///
    /// Safe: an AT instruction and what PAR_EL1 says then. Nothing is accessed there.
    safe fn xs_gva_to_ma_par(v: &Opaque<vcpu>, va: vaddr_t, flags: c_uint) -> u64;
    /// Safe: an AT instruction. Nothing is accessed there.
    safe fn xs_gva_to_ipa(va: vaddr_t, ipa: &mut paddr_t, flags: c_uint) -> c_int;

    // This CPU and its vCPU.

    /// Safe: looks at a mask that is fixed after boot. (Xen's debug builds stop at a number that no CPU
    /// can have, other than -1.)
    safe fn xs_next_possible_cpu(cpu: c_int) -> c_uint;
    /// Safe: reads a flag of this CPU.
    safe fn xs_local_irq_is_enabled() -> bool;
    /// Safe: reads a counter of this CPU.
    safe fn xs_in_irq() -> bool;
    /// Safe: reads a per-CPU variable.
    safe fn xs_softirq_pending() -> bool;
    /// Safe: reads a per-CPU variable, and flags of the current vCPU unless it is an idle one (of
    /// which `hypercall_preempt_check()` would follow lists that nobody set up).
    safe fn xs_general_preempt_check() -> bool;
    /// # Safety
    /// No lock is held, and interrupts are on: anything may run meanwhile.
    unsafe fn do_softirq();
    /// # Safety
    /// No p2m lock is held, and interrupts are on, outside of an interrupt.
    unsafe fn process_pending_softirqs();
    /// # Safety
    /// `func` may be called so on each other CPU, in an interrupt; interrupts are on.
    unsafe fn smp_call_function(
        func: Option<unsafe extern "C" fn(*mut c_void)>,
        info: *mut c_void,
        wait: c_int,
    );

    // Domains and vCPUs.

    /// Safe: reads a field that another CPU may set; either value is handled.
    safe fn xs_domain_is_shutting_down(d: &Opaque<domain>) -> bool;
    /// Safe: reads a counter.
    safe fn xs_domain_is_paused(d: &Opaque<domain>) -> bool;
    /// Safe: asks a range set, which has a lock of its own and takes no other.
    safe fn xs_iomem_access_permitted(d: &Opaque<domain>, mfn: mfn_t) -> bool;
    /// Safe: sets a flag of each vCPU, if the domain has device models.
    safe fn xs_ioreq_mapcache_invalidate(d: &Opaque<domain>);
    /// # Safety
    /// They are the registers that the current vCPU's trap has saved.
    unsafe fn xs_inject_undef_exception(regs: &Opaque<cpu_user_regs>, hsr: hsr);
    /// Safe: reads a register that the current vCPU's trap has saved on this CPU's stack.
    safe fn xs_trap_is_from_el0() -> bool;
    /// Safe: writes the registers that the current vCPU's trap has saved on this CPU's stack,
    /// and registers of EL1.
    safe fn xs_inject_external_abort(gva: vaddr_t) -> bool;
    /// # Safety
    /// No p2m lock is held.
    unsafe fn __domain_crash(d: &Opaque<domain>);
    /// Safe: takes the domain's shutdown lock, under which no p2m lock is ever taken.
    safe fn domain_shutdown(d: &Opaque<domain>, reason: u8) -> c_int;
    /// # Safety
    /// No p2m lock is held.
    unsafe fn guest_walk_tables(
        v: &Opaque<vcpu>,
        gva: vaddr_t,
        ipa: &mut paddr_t,
        perms: &mut c_uint,
    ) -> bool;
    /// # Safety
    /// No p2m lock is held. `len` bytes can be written at `to`. (`from` is an address of the
    /// current vCPU's, and may be any.)
    unsafe fn raw_copy_from_guest(to: *mut c_void, from: *const c_void, len: c_uint) -> c_ulong;
    /// # Safety
    /// `ttbr` is the address of such a root, which is not freed meanwhile.
    unsafe fn dump_pt_walk(
        ttbr: paddr_t,
        addr: paddr_t,
        root_level: c_uint,
        nr_root_tables: c_uint,
    );
    // IOMMU.

    /// Safe: reads a bit of the domain's.
    safe fn xs_iommu_coherent_walk(d: &Opaque<domain>) -> bool;
    /// Safe: reads flags of the domain's.
    safe fn xs_iommu_use_hap_pt(d: &Opaque<domain>) -> bool;
    /// Safe: invalidates what is read from the tables again. The drivers' locks come
    /// inside the p2m lock.
    safe fn xs_iommu_iotlb_flush(
        d: &Opaque<domain>,
        dfn: c_ulong,
        nr: c_ulong,
        flags: c_uint,
    ) -> c_int;

    // What the boot CPU found of all CPUs, and the end.

    /// Safe: reads what the boot has gathered.
    safe fn xs_cpuinfo_pa_range() -> c_uint;
    /// Safe: reads what the boot has gathered.
    safe fn xs_cpuinfo_vmid_16_bits() -> bool;
    /// Safe: ends in Xen's crash handler.
    safe fn xs_bug() -> !;
    /// Safe: counts a print against the rate limit.
    safe fn xs_printk_ratelimit() -> bool;
}

// Without mem_access there are no monitors, and where these are functions nothing defines
// them.
#[cfg(any(config_mem_access, not(target_os = "none")))]
imports! {
    /// # Safety
    /// Null, or a ring of a domain that is alive.
    unsafe fn vm_event_check_ring(ved: *mut vm_event_domain) -> bool;
    /// # Safety
    /// No p2m lock is held. The current vCPU.
    unsafe fn monitor_traps(v: &Opaque<vcpu>, sync: bool, req: &mut vm_event_st) -> c_int;
}

// Those that only views need.
#[cfg(config_altp2m)]
imports! {
    /// Moves all pages of `list` to `head`, in one step.
    /// # Safety
    /// Both lists are initialised, and their locks held.
    unsafe fn xs_page_list_splice(list: &Opaque<page_list_head>, head: &Opaque<page_list_head>);
    /// Safe: allocates. It is all zeroes, and the caller's alone.
    safe fn xs_alloc_p2m_view() -> Option<&'static Opaque<p2m_view>>;
    /// # Safety
    /// Came from `xs_alloc_p2m_view`, and nobody can reach it.
    unsafe fn xs_free_p2m_view(view: &Opaque<p2m_view>);
    /// # Safety
    /// Nobody can reach the domain any more, and its views are freed.
    unsafe fn altp2m_teardown(d: &Opaque<domain>);
    /// Safe: reads. vCPUs are numbered from 0 on.
    safe fn xs_max_vcpus(d: &Opaque<domain>) -> c_uint;
    /// Safe: reads. `None` if there is none of that number. It lives as long as the domain.
    safe fn xs_domain_vcpu(d: &Opaque<domain>, id: c_uint) -> Option<&Opaque<vcpu>>;
    /// Safe: arithmetic. An index that was found to be below the size, for a CPU that runs ahead of
    /// that check: there it is 0 if it is not.
    safe fn xs_array_index_nospec(index: c_uint, size: c_uint) -> c_uint;
    /// Safe: reads.
    safe fn xs_vcpu_is_running(v: &Opaque<vcpu>) -> bool;
    /// Safe: as `xs_flush_guest_tlb`, on this CPU.
    safe fn xs_flush_guest_tlb_local();
    /// Safe: invalidates what is read from memory again.
    safe fn xs_invalidate_icache_local();
}

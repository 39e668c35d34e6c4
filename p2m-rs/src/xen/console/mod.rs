// SPDX-License-Identifier: GPL-2.0-only
//! Every text that this code prints, in one place: people and tools read them,
//! so they are the C's, word for word.
//!
//! A text that a guest can cause carries `XENLOG_GUEST` (`<G>`) and so is
//! rate-limited (XSA-141).

mod printk;

use core::ffi::c_uint;

use xen_sys as sys;

use printk::Format;

use crate::types::addr::{Gfn, Gva, Maddr, Mfn};
use crate::types::errno::Errno;
use crate::xen::domain::Domain;
use crate::xen::iommu::IotlbFlush;
use crate::xen::page::Page;
use crate::xen::vcpu::Vcpu;

/// The log levels that the texts below begin with are this tree's.
#[cfg(target_os = "none")]
const _: () = {
    const fn same(ours: &[u8], theirs: &core::ffi::CStr) -> bool {
        matches!((ours, theirs.to_bytes()), ([a, b, c], [x, y, z]) if *a == *x && *b == *y && *c == *z)
    }
    assert!(same(b"<0>", sys::XENLOG_ERR));
    assert!(same(b"<1>", sys::XENLOG_WARNING));
    assert!(same(b"<2>", sys::XENLOG_INFO));
    assert!(same(b"<3>", sys::XENLOG_DEBUG));
    assert!(same(b"<G>", sys::XENLOG_GUEST));
};

/// `printk` with arguments that match the format ([`Format`] sees to that).
macro_rules! print {
    ($format:literal $(, $argument:expr)* $(,)?) => {
        // Inferred from the arguments, and looked at when this is compiled.
        Format::print(const { Format::new($format) }, ($($argument,)*))
    };
}

pub(crate) mod stage2;

/// The first line of the Rust p2m at boot: which implementation is linked.
pub fn implementation() {
    print!(
        c"p2m: Rust implementation (libxen_p2m %u.%u.%u)\n",
        version(env!("CARGO_PKG_VERSION_MAJOR")),
        version(env!("CARGO_PKG_VERSION_MINOR")),
        version(env!("CARGO_PKG_VERSION_PATCH"))
    );
}

/// A decimal number of the package's version.
const fn version(text: &str) -> c_uint {
    let mut digits = text.as_bytes();
    let mut number = 0;
    while let [digit, rest @ ..] = digits {
        number = number * 10 + (*digit - b'0') as c_uint;
        digits = rest;
    }
    number
}

/// `setup_virt_paging`: the sizes that were chosen.
pub fn stage2_sizes(ipa_bits: u32, pa_bits: u32, vmid_bits: u32) {
    print!(
        c"P2M: %d-bit IPA with %d-bit PA and %d-bit VMID\n",
        ipa_bits, pa_bits, vmid_bits
    );
}

/// `setup_virt_paging`: the shape of the tables.
pub fn stage2_shape(levels: u32, root_order: u32, vtcr: u64) {
    print!(
        c"P2M: %d levels with order-%d root, VTCR 0x%016lx\n",
        levels, root_order, vtcr
    );
}

/// `setup_virt_paging`: the machine or a driver wants an IPA size for which
/// there is no table shape.
pub fn panic_unsupported_ipa_bits(ipa_bits: u32) -> ! {
    // SAFETY: `%u` takes a u32.
    unsafe { sys::panic_xen!(c"%u-bit P2M is not supported\n", ipa_bits) }
}

/// `setup_virt_paging`: no memory at boot.
pub fn panic_no_empty_root() -> ! {
    // SAFETY: there is no conversion.
    unsafe { sys::panic_xen!(c"Unable to allocate root table for ARM64_WORKAROUND_AT_SPECULATE\n") }
}

/// `BUG()`: Xen cannot go on. Says why.
pub fn bug(why: &str) -> ! {
    let (length, why) = text(why);
    // SAFETY: `%.*s` takes the two parts of a text.
    unsafe { sys::printk!(c"<0>p2m: BUG: %.*s\n", length, why) };
    sys::xs_bug()
}

/// A Rust panic, at `line` of `file`, with its text if that is known.
pub fn rust_panic(file: &str, line: u32, why: &str) -> ! {
    let (length, file) = text(file);
    let (why_length, why) = text(why);
    let format = c"<0>p2m: Rust panic at %.*s:%u %.*s\n";
    // SAFETY: `%.*s` takes the two parts of a text, `%u` a u32.
    unsafe { sys::printk!(format, length, file, line, why_length, why) };
    sys::xs_bug()
}

/// `p2m_alloc_vmid`.
pub fn vmid_pool_exhausted(domain: &Domain) {
    print!(
        c"<0>p2m.c: dom%d: VMID pool exhausted\n",
        c_uint::from(domain.id())
    );
}

/// `p2m_alloc_page`.
pub fn no_table_page_for_hwdom() {
    print!(c"<G><0>Failed to allocate P2M pages for hwdom.\n");
}

/// `p2m_set_allocation`, growing.
/// Not rate-limited, as the next one: only a toolstack's requests end here, once each.
pub fn no_page_for_pool() {
    print!(c"<0>Failed to allocate P2M pages.\n");
}

/// `p2m_set_allocation`, shrinking below what is in use.
pub fn no_free_page_in_pool() {
    print!(c"<0>Failed to free P2M pages, P2M freelist is empty.\n");
}

/// `p2m_dump_info`: the head.
pub fn p2m_mappings_of(domain: &Domain, vmid: u16) {
    print!(
        c"p2m mappings for domain %d (vmid %d):\n",
        c_uint::from(domain.id()),
        c_uint::from(vmid)
    );
}

/// `p2m_dump_info`: the counts.
pub fn p2m_statistics(mappings: [u64; 3], shattered: [u64; 2]) {
    let ([l1, l2, l3], [split1, split2]) = (mappings, shattered);
    print!(c"  1G mappings: %ld (shattered %ld)\n", l1, split1);
    print!(c"  2M mappings: %ld (shattered %ld)\n", l2, split2);
    print!(c"  4K mappings: %ld\n", l3);
}

/// `dump_p2m_lookup`.
pub fn p2m_lookup_of(domain: &Domain, address: u64, root: Page) {
    print!(c"dom%d IPA 0x%016lx\n", c_uint::from(domain.id()), address);
    print!(c"P2M @ %p mfn:%#05lx\n", root, root.mfn().raw());
}

/// `map_dev_mmio_page`.
pub fn cannot_map_mmio(domain: &Domain, mfn: Mfn) {
    print!(
        c"<G><0>Unable to map MFN %#05lx in %pd\n",
        mfn.raw(),
        domain
    );
}

/// `relinquish_p2m_mapping`.
pub fn cannot_remove(domain: &Domain, gfn: Gfn, order: u32) {
    print!(
        c"<G><0>Unable to remove mapping gfn=%#05lx order=%u from the p2m of domain %d\n",
        gfn.raw(),
        order,
        c_uint::from(domain.id())
    );
}

/// `relinquish_p2m_mapping`, where the IOMMU did not flush: nobody else says so of a
/// domain that was shut down before.
pub fn kept_for_devices(domain: &Domain, gfn: Gfn) {
    print!(
        c"<G><0>d%d: devices may still reach what was mapped at gfn=%#05lx: it stays referenced\n",
        c_uint::from(domain.id()),
        gfn.raw()
    );
}

/// `p2m_flush_vm`.
pub fn cannot_clean_p2m(vcpu: &Vcpu, rc: i32) {
    print!(
        c"<G><1>%pv P2M has not been correctly cleaned (rc = %d)\n",
        vcpu, rc
    );
}

/// `p2m_set_way_flush` with tables that an IOMMU shares.
pub fn set_way_with_shared_tables(vcpu: &Vcpu) {
    print!(
        c"<G><0>%pv The cache should be flushed by VA rather than by set/way.\n",
        vcpu
    );
}

/// `iommu_iotlb_flush`, whose failure is handled here instead.
pub(crate) fn iotlb_flush_failed(
    domain: &Domain,
    errno: Errno,
    gfn: Gfn,
    pages: u64,
    flush: IotlbFlush,
) {
    if domain.is_shutting_down() {
        return;
    }
    if sys::xs_printk_ratelimit() {
        print!(
            c"<0>d%d: IOMMU IOTLB flush failed: %d, dfn %lx, page count %lu flags %x\n",
            c_uint::from(domain.id()),
            errno.to_c(),
            gfn.raw(),
            pages,
            flush.to_c()
        );
    }
}

/// `domain_crash`: where from.
#[track_caller]
pub(crate) fn domain_crash_called() {
    let place = core::panic::Location::caller();
    let (length, file) = text(place.file());
    let line = place.line();
    // SAFETY: `%.*s` takes the two parts of a text, `%u` a u32.
    unsafe { sys::printk!(c"<0>domain_crash called from %.*s:%u\n", length, file, line) };
}

/// A text for `%.*s`.
fn text(text: &str) -> (i32, *const u8) {
    (i32::try_from(text.len()).unwrap_or(0), text.as_ptr())
}

/// `get_page_from_gva`: the guest's own tables do not translate the address.
/// Debug builds only, as C's `dprintk`.
pub fn no_stage1_translation(vcpu: &Vcpu, gva: Gva) {
    if cfg!(debug_assertions) {
        print!(
            c"<G><3>p2m.c: %pv: Failed to walk page-table va %#016lx\n",
            vcpu,
            gva.raw()
        );
    }
}

/// `get_page_from_gva`: the address translates to no page. Debug builds only.
pub fn invalid_mfn(vcpu: &Vcpu, mfn: Mfn) {
    if cfg!(debug_assertions) {
        print!(c"<G><3>p2m.c: %pv: Invalid MFN %#05lx\n", vcpu, mfn.raw());
    }
}

/// `get_page_from_gva`: the page is not the domain's. Debug builds only.
pub fn cannot_get_page(vcpu: &Vcpu, mfn: Mfn) {
    if cfg!(debug_assertions) {
        print!(
            c"<G><3>p2m.c: %pv: Failing to acquire the MFN %#05lx\n",
            vcpu,
            mfn.raw()
        );
    }
}

/// `p2m_mem_access_check`: a monitor is required and there is none. Debug
/// builds only.
pub fn no_access_monitor(vcpu: &Vcpu) {
    if cfg!(debug_assertions) {
        print!(
            c"<G><2>mem_access.c: %pv Memory access permissions failure, no vm_event listener VCPU %d, dom %d\n",
            vcpu,
            vcpu.id(),
            c_uint::from(vcpu.domain().id())
        );
    }
}

/// `dump_pt_walk`: prints the walk of `address` from the root of a p2m. No lock is held, as in C, so that it
/// prints whatever state Xen is in: a table below the root may be freed meanwhile, and used for something
/// else.
pub(crate) fn dump_walk(root: Maddr, address: u64, root_level: u32, root_pages: u32) {
    // SAFETY: the root of a domain that the caller keeps.
    unsafe { sys::dump_pt_walk(root.raw(), address, root_level, root_pages) };
}

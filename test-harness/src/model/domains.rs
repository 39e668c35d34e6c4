// SPDX-License-Identifier: GPL-2.0-only
//! The domains and vCPUs of a machine: the C structures and what the mock
//! notes beside them.

use std::cell::Cell;

use xen_sys::{
    arch_domain, arch_vcpu, domain, hvm_domain, p2m_domain, p2m_stats, p2m_view, p2m_views,
    page_list_head, paging_domain, radix_tree_root, rwlock_t, vcpu, vm_event_domain, HVM_PARAMS,
    XS_NR_CPUS, XS_P2M_NO_VIEW, XS_P2M_VIEWS,
};

use crate::ground::handles::{Domain, View};

/// One domain.
pub(crate) struct DomainRecord {
    pub(crate) pointer: *mut domain,
    pub(crate) id: u16,
    pub(crate) hardware: bool,
    pub(crate) paused: bool,
    /// A monitor listens on the ring.
    pub(crate) ring: bool,
    pub(crate) crashes: u32,
    pub(crate) shutdowns: Vec<u8>,
    /// It was made with an IOMMU (`XEN_DOMCTL_CDF_iommu`), if the machine has one.
    pub(crate) iommu: bool,
    /// MMIO frames that the domain may map.
    pub(crate) iomem: Vec<std::ops::Range<u64>>,
    /// Tables that were released: `p2m_final_teardown()` ran.
    pub(crate) gone: bool,
}

impl DomainRecord {
    /// Address of the domain's p2m lock.
    pub(crate) fn lock_address(&self) -> usize {
        lock_of(self.pointer.addr())
    }
}

/// Address of the p2m lock of the domain at an address.
pub(crate) const fn lock_of(domain: usize) -> usize {
    domain
        + std::mem::offset_of!(xen_sys::domain, arch)
        + std::mem::offset_of!(xen_sys::arch_domain, p2m)
        + std::mem::offset_of!(xen_sys::p2m_domain, lock)
}

/// Address of the lock of the pool of the domain at an address.
pub(crate) const fn pool_lock_of(domain: usize) -> usize {
    domain
        + std::mem::offset_of!(xen_sys::domain, arch)
        + std::mem::offset_of!(xen_sys::arch_domain, paging)
        + std::mem::offset_of!(xen_sys::paging_domain, lock)
}

/// What a page list is for, and the address of whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListOf {
    /// The table pages of a domain's host p2m, or of one of its views.
    Tables(usize),
    /// The free pages of a domain's pool.
    Pool(usize),
    /// No list of ours.
    Others,
}

/// One vCPU.
pub(crate) struct VcpuRecord {
    pub(crate) pointer: *mut vcpu,
    pub(crate) domain: usize,
    pub(crate) id: i32,
    pub(crate) idle: bool,
}

/// Domains and vCPUs, in the order of their making.
#[derive(Default)]
pub(crate) struct Domains {
    pub(crate) domains: Vec<DomainRecord>,
    pub(crate) vcpus: Vec<VcpuRecord>,
    /// Which of them was found last.
    last_vcpu: Cell<usize>,
    /// The structures of views, and of all views of a domain.
    pub(crate) views: Vec<*mut p2m_view>,
    pub(crate) all_views: Vec<*mut p2m_views>,
    /// The ring structure of each domain, to which `vm_event_monitor` points as long as a monitor listens.
    pub(crate) rings: Vec<*mut vm_event_domain>,
}

// SAFETY: the pointers are to boxes that the world owns until it ends; what
// is behind them is Xen's to synchronise, which is what the tests are about.
unsafe impl Send for Domains {}

impl Domains {
    /// What a page list is for.
    pub(crate) fn list(&self, list: usize) -> ListOf {
        let of_host = self.domains.iter().find_map(|d| {
            let d = Domain(d.pointer);
            match list {
                it if it == d.pages_head() => Some(ListOf::Tables(d.address())),
                it if it == d.freelist_head() => Some(ListOf::Pool(d.address())),
                _ => None,
            }
        });
        let of_view = || {
            let view = self.views.iter().find(|v| View(**v).pages_head() == list)?;
            Some(ListOf::Tables(View(*view).domain().addr()))
        };
        of_host.or_else(of_view).unwrap_or(ListOf::Others)
    }

    /// Whether this is the list of some domain's table pages.
    pub(crate) fn has_tables_in(&self, list: usize) -> bool {
        matches!(self.list(list), ListOf::Tables(_))
    }

    /// The domain of a tree: of its host p2m or of one of its views.
    pub(crate) fn by_tree(&self, tree: usize) -> Option<&DomainRecord> {
        let of_view = |d: &&DomainRecord| {
            let (d, is) = (Domain(d.pointer), |view: &View| view.address() == tree);
            d.views().iter().any(|(_, view)| is(view))
        };
        self.by_address(tree)
            .or_else(|| self.domains.iter().find(of_view))
    }

    #[inline]
    pub(crate) fn by_address(&self, address: usize) -> Option<&DomainRecord> {
        self.domains.iter().find(|d| d.pointer.addr() == address)
    }

    /// The domain whose pool has that lock.
    pub(crate) fn by_pool_lock(&self, lock: usize) -> Option<Domain> {
        let mut domains = self.domains.iter().map(|d| Domain(d.pointer));
        domains.find(|d| pool_lock_of(d.address()) == lock)
    }

    pub(crate) fn by_address_mut(&mut self, address: usize) -> Option<&mut DomainRecord> {
        self.domains
            .iter_mut()
            .find(|d| d.pointer.addr() == address)
    }

    /// Whether this is the domain that each machine begins with: number 0.
    pub(crate) fn is_control(&self, address: usize) -> bool {
        self.by_address(address).is_some_and(|d| d.id == 0)
    }

    pub(crate) fn vcpu(&self, address: usize) -> Option<&VcpuRecord> {
        let is = |v: &&VcpuRecord| v.pointer.addr() == address;
        // Mostly it is the one that was asked for before.
        if let Some(last) = self.vcpus.get(self.last_vcpu.get()).filter(is) {
            return Some(last);
        }
        let at = self.vcpus.iter().position(|v| is(&v))?;
        self.last_vcpu.set(at);
        self.vcpus.get(at)
    }

    /// As `%pd` and `%pv` print it.
    pub(crate) fn name(&self, address: usize) -> String {
        if let Some(d) = self.by_address(address) {
            return format!("d{}", d.id);
        }
        match self.vcpu(address) {
            Some(v) => format!("{}v{}", self.name(v.domain), v.id),
            None => format!("<no domain or vCPU {address:#x}>"),
        }
    }
}

/// Fills what `p2m_init()` has to write with what no p2m begins with. The rest it
/// leaves as `alloc_domain_struct()` cleared it, in C, too: the statistics,
/// `need_flush`, `access_required`, and the root and the back pointer, which say
/// how far a p2m_init() that failed has got.
pub fn poison_p2m(p2m: &mut p2m_domain) {
    p2m.vmid = 0xA5A5;
    p2m.vttbr = 0xA5A5_A5A5_A5A5_A000;
    p2m.max_mapped_gfn = 0xA5_A5A5;
    p2m.lowest_mapped_gfn = 0xA5;
    p2m.clean_pte = true;
    p2m.mem_access_enabled = true;
    p2m.default_access = 0;
    p2m.last_vcpu_ran.fill(0xA5);
    p2m.mem_access_settings.height = 0xA5A5;
}

/// A `struct domain` as `alloc_domain_struct()` leaves it: all zeroes. DOMID_IO
/// stays so.
pub(crate) fn new_domain(id: u16) -> Box<domain> {
    Box::new(domain {
        domain_id: id,
        is_dying: 0,
        is_shutting_down: false,
        vm_event_monitor: std::ptr::null_mut(),
        arch: arch_domain {
            p2m: new_p2m(),
            paging: paging_domain::default(),
            hvm: hvm_domain {
                params: [0; HVM_PARAMS],
            },
        },
    })
}

pub(crate) fn new_vcpu(id: i32, domain: *mut domain) -> Box<vcpu> {
    Box::new(vcpu {
        vcpu_id: id,
        domain,
        arch: arch_vcpu::default(),
    })
}

fn new_p2m() -> p2m_domain {
    p2m_domain {
        lock: rwlock_t::default(),
        pages: page_list_head::default(),
        root: std::ptr::null_mut(),
        vmid: 0,
        vttbr: 0,
        max_mapped_gfn: 0,
        lowest_mapped_gfn: 0,
        clean_pte: false,
        need_flush: false,
        stats: p2m_stats::default(),
        access_required: false,
        mem_access_enabled: false,
        default_access: 0,
        mem_access_settings: radix_tree_root::default(),
        domain: std::ptr::null_mut(),
        last_vcpu_ran: [0; xen_sys::XS_NR_CPUS as usize],
        views: std::ptr::null_mut(),
    }
}

/// A `struct p2m_view`, all zeroes.
pub(crate) fn new_view() -> Box<p2m_view> {
    Box::new(p2m_view {
        p2m: new_p2m(),
        first_source: 0,
        last_source: 0,
    })
}

/// A `struct p2m_views` as it is when a domain is created that may have views.
pub(crate) fn new_views() -> Box<p2m_views> {
    Box::new(p2m_views {
        last_ran: [XS_P2M_NO_VIEW as u16; XS_NR_CPUS as usize],
        active: false,
        nr: XS_P2M_VIEWS as u16,
        visible: 0,
        reclaim: 0,
        view: [std::ptr::null_mut(); XS_P2M_VIEWS as usize],
    })
}

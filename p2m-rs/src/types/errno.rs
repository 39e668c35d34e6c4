// SPDX-License-Identifier: GPL-2.0-only
//! The errno values that this code returns, and their conversion to C's `int`.

use core::ffi::c_int;
use core::num::NonZeroI32;

/// An error of Xen's ABI: the negated errno, as in C. So a [`Result`] has the layout of
/// C's `int`, with 0 for success.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(NonZeroI32);

/// Result of an operation on the p2m.
pub type Result<T = ()> = core::result::Result<T, Errno>;

static_assertions::assert_eq_size!(Result, c_int);

impl Errno {
    /// Nothing is mapped there, or not what is asked for.
    pub const ESRCH: Self = Self::of(3);
    /// Out of memory.
    pub const ENOMEM: Self = Self::of(12);
    /// An address of a guest's cannot be read.
    pub const EFAULT: Self = Self::of(14);
    /// No VMID is left; or the view is in use, or there is none.
    pub const EBUSY: Self = Self::of(16);
    /// Invalid argument.
    pub const EINVAL: Self = Self::of(22);
    /// Not implemented.
    pub const ENOSYS: Self = Self::of(38);
    /// The request does not match what is mapped.
    pub const EILSEQ: Self = Self::of(84);
    /// Preempted: the caller must call again to continue.
    pub const ERESTART: Self = Self::of(85);
    /// Operation not supported.
    pub const EOPNOTSUPP: Self = Self::of(95);

    /// The error with the number `errno`, which must be positive.
    const fn of(errno: c_int) -> Self {
        match NonZeroI32::new(-errno) {
            Some(value) => Self(value),
            None => Self(NonZeroI32::MIN),
        }
    }

    /// The negative value that C expects.
    pub const fn to_c(self) -> c_int {
        self.0.get()
    }

    /// Converts the return value of a Xen function: 0 or more is success.
    pub fn check(rc: c_int) -> Result {
        match NonZeroI32::new(rc) {
            Some(value) if rc < 0 => Err(Self(value)),
            _ => Ok(()),
        }
    }
}

/// Why a change of the tables was not completed. Only the variant tells the reasons apart, not
/// the errno: an IOMMU driver may return -ENOMEM as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no page for a table. After removed and empty tables are freed, another attempt
    /// may succeed (`table::sweep`).
    NoTable,
    /// The IOTLB flush failed, so devices may still reach what was mapped
    /// before. The tables have changed.
    Iommu(Errno),
    /// The request cannot be granted: a dying domain, a frame beyond the root, no such view.
    Refused(Errno),
}

impl From<Failure> for Errno {
    fn from(failure: Failure) -> Self {
        match failure {
            // Not -ENOENT as in C for an insertion, which tools take for a page that is
            // paged out, and try again for ever (docs/differences.md, B9).
            Failure::NoTable => Self::ENOMEM,
            Failure::Iommu(errno) | Failure::Refused(errno) => errno,
        }
    }
}

/// Result of a change of the tables.
pub type Outcome<T = ()> = core::result::Result<T, Failure>;

/// C's value of a result: 0, or the negated errno.
pub fn to_c(result: Result) -> c_int {
    result.map_or_else(Errno::to_c, |()| 0)
}

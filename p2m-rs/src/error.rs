// SPDX-License-Identifier: GPL-2.0-only
//! The errno values that this code returns, and how they reach C.
#![forbid(unsafe_code)]

use core::ffi::c_int;

/// An error of Xen's ABI; C sees the negated value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// No such entry: here, a table could not be had for an insertion.
    NoEnt,
    /// No such mapping.
    Srch,
    /// Out of memory.
    NoMem,
    /// No VMID left.
    Busy,
    /// An argument makes no sense.
    Inval,
    /// A stored value is out of range.
    Range,
    /// Not implemented, nor ever.
    NoSys,
    /// The request does not match what is mapped.
    IlSeq,
    /// Preempted: call again with the same arguments.
    Restart,
    /// Not implemented here.
    OpNotSupp,
    /// Whatever else a Xen function returned (a negative errno).
    Other(i32),
}

/// Result of an operation on the p2m.
pub type Result<T = ()> = core::result::Result<T, Errno>;

impl Errno {
    /// The negative value that C expects.
    pub const fn to_c(self) -> c_int {
        let errno = match self {
            Self::NoEnt => 2,
            Self::Srch => 3,
            Self::NoMem => 12,
            Self::Busy => 16,
            Self::Inval => 22,
            Self::Range => 34,
            Self::NoSys => 38,
            Self::IlSeq => 84,
            Self::Restart => 85,
            Self::OpNotSupp => 95,
            Self::Other(rc) => return rc,
        };
        -errno
    }

    /// From the return value of a Xen function: 0 or more is success.
    pub const fn check(rc: c_int) -> Result {
        if rc < 0 {
            Err(Self::Other(rc))
        } else {
            Ok(())
        }
    }
}

/// 0, or the negated errno.
pub fn to_c(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(errno) => errno.to_c(),
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! [`P2mAccess`]: an access, C's `p2m_access_t`.
//!
//! An access restricts the rights that a mapping's type gives. mem_access reports a violation
//! to the monitor (vm_event) instead of to the guest. The values are ABI: callers pass
//! them. Table entries store them, encoded ([`super::pte`]). The public interface's
//! `xenmem_access_t` has the same values for the same names, and one more for
//! "the domain's default" (see `mem_access-rs`).

/// The rights that mem_access leaves to the guest.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum P2mAccess {
    /// None.
    N = 0,
    /// Read.
    R = 1,
    /// Write.
    W = 2,
    /// Read and write.
    Rw = 3,
    /// Execute.
    X = 4,
    /// Read and execute.
    Rx = 5,
    /// Write and execute.
    Wx = 6,
    /// No restriction.
    Rwx = 7,
    /// Read and execute; becomes read-write on a write.
    Rx2rw = 8,
    /// None; becomes unrestricted on any access, with an event that does not
    /// pause the vCPU.
    N2rwx = 9,
    /// Read; on x86 page-table walks may write as well. Not every release has it
    /// ([`Facts::r_pw`](xen_sys::Facts)).
    RPw = 10,
}

impl P2mAccess {
    /// All accesses, by value.
    pub const ALL: [Self; 11] = [
        Self::N,
        Self::R,
        Self::W,
        Self::Rw,
        Self::X,
        Self::Rx,
        Self::Wx,
        Self::Rwx,
        Self::Rx2rw,
        Self::N2rwx,
        Self::RPw,
    ];

    /// From C's value; `None` for values that no access has.
    #[inline(always)]
    pub const fn from_c(value: u64) -> Option<Self> {
        Some(match value {
            0 => Self::N,
            1 => Self::R,
            2 => Self::W,
            3 => Self::Rw,
            4 => Self::X,
            5 => Self::Rx,
            6 => Self::Wx,
            7 => Self::Rwx,
            8 => Self::Rx2rw,
            9 => Self::N2rwx,
            10 => Self::RPw,
            _ => return None,
        })
    }

    /// C's value.
    pub const fn to_c(self) -> u32 {
        self as u32
    }

    /// Whether reads are allowed.
    pub const fn allows_read(self) -> bool {
        matches!(
            self,
            Self::R | Self::Rw | Self::Rx | Self::Rwx | Self::Rx2rw | Self::RPw
        )
    }

    /// Whether writes are allowed.
    pub const fn allows_write(self) -> bool {
        matches!(self, Self::W | Self::Rw | Self::Wx | Self::Rwx)
    }

    /// Whether instruction fetches are allowed.
    pub const fn allows_execute(self) -> bool {
        matches!(
            self,
            Self::X | Self::Rx | Self::Wx | Self::Rwx | Self::Rx2rw
        )
    }
}

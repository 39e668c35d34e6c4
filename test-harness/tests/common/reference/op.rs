// SPDX-License-Identifier: GPL-2.0-only
//! The operations, and where they come from.

use arbitrary::{Result, Unstructured};
use test_harness::{Domain, Reach, Writer};

use crate::common::{access, p2mt, ram, M2};

/// One operation.
#[derive(Debug, Clone)]
pub enum Op {
    Insert {
        gfn: u64,
        nr: u64,
        mfn: u64,
        t: u32,
    },
    Foreign {
        gfn: u64,
        mfn: u64,
    },
    Remove {
        gfn: u64,
        nr: u64,
        honest: bool,
    },
    SetAccess {
        gfn: u64,
        nr: u64,
        access: u32,
    },
    DefaultAccess {
        access: u32,
    },
    Invalidate,
    Resolve {
        gfn: u64,
    },
    /// A hypercall whose buffer is at `gfn`, and the guest's tables at `tables`.
    Copy {
        gfn: u64,
        tables: u64,
        how: Copying,
    },
    /// Somebody writes a page, in the caches.
    Write {
        gfn: u64,
        writer: Writer,
    },
    /// A range is cleaned to memory, or all of the guest's.
    Clean {
        gfn: u64,
        nr: u64,
        vm: bool,
    },
    /// A permission fault of the vCPU that runs: all 128 values of `npfec`, of
    /// which the tests draw.
    Fault {
        gfn: u64,
        npfec: u32,
    },
    /// Somebody listens, or not; a fault without a listener crashes, or not.
    Monitor {
        listens: bool,
        required: bool,
    },
    /// `d->is_dying`: 0, 1 or 2.
    Dying {
        state: u32,
    },
}

impl Op {
    /// What of the tables it may change.
    pub(super) fn reach(&self, d: Domain) -> Reach {
        let range = |gfn: u64, nr: u64| Reach::of(d, gfn..gfn + nr);
        match *self {
            Self::Insert { gfn, nr, .. }
            | Self::Remove { gfn, nr, .. }
            | Self::SetAccess { gfn, nr, .. } => range(gfn, nr),
            Self::Foreign { gfn, .. } | Self::Fault { gfn, .. } => range(gfn, 1),
            Self::DefaultAccess { .. } | Self::Monitor { .. } | Self::Dying { .. } => {
                Reach::nothing()
            }
            Self::Invalidate
            | Self::Resolve { .. }
            | Self::Copy { .. }
            | Self::Write { .. }
            | Self::Clean { .. } => Reach::valid_bits(),
        }
    }
}

/// Which way a buffer is copied, and whether the guest may write it.
#[derive(Debug, Clone, Copy)]
pub struct Copying {
    pub write: bool,
    pub writable: bool,
}

/// Two stretches that matter, in frames from their start: the low end with its
/// 2 MiB boundaries, and the last 4 MiB of the address space and a bit beyond.
pub fn place(limit: u64, top: bool, offset: u64) -> u64 {
    if top {
        limit - 2 * M2 + offset
    } else {
        offset
    }
}

/// Everybody who writes a guest's pages; Xen does it as the others do, since where it
/// copies for a hypercall is [`Op::Copy`]'s.
pub const WRITERS: [Writer; 4] = [
    Writer::Guest,
    Writer::Xen,
    Writer::Backend,
    Writer::Toolstack,
];

impl Op {
    /// An operation from a fuzzer's bytes; the ranges are those of the random
    /// tests.
    pub(super) fn from_bytes(limit: u64, bytes: &mut Unstructured<'_>) -> Result<Self> {
        let kind = bytes.int_in_range(0..=9)?;
        let at = |bytes: &mut Unstructured<'_>| -> Result<u64> {
            Ok(bytes.int_in_range(0..=3)? * M2 + bytes.int_in_range(0..=5)?)
        };
        let gfn = place(limit, bytes.arbitrary()?, at(bytes)?);
        let nr = match bytes.int_in_range(0..=10)? {
            8 => M2,
            9 => M2 + 1,
            10 => 2 * M2,
            few => few + 1,
        };
        let access = bytes.int_in_range(access::N..=access::R_PW)?;
        Ok(match kind {
            0 => Self::Insert {
                gfn,
                nr,
                mfn: ram(0) + at(bytes)?,
                t: *bytes.choose(&[
                    p2mt::RAM_RW,
                    p2mt::RAM_RO,
                    p2mt::MMIO_DEV,
                    p2mt::MMIO_C,
                    p2mt::GRANT_RW,
                    p2mt::GRANT_RO,
                ])?,
            },
            1 => Self::Foreign {
                gfn,
                mfn: ram(1) + bytes.int_in_range(0..=15)?,
            },
            2 => Self::Remove {
                gfn,
                nr,
                honest: bytes.ratio(4, 5)?,
            },
            3 => Self::SetAccess { gfn, nr, access },
            4 => Self::DefaultAccess { access },
            // Most inputs of the corpus are older than the next three, and mean what they
            // meant.
            5 => match access {
                access::RWX | access::RX2RW => Self::Copy {
                    gfn,
                    tables: place(limit, false, at(bytes)?),
                    how: Copying {
                        write: bytes.arbitrary()?,
                        writable: bytes.arbitrary()?,
                    },
                },
                access::N2RWX => Self::Write {
                    gfn,
                    writer: *bytes.choose(&WRITERS)?,
                },
                access::R_PW => Self::Clean {
                    gfn,
                    nr,
                    vm: bytes.arbitrary()?,
                },
                _ => Self::Invalidate,
            },
            6 => Self::Resolve { gfn },
            7 => Self::Fault {
                gfn,
                npfec: bytes.int_in_range(0..=0x7F)?,
            },
            8 => Self::Monitor {
                listens: bytes.arbitrary()?,
                required: bytes.arbitrary()?,
            },
            _ => Self::Dying {
                state: bytes.int_in_range(0..=2)?,
            },
        })
    }
}

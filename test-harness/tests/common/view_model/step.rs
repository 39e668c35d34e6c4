// SPDX-License-Identifier: GPL-2.0-only
//! What a toolstack, a monitor and guests in views do.

use arbitrary::{Result, Unstructured};

use super::super::M2;

/// Frames that the sequences use: pages, and blocks of 2 MiB.
pub const FIRST: u64 = 0x4000;
pub const FRAMES: u64 = 2 * M2;

#[derive(Clone, Debug)]
pub enum Step {
    /// The host maps a page to another of the domain's frames.
    Map(u64, u64),
    /// The host maps a block of 2 MiB.
    MapBlock(u64),
    /// The host unmaps some pages.
    Unmap(u64, u64),
    /// The host's access of a page.
    HostAccess(u64, bool),
    Create(bool),
    Destroy(u16),
    Access(u16, u64, bool),
    Remap(u16, u64, u64),
    ForgetRemapping(u16, u64),
    /// A vCPU goes on in a view.
    Enter(usize, u16),
    /// A guest reads.
    Read(usize, u64),
    /// A guest writes: what refuses that is judged and lifted, or a monitor hears of it.
    Write(usize, u64),
    /// Xen reads or writes a buffer of a guest's, in a hypercall.
    Copy(usize, u64, bool),
    /// A monitor begins to listen, or stops to.
    Listen(bool),
    /// What is tracked is forgotten, as by a set/way operation, which cleans all RAM.
    Clean(usize),
}

/// Where in the frames: `which` of a few, so that steps meet.
fn frame(bytes: &mut Unstructured<'_>) -> Result<u64> {
    let offset = match bytes.int_in_range(0..=9)? {
        near @ 0..=3 => near,
        middle @ 4..=7 => M2 - 6 + middle,
        end => FRAMES - 10 + end,
    };
    Ok(FIRST + offset)
}

impl Step {
    /// The next step of a fuzzer's input.
    ///
    /// # Errors
    ///
    /// The input ends.
    pub fn from_bytes(bytes: &mut Unstructured<'_>) -> Result<Self> {
        let kind = bytes.int_in_range(0..=14)?;
        let gfn = frame(bytes)?;
        let view = |bytes: &mut Unstructured<'_>| bytes.int_in_range(1..=3_u16);
        let cpu = |bytes: &mut Unstructured<'_>| bytes.choose_index(3);
        Ok(match kind {
            0 => Self::Map(gfn, bytes.int_in_range(0..=63)?),
            1 => Self::MapBlock(bytes.int_in_range(0..=1)?),
            2 => Self::Unmap(gfn, bytes.int_in_range(1..=3)?),
            3 => Self::HostAccess(gfn, bytes.arbitrary()?),
            4 => Self::Create(bytes.arbitrary()?),
            5 => Self::Destroy(view(bytes)?),
            6 => Self::Access(view(bytes)?, gfn, bytes.arbitrary()?),
            7 => Self::Remap(view(bytes)?, gfn, frame(bytes)?),
            8 => Self::ForgetRemapping(view(bytes)?, gfn),
            9 => Self::Enter(cpu(bytes)?, bytes.int_in_range(0..=3)?),
            10 => Self::Read(cpu(bytes)?, gfn),
            11 => Self::Write(cpu(bytes)?, gfn),
            12 => Self::Copy(cpu(bytes)?, gfn, bytes.arbitrary()?),
            13 => Self::Listen(bytes.arbitrary()?),
            _ => Self::Clean(cpu(bytes)?),
        })
    }
}

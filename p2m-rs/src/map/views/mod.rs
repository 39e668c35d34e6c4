// SPDX-License-Identifier: GPL-2.0-only
//! Views (altp2m): what becomes of what they have copied when the host p2m changes.
#![forbid(unsafe_code)]

use crate::p2m::lock::WriteView;
use crate::types::addr::Gfn;
use crate::types::owner::Forgotten;

/// Has all views of the p2m forget `pages` frames from `gfn` on, whose mappings are about to
/// change: afterwards no view maps any of them, and neither does a TLB because of a view.
#[inline(always)]
pub fn forget<'l>(write: &mut WriteView<'l>, _gfn: Gfn, _pages: u64) -> Forgotten<'l> {
    write.forgotten()
}

/// Has all views of the p2m, which is about to be emptied, forget everything.
#[inline(always)]
pub(crate) fn forget_all<'l>(write: &mut WriteView<'l>) -> Forgotten<'l> {
    write.forgotten()
}

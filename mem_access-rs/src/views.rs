// SPDX-License-Identifier: GPL-2.0-only
//! The accesses of pages in a view (altp2m): what `p2m_set_mem_access`,
//! `p2m_set_mem_access_multi` and `p2m_get_mem_access` do if they are called with a view's number.
//!
//! The meaning is that of x86, but for what docs/altp2m.md lists. Of that two things concern these
//! functions: pages of every type have an access, not only of RAM; and what is not copied yet has
//! the view's default, where x86 says -ESRCH.
#![forbid(unsafe_code)]

use p2m_rs::map::lookup::end_of_root;
use p2m_rs::map::views::{access_of, set_accesses};
use p2m_rs::p2m::lock::{ReadView, WriteView};
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::views::Number;
use p2m_rs::p2m::P2m;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::Gfn;
use p2m_rs::types::errno::{Errno, Result};
use p2m_rs::xen::cpu;

use crate::settings::{Progress, Range};
use crate::xenmem::XenmemAccess;

/// The most pages that are set with one TLB flush. A call can be continued at its multiples.
const BATCH: u32 = 64;

/// The view of that number.
///
/// # Errors
///
/// [`Errno::EINVAL`] if there is none, or the domain uses no views.
fn existing(host: &ReadView, number: u32) -> Result<Number> {
    let number = u16::try_from(number).ok().and_then(Number::from_c);
    let number = number.filter(|&number| host.uses_views() && host.view(number).is_some());
    number.ok_or(Errno::EINVAL)
}

/// Looks whether there is a view of that number, unless it is 0, which is the host p2m.
///
/// # Errors
///
/// [`Errno::EINVAL`] if there is none.
pub(crate) fn must_exist(cx: &mut Unlocked<'_>, p2m: &P2m, number: u32) -> Result {
    match number {
        0 => Ok(()),
        number => existing(&p2m.read(cx), number).map(|_| ()),
    }
}

/// Sets the access of all pages of a range in a view. Where the host p2m maps nothing, nothing
/// happens. The default access is that of the host p2m, as on x86.
///
/// # Errors
///
/// [`Errno::EINVAL`] if there is no such view, or those of [`p2m_rs::map::views::set_access`];
/// the pages before the failing one have the access.
pub fn set(
    cx: &mut Unlocked<'_>,
    p2m: &P2m,
    number: u32,
    range: Range,
    access: XenmemAccess,
) -> Result<Progress> {
    let mut write = p2m.write(cx);
    let number = existing(&write, number)?;
    let access = access.or_default(|| write.default_access());
    let mut start = range.start;
    while start < range.nr {
        let end = range.nr.min(start.saturating_add(BATCH - start % BATCH));
        let pages = (start..end).map(|page| Ok((range.gfn.add(page.into()), access)));
        set_accesses(&mut write, number, pages)?;
        start = end;
        if start < range.nr && start & range.mask == 0 && cpu::general_preempt_check() {
            return Ok(Progress::RestartAt(start));
        }
    }
    Ok(Progress::Done)
}

/// Sets the accesses of some frames in a view, in order; there is an access for each.
pub(crate) fn set_copied(
    write: &mut WriteView<'_>,
    number: u32,
    gfns: &[u64],
    accesses: &[u8],
) -> Result {
    let number = existing(write, number)?;
    let default = write.default_access();
    let end = end_of_root();
    let pages = gfns.iter().zip(accesses).map(|(&gfn, &raw)| {
        let access = XenmemAccess::from_c(raw.into()).ok_or(Errno::EINVAL)?;
        let gfn = Some(Gfn::new(gfn)).filter(|&gfn| gfn < end);
        Ok((gfn.ok_or(Errno::EINVAL)?, access.or_default(|| default)))
    });
    set_accesses(write, number, pages)
}

/// The access of `gfn` in a view, or the view's default access if `gfn` is `None`.
///
/// # Errors
///
/// [`Errno::EINVAL`] if there is no such view; [`Errno::ESRCH`] if the host p2m maps nothing
/// there.
pub fn get(cx: &mut Unlocked<'_>, p2m: &P2m, number: u32, gfn: Option<Gfn>) -> Result<P2mAccess> {
    let host = p2m.read(cx);
    let number = existing(&host, number)?;
    match gfn {
        Some(gfn) => access_of(&host, number, gfn).ok_or(Errno::ESRCH),
        None => Ok(host.view(number).ok_or(Errno::EINVAL)?.default_access()),
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! Which view a vCPU runs in: that of all vCPUs of a domain (`HVMOP_altp2m_switch_p2m`), and
//! that of one, which a monitor's answer names (`p2m_altp2m_check`).
//!
//! The vCPUs are paused, and none is running, which [`PausedDomain`] and [`PausedVcpu`] say: the next
//! context switch to a vCPU loads the tables of its view ([`crate::guest::context`]). A vCPU that merely
//! was told to pause would go on with the old ones, if it is let go before its CPU has switched away from
//! it.
//!
//! A vCPU's view changes only under the host p2m's write lock, and so does what views there are:
//! no vCPU enters a view that is being destroyed.
#![forbid(unsafe_code)]

use super::view_state;
use crate::p2m::lock::{ReadView, WriteView};
use crate::p2m::token::Unlocked;
use crate::p2m::views::Number;
use crate::p2m::P2m;
use crate::types::errno::{Errno, Result};
use crate::xen::domain::PausedDomain;
use crate::xen::vcpu::{PausedVcpu, Vcpu};

/// Has all vCPUs of the domain go on in that view; 0 is the host p2m.
///
/// # Errors
///
/// [`Errno::EOPNOTSUPP`] if the domain uses no views; [`Errno::EINVAL`] if there is no view of
/// that number, or it is hidden.
pub(crate) fn switch_domain(
    cx: &mut Unlocked<'_>,
    paused: PausedDomain<'_>,
    number: u16,
) -> Result {
    let mut write = P2m::host_of(paused.domain()).write(cx);
    must_exist(&write, number)?;
    if !view_state::is_visible(&write, number) {
        return Err(Errno::EINVAL);
    }
    enter(&mut write, paused, number);
    Ok(())
}

/// Has one vCPU go on in that view, hidden or not; 0 is the host p2m.
///
/// # Errors
///
/// [`Errno::EOPNOTSUPP`] if the domain uses no views; [`Errno::EINVAL`] if there is no view of
/// that number.
pub(crate) fn switch_vcpu(cx: &mut Unlocked<'_>, vcpu: PausedVcpu<'_>, number: u16) -> Result {
    let write = P2m::host_of(vcpu.domain()).write(cx);
    must_exist(&write, number)?;
    vcpu.set_view(number);
    Ok(())
}

/// Shows a view to [`switch_domain`], or hides it; 0 is the host p2m.
///
/// # Errors
///
/// [`Errno::EOPNOTSUPP`] if the domain uses no views; [`Errno::EINVAL`] if there is no view of
/// that number.
pub(crate) fn set_visible(write: &mut WriteView<'_>, number: u16, visible: bool) -> Result {
    must_exist(write, number)?;
    view_state::set_visible(write, number, visible);
    Ok(())
}

/// Has all vCPUs of the domain, whose host p2m it is, go on in a view that exists, or in the host p2m,
/// which is 0.
pub(super) fn enter(write: &mut WriteView<'_>, paused: PausedDomain<'_>, number: u16) {
    debug_assert!(write.p2m().domain() == Some(paused.domain()));
    for vcpu in PausedVcpu::all_of(paused) {
        vcpu.set_view(number);
    }
}

/// Whether a vCPU of the domain is in that view. It leaves or enters one under this lock.
pub(super) fn is_entered(write: &WriteView<'_>, number: Number) -> bool {
    let mut vcpus = write.p2m().domain().into_iter().flat_map(Vcpu::all_of);
    vcpus.any(|vcpu| vcpu.view() == number.to_c())
}

fn must_exist(host: &ReadView, number: u16) -> Result {
    if !host.uses_views() {
        return Err(Errno::EOPNOTSUPP);
    }
    let exists = |number| host.view(number).is_some();
    if number == 0 || Number::from_c(number).is_some_and(exists) {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

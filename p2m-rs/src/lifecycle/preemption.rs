// SPDX-License-Identifier: GPL-2.0-only
//! [`Preemption`]: an argument of what may take long.
#![forbid(unsafe_code)]

/// The number of steps between two preemption checks.
pub(crate) const PREEMPT_EVERY: u64 = 512;

/// Whether the caller can be preempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preemption {
    /// Stop when preemption is due, and return -ERESTART.
    Allowed,
    /// Continue to the end.
    Forbidden,
}

impl Preemption {
    /// From C's flag.
    pub(crate) const fn of(is_allowed: bool) -> Self {
        if is_allowed {
            Self::Allowed
        } else {
            Self::Forbidden
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! An operation and the side on which it is carried out.

use xen_sys::{domain, p2m_domain};

use super::outcome::{word, Outcome, Prepared};
use crate::ops::op::Op;
use crate::sides::exports::Exports;
use crate::sides::side::Side;

/// What an operation is carried out with.
#[derive(Clone, Copy)]
pub(crate) struct Request<'r> {
    pub(crate) side: &'r Side,
    pub(crate) op: &'r Op,
    pub(crate) prepared: Prepared,
    /// The frame that a removal may mean.
    pub(crate) there: u64,
    /// An IOMMU uses the tables.
    pub(crate) shared: bool,
}

impl Request<'_> {
    pub(crate) fn exports(self) -> &'static Exports {
        self.side.exports
    }

    /// The domain: the first argument of most operations.
    pub(crate) fn domain(self) -> *mut domain {
        self.side.domain(self.op.args[0])
    }

    pub(crate) fn p2m(self) -> *mut p2m_domain {
        self.side.p2m(self.op.args[0])
    }

    /// The arguments after the domain.
    pub(crate) fn args(self) -> [u64; 5] {
        let [_, a, b, c, d, e] = self.op.args;
        [a, b, c, d, e]
    }

    /// Under the domain's p2m write lock.
    pub(crate) fn write_locked<R>(self, body: impl FnOnce() -> R) -> R {
        self.side.write_locked(self.op.args[0], body)
    }
}

/// A return code alone.
pub(crate) fn returned(rc: i32) -> Outcome {
    vec![("return", word(rc))]
}

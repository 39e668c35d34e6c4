// SPDX-License-Identifier: GPL-2.0-only
//! What is drawn: a dump, or two and what differs.

use crate::dump::Dump;
use crate::facts::{changes, Change, Summary};

/// What is drawn.
pub struct Subject<'d> {
    /// The dump.
    pub(super) dump: &'d Dump,
    pub(super) summary: Summary,
    /// The one before it, and what has changed since.
    pub(super) before: Option<Before<'d>>,
}

/// What there was before.
pub(super) struct Before<'d> {
    pub(super) dump: &'d Dump,
    pub(super) summary: Summary,
    pub(super) changes: Vec<Change>,
}

impl<'d> Subject<'d> {
    /// One dump.
    #[must_use]
    pub fn one(dump: &'d Dump) -> Self {
        Self {
            dump,
            summary: Summary::of(dump),
            before: None,
        }
    }

    /// What has changed from one to another.
    #[must_use]
    pub fn two(before: &'d Dump, after: &'d Dump) -> Self {
        Self {
            before: Some(Before {
                dump: before,
                summary: Summary::of(before),
                changes: changes(before, after),
            }),
            ..Self::one(after)
        }
    }

    /// The dumps that have something to draw.
    pub(super) fn dumps(&self) -> impl Iterator<Item = &'d Dump> {
        let before = self.before.as_ref().map(|before| before.dump);
        before.into_iter().chain([self.dump])
    }

    pub(super) fn changes(&self) -> &[Change] {
        self.before.as_ref().map_or(&[], |before| &before.changes)
    }
}

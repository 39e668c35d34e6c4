// SPDX-License-Identifier: GPL-2.0-only
//! What is drawn: a dump, or two and what differs.

use std::borrow::Cow;

use crate::dump::Dump;
use crate::facts::{changes, compared_until, Change, Summary};

/// What is drawn.
pub struct Subject<'d> {
    /// The dump; if there are two, up to where they can be compared.
    pub(super) dump: Cow<'d, Dump>,
    pub(super) summary: Summary,
    /// The one before it, and what has changed since.
    pub(super) before: Option<Before<'d>>,
}

/// What there was before.
pub(super) struct Before<'d> {
    pub(super) dump: Cow<'d, Dump>,
    pub(super) summary: Summary,
    pub(super) changes: Vec<Change>,
}

impl<'d> Subject<'d> {
    /// One dump.
    #[must_use]
    pub fn one(dump: &'d Dump) -> Self {
        Self::of(Cow::Borrowed(dump))
    }

    fn of(dump: Cow<'d, Dump>) -> Self {
        Self {
            summary: Summary::of(&dump),
            dump,
            before: None,
        }
    }

    /// What has changed from one to another.
    #[must_use]
    pub fn two(before: &'d Dump, after: &'d Dump) -> Self {
        let changes = changes(before, after);
        let cut = |dump: &'d Dump| match compared_until(before, after) {
            Some(end) => Cow::Owned(dump.until(end)),
            None => Cow::Borrowed(dump),
        };
        let old = cut(before);
        Self {
            before: Some(Before {
                summary: Summary::of(&old),
                dump: old,
                changes,
            }),
            ..Self::of(cut(after))
        }
    }

    /// The dumps that have something to draw.
    pub(super) fn dumps(&self) -> impl Iterator<Item = &Dump> {
        let before = self.before.as_ref().map(|before| &*before.dump);
        before.into_iter().chain([&*self.dump])
    }

    pub(super) fn changes(&self) -> &[Change] {
        self.before.as_ref().map_or(&[], |before| &before.changes)
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! [`Fix`]: one difference, and the edits that mend it.

use super::super::edit::Edit;

/// An entry of docs/differences.md.
pub struct Fix {
    /// As there, with a letter where one entry is several edits.
    pub id: &'static str,
    /// What the edits do.
    pub what: &'static str,
    /// The edits.
    pub edits: &'static [Edit],
}

// SPDX-License-Identifier: GPL-2.0-only
//! [`Outcome`]: what the table and the page show.

use super::steps::Step;
use crate::base::version::Version;

/// What came of one release.
pub(super) struct Outcome {
    pub(super) release: Version,
    /// The source, as its name or commit says.
    pub(super) source: String,
    pub(super) steps: Vec<Step>,
}

// SPDX-License-Identifier: GPL-2.0-only
//! A monitor of our own (`xtask/guests/monitor`), against libxenctrl.

mod document;
mod table;
mod watch;

use crate::e2e::scenario::Scenario;

pub(super) use table::TABLE;
pub(super) use watch::KILLED;

/// In the order in which they run.
pub(in crate::e2e) const WITH_MONITOR: &[Scenario] = &[
    TABLE,
    watch::SEQUENCE,
    watch::SHARE,
    watch::RING,
    watch::STEP,
    KILLED,
    watch::DESTROYED,
    watch::LINUX,
];

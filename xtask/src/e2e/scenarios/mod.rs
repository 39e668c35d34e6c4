// SPDX-License-Identifier: GPL-2.0-only
//! The scenarios that dom0 drives, a file for each kind.

mod access;
mod disk;
mod dma;
mod dom0less;
mod guests;
mod memory;
mod monitor;
mod pool;
mod seed;
mod tools;
mod views;

use super::scenario::Scenario;

pub(super) use dma::{BEHIND_SMMU, DMA_OF_DOM0, SHORT_BEHIND_SMMU};
pub(super) use dom0less::DOM0LESS;
pub(super) use monitor::WITH_MONITOR;
pub(super) use seed::SEED;
pub(super) use views::{SHORT_WITH_VIEWS, WITH_VIEWS};

/// The scenario whose guests the others need.
pub(super) const NEIGHBOURS: &str = "two-guests";

/// In the order in which they run in one boot. What two-guests creates lives on to the end, as the
/// neighbour that must not be harmed.
pub(super) const IN_ONE_BOOT: &[Scenario] = &[
    tools::MEMPOOL,
    tools::RESOURCE,
    guests::MANY,
    guests::TWO,
    memory::BALLOON,
    tools::DEBUG_KEY_Q,
    access::WRITE,
    access::EXEC,
    access::REQUIRED,
    disk::DISK,
    guests::REBOOT,
    guests::CRASH,
    guests::REFUSED,
    guests::DESTROY_IN_CREATE,
    pool::EMPTY,
];

/// What `cargo xtask test` runs each time.
pub(super) const SHORT: &[Scenario] = &[
    guests::MANY,
    guests::DESTROY_IN_CREATE,
    monitor::TABLE,
    monitor::KILLED,
    guests::TWO,
    memory::BALLOON,
];

/// Those that any of the boots runs.
pub(super) fn all() -> impl Iterator<Item = &'static Scenario> {
    IN_ONE_BOOT
        .iter()
        .chain(WITH_MONITOR)
        .chain(BEHIND_SMMU)
        .chain(WITH_VIEWS)
        .chain(&[SEED, DOM0LESS, DMA_OF_DOM0])
}

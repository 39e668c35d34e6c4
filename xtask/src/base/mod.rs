// SPDX-License-Identifier: GPL-2.0-only
//! What every command uses.

pub(crate) mod cli;
pub(crate) mod command;
pub(crate) mod commit;
pub(crate) mod files;
pub(crate) mod lock;
pub(crate) mod paths;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod version;

// SPDX-License-Identifier: GPL-2.0-only
//! Debian packages: the machine's own ones (`host`), and those of another release or architecture
//! that are only read (`archive`), taken from the mirror the machine already uses (`sources`).

pub(crate) mod archive;
pub(crate) mod host;
pub(crate) mod sources;

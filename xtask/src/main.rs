// SPDX-License-Identifier: GPL-2.0-only
//! Build, boot and test commands.
fn main() {}

// SPDX-License-Identifier: GPL-2.0-only
//! Which release of Xen the machine runs.

use xen_sys::Facts;

use crate::machine::with;

#[unsafe(no_mangle)]
fn xs_mock_facts() -> Facts {
    with(|m, _| m.config.release)
}

// SPDX-License-Identifier: GPL-2.0-only
//! Gates: properties of the linked image that must hold, whatever the tests say.

use anyhow::{ensure, Result};

use crate::table::Row;
use crate::xen::build::BuiltXen;
use crate::xen::image;

/// Judges a built Xen; an error means that it could not be looked at.
pub(crate) fn run(xen: &BuiltXen) -> Result<Vec<Row>> {
    let symbols = image::symbols(&xen.syms())?;
    ensure!(
        !symbols.is_empty(),
        "{} has no symbols",
        xen.syms().display()
    );
    Ok(Vec::new())
}

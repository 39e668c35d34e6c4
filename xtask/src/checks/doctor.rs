// SPDX-License-Identifier: GPL-2.0-only
//! What this machine has, what it lacks, and the one line that mends it.

use crate::base::table::{self, Row};
use crate::host::rust_toolchain;
use crate::host::tools::{self, Use, QEMU, TOOLS};
use crate::host::{packages, sources};
use crate::xen::release;

/// Prints the table; true when nothing is missing.
pub(crate) fn run() -> bool {
    let mut rows: Vec<Row> = TOOLS
        .iter()
        .map(|tool| {
            let found = tool
                .found()
                .ok_or(format!("missing: package {}", tool.package));
            let found = match found {
                Ok(version) if tool.name == QEMU => tools::check_qemu(&version)
                    .map(|()| version)
                    .map_err(|error| error.to_string()),
                other => other,
            };
            Row::of(tool.name, found)
        })
        .collect();
    let rust = rust_toolchain::find()
        .map(|found| format!("{} ({})", found.version, found.rustc.display()))
        .ok_or_else(|| "missing".to_owned());
    rows.push(Row::of("Rust for the hypervisor", rust));
    rows.push(Row::of(
        "Debian mirror",
        sources::mirror().map_err(|error| error.to_string()),
    ));
    rows.push(Row::info("Xen releases that are tested", release::all()));
    table::print("This machine", &rows);
    match tools::missing(&[Use::Build, Use::Rust, Use::Boot]) {
        Ok(packages) if packages.is_empty() => {}
        Ok(packages) => println!("To install what is missing: {}", packages::line(&packages)),
        Err(error) => println!("{error}"),
    }
    table::all_passed(&rows)
}

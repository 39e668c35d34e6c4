// SPDX-License-Identifier: GPL-2.0-only
//! `docs/agreement.md`: what `cargo xtask diff --matrix` found, and behind it, below [`HOST`], what `cargo xtask soak`
//! did.

use super::cell::Cell;

/// The heading of the other part.
pub(crate) const HOST: &str = "\n## On the host\n";

/// The page in its two parts; the second begins with [`HOST`], or is empty.
pub(crate) fn parts(page: &str) -> (&str, &str) {
    page.split_at(page.find(HOST).unwrap_or(page.len()))
}

/// What one cell came to.
pub(super) type Outcome = Result<u64, String>;

/// The page.
pub(super) fn page(cells: &[(Cell, Outcome)], seed: u64, qemus: &[String]) -> String {
    let total: u64 = cells.iter().filter_map(|(_, n)| n.as_ref().ok()).sum();
    let failed = cells.iter().filter(|(_, n)| n.is_err()).count();
    let mut page = format!(
        "<!-- SPDX-License-Identifier: GPL-2.0-only -->\n\
         # C and Rust inside Xen: {total} operations agree\n\n\
         Made by `cargo xtask diff --matrix --seed {seed}` with QEMU {}. Each line is two boots of Xen, \
         one with each p2m, that do\nthe same random operations on scratch domains and print hashes \
         of all that can be seen of them: what the functions\nreturn, table entries, \
         statistics, references, pools ([the few exceptions](differences.md)).\n\n\
         | CPU | root of the tables | build | CPUs | IOMMU | operations |\n|---|---|---|---|---|---|\n",
        qemus.join(" and ")
    );
    for (cell, outcome) in cells {
        let what = match outcome {
            Ok(operations) => format!("{operations} agree"),
            Err(why) => format!("**{}**", why.lines().next().unwrap_or("differs")),
        };
        page.push_str(&format!(
            "| {} | {} | {} | {} | {} | {what} |\n",
            cell.cpu,
            root(cell),
            if cell.debug { "debug" } else { "release" },
            cell.smp,
            if cell.smmu {
                "SMMUv3, tables shared"
            } else {
                "none"
            },
        ));
    }
    page.push_str(&format!(
        "\n{} of {} lines agree. `cargo xtask diff --stress` has all CPUs at once on one domain.\n",
        cells.len() - failed,
        cells.len()
    ));
    page
}

/// The shape that follows from the CPU's physical address size, and from the SMMU's (44 bits).
fn root(cell: &Cell) -> &'static str {
    match cell.cpu.as_str() {
        "cortex-a53" => "level 1, two pages (40 bits)",
        "cortex-a57" => "level 0 (44 bits)",
        _ if cell.smmu => "level 0 (44 bits)",
        _ => "level 0 (48 bits)",
    }
}

#[cfg(test)]
mod tests {
    use super::{page, parts, Cell, HOST};

    #[test]
    fn a_page() {
        let cell = |smmu| Cell {
            hole: false,
            cpu: "max".to_owned(),
            smp: 4,
            debug: true,
            smmu,
        };
        let cells = [
            (cell(false), Ok(70)),
            (cell(true), Err("operation 7\nC: x".to_owned())),
        ];
        let page = page(&cells, 3, &["7.2.1".to_owned()]);
        assert!(page.contains(": 70 operations agree\n"));
        assert!(page.contains("| max | level 0 (48 bits) | debug | 4 | none | 70 agree |"));
        assert!(page.contains("SMMUv3, tables shared | **operation 7** |"));
        assert!(page.contains("1 of 2 lines agree"));
        let both = format!("{page}{HOST}more");
        assert_eq!(parts(&both), (page.as_str(), &both[page.len()..]));
        assert_eq!(parts(&page), (page.as_str(), ""));
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! The stage 2 that Xen has printed (debug key `D`): before a monitor has restricted the guest's memory, and while it
//! does.

use std::path::Path;

use anyhow::Result;
use p2m_show::dump::{self, MARK};

use super::console::{Console, StepRun};
use crate::base::files;
use crate::base::table::Row;

/// The file that the dumps are kept in, beside the console's log.
const FILE: &str = "p2m.dump";

/// The step's lines have a dump of dom0, since the second one is of the guest alone, and two of the guest: only in the
/// second one something is restricted.
pub(super) fn judge(run: &StepRun) -> Result<String, String> {
    let dumps = dump::read(&run.lines.join("\n")).map_err(|error| error.to_string())?;
    if run.rc != Some(0) {
        return Err(format!("its script did not come to its end: {:?}", run.rc));
    }
    let guest = run.number("domid")?;
    let restricted: Vec<u64> = dumps
        .iter()
        .filter(|dump| u64::from(dump.domain) == guest)
        .map(|dump| {
            let runs = dump.runs.iter();
            let restricted = runs.filter(|run| run.mapping.access.is_restricted());
            restricted.map(|run| run.pages).sum()
        })
        .collect();
    let of_dom0 = dumps.iter().filter(|dump| dump.domain == 0).count();
    match (&restricted[..], of_dom0) {
        ([0, pages], 1) if *pages > 0 => Ok(format!(
            "dom0 and the guest, then the guest with {pages} pages restricted"
        )),
        _ => Err(format!(
            "there must be one dump of dom0, not {of_dom0}, and of d{guest} one without and one \
             with restrictions: {restricted:?} pages are restricted"
        )),
    }
}

/// Keeps the lines of the dumps in a file, and says in which.
pub(crate) fn kept(console: &Console, dir: &Path) -> Result<Row> {
    let lines: Vec<&str> = console
        .lines
        .iter()
        .map(String::as_str)
        .filter(|line| line.contains(MARK))
        .collect();
    let file = dir.join(FILE);
    files::write(&file, lines.join("\n") + "\n")?;
    // As it would be typed here.
    let here = std::env::current_dir().unwrap_or_default();
    let file = file.strip_prefix(&here).unwrap_or(&file).display();
    Ok(Row::info(
        "stage 2",
        format!("cargo xtask show {file}@1 {file}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::boot::dom0::console::StepRun;

    /// A dump of a domain with a page of this access.
    fn dump(domain: u16, access: &str) -> String {
        [
            "0 begin format=1 vmid=2 ipa-bits=44 root-level=0 root-pages=1 mem-access=on default=rwx dying=0",
            &format!("1 map gfn=0x40000 mfn=0x9000 pages=0x1 order=0 type=ram_rw access={access} valid=yes"),
            "2 tables l0=1 l1=1 l2=1 l3=1 empty=0 pool=9 heap=0",
            "3 history split-1g=0 split-2m=0 locked=5",
            "4 end pages-1g=0x0 pages-2m=0x0 pages-4k=0x1 left-out=0 left-out-pages=0x0 dying=0",
        ]
        .map(|line| format!("(XEN) p2m-dump: d{domain} {line};\n"))
        .concat()
    }

    fn run(rc: i32, output: &str) -> StepRun {
        StepRun {
            lines: output.lines().map(str::to_owned).collect(),
            rc: Some(rc),
            values: [("domid".to_owned(), "1".to_owned())].into(),
            ..StepRun::default()
        }
    }

    #[test]
    fn the_step_has_the_lines_of_the_text() {
        let text = include_str!("../../../../docs/show.md");
        let step = include_str!("../../../assets/dom0/steps/p2m-dump");
        let lines: Vec<String> = text
            .lines()
            .skip_while(|line| !line.starts_with("xenhypfs write /params/p2m-dump-lines "))
            .take_while(|line| *line != "```")
            .filter_map(|line| line.split(" #").next())
            .map(|line| line.trim().replace("d3", "d$guest").replace('\'', "\""))
            .collect();
        assert_eq!(lines.len(), 5);
        for line in lines {
            let is_there = step.lines().any(|typed| typed.trim() == line);
            assert!(is_there, "{line}");
        }
    }

    #[test]
    fn what_the_monitor_does_is_seen() {
        let first = |access| dump(0, "rwx") + &dump(1, access);
        let good = first("rwx") + &dump(1, "rx");
        assert!(judge(&run(0, &good)).is_ok());
        assert!(judge(&run(1, &good)).is_err());
        assert!(judge(&run(0, &(first("rwx") + &dump(1, "rwx")))).is_err());
        assert!(judge(&run(0, &(first("rx") + &dump(1, "rx")))).is_err());
        assert!(judge(&run(0, &(first("rwx") + &first("rx")))).is_err());
        assert!(judge(&run(0, &first("rwx"))).is_err());
        assert!(judge(&run(0, "")).is_err());
        assert!(judge(&run(0, &good.replace("mfn=0x9000", "mfn=9x"))).is_err());
    }
}

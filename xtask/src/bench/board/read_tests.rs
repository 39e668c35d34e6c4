// SPDX-License-Identifier: GPL-2.0-only
//! What the reader makes of the logs that boards and cables produce.

use std::path::Path;

use super::line::sum;
use super::read::{found, reading, Reading};
use super::report;
use crate::base::table::{all_passed, Row, Status};

const START: &str =
    "p2m-board: start p2m=P2M runs=3 debug=0 cpus=4 midr=410fd083 timer=50000000 pmu=3 cycles=yes";

/// What the image prints: the self-test, and two rows of three runs. The Rust's take half as long.
fn image(p2m: &str) -> Vec<String> {
    let mut lines = vec![
        START.replace("P2M", p2m),
        "p2m-board: model A board, with a comma".to_owned(),
        "p2m-selftest: start seed=1 ops=2048 level=1 order=1 iommu=0 hole=0".to_owned(),
        "p2m-selftest: at 1024 hash 00000000000000aa".to_owned(),
        "p2m-selftest: at 2048 hash 00000000000000bb".to_owned(),
        "p2m-selftest: free 100 before 100 after".to_owned(),
        "p2m-selftest: end ops=2048 rounds=2".to_owned(),
        "p2m-bench: start level=1 order=1".to_owned(),
    ];
    let share = if p2m == "c" { 2 } else { 1 };
    for row in ["map", "unmap"] {
        for (run, cycles) in [(1, 900), (2, 300), (3, 400)] {
            lines.push(format!(
                "p2m-bench: row {row} calls=10 rc=0 tables=3 faults=0 ticks={} run={run} cycles={}",
                cycles * share / 20,
                cycles * share
            ));
        }
    }
    lines.push("p2m-bench: end rows=6".to_owned());
    lines.push(format!("p2m-board: end p2m={p2m}"));
    lines
}

/// As it comes over the cable.
fn sent(lines: &[String]) -> String {
    let mut log = "U-Boot 2023.01\r\n(XEN) Xen version 4.20.4 (x@y) debug=n\r\n".to_owned();
    for line in lines {
        log += &format!("(XEN) {line} *{:08x}\r\n", sum(line));
    }
    log
}

fn read_two(c: &str, rust: &str) -> anyhow::Result<Reading> {
    let mut boots = found(Path::new("c.log"), c.as_bytes())?;
    boots.extend(found(Path::new("rust.log"), rust.as_bytes())?);
    reading(boots)
}

fn good() -> (String, String) {
    (sent(&image("c")), sent(&image("rust")))
}

fn row<'a>(reading: &'a Reading, name: &str) -> Option<&'a Row> {
    reading.rows.iter().find(|row| row.name == name)
}

/// That the row fails, and says this.
fn fails(reading: &Reading, name: &str, words: &str) {
    let row = row(reading, name);
    assert!(
        row.is_some_and(|row| row.status == Status::Fail && row.detail.contains(words)),
        "{name} should fail with {words}: {row:?}"
    );
}

#[test]
fn two_good_logs() -> anyhow::Result<()> {
    let (c, rust) = good();
    let reading = read_two(&c, &rust)?;
    assert!(all_passed(&reading.rows), "{:?}", reading.rows);
    assert!(
        row(&reading, "self-test").is_some_and(|row| row.detail.contains("2048 operations agree"))
    );
    let table = report::table(&reading.pairs, reading.tick);
    let map = table.lines().find(|line| line.contains(" map "));
    let cells: Vec<&str> = map.unwrap_or_default().split_whitespace().collect();
    // Medians, the least, and the medians of the timer's 20 ns; pages and runs of both.
    assert_eq!(
        cells,
        [
            "│", "map", "80", "40", "2.00", "60", "30", "2.00", "80", "40", "2.00", "3", "3", "3",
            "3", "│"
        ]
    );
    let means = report::means(&reading.pairs).unwrap_or_default();
    assert!(
        means.contains("over 2 rows, cycles: 2.00 (medians), 2.00"),
        "{means}"
    );
    assert_eq!(report::tsv(&reading.pairs).lines().count(), 5);
    Ok(())
}

#[test]
fn one_log_with_both_boots_and_a_restart_between() -> anyhow::Result<()> {
    let (c, rust) = good();
    let cut = rust.split("row unmap").next().unwrap_or_default();
    let log = format!("{c}{cut}\r\n\0\0U-Boot\r\n{rust}");
    let reading = reading(found(Path::new("both.log"), log.as_bytes())?)?;
    assert!(all_passed(&reading.rows), "{:?}", reading.rows);
    let unused = row(&reading, "not used").map(|row| row.detail.as_str());
    assert!(
        unused.is_some_and(|text| text.starts_with("Rust, both.log, lines ")
            && text.ends_with("did not go to its end")),
        "{unused:?}"
    );
    Ok(())
}

#[test]
fn a_restart_without_a_word_of_it() {
    let (c, rust) = good();
    let lines: Vec<&str> = rust.lines().collect();
    // Neither Xen's first line nor the board's came through the second time.
    let again = lines.get(10..).unwrap_or_default().join("\n");
    let said = read_two(&c, &format!("{rust}{again}"));
    let said = said.map_err(|error| format!("{error:#}")).err();
    assert!(
        said.as_ref()
            .is_some_and(|text| text.contains("rust.log: run ") && text.contains("again in line")),
        "{said:?}"
    );
}

#[test]
fn a_lost_line_of_one_run_is_only_told() -> anyhow::Result<()> {
    let (c, rust) = good();
    let damaged = rust.replacen("row map calls=10", "row map cals=10", 1);
    let reading = read_two(&c, &damaged)?;
    assert!(all_passed(&reading.rows), "{:?}", reading.rows);
    assert!(row(&reading, "Rust").is_some_and(|row| row.detail.contains("5 of 6 lines")));
    assert!(row(&reading, "")
        .is_some_and(|row| row.detail.contains("line 11: p2m-bench: row map cals")));
    Ok(())
}

#[test]
fn a_row_of_which_nothing_arrived_fails() -> anyhow::Result<()> {
    let (c, rust) = good();
    let reading = read_two(&c, &rust.replace("row unmap", "row unm"))?;
    fails(
        &reading,
        "benchmark",
        "unmap is missing from the Rust's log: boot that one again",
    );
    Ok(())
}

#[test]
fn another_hash_names_what_to_boot_next() -> anyhow::Result<()> {
    let (c, _) = good();
    let mut lines = image("rust");
    for line in &mut lines {
        *line = line.replace("00000000000000bb", "00000000000000bc");
    }
    let reading = read_two(&c, &sent(&lines))?;
    fails(
        &reading,
        "self-test",
        "all agrees before operation 1024, and not at 2048",
    );
    fails(
        &reading,
        "self-test",
        "p2m-selftest=seed=1,ops=2048,print-from=1024,print-to=2048",
    );
    Ok(())
}

#[test]
fn a_garbled_hash_is_no_difference() -> anyhow::Result<()> {
    let (c, rust) = good();
    let reading = read_two(&c, &rust.replace("00000000000000aa", "00000000000000ab"))?;
    assert!(all_passed(&reading.rows), "{:?}", reading.rows);
    let reading = read_two(&c, &rust.replace("00000000000000bb", "00000000000000bc"))?;
    fails(
        &reading,
        "self-test",
        "the last line with a hash did not arrive from both",
    );
    Ok(())
}

#[test]
fn printed_operations_name_the_one_that_differs() -> anyhow::Result<()> {
    let with = |p2m: &str, resolved: u8| {
        let mut lines = image(p2m);
        let at = 3;
        lines.insert(
            at,
            format!(
                "p2m-selftest: op 1025 fault gfn=5 resolved={resolved} => tree=7 hash={resolved}"
            ),
        );
        lines.insert(
            at,
            "p2m-selftest: op 1024 insert gfn=5 rc=0 => tree=7 hash=8".to_owned(),
        );
        // It did not come from the C at all.
        if p2m == "c" {
            lines.remove(at);
        }
        sent(&lines)
    };
    let reading = read_two(&with("c", 1), &with("rust", 0))?;
    fails(
        &reading,
        "self-test",
        "operation 1025, fault: gfn=5 tree=7\nC:    resolved=1 hash=1\nRust: resolved=0 hash=0",
    );
    Ok(())
}

#[test]
fn what_was_cut_short_or_crashed_fails() -> anyhow::Result<()> {
    let (c, rust) = good();
    let cut = rust
        .split("(XEN) p2m-board: end")
        .next()
        .unwrap_or_default();
    fails(
        &read_two(&c, cut)?,
        "Rust",
        "rust.log, lines 2 to 17: the last line (`p2m-board: end`) is missing",
    );
    let crashed = rust.replace(
        "(XEN) p2m-bench: start",
        "(XEN) Panic on CPU 0:\r\n(XEN) p2m-bench: start",
    );
    fails(
        &read_two(&c, &crashed)?,
        "Rust",
        "rust.log, line 10: (XEN) Panic on CPU 0:",
    );
    let mut lines = image("rust");
    for line in &mut lines {
        *line = line.replace("row map calls=10 rc=0", "row map calls=10 rc=-12");
    }
    fails(&read_two(&c, &sent(&lines))?, "Rust", "map failed with -12");
    let lost = rust.replace("free 100 before 100 after", "free 100 before");
    fails(
        &read_two(&c, &lost)?,
        "self-test",
        "it did not come to its end",
    );
    Ok(())
}

#[test]
fn other_boards_and_arguments_are_not_compared() -> anyhow::Result<()> {
    let (c, _) = good();
    let mut lines = image("rust");
    for line in &mut lines {
        *line = line
            .replace("midr=410fd083", "midr=410fd034")
            .replace("seed=1", "seed=2");
    }
    let reading = read_two(&c, &sent(&lines))?;
    fails(&reading, "same board", "midr is 410fd083 and 410fd034");
    fails(
        &reading,
        "self-test",
        "seed=1 with the C and seed=2 with the Rust",
    );
    Ok(())
}

#[test]
fn one_log_alone() -> anyhow::Result<()> {
    let (_, rust) = good();
    let reading = reading(found(Path::new("rust.log"), rust.as_bytes())?)?;
    assert!(all_passed(&reading.rows), "{:?}", reading.rows);
    assert!(row(&reading, "C").is_some_and(|row| row.detail.contains("nothing to compare with")));
    assert!(report::means(&reading.pairs).is_none());
    Ok(())
}

#[test]
fn what_is_no_log_says_what_to_do() {
    let said = |log: &str| {
        let boots = found(Path::new("x.log"), log.as_bytes()).and_then(reading);
        boots
            .map_err(|error| format!("{error:#}"))
            .err()
            .unwrap_or_default()
    };
    assert!(said("").contains("x.log has no line of the tests"));
    assert!(said("(XEN) Xen version 4.20\n").contains("is it the console's log"));
    let bare = said("a\n(XEN) p2m-bench: row map calls=1 rc=0 tables=0 faults=0 ticks=1\n");
    assert!(
        bare.contains("x.log, line 2") && bare.contains("p2m-board=5"),
        "{bare}"
    );
    // Neither the first line nor the last arrived.
    let (_, rust) = good();
    let unknown = said(&rust.replace("p2m=rust", "p2m=rus"));
    assert!(
        unknown.contains("which p2m this was is not known"),
        "{unknown}"
    );
}

#[test]
fn either_the_first_or_the_last_line_says_which_p2m() -> anyhow::Result<()> {
    let (c, rust) = good();
    for broken in [
        rust.replacen("p2m=rust", "p2m=rus", 1),
        rust.replace("end p2m=rust", "end p2m=rust "),
    ] {
        let boots = found(Path::new("rust.log"), broken.as_bytes())?;
        assert_eq!(boots.first().map(super::log::Boot::name), Some("Rust"));
    }
    // The Rust p2m says so itself, too.
    let log = c.replacen(
        "p2m-selftest: start",
        "p2m: Rust implementation (libxen_p2m)\n(XEN) p2m-selftest: start",
        1,
    );
    let log = log.replace("p2m=c", "p2m=");
    let boots = found(Path::new("x.log"), log.as_bytes())?;
    assert_eq!(boots.first().map(super::log::Boot::name), Some("Rust"));
    Ok(())
}

#[test]
fn what_the_numbers_are_is_said_by_the_log() -> anyhow::Result<()> {
    let head = |change: &[(&str, &str)]| -> anyhow::Result<String> {
        let lines: Vec<String> = image("rust")
            .iter()
            .map(|line| {
                change
                    .iter()
                    .fold(line.clone(), |line, (a, b)| line.replace(a, b))
            })
            .collect();
        let reading = reading(found(Path::new("x"), sent(&lines).as_bytes())?)?;
        Ok(reading.head.unwrap_or_default())
    };
    let plain = head(&[])?;
    assert!(
        plain.contains("done 3 times")
            && plain.contains("PMCCNTR_EL0")
            && !plain.contains("THIS IS")
    );
    assert!(head(&[("A board, with a comma", "linux,dummy-virt")])?.contains("THIS IS QEMU"));
    assert!(head(&[("midr=410fd083", "midr=000f0510")])?.contains("THIS IS QEMU"));
    assert!(head(&[("A board, with a comma", "FVP Base RevC")])?.contains("THIS IS A MODEL"));
    let without = |why: &str| head(&[("cycles=yes", why)]);
    assert!(without("cycles=no-pmu")?.contains("has no PMU"));
    assert!(without("cycles=stands-still")?.contains("stands still"));
    assert!(without("cycles=unwanted")?.contains("p2m-pmu=no"));
    Ok(())
}

#[test]
fn without_cycles_the_table_has_times() -> anyhow::Result<()> {
    let lines = |p2m: &str| -> Vec<String> {
        let lines = image(p2m).into_iter();
        lines
            .map(|line| line.replace("cycles=yes", "cycles=no-pmu"))
            .map(|line| match line.split_once(" cycles=") {
                Some((before, _)) if line.contains("row") => before.to_owned(),
                _ => line,
            })
            .collect()
    };
    let reading = read_two(&sent(&lines("c")), &sent(&lines("rust")))?;
    assert!(all_passed(&reading.rows), "{:?}", reading.rows);
    let table = report::table(&reading.pairs, reading.tick);
    assert!(
        !table.contains("cycles") && table.contains("ns: C"),
        "{table}"
    );
    assert!(report::means(&reading.pairs).is_some_and(|text| text.contains("time: 2.0")));
    Ok(())
}

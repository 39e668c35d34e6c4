// SPDX-License-Identifier: GPL-2.0-only
//! Each check passes on what a good boot printed, and fails on each thing that can be wrong.

use super::{
    debug_keys, exit_code, guest_console, guest_create, guest_destroy, memory_back, xen_access,
    xl_list, ALL,
};
use crate::base::version::Version;
use crate::boot::dom0::console::StepRun;

fn run(rc: i32, values: &[(&str, &str)], output: &str) -> StepRun {
    StepRun {
        name: "x".to_owned(),
        lines: output.lines().map(str::to_owned).collect(),
        rc: Some(rc),
        values: values
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    }
}

#[test]
fn a_script_that_fails_or_hangs() {
    assert_eq!(exit_code(&run(0, &[], "a\nb\n")), Ok("b".to_owned()));
    assert!(exit_code(&run(1, &[], "")).is_err());
    let mut hung = run(0, &[], "waiting");
    hung.rc = None;
    assert!(exit_code(&hung).is_err_and(|why| why.contains("waiting")));
}

#[test]
fn the_list_has_dom0() {
    let good = "Name     ID   Mem VCPUs State Time(s)\nDomain-0   0  1024     2 r-----  7.7\n";
    assert!(xl_list(&run(0, &[], good)).is_ok());
    assert!(xl_list(&run(0, &[], "Name     ID\n")).is_err());
    assert!(xl_list(&run(1, &[], good)).is_err());
}

#[test]
fn a_created_guest_is_listed() {
    let good = "Name     ID   Mem\nguest    1   256\n";
    assert!(guest_create(&run(0, &[("domid", "1")], good)).is_ok());
    assert!(guest_create(&run(0, &[], good)).is_err());
    assert!(guest_create(&run(0, &[("domid", "1")], "Name\n")).is_err());
}

#[test]
fn ticks_must_rise_and_be_three() {
    assert!(guest_console(&run(0, &[], "tick 1\ntick 2\ntick 3\n")).is_ok());
    assert!(guest_console(&run(0, &[], "tick 1\ntick 2\n")).is_err());
    assert!(guest_console(&run(0, &[], "tick 1\ntick 1\ntick 1\n")).is_err());
    assert!(guest_console(&run(1, &[], "tick 1\ntick 2\ntick 3\n")).is_err());
}

#[test]
fn the_dump_shows_dom0_and_another() {
    let dom0 = "(XEN) p2m mappings for domain 0 (vmid 1):\n(XEN)   4K mappings: 193031\n";
    let guest = "(XEN) p2m mappings for domain 1 (vmid 2):\n(XEN)   4K mappings: 12\n";
    assert!(debug_keys(&run(0, &[], &format!("{dom0}{guest}"))).is_ok());
    assert!(debug_keys(&run(0, &[], dom0)).is_err());
    assert!(debug_keys(&run(0, &[], guest)).is_err());
    assert!(debug_keys(&run(0, &[], "")).is_err());
}

#[test]
fn access_events_are_counted_and_the_guest_lives_on() {
    let output = "xenaccess init\nPAGE ACCESS: -w- for GFN 40c00\n";
    let values = |events, after| {
        [
            ("events", events),
            ("ticks_watched", "9"),
            ("ticks_after", after),
            ("xen_access_rc", "0"),
        ]
    };
    assert!(xen_access(&run(0, &values("12", "11"), output)).is_ok());
    assert!(xen_access(&run(0, &values("0", "11"), output)).is_err());
    assert!(xen_access(&run(0, &values("12", "9"), output)).is_err());
    assert!(xen_access(&run(0, &values("12", "11"), "xenaccess init\n")).is_err());
    assert!(xen_access(&run(0, &[], output)).is_err());
    let mut failed = values("12", "11");
    failed[3].1 = "1";
    assert!(xen_access(&run(0, &failed, output)).is_err());
    assert!(xen_access(&run(0, &failed[..3], output)).is_err());
}

#[test]
fn what_fails_since_a_release_counts_before_it() {
    let uncounted = |minor| -> Vec<&str> {
        let steps = ALL.iter().map(|step| step.on(Version { major: 4, minor }));
        steps.filter(|s| !s.counts).map(|s| s.name).collect()
    };
    assert!(uncounted(17).is_empty());
    for minor in [18, 20] {
        assert_eq!(uncounted(minor), ["test-paging-mempool", "test-resource"]);
    }
}

#[test]
fn pages_that_are_freed_and_still_somebodys_are_noticed() {
    let judged = |after| {
        memory_back(&run(
            0,
            &[("pages_before", "90"), ("pages_after", after)],
            "",
        ))
    };
    for good in ["88", "90", "92"] {
        assert!(judged(good).is_ok(), "{good}");
    }
    for bad in ["87", "93", "154"] {
        assert!(judged(bad).is_err(), "{bad}");
    }
}

#[test]
fn memory_must_come_back() {
    let values = |after| [("pages_before", "3003"), ("pages_after", after)];
    let list = "Name     ID   Mem\nDomain-0  0  1024\n";
    assert!(guest_destroy(&run(0, &values("3003"), list)).is_ok());
    assert!(guest_destroy(&run(0, &values("2939"), list)).is_ok());
    assert!(guest_destroy(&run(0, &values("2938"), list)).is_err());
    assert!(guest_destroy(&run(0, &values("3005"), list)).is_ok());
    assert!(guest_destroy(&run(0, &values("3006"), list)).is_err());
    let still = format!("{list}guest    1   256\n");
    assert!(guest_destroy(&run(0, &values("3003"), &still)).is_err());
}

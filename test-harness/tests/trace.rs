// SPDX-License-Identifier: GPL-2.0-only
//! The text form of the event stream (`test_harness::trace`): outside checkers
//! rely on each word of it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{guest, p2mt, ram};
use test_harness::trace::{Line, HEADER, VARIABLE};
use test_harness::{Config, Event, LockOp, PreemptCheck, Register, World};

#[test]
fn each_event_has_its_line() {
    let lines = [
        (
            Event::PteLoad {
                mfn: 0x80,
                index: 511,
                value: 0x7ff,
            },
            "pte-load mfn=0x80 index=511 value=0x7ff",
        ),
        (
            Event::PteStore {
                mfn: 0x80,
                index: 0,
                old: 0,
                new: 3,
            },
            "pte-store mfn=0x80 index=0 old=0x0 new=0x3",
        ),
        (
            Event::ClearPage {
                mfn: 1,
                cleaned: true,
            },
            "clear-page mfn=0x1 cleaned=yes",
        ),
        (
            Event::CleanRange {
                address: 0x1000,
                bytes: 64,
            },
            "clean-range address=0x1000 bytes=64",
        ),
        (
            Event::FlushPageToRam {
                mfn: 1,
                sync_icache: false,
            },
            "flush-page-to-ram mfn=0x1 sync-icache=no",
        ),
        (Event::InvalidateIcache, "invalidate-icache"),
        (Event::Isb, "isb"),
        (Event::DsbSy, "dsb-sy"),
        (Event::DsbIshst, "dsb-ishst"),
        (Event::DsbIsh, "dsb-ish"),
        (Event::DsbNsh, "dsb-nsh"),
        (Event::DmbIshld, "dmb-ishld"),
        (
            Event::TlbiVmid {
                vmid: 3,
                irqs_on: true,
            },
            "tlbi-vmid vmid=3 irqs-on=yes",
        ),
        (
            Event::TlbiIpa {
                vmid: 3,
                gfn: 0x200,
                count: 2,
                order: 9,
                irqs_on: false,
            },
            "tlbi-ipa vmid=3 gfn=0x200 count=2 order=9 irqs-on=no",
        ),
        (
            Event::TlbiRange {
                vmid: 3,
                gfn: 0x200,
                nr: 512,
                irqs_on: false,
            },
            "tlbi-range vmid=3 gfn=0x200 nr=512 irqs-on=no",
        ),
        (
            Event::TlbiStage1Local { vmid: 3 },
            "tlbi-stage1-local vmid=3",
        ),
        (Event::TlbiVmidLocal { vmid: 3 }, "tlbi-vmid-local vmid=3"),
        (Event::TlbiAllLocal, "tlbi-all-local"),
        (Event::IrqSave, "irq-save"),
        (
            Event::IrqRestore { enabled: true },
            "irq-restore enabled=yes",
        ),
        (
            Event::Alloc {
                mfn: Some(1),
                order: 0,
                domain: Some(3),
                memflags: 16,
            },
            "alloc mfn=0x1 order=0 domain=3 memflags=0x10",
        ),
        (
            Event::Alloc {
                mfn: None,
                order: 1,
                domain: None,
                memflags: 0,
            },
            "alloc mfn=none order=1 domain=none memflags=0x0",
        ),
        (Event::Free { mfn: 1, order: 0 }, "free mfn=0x1 order=0"),
        (Event::Get { mfn: 1, ok: false }, "get mfn=0x1 ok=no"),
        (Event::Put { mfn: 1 }, "put mfn=0x1"),
        (
            Event::RadixInsert { key: 16, rc: -12 },
            "radix-insert key=0x10 rc=-12",
        ),
        (Event::RadixDelete { key: 16 }, "radix-delete key=0x10"),
        (
            Event::IommuFlush {
                gfn: 1,
                nr: 2,
                flags: 3,
                rc: -5,
            },
            "iommu-flush gfn=0x1 nr=2 flags=0x3 rc=-5",
        ),
        (Event::DoSoftirq, "do-softirq"),
        (Event::PendingSoftirqs, "pending-softirqs"),
        (Event::GuestWalk { gva: 0x4000 }, "guest-walk gva=0x4000"),
        (
            Event::AddressTranslation {
                va: 0x4000,
                ok: true,
            },
            "address-translation va=0x4000 ok=yes",
        ),
        (Event::MonitorTraps { sync: true }, "monitor-traps sync=yes"),
        (Event::Crash, "crash"),
        (Event::Shutdown { reason: 3 }, "shutdown reason=3"),
        (Event::InjectUndef, "inject-undef"),
        (
            Event::InjectAbort { gva: 0x1234 },
            "inject-abort gva=0x1234",
        ),
        (Event::MapcacheInvalidate, "mapcache-invalidate"),
    ];
    for (event, line) in &lines {
        assert_eq!(Line { cpu: 2, event }.to_string(), format!("2 {line}"));
    }
    let says = |event: &Event, line: String| {
        assert_eq!(Line { cpu: 7, event }.to_string(), format!("7 {line}"));
    };
    for (register, name) in [
        (Register::Vttbr, "vttbr"),
        (Register::Vtcr, "vtcr"),
        (Register::Hcr, "hcr"),
        (Register::Sctlr, "sctlr"),
    ] {
        let value = 0x1_0000_0000_0080;
        says(
            &Event::WriteRegister { register, value },
            format!("write-register register={name} value=0x1000000000080"),
        );
    }
    for (op, name) in [
        (LockOp::Read, "read"),
        (LockOp::ReadUnlock, "read-unlock"),
        (LockOp::Write, "write"),
        (LockOp::WriteUnlock, "write-unlock"),
        (LockOp::Spin, "spin"),
        (LockOp::SpinUnlock, "spin-unlock"),
    ] {
        says(
            &Event::Lock { lock: 0xff, op },
            format!("lock lock=0xff op={name}"),
        );
    }
    for (check, name) in [
        (PreemptCheck::Softirq, "softirq"),
        (PreemptCheck::Hypercall, "hypercall"),
        (PreemptCheck::General, "general"),
    ] {
        for (answer, word) in [(false, "no"), (true, "yes")] {
            says(
                &Event::PreemptCheck { check, answer },
                format!("preempt-check check={name} answer={word}"),
            );
        }
    }
}

/// The files of worlds that this test made: their names begin with its own.
fn files(dir: &Path, test: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let ours = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&format!("{test}.{}.", std::process::id())) && name.ends_with(".events")
    });
    ours.collect()
}

#[test]
fn a_run_is_written_as_it_happened_and_only_on_request() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("events");
    let _ = fs::remove_dir_all(&dir);
    let test = "a_run_is_written_as_it_happened_and_only_on_request";
    drop(World::new(Config::default()));
    assert!(files(&dir, test).is_empty());

    std::env::set_var(VARIABLE, &dir);
    let world = World::new(Config {
        log_capacity: 1 << 20,
        ..Config::default()
    });
    std::env::remove_var(VARIABLE);
    let d = guest(&world, 0);
    assert_eq!(d.insert(0x40, 1, ram(0), p2mt::RAM_RW), 0);
    let seen = world.events();
    drop(world);

    let found = files(&dir, test);
    let [file] = found.as_slice() else {
        panic!("{found:?}");
    };
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{e}"));
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(HEADER));
    let expected = seen
        .iter()
        .map(|(cpu, event)| Line { cpu: *cpu, event }.to_string());
    // The world's end goes on after what was seen here.
    for line in expected {
        assert_eq!(lines.next(), Some(line.as_str()));
    }
    let stores = seen
        .iter()
        .filter(|(_, e)| matches!(e, Event::PteStore { .. }))
        .count();
    assert!(stores > 0, "{seen:?}");
}

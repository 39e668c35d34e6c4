// SPDX-License-Identifier: GPL-2.0-only
//! The table of exported functions (`ffi::exports`) is complete, in the C's order, and what
//! docs/exports.md shows. (That the lock states in it are those of the functions' parameters,
//! and the prototypes those of the headers, the compiler checks.)

// The table is that of a build with everything.
#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;
use std::ptr::null_mut;

use common::by_hand::{paging_lock, xen};
use common::{access, guest, p2mt, plain, ram};
use p2m_rs::ffi::contract::{Export, Holds, Takes};
use p2m_rs::ffi::exports::{ALTP2M, MMU_P2M, P2M};
use p2m_rs::p2m::token::{unlocked_entry, Unlocked};
use p2m_rs::p2m::P2m;
use test_harness::symbols as c;
use test_harness::symbols::GuestHandle;
use test_harness::{Domain, Event, LockOp, Stage1Entry, Vcpu, World};
use xen_sys as sys;

const MEM_ACCESS: &[Export] = mem_access_rs::ffi::MEM_ACCESS;

fn text(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The functions of a file that C can call, in order: in every release, or where a cfg says so.
fn exported(path: &str) -> Vec<String> {
    let file = syn::parse_file(&text(path)).unwrap();
    let functions = file.items.into_iter().filter_map(|item| match item {
        syn::Item::Fn(function) => Some(function),
        _ => None,
    });
    functions
        .filter(|f| {
            f.attrs
                .iter()
                .any(|a| a.path().is_ident("no_mangle") || a.path().is_ident("cfg_attr"))
        })
        .map(|f| f.sig.ident.to_string())
        .collect()
}

#[test]
fn every_exported_function_is_in_the_table_in_the_same_order() {
    for (path, table) in [
        ("p2m-rs/src/ffi/p2m.rs", P2M),
        ("p2m-rs/src/ffi/mmu_p2m.rs", MMU_P2M),
        ("mem_access-rs/src/ffi.rs", MEM_ACCESS),
        ("p2m-rs/src/ffi/altp2m.rs", ALTP2M),
    ] {
        let rows = table.iter().filter(|e| e.form.is_empty());
        let names: Vec<_> = rows.map(|e| e.name.to_owned()).collect();
        assert_eq!(exported(path), names, "{path}");
    }
    let rows = [P2M, MMU_P2M].into_iter().flatten();
    let forms: Vec<_> = rows
        .map(|e| e.form.to_owned())
        .filter(|f| !f.is_empty())
        .collect();
    assert_eq!(exported("p2m-rs/src/ffi/forms.rs"), forms);
}

/// In which releases a cfg holds: `xen-sys/build/facts.rs` asks the headers for it.
fn releases(when: &str) -> &'static str {
    match when {
        // Those that the patches for Xen declare.
        "" | "declared_xen_p2m_resolve_permission_fault" => "all",
        "teardown_bool" => "4.17",
        "declared_p2m_invalidate_root" => "4.17, 4.18",
        "declared_dump_p2m_lookup" | "set_way_hsr" => "4.17 to 4.20",
        "set_allocation_pointer" => "4.17 to 4.22",
        "declared_p2m_clear_root_pages" | "teardown_plain" => "from 4.18",
        "declared_p2m_domain_creation_finished"
        | "declared_p2m_force_tlb_flush_sync"
        | "declared_p2m_vmid_allocator_init"
        | "declared_p2m_alloc_vmid"
        | "declared_p2m_free_vmid" => "from 4.19",
        "set_way_plain" => "from 4.21",
        "set_allocation_bool" => "from 4.23",
        "declared_p2m_dump_stage2" => "with CONFIG_ARM_P2M_DUMP",
        "config_altp2m" => "with CONFIG_ALTP2M",
        other => panic!("in which releases is {other} so?"),
    }
}

const fn holds(holds: Holds) -> &'static str {
    match holds {
        Holds::Any => "",
        Holds::NoP2mLock => "no p2m lock",
        Holds::P2mLock => "the p2m lock",
        Holds::P2mWriteLock => "the p2m lock, for writing",
        Holds::PagingLock => "the paging lock",
    }
}

const fn takes(takes: Takes) -> &'static str {
    match takes {
        Takes::Nothing => "",
        Takes::Read => "the p2m lock, for reading",
        Takes::Write => "the p2m lock, for writing",
        Takes::ReadThenWrite => "the p2m lock, for reading, then for writing",
        Takes::Paging => "the paging lock",
        Takes::Vmids => "the VMID lock",
    }
}

/// All rows.
fn table() -> impl Iterator<Item = &'static Export> {
    [P2M, MMU_P2M, MEM_ACCESS, ALTP2M].into_iter().flatten()
}

/// The table as docs/exports.md has it.
fn shown() -> String {
    let mut lines = vec![
        "| function | C file | releases | the caller holds | it takes first | the work is done by |"
            .to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    for e in table() {
        let calls = match e.calls {
            "" => "(not on Arm)".to_owned(),
            calls => format!("`{}`", calls.replace(' ', "")),
        };
        lines.push(format!(
            "| `{}` | `{}` | {} | {} | {} | {calls} |",
            e.name,
            e.file,
            releases(e.when),
            holds(e.holds),
            takes(e.takes)
        ));
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_document_shows_the_table() {
    let document = text("docs/exports.md");
    assert!(
        document.contains(&shown()),
        "docs/exports.md is to have:\n{}",
        shown()
    );
}

/// No test on the host compiles traps.c, and most guests would notice neither a syndrome that is
/// wrong nor an abort that is not injected.
#[test]
fn the_trap_handler_passes_the_syndrome_on_and_injects_what_the_p2m_does_not() {
    let folder = format!("{}/../patches/xen", env!("CARGO_MANIFEST_DIR"));
    let patches = std::fs::read_dir(folder).unwrap();
    let texts = patches.map(|patch| std::fs::read_to_string(patch.unwrap().path()).unwrap());
    let file = "+++ b/xen/arch/arm/traps.c\n";
    let of_traps = |text: String| Some(text.split_once(file)?.1.to_owned());
    let changes: Vec<_> = texts.filter_map(of_traps).collect();
    let [change] = &changes[..] else {
        panic!("{} patches change traps.c", changes.len());
    };
    let (_, lines) = change.split_once(" @@ ").unwrap();
    let (_, lines) = lines.split_once('\n').unwrap();
    let after: Vec<_> = lines
        .lines()
        .take_while(|line| *line != "-- ")
        .filter_map(|line| line.strip_prefix(['+', ' ']))
        .collect();
    let expected = "        };
#ifdef CONFIG_ARM_P2M_RUST
        if ( !xen_p2m_resolve_permission_fault(gpa, gva, npfec, hsr.bits) )
            goto inject_abt;
#else
        p2m_mem_access_check(gpa, gva, npfec);
#endif
        return;";
    assert_eq!(after.join("\n"), expected);
}

/// A call of an exported function, and its name.
macro_rules! call {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: pointers are to structures of the world or to locals.
        let _answer = unsafe { c::$name($($argument),*) };
        stringify!($name)
    }};
}

/// What was taken since the log was cleared.
fn taken(w: &World) -> Takes {
    let took = |wanted: LockOp| {
        let is_wanted = |e: &Event| matches!(e, Event::Lock { op, .. } if *op == wanted);
        w.events().iter().any(|(_, e)| is_wanted(e))
    };
    match (took(LockOp::Read), took(LockOp::Write)) {
        (true, true) => Takes::ReadThenWrite,
        (true, false) => Takes::Read,
        (false, true) => Takes::Write,
        (false, false) if took(LockOp::Spin) => Takes::Paging,
        (false, false) => Takes::Nothing,
    }
}

/// The scenes in which each function takes what it can: a guest that runs, with a page at
/// frame 0 and a block, mem_access in use.
type Scene = fn(&World, Domain, Vcpu) -> &'static str;

/// Nothing is mapped any more.
fn emptied(d: Domain) {
    d.set_dying_state(1);
    assert_eq!(d.relinquish(), 0);
}

/// Where the caller holds a lock the log is cleared once it has it.
const SCENES: &[Scene] = &[
    |_, d, _| call!(memory_type_changed(d.pointer())),
    |_, d, _| call!(p2m_lookup(d.pointer(), 0, null_mut())),
    |_, d, _| {
        let (page, _) = d.page_from_gfn(0);
        page.unwrap().put();
        "p2m_get_page_from_gfn"
    },
    |_, d, _| call!(guest_physmap_mark_populate_on_demand(d.pointer(), 0, 0)),
    |_, d, _| call!(p2m_pod_decrease_reservation(d.pointer(), 0, 0)),
    |_, d, _| call!(p2m_insert_mapping(d.pointer(), 8, 1, ram(0), p2mt::RAM_RW)),
    |_, d, _| call!(map_regions_p2mt(d.pointer(), 8, 1, ram(0), p2mt::RAM_RW)),
    |_, d, _| call!(unmap_regions_p2mt(d.pointer(), 0, 1, ram(0))),
    |_, d, _| call!(map_mmio_regions(d.pointer(), 8, 1, 0x9000)),
    |_, d, _| call!(unmap_mmio_regions(d.pointer(), 0, 1, ram(0))),
    |w, d, _| {
        w.permit_iomem(d, 0x9000..0x9001);
        call!(map_dev_mmio_page(d.pointer(), 8, 0x9000))
    },
    |_, d, _| {
        call!(guest_physmap_add_entry(
            d.pointer(),
            8,
            ram(0),
            0,
            p2mt::RAM_RW
        ))
    },
    |_, d, _| call!(guest_physmap_remove_page(d.pointer(), 0, ram(0), 0)),
    |w, d, _| {
        let owner = guest(w, 1);
        w.clear_events();
        call!(set_foreign_p2m_entry(
            d.pointer(),
            owner.pointer(),
            8,
            ram(1)
        ))
    },
    |_, d, _| call!(p2m_cache_flush_range(d.pointer(), &mut 0, 1)),
    |_, _, v| {
        let (regs, hsr) = (
            &mut xen_sys::cpu_user_regs::default(),
            xen_sys::hsr { bits: 0 },
        );
        call!(p2m_set_way_flush(v.pointer(), regs, hsr))
    },
    |_, _, v| call!(p2m_toggle_cache(v.pointer(), true)),
    |_, d, _| call!(gfn_to_mfn(d.pointer(), 0)),
    |_, _, v| {
        assert_eq!(v.page_from_gva(0x5000, false), None);
        "get_page_from_gva"
    },
    |_, _, _| call!(p2m_restrict_ipa_bits(64)),
    |_, d, _| call!(arch_get_paging_mempool_size(d.pointer(), null_mut())),
    |_, d, _| call!(arch_set_paging_mempool_size(d.pointer(), 65 << 12)),
    |_, d, _| call!(p2m_dump_info(d.pointer())),
    |_, d, _| call!(dump_p2m_lookup(d.pointer(), 0)),
    |_, d, _| call!(p2m_dump_stage2(d.pointer(), 0)),
    |_, _, v| call!(p2m_save_state(v.pointer())),
    |w, _, v| {
        v.save_state();
        w.clear_events();
        call!(p2m_restore_state(v.pointer()))
    },
    |w, d, _| {
        d.write_locked(|| w.clear_events());
        "p2m_write_unlock"
    },
    |w, d, _| {
        d.write_locked(|| {
            w.clear_events();
            call!(p2m_force_tlb_flush_sync(d.p2m()))
        })
    },
    |w, d, _| {
        d.write_locked(|| {
            w.clear_events();
            call!(p2m_tlb_flush_sync(d.p2m()))
        })
    },
    |w, d, _| {
        d.read_locked(|| {
            w.clear_events();
            let (t, a) = (null_mut(), null_mut());
            call!(p2m_get_entry(d.p2m(), 0, t, a, null_mut(), null_mut()))
        })
    },
    |w, d, _| {
        d.write_locked(|| {
            w.clear_events();
            let (t, a) = (p2mt::RAM_RO, access::RWX);
            call!(p2m_set_entry(d.p2m(), 0, 1, ram(1), t, a))
        })
    },
    |w, d, _| {
        let lock = paging_lock(d);
        xen!(xs_spin_lock(lock));
        w.clear_events();
        let name = call!(p2m_set_allocation(d.pointer(), 65, null_mut()));
        xen!(xs_spin_unlock(lock));
        name
    },
    |w, _, _| {
        let new = w.raw_domain(false);
        w.clear_events();
        call!(p2m_init(new.pointer()))
    },
    |_, d, _| {
        d.set_dying_state(1);
        call!(relinquish_p2m_mapping(d.pointer()))
    },
    |w, d, _| {
        emptied(d);
        w.clear_events();
        call!(p2m_clear_root_pages(d.p2m()))
    },
    |w, d, _| {
        emptied(d);
        d.clear_root();
        w.clear_events();
        call!(p2m_teardown(d.pointer()))
    },
    |w, d, _| {
        emptied(d);
        d.clear_root();
        assert_eq!(d.teardown(), 0);
        w.clear_events();
        call!(p2m_teardown_allocation(d.pointer()))
    },
    |w, _, _| {
        let new = w.raw_domain(false);
        assert_eq!(new.init(), 0);
        w.clear_events();
        call!(p2m_final_teardown(new.pointer()))
    },
    |_, d, _| call!(p2m_domain_creation_finished(d.pointer())),
    |_, d, _| call!(p2m_invalidate_root(d.p2m())),
    |w, d, _| {
        d.creation_finished();
        w.clear_events();
        call!(p2m_resolve_translation_fault(d.pointer(), 0))
    },
    |_, _, v| {
        v.set_need_flush_to_ram(true);
        call!(p2m_flush_vm(v.pointer()))
    },
    |_, _, v| {
        assert_eq!(v.check_and_get_page(0x5000, false), None);
        "p2m_mem_access_check_and_get_page"
    },
    |w, d, _| {
        // Nobody listens: the restriction is lifted.
        assert_eq!(d.set_access(0, 1, 0, access::N), 0);
        w.clear_events();
        assert!(!w.mem_access_check(0, 0, xen_sys::npfec { bits: 1 }));
        "p2m_mem_access_check"
    },
    |w, d, _| {
        assert_eq!(d.set_access(0, 1, 0, access::N), 0);
        w.clear_events();
        assert!(w.permission_fault(0, 0, xen_sys::npfec { bits: 1 }));
        "xen_p2m_resolve_permission_fault"
    },
    |_, d, _| call!(p2m_set_mem_access(d.pointer(), 0, 1, 0, 0, access::R, 0)),
    |w, d, v| {
        // The frame, and behind it its access, in the page at frame 0. The address is translated
        // under the lock if the hardware finds nothing, as where accesses are tracked.
        let at = Stage1Entry {
            gfn: 0,
            writable: false,
        };
        w.stage1_map(v, 0x8000, at);
        w.write_ram(ram(0), 0, &0_u64.to_ne_bytes());
        w.write_ram(ram(0), 8, &[u8::try_from(access::R).unwrap()]);
        d.creation_finished();
        w.clear_events();
        let array = |gva: usize| GuestHandle {
            pointer: std::ptr::without_provenance(gva),
        };
        let lists = (array(0x8000), array(0x8008));
        let name = call!(p2m_set_mem_access_multi(
            d.pointer(),
            lists.0,
            lists.1,
            1,
            0,
            0,
            0
        ));
        // Read off the tables, for which no lock is taken.
        assert_eq!(w.access_settings(d), [(0, access::R.into())]);
        name
    },
    |w, d, _| {
        // Until mem_access is used there is nothing to look up.
        assert_eq!(d.set_access(0, 1, 0, access::R), 0);
        w.clear_events();
        call!(p2m_get_mem_access(d.pointer(), 0, &mut 0, 0))
    },
    |w, d, _| {
        w.pause(d, true);
        call!(arch_p2m_set_access_required(d.pointer(), false))
    },
    |w, d, _| {
        w.allow_views(d);
        call!(p2m_views_set_use(d.pointer(), false))
    },
    |_, d, _| call!(p2m_view_create(d.pointer(), access::R, &mut 0)),
    |_, d, _| call!(p2m_view_destroy(d.pointer(), 1)),
    |_, d, _| call!(p2m_view_switch_domain(d.pointer(), 1)),
    |_, _, v| call!(p2m_view_switch_vcpu(v.pointer(), 1)),
    |_, d, _| call!(p2m_view_set_visible(d.pointer(), 1, true)),
    |_, d, _| call!(p2m_view_change_gfn(d.pointer(), 1, 0, 1)),
];

#[test]
fn each_function_takes_the_lock_that_the_table_says() {
    let mut seen: Vec<&str> = Vec::new();
    for scene in SCENES {
        let w = plain();
        let d = guest(&w, 0);
        let v = w.vcpu(d);
        assert_eq!(d.insert(0, 1, ram(0), p2mt::RAM_RW), 0);
        // Below it, a guest's own tables lead to a frame that is not mapped.
        let entry = Stage1Entry {
            gfn: 0x77,
            writable: true,
        };
        w.stage1_map(v, 0x5000, entry);
        w.run(0, v);
        w.clear_events();
        let name = scene(&w, d, v);
        let row = table().find(|e| e.name == name).unwrap();
        assert_eq!(taken(&w), row.takes, "{name}");
        seen.push(name);
    }
    // The VMIDs' lock is Rust's own, and what happens at boot is over.
    let boot = ["setup_virt_paging", "xen_p2m_setup_virt_paging_one"];
    let left_out: Vec<_> = table()
        .filter(|e| e.takes != Takes::Vmids && !boot.contains(&e.name) && !seen.contains(&e.name))
        .map(|e| e.name)
        .collect();
    assert_eq!(left_out, [""; 0]);
}

/// Calls that break their contract, each in a process of its own.
const BROKEN: [(&str, Scene); 5] = [
    ("is_locked", |_, d, _| {
        let (t, a) = (null_mut(), null_mut());
        call!(p2m_get_entry(d.p2m(), 0, t, a, null_mut(), null_mut()))
    }),
    ("is_write_locked", |_, d, _| {
        let (t, a) = (p2mt::RAM_RO, access::RWX);
        d.read_locked(|| call!(p2m_set_entry(d.p2m(), 0, 1, ram(1), t, a)))
    }),
    ("is_write_locked", |_, d, _| {
        call!(p2m_write_unlock(d.p2m()))
    }),
    ("xs_spin_is_locked", |_, d, _| {
        call!(p2m_set_allocation(d.pointer(), 65, null_mut()))
    }),
    ("called by a CPU that holds a p2m lock", |_, d, _| {
        // SAFETY: the world keeps the structure alive.
        let p2m = unsafe { P2m::from_ptr(d.p2m()) };
        let under_lock = |cx: &mut Unlocked<'_>| {
            let _guard = p2m.read(cx);
            call!(p2m_lookup(d.pointer(), 0, null_mut()))
        };
        // SAFETY: the test holds no lock.
        unsafe { unlocked_entry(under_lock) }
    }),
];

#[test]
fn debug_builds_look_at_the_locks_on_entry() {
    const CASE: &str = "XEN_P2M_BROKEN_CALL";
    if let Some(case) = std::env::var_os(CASE) {
        let case: usize = case.to_str().unwrap().parse().unwrap();
        let w = plain();
        let d = guest(&w, 0);
        let v = w.vcpu(d);
        BROKEN.get(case).unwrap().1(&w, d, v);
        return;
    }
    for (case, (expected, _)) in BROKEN.iter().enumerate() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "debug_builds_look_at_the_locks_on_entry",
                "--nocapture",
            ])
            .env(CASE, case.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(!child.status.success(), "{expected}");
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! The p2m on several CPUs, schedule by schedule.
//!
//! Not a stress test: a scheduler decides at every lock operation, store to a
//! live table, TLB flush, reference, preemption check, and page that the heap
//! gives out or gets back, which CPU goes on. With two CPUs every schedule is tried; with four, as many as asked
//! for (the `long_` tests; see the README of this crate).
//! The rwlock is Xen's: queued, a waiting writer keeps new readers out.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

#[path = "../common/mod.rs"]
mod common;
mod copies;
mod explorer;
mod scenes;
mod stage;
#[cfg(config_altp2m)]
mod views;

use explorer::{explore, Search};

/// Executions of each scene with more than two CPUs, of either kind.
const SHORT: usize = 50;
const LONG: usize = 100_000;

/// No schedule may fail.
#[track_caller]
fn all_pass(search: Search, scene: fn()) -> usize {
    let outcome = explore(search, scene);
    let n = outcome.schedules;
    if let Some(text) = outcome.failure {
        panic!("schedule {n}: {text}");
    }
    // A scene in which nobody meets has one.
    assert!(n > 1, "{n} schedule");
    println!("{n} schedules");
    n
}

#[test]
fn the_lock_of_old_deadlocks_within_a_hundred_schedules() {
    for search in [Search::Random(100), Search::Priorities(100)] {
        let found = explore(search, scenes::copy_and_restrict_as_of_old);
        assert!(found.failure.is_some_and(|text| text.contains("deadlock")));
        println!("deadlock in schedule {}", found.schedules);
    }
}

/// What the heap gives out, and what it gets back, are points at which another CPU may go on.
#[test]
fn an_update_without_a_lock_around_an_allocation_or_a_free_is_lost() {
    for scene in [
        scenes::pages_counted_without_a_lock::<false>,
        scenes::pages_counted_without_a_lock::<true>,
    ] {
        let found = explore(Search::Exhaustive, scene);
        assert!(found.failure.is_some_and(|text| text.contains("is lost")));
    }
}

#[test]
fn one_lookup_and_one_insertion_agree_in_every_schedule() {
    all_pass(Search::Exhaustive, scenes::lookup_and_insert);
}

#[test]
fn one_lookup_and_one_table_of_the_heap_agree_in_every_schedule() {
    all_pass(Search::Exhaustive, scenes::lookup_and_heap);
}

#[test]
fn one_removal_and_one_replacement_agree_in_every_schedule() {
    all_pass(Search::Exhaustive, scenes::remove_and_replace);
}

#[test]
#[ignore = "minutes: the block's 512 pages are torn down each time"]
fn one_lookup_and_one_split_agree_in_every_schedule() {
    all_pass(Search::Exhaustive, scenes::lookup_and_split);
}

#[test]
fn one_copy_and_one_restriction_agree_in_every_schedule() {
    all_pass(Search::Exhaustive, scenes::copy_and_restrict);
}

#[test]
fn one_copy_and_one_replacement_agree_in_every_schedule() {
    all_pass(Search::Exhaustive, scenes::copy_and_replace);
}

/// Twice: the AT instruction finds in the TLB whatever may still be there, and nothing.
macro_rules! copies {
    ($($name:ident: $scene:ident;)*) => { $(
        #[test]
        fn $name() {
            all_pass(Search::Exhaustive, copies::$scene::<true>);
            all_pass(Search::Exhaustive, copies::$scene::<false>);
        }
    )* };
}

copies! {
    a_copy_never_gets_a_page_that_was_removed: copy_and_removal;
    a_copy_never_gets_a_foreign_page: copy_and_foreign_page;
    a_copy_never_writes_to_a_page_that_was_write_protected: copy_and_write_protection;
    a_copy_gets_a_page_while_it_is_restricted: copy_and_restriction;
    a_copy_never_gets_a_page_of_a_domain_that_is_gone: copy_and_destruction;
}

#[test]
fn one_copy_and_one_fault_agree_in_every_schedule() {
    all_pass(Search::Exhaustive, scenes::copy_and_fault);
}

#[test]
fn one_refused_write_and_one_lifting_agree_in_every_schedule() {
    all_pass(Search::Exhaustive, scenes::fault_and_lift);
}

#[test]
fn one_refused_write_and_one_replacement_agree_in_every_schedule() {
    all_pass(Search::Exhaustive, scenes::fault_and_replace);
}

/// All schedules of two CPUs of which one runs a vCPU in a view.
#[cfg(config_altp2m)]
macro_rules! in_a_view {
    ($($name:ident: $scene:ident;)*) => { $(
        #[test]
        fn $name() {
            all_pass(Search::Exhaustive, views::$scene);
        }
    )* };
}

#[cfg(config_altp2m)]
in_a_view! {
    a_view_never_copies_what_is_unmapped: fill_and_unmap;
    a_view_copies_what_was_mapped_or_what_will_be: fill_and_replace;
    a_view_never_shows_a_source_that_is_unmapped: shown_and_unmapped;
    a_copy_gets_the_hosts_page_while_a_view_shows_another: copy_and_remap;
    a_copy_gets_its_page_while_a_view_is_restricted: copy_and_restrict_in_view;
    what_is_set_in_a_view_is_not_lost_to_who_lifts: lift_and_restrict;
    what_replaces_a_restricted_page_of_a_view_has_the_default: lift_and_replace;
}

/// A test of so many schedules now, and of many more when asked.
macro_rules! scenes {
    ($($scene:path => $short:ident, $long:ident;)*) => { $(
        #[test]
        fn $short() {
            all_pass(Search::Random(SHORT), $scene);
            all_pass(Search::Priorities(SHORT), $scene);
        }

        #[test]
        #[ignore = "minutes"]
        fn $long() {
            all_pass(Search::Random(LONG / 2), $scene);
            all_pass(Search::Priorities(LONG / 2), $scene);
        }
    )* };
}

scenes! {
    scenes::changes_of_one_block => four_cpus_change_one_block, long_four_cpus_change_one_block;
    scenes::faults => four_cpus_resolve_faults, long_four_cpus_resolve_faults;
    scenes::copies => four_cpus_copy_and_restrict, long_four_cpus_copy_and_restrict;
    scenes::copies_and_faults => four_cpus_copy_and_fault, long_four_cpus_copy_and_fault;
    scenes::cleaning => four_cpus_write_and_clean, long_four_cpus_write_and_clean;
    scenes::refusals => four_cpus_fault_and_restrict, long_four_cpus_fault_and_restrict;
    scenes::killing => a_domain_is_killed_under_three_cpus, long_a_domain_is_killed_under_three_cpus;
    scenes::foreign_pages => four_cpus_share_a_page, long_four_cpus_share_a_page;
    scenes::pool => four_cpus_use_one_pool, long_four_cpus_use_one_pool;
    scenes::births_and_deaths => domains_come_and_go, long_domains_come_and_go;
}

#[cfg(config_altp2m)]
scenes! {
    views::views => four_cpus_use_two_views, long_four_cpus_use_two_views;
    views::traps_in_a_view => three_vcpus_of_a_view_trap, long_three_vcpus_of_a_view_trap;
}

// SPDX-License-Identifier: GPL-2.0-only
//! What the last lines of a dump count must be what the other lines say: numbers that do not add
//! up are those of lines that were damaged.

use super::model::Dump;
use super::values::Size;

/// The pages, by size.
pub(super) fn pages(dump: &Dump) -> Result<(), String> {
    let of = |size: Size| -> u64 {
        let same = dump.runs.iter().filter(|run| run.mapping.size == size);
        same.map(|run| run.pages).sum()
    };
    let found = Size::ALL.map(of);
    let missing = dump.left_out.1;
    let all_there = found.iter().sum::<u64>() + missing == dump.mapped();
    let none_too_many = found
        .iter()
        .zip(&dump.pages)
        .all(|(found, all)| found <= all);
    if all_there && none_too_many {
        return Ok(());
    }
    let names = |pages: [u64; 3]| {
        let each = Size::ALL.iter().zip(pages);
        let each: Vec<String> = each
            .map(|(size, pages)| format!("{pages:#x} ({})", size.name()))
            .collect();
        each.join(", ")
    };
    Err(format!(
        "the lines of the dump map so many pages: {}, and {missing:#x} are left out; but its end \
         says: {}",
        names(found),
        names(dump.pages)
    ))
}

/// The tables without any entry: all of them are printed, or runs were left out.
pub(super) fn empty_tables(dump: &Dump) -> Result<(), String> {
    let found: u64 = dump.empty.iter().map(|empty| empty.count()).sum();
    let all = dump.empty_tables;
    if found == all || found < all && dump.left_out.0 > 0 {
        return Ok(());
    }
    Err(format!(
        "the lines of the dump have {found} tables without any entry, but its line `tables` says \
         that there are {all}"
    ))
}

/// The tables that there must be for what is mapped: who draws it looks at each of them.
pub(super) fn tables(dump: &Dump) -> Result<(), String> {
    for (level, all) in (0..).zip(dump.tables).skip(2) {
        let order = 9 * (4 - level);
        let below = dump.runs.iter();
        let below = below.filter(|run| run.mapping.size.order() < order);
        let (mut needed, mut last) = (0, None);
        for run in below {
            let (from, to) = (run.gfn >> order, (run.end() - 1) >> order);
            needed += to - from + u64::from(last != Some(from));
            last = Some(to);
        }
        let empty = dump.empty.iter().filter(|empty| empty.level == level);
        needed += empty.map(|empty| empty.count()).sum::<u64>();
        if needed > all {
            return Err(format!(
                "what the lines of the dump say takes {needed} tables of level {level}, but its \
                 line `tables` says that there are {all}"
            ));
        }
    }
    Ok(())
}

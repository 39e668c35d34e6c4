// SPDX-License-Identifier: GPL-2.0-only
//! Copying a mapping of the host p2m to a view, when a guest in the view comes to it.

use super::tables::{place, Place};
use crate::p2m::lock::{ReadView, WriteView};
use crate::p2m::views::{Number, ViewWrite};
use crate::table::Table;
use crate::types::access::P2mAccess;
use crate::types::addr::Gfn;
use crate::types::errno::Outcome;
use crate::types::level::Level;
use crate::types::p2m_type::P2mType;
use crate::types::pte::{Kind, Pte};

/// A leaf as it was found in the tables of a host p2m or of a view.
#[derive(Clone, Copy)]
pub(super) struct FoundLeaf {
    /// The entry, of the first frame of its block.
    pte: Pte,
    level: Level,
}

impl FoundLeaf {
    /// The leaf that maps `gfn`, if there is one.
    pub(super) fn at(host: &ReadView, gfn: Gfn) -> Option<Self> {
        Self::within(Table::last(host, gfn)?, gfn)
    }

    /// The same, with the last table on the way there.
    pub(super) fn within(table: Table<'_>, gfn: Gfn) -> Option<Self> {
        let level = table.level();
        let pte = table.load(level.index(gfn));
        (pte.kind(level) == Kind::Leaf).then_some(Self { pte, level })
    }

    /// The level of the entry.
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// The type of the mapping.
    pub(super) fn ty(&self) -> Option<P2mType> {
        self.pte.ty()
    }

    /// The access that is stored in the entry.
    pub(super) fn access(&self) -> P2mAccess {
        self.pte.access()
    }

    /// A leaf of `level`, which is no larger than the host's, that maps what the host maps at
    /// the frames around `gfn`, with `access`. Always valid.
    pub(super) fn copy(&self, gfn: Gfn, level: Level, access: P2mAccess) -> Pte {
        debug_assert!(level >= self.level);
        let part = self.level.offset(gfn) - level.offset(gfn);
        let leaf = self.pte.advanced(part).at_level(level).with_valid_bit();
        match leaf.ty() {
            Some(ty) => leaf.with_rights(ty, access),
            None => Pte::EMPTY,
        }
    }
}

/// Copies what the host p2m maps at `gfn` to the view, in as large a leaf as the host
/// has, or a smaller one if the view already has a table there. Returns whether the guest may try
/// again: something is mapped in the
/// view now, or was before.
///
/// # Errors
///
/// [`Failure::NoTable`](crate::types::errno::Failure::NoTable) if there is no page for a table.
pub fn fill(write: &mut WriteView<'_>, number: Number, gfn: Gfn) -> Outcome<bool> {
    write.refuse_if_dying()?;
    let Some(host) = FoundLeaf::at(write, gfn) else {
        return Ok(false);
    };
    let Some(view) = write.view_mut(number) else {
        return Ok(false);
    };
    fill_in(&view, gfn, &host)?;
    Ok(true)
}

fn fill_in(view: &ViewWrite<'_>, gfn: Gfn, host: &FoundLeaf) -> Outcome {
    let access = view.default_access();
    // A leaf of the view that is there already stays: it may have been remapped.
    if FoundLeaf::at(view, gfn).is_some() {
        return Ok(());
    }
    let copy = |level| host.copy(gfn, level, access);
    if let Some(Place { table, .. }) = place(view, gfn, host.level(), copy(host.level()))? {
        let level = table.level();
        table.fill_empty(view, level.index(gfn), 1, copy(level));
        note(view, gfn, level);
    }
    Ok(())
}

/// Widens the range of frames that may be mapped in the view.
pub(super) fn note(view: &ViewWrite<'_>, gfn: Gfn, level: Level) {
    let first = level.start(gfn);
    view.note_mapped(first, first.add(level.pages() - 1));
}

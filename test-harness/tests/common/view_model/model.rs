// SPDX-License-Identifier: GPL-2.0-only
//! What guests in views must see, by maps of pages.

use std::collections::BTreeMap;

/// What a view is, beside what its host maps.
#[derive(Default)]
pub(super) struct ViewModel {
    pub(super) default_writable: bool,
    /// What is shown at a frame, if not the host's: the source.
    pub(super) remapped: BTreeMap<u64, u64>,
    /// Whether a page may be written, where that was set or came with a remapping.
    pub(super) writable: BTreeMap<u64, bool>,
    /// The range that all sources since the view was empty lie in.
    pub(super) sources: Option<(u64, u64)>,
}

impl ViewModel {
    pub(super) fn is_writable(&self, gfn: u64) -> bool {
        self.writable
            .get(&gfn)
            .copied()
            .unwrap_or(self.default_writable)
    }

    /// The host's mappings of these frames change.
    pub(super) fn forget(&mut self, gfn: u64, nr: u64) {
        if self
            .sources
            .is_some_and(|(first, last)| gfn <= last && first < gfn + nr)
        {
            *self = Self {
                default_writable: self.default_writable,
                ..Self::default()
            };
        } else {
            self.clear(gfn, nr);
        }
    }

    pub(super) fn clear(&mut self, gfn: u64, nr: u64) {
        self.remapped.retain(|at, _| !(gfn..gfn + nr).contains(at));
        self.writable.retain(|at, _| !(gfn..gfn + nr).contains(at));
    }
}

/// What the domain is, and what its guests must see.
#[derive(Default)]
pub(super) struct Model {
    pub(super) host: BTreeMap<u64, u64>,
    pub(super) host_writable: BTreeMap<u64, bool>,
    pub(super) views: BTreeMap<u16, ViewModel>,
    /// The view that the vCPU of a CPU is in.
    pub(super) at: [u16; 3],
    /// Whether a monitor listens.
    pub(super) listens: bool,
}

impl Model {
    /// The host's mappings of these frames change, where there are any.
    pub(super) fn forget(&mut self, gfn: u64, nr: u64) {
        if self.host.range(gfn..gfn + nr).next().is_some() {
            for view in self.views.values_mut() {
                view.forget(gfn, nr);
            }
        }
    }

    /// A restriction of a page is lifted, where the guest met it.
    pub(super) fn lift(&mut self, number: u16, gfn: u64) {
        let of_page = match self.views.get_mut(&number) {
            Some(view) => &mut view.writable,
            None => &mut self.host_writable,
        };
        of_page.insert(gfn, true);
    }

    /// What a guest in a view reads at a frame, and whether it may write there.
    pub(super) fn sees(&self, number: u16, gfn: u64) -> Option<(u64, bool)> {
        let own = *self.host.get(&gfn)?;
        let Some(view) = self.views.get(&number) else {
            let writable = self.host_writable.get(&gfn).copied().unwrap_or(true);
            return Some((own, writable));
        };
        let mfn = view
            .remapped
            .get(&gfn)
            .map_or(own, |source| self.host[source]);
        Some((mfn, view.is_writable(gfn)))
    }
}

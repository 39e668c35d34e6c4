// SPDX-License-Identifier: GPL-2.0-only
//! Xen's page lists: `add` puts at the head, `remove_head` takes from it.
//!
//! A page is on one list at most; taking it off another list than its own, or
//! putting it on a second one, is rule R0.

use crate::ground::event::Mfn;
use crate::ground::hash::WordMap;
use crate::model::framemap::FrameMap;

#[derive(Debug, Clone, Copy)]
struct Link {
    list: usize,
    before: Option<Mfn>,
    after: Option<Mfn>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Head {
    first: Option<Mfn>,
    last: Option<Mfn>,
    len: u64,
}

/// All page lists, by the address of their head.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// By address.
    heads: WordMap<Head>,
    links: FrameMap<Link>,
}

impl Lists {
    /// A head starts empty; what it held before is forgotten.
    pub(crate) fn init(&mut self, list: usize) {
        self.links.retain(|l| l.list != list);
        self.heads.insert(list as u64, Head::default());
    }

    pub(crate) fn add(&mut self, list: usize, mfn: Mfn, tail: bool) -> Result<(), String> {
        if let Some(link) = self.links.get(mfn) {
            return Err(format!("page {mfn:#x} is on list {:#x} already", link.list));
        }
        let Some(head) = self.heads.get_mut(&(list as u64)) else {
            return Err(format!("page list {list:#x} was never initialised"));
        };
        let (before, after) = if tail {
            (head.last, None)
        } else {
            (None, head.first)
        };
        head.len += 1;
        if before.is_none() {
            head.first = Some(mfn);
        }
        if after.is_none() {
            head.last = Some(mfn);
        }
        self.links.insert(
            mfn,
            Link {
                list,
                before,
                after,
            },
        );
        if let Some(link) = before.and_then(|m| self.links.get_mut(m)) {
            link.after = Some(mfn);
        }
        if let Some(link) = after.and_then(|m| self.links.get_mut(m)) {
            link.before = Some(mfn);
        }
        Ok(())
    }

    pub(crate) fn del(&mut self, list: usize, mfn: Mfn) -> Result<(), String> {
        match self.links.get(mfn) {
            Some(link) if link.list == list => {}
            Some(link) => {
                return Err(format!(
                    "page {mfn:#x} is on list {:#x}, not {list:#x}",
                    link.list
                ))
            }
            None => return Err(format!("page {mfn:#x} is on no list")),
        }
        let Some(link) = self.links.remove(mfn) else {
            return Ok(());
        };
        if let Some(l) = link.before.and_then(|m| self.links.get_mut(m)) {
            l.after = link.after;
        }
        if let Some(l) = link.after.and_then(|m| self.links.get_mut(m)) {
            l.before = link.before;
        }
        let head = self.heads.entry(list as u64).or_default();
        head.len = head.len.saturating_sub(1);
        if link.before.is_none() {
            head.first = link.after;
        }
        if link.after.is_none() {
            head.last = link.before;
        }
        Ok(())
    }

    pub(crate) fn first(&self, list: usize) -> Option<Mfn> {
        self.heads.get(&(list as u64)).and_then(|h| h.first)
    }

    pub(crate) fn last(&self, list: usize) -> Option<Mfn> {
        self.heads.get(&(list as u64)).and_then(|h| h.last)
    }

    pub(crate) fn is_linked(&self, mfn: Mfn) -> bool {
        self.links.contains(mfn)
    }

    pub(crate) fn is_initialised(&self, list: usize) -> bool {
        self.heads.contains_key(&(list as u64))
    }

    /// How many pages are on a list.
    pub(crate) fn len(&self, list: usize) -> u64 {
        self.heads.get(&(list as u64)).map_or(0, |head| head.len)
    }

    /// The pages of a list, first to last.
    pub(crate) fn pages(&self, list: usize) -> Vec<Mfn> {
        std::iter::successors(self.first(list), |m| {
            self.links.get(*m).and_then(|l| l.after)
        })
        .collect()
    }

    /// Moves all pages of `list` to the head of `to`.
    pub(crate) fn splice(&mut self, list: usize, to: usize) -> Result<(), String> {
        if !self.is_initialised(list) {
            return Err(format!("page list {list:#x} was never initialised"));
        }
        for mfn in self.pages(list).into_iter().rev() {
            self.del(list, mfn)?;
            self.add(to, mfn, false)?;
        }
        Ok(())
    }
}

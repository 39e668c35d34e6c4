// SPDX-License-Identifier: GPL-2.0-only
//! The hardware's walk of both stages.
//!
//! Stage 1 is [`crate::model::guests`]'s; a walk of it needs the page with its tables through
//! stage 2, as on hardware. Stage 2 is read from the machine's memory the way the MMU does: from
//! the root in VTTBR_EL2, by bit 0, bit 1, the address, S2AP and XN (Arm ARM, D8.3).

use super::State;
use crate::ground::handles::Domain;
use crate::ground::pte;
use crate::model::guests::Want;

/// What a translation proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The tables say so: their lock is held.
    Full,
    /// An address was mapped a moment ago; a failure proves nothing.
    Success,
}

impl State {
    /// Before a translation by both stages. Under the lock it says what the tables say. Without
    /// it the tables must be the host p2m's, the answer may be an old one, and a failure, which
    /// an entry in the middle of break-before-make may be the reason of, is no answer.
    pub(crate) fn translation_begins(&mut self, cpu: usize, va: u64) -> Trust {
        if self.cpus.cpus[cpu]
            .failed_unlocked
            .is_some_and(|failed| failed != va)
        {
            self.check_not_given_up(cpu, "the translation of another address");
        }
        let current = self.domains.vcpu(self.cpus.cpus[cpu].current);
        let domain = current.and_then(|v| self.domains.by_address(v.domain));
        let lock = domain.map(|d| d.lock_address());
        if lock.is_some_and(|lock| self.locks.holds(lock, cpu)) {
            return Trust::Full;
        }
        let host = domain.map(|d| Domain(d.pointer).vttbr());
        if host != Some(self.cpus.cpus[cpu].vttbr) {
            self.broken(
                "L4",
                format!(
                    "CPU {cpu} translates with no lock through tables that are not the host p2m's"
                ),
            );
        }
        Trust::Success
    }

    /// After it.
    pub(crate) fn translation_ends(&mut self, cpu: usize, va: u64, trust: Trust, failed: bool) {
        let is_no_answer = failed && trust == Trust::Success;
        self.cpus.cpus[cpu].failed_unlocked = is_no_answer.then_some(va);
    }

    /// What comes after a translation that failed without the lock, other than another one of that address. (In an
    /// interrupt no lock can be taken, and no answer is one.)
    pub(crate) fn check_not_given_up(&mut self, cpu: usize, what: &str) {
        let c = &mut self.cpus.cpus[cpu];
        let is_interrupt = c.in_irq || c.in_ipi;
        if c.failed_unlocked.take().is_some() && !is_interrupt {
            self.broken(
                "L4",
                format!(
                    "CPU {cpu} has translated with no lock, failed, and not tried again under \
                     the lock before {what}"
                ),
            );
        }
    }

    /// After a translation by stage 1 alone. It reads the guest's tables through stage 2, so a failure may
    /// come of an entry in the middle of break-before-make there. That is an answer only behind the lock
    /// and an ISB, for the lock does not order AT.
    pub(crate) fn stage1_ends(&mut self, cpu: usize, failed: bool) {
        let current = self.domains.vcpu(self.cpus.cpus[cpu].current);
        let domain = current.and_then(|v| self.domains.by_address(v.domain));
        let is_locked = domain.is_some_and(|d| self.locks.holds(d.lock_address(), cpu));
        let c = &mut self.cpus.cpus[cpu];
        // What it says of stage 2 is not relied on.
        c.failed_unlocked = None;
        c.stage1_unanswered = failed && !(is_locked && c.synchronized);
    }

    /// A walk in software, under the lock, answers as well.
    pub(crate) fn check_stage1_answered(&mut self, cpu: usize) {
        if std::mem::take(&mut self.cpus.cpus[cpu].stage1_unanswered) {
            self.broken(
                "L4",
                format!(
                    "CPU {cpu} has translated by stage 1 alone, without the lock and an ISB, failed, and not \
                     walked in software before the end of the call"
                ),
            );
        }
    }

    /// The MMU's stage-2 walk for the tables that this CPU has loaded:
    /// the machine address, or `None` for a fault.
    pub(crate) fn hardware_walk(&mut self, cpu: usize, ipa: u64, want: Want) -> Option<u64> {
        self.walk_or_cached(cpu, ipa, want, false)
    }

    /// The same; with `stale` by what TLBs and walk caches may still hold, where that is not
    /// what the tables say.
    fn walk_or_cached(&mut self, cpu: usize, ipa: u64, want: Want, stale: bool) -> Option<u64> {
        let (root_level, pages) = self.config.root();
        if ipa >> self.config.ipa_bits != 0 {
            return None;
        }
        let domain = self
            .domains
            .vcpu(self.cpus.cpus[cpu].current)
            .map(|v| v.domain)
            .filter(|_| stale);
        let base = (self.cpus.cpus[cpu].vttbr & 0x0000_FFFF_FFFF_FFFE) >> 12;
        let shift = |level: u32| 12 + 9 * (3 - level);
        let concatenated = (ipa >> (shift(root_level) + 9)) as usize;
        if concatenated >= pages {
            return None;
        }
        let mut table = base + concatenated as u64;
        for level in root_level..=3 {
            let index = (ipa >> shift(level)) as usize & 0x1FF;
            let gfn = ipa >> shift(level) << shift(level) >> 12;
            let cached = domain.and_then(|domain| self.tlb.cached((domain, level, gfn)));
            let entry = match cached {
                Some(old) => old,
                None => self.frames.pages.load(table, index),
            };
            if entry & 1 == 0 {
                return None;
            }
            if level < 3 && entry & 2 != 0 {
                table = pte::mfn(entry);
                continue;
            }
            if level == 0 || (level == 3 && entry & 2 == 0) {
                return None;
            }
            let allowed = match want {
                Want::Read => entry & pte::READ != 0,
                Want::Write => entry & pte::WRITE != 0,
                Want::Execute => entry & pte::XN == 0,
                // Xen sets HCR_EL2.PTW.
                Want::WalkRead => entry & pte::READ != 0 && !pte::is_device(entry),
                Want::WalkWrite => entry & pte::WRITE != 0 && !pte::is_device(entry),
                Want::Mapping => true,
            };
            let mask = (1u64 << shift(level)) - 1;
            return allowed.then_some(pte::mfn(entry) << 12 & !mask | ipa & mask);
        }
        None
    }

    /// `AT S1E1R/W`: virtual to intermediate physical address.
    pub(crate) fn at_stage1(&mut self, cpu: usize, va: u64, want: Want) -> Option<u64> {
        self.stage1(cpu, va, want, false)
    }

    /// `AT S12E1R/W`: virtual to machine address.
    pub(crate) fn at_stage12(&mut self, cpu: usize, va: u64, want: Want) -> Option<u64> {
        let stale = self.cpus.stale_translations;
        let ipa = self.stage1(cpu, va, want, stale)?;
        self.walk_or_cached(cpu, ipa, want, stale)
    }

    /// The guest frame that the guest on a CPU comes to by a virtual address, with its own tables or
    /// what its TLB still holds of them.
    pub(crate) fn guest_translates(&mut self, cpu: usize, va: u64) -> Option<u64> {
        let vmid = (self.cpus.cpus[cpu].vttbr >> 48) as u16;
        let tables = self.guests.get(&self.cpus.cpus[cpu].current)?.tables_in;
        let read = match tables {
            Some(gfn) => self.hardware_walk(cpu, gfn << 12, Want::WalkRead),
            None => Some(0),
        };
        let stage1 = self.guests.get(&self.cpus.cpus[cpu].current)?;
        let walked = read.and_then(|maddr| stage1.entry(tables.map(|_| maddr >> 12), va >> 12));
        let used = self.translations.get_or(cpu, (vmid, va >> 12), walked)?;
        Some(used.gfn)
    }

    fn stage1(&mut self, cpu: usize, va: u64, want: Want, stale: bool) -> Option<u64> {
        let mut tables = self.guests.get(&self.cpus.cpus[cpu].current)?.tables_in;
        if let Some(gfn) = tables {
            let maddr = self.walk_or_cached(cpu, gfn << 12, Want::WalkRead, stale)?;
            tables = Some(maddr >> 12);
        }
        let stage1 = self.guests.get(&self.cpus.cpus[cpu].current)?;
        let entry = stage1.entry(tables, va >> 12)?;
        (want != Want::Write || entry.writable).then_some(entry.gfn << 12 | va & 0xFFF)
    }
}

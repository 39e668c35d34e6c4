// SPDX-License-Identifier: GPL-2.0-only
//! Rule L7: the list of a pool's free pages and the pool's total are the business of who holds the
//! pool's lock (`d->arch.paging.lock`), and a list of table pages that of who holds its p2m's lock for
//! writing; the host's stands for a view's.
//!
//! C does all of that under these locks, at a domain's beginning and end as well. Only to initialise a list
//! and a lock, which nobody else can reach yet, and to see whether a list is empty (in its assertions, when
//! nobody else is left), it takes none.

use super::State;
use crate::ground::handles::Domain;
use crate::model::domains::{lock_of, pool_lock_of, ListOf};
use crate::model::locks::Attempt;

impl State {
    /// The CPU takes pages off a list, puts some on it, or looks for one.
    pub(crate) fn check_list_locked(&mut self, cpu: usize, list: usize, call: &str) {
        let (domain, lock, is_held) = match self.domains.list(list) {
            ListOf::Tables(domain) => {
                let is_held = self.locks.holds_for_write(lock_of(domain), cpu);
                (domain, "its p2m's write lock", is_held)
            }
            ListOf::Pool(domain) => {
                let is_held = self.locks.holds_spin(pool_lock_of(domain), cpu);
                (domain, "the pool's lock", is_held)
            }
            ListOf::Others => return,
        };
        if !is_held {
            let name = self.domains.name(domain);
            let what = format!("CPU {cpu}: {call}() of a list of {name}'s without {lock}");
            self.broken("L7", what);
        }
    }

    /// Whether the CPU holds the p2m lock of a domain that is not dying for writing.
    pub(crate) fn changes_its_living_p2m(&self, cpu: usize, domain: usize) -> bool {
        let record = self.domains.by_address(domain);
        let lives = record.is_some_and(|record| !Domain(record.pointer).is_dying());
        lives && self.locks.holds_for_write(lock_of(domain), cpu)
    }

    /// `spin_lock_init()`.
    pub(crate) fn init_spin(&mut self, lock: usize) {
        self.locks.init_spin(lock);
        self.leave_pool(lock);
    }

    /// An attempt to take a spinlock.
    pub(crate) fn try_spin(&mut self, lock: usize, cpu: usize) -> Attempt {
        let attempt = self.locks.try_spin(lock, cpu);
        let is_taken = matches!(attempt, Attempt::Taken);
        if let Some(d) = self.domains.by_pool_lock(lock).filter(|_| is_taken) {
            self.check_pool_left(d);
        }
        attempt
    }

    /// A spinlock is about to be dropped.
    pub(crate) fn leave_pool(&mut self, lock: usize) {
        if let Some(d) = self.domains.by_pool_lock(lock) {
            self.pools.leave(d.address(), d.pool_pages());
        }
    }

    /// Nobody holds the pool's lock, or somebody does since a moment ago.
    pub(crate) fn check_pool_left(&mut self, d: Domain) {
        let (name, total) = (self.domains.name(d.address()), d.pool_pages());
        if let Some(left) = self.pools.changed(d.address(), total) {
            let what = format!(
                "{name}'s pool has {total} pages, and had {left} when its lock was dropped"
            );
            self.broken("L7", what);
            self.pools.leave(d.address(), total);
        }
    }
}

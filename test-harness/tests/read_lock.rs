// SPDX-License-Identifier: GPL-2.0-only
//! `xen-sys/src/rwlock.rs`, by which look-ups take Xen's rwlock without a call: only the hypervisor compiles it. Here it
//! runs on a lock that writes down what is done to it, and in which order of memory: an emulator on x86-64 would never
//! show a wrong one.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

/// The header's: a writer has the lock, or waits for it; and what one reader counts for.
const XS_QW_WMASK: u32 = 3 << 14;
const XS_QR_BIAS: u32 = 1 << 16;

/// What is done to a lock.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Add(u32, Ordering),
    Sub(u32, Ordering),
}

/// The word of a lock.
#[derive(Default)]
struct Word {
    value: Cell<u32>,
    /// What was done, and how often preemption was disabled then.
    done: RefCell<Vec<(Done, u32)>>,
}

impl Word {
    fn note(&self, done: Done) {
        let depth = PREEMPT_COUNT.with(Cell::get);
        self.done.borrow_mut().push((done, depth));
    }

    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.note(Done::Add(value, order));
        let before = self.value.get();
        self.value.replace(before.wrapping_add(value))
    }

    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        self.note(Done::Sub(value, order));
        let before = self.value.get();
        self.value.replace(before.wrapping_sub(value))
    }
}

thread_local! {
    static PREEMPT_COUNT: Cell<u32> = const { Cell::new(0) };
}

mod inlines {
    use std::cell::Cell;

    /// This CPU's count.
    pub(crate) struct Count;

    impl Count {
        pub(crate) fn get(&self) -> u32 {
            super::PREEMPT_COUNT.with(Cell::get)
        }

        pub(crate) fn set(&self, count: u32) {
            super::PREEMPT_COUNT.with(|place| place.set(count));
        }
    }

    pub(crate) fn preempt_count() -> &'static Count {
        &Count
    }
}

#[allow(non_camel_case_types)] // C's name.
struct rwlock_t;

/// A structure of C's, here a lock.
struct Opaque<T>(Word, std::marker::PhantomData<T>);

impl<T> Opaque<T> {
    fn field(&self, _: rwlock::Count) -> &Word {
        &self.0
    }
}

macro_rules! fields {
    (unsafe $name:ident: $($rest:tt)*) => {
        pub(crate) struct $name;
    };
}
use fields;

#[allow(unused_imports, unreachable_pub, missing_docs)] // as the crate has it
#[path = "../../xen-sys/src/rwlock.rs"]
mod rwlock;

/// A lock with this word.
fn lock(value: u32) -> Opaque<rwlock_t> {
    let word = Word::default();
    word.value.set(value);
    Opaque(word, std::marker::PhantomData)
}

fn preempt_count() -> u32 {
    PREEMPT_COUNT.with(Cell::get)
}

#[test]
fn a_reader_sees_what_the_last_writer_did_and_the_next_writer_what_it_did() {
    // Free, or with other readers.
    for readers in [0, 1, 7] {
        let l = lock(readers * XS_QR_BIAS);
        assert!(rwlock::read_trylock(&l));
        assert_eq!(l.0.value.get(), (readers + 1) * XS_QR_BIAS);
        assert_eq!(preempt_count(), 1);
        // SAFETY: it was taken.
        unsafe { rwlock::read_unlock(&l) };
        assert_eq!(l.0.value.get(), readers * XS_QR_BIAS);
        assert_eq!(preempt_count(), 0);
        // An acquire, a release, and no preemption from before the one to after the other.
        let done = [
            (Done::Add(XS_QR_BIAS, Acquire), 1),
            (Done::Sub(XS_QR_BIAS, Release), 1),
        ];
        assert_eq!(*l.0.done.borrow(), done);
    }
}

#[test]
fn a_lock_that_a_writer_has_or_waits_for_is_left_as_it_was() {
    let (waits, has_it) = (1 << 14, 3 << 14 | 5);
    let most_readers = (1 << 31) - XS_QR_BIAS;
    for word in [waits, has_it, XS_QR_BIAS | waits, most_readers] {
        let l = lock(word);
        assert!(!rwlock::read_trylock(&l), "{word:#x}");
        assert_eq!(l.0.value.get(), word);
        assert_eq!(preempt_count(), 0);
        // Nothing was done under the lock that others would have to see.
        let done = [
            (Done::Add(XS_QR_BIAS, Acquire), 1),
            (Done::Sub(XS_QR_BIAS, Relaxed), 1),
        ];
        assert_eq!(*l.0.done.borrow(), done);
    }
}

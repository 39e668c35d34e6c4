// SPDX-License-Identifier: GPL-2.0-only
//! [`Owner`]: whether tables are those of a host p2m, whose entries own references, or those
//! of a view (`p2m/views.rs`), whose entries own nothing.
//!
//! A host p2m keeps what it maps: an entry for a foreign page owns a reference to that page. A
//! view only repeats what the host maps, for as long as the host maps it, so it needs no
//! reference; and it must never drop one, since it has none. So what was removed from a table
//! says whose it was, and only what was a host's has references to drop.
//!
//! For this a host's mapping may change only after no view maps it any more, and to change it
//! takes a [`Forgotten`].

use core::marker::PhantomData;

/// Whose tables.
pub trait Owner {
    /// Whether an IOMMU may walk the tables, so that its TLB may hold their entries.
    const IS_SHARED_WITH_IOMMU: bool;
    /// What shows that an entry may be removed, or replaced by another mapping.
    type MayRemove<'l>: Copy;
}

/// A host p2m: the one that a domain always has (`p2m_get_hostp2m`).
#[derive(Debug)]
pub enum Host {}

/// A view of a host p2m.
#[derive(Debug)]
pub enum View {}

impl Owner for Host {
    const IS_SHARED_WITH_IOMMU: bool = true;
    type MayRemove<'l> = Forgotten<'l>;
}

impl Owner for View {
    // Devices always use the host p2m.
    const IS_SHARED_WITH_IOMMU: bool = false;
    // A view may lose an entry at any time: the guest's next access faults, and what the host
    // maps there is copied once more.
    type MayRemove<'l> = ();
}

/// Proof that no view maps what an entry of the host p2m maps, or that the entry goes on
/// mapping it.
///
/// # Invariants
///
/// The write lock of the host p2m has been held since, and nothing was copied to a view. It
/// does not say *which* frames: whoever makes one uses it for those that the views were told of.
///
/// The lifetime is that of the lock. While a `Forgotten` is in use, the token from which the
/// lock was taken stays borrowed, so that a `Forgotten` cannot be used under the next lock.
#[derive(Clone, Copy, Debug)]
pub struct Forgotten<'l>(PhantomData<&'l ()>);

impl Forgotten<'_> {
    /// Only for the three functions of `p2m/views.rs`, each of which says why it holds.
    pub(crate) const fn promised() -> Self {
        Self(PhantomData)
    }
}

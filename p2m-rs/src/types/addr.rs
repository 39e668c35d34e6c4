// SPDX-License-Identifier: GPL-2.0-only
//! Frame numbers and addresses, each a type of its own.
//!
//! A guest frame (GFN, what stage 2 translates from) and a machine frame (MFN,
//! what it translates to) are both 64-bit words in C. Here the compiler tells them
//! apart, and C's invalid frame (all ones) is `None`: [`Gfn::from_c`] and [`Mfn::from_c`]
//! convert it.

/// log2 of the translation granule: 4 KiB pages.
pub const PAGE_SHIFT: u32 = 12;

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

/// C's `INVALID_GFN` and `INVALID_MFN`.
const INVALID_FRAME: u64 = !0;

macro_rules! word {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            /// From the raw word.
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// The raw word.
            pub const fn raw(self) -> u64 {
                self.0
            }
        }
    };
}

word!(
    /// Guest frame number: an intermediate physical address divided by 4 KiB.
    Gfn
);
word!(
    /// Machine frame number: a physical address divided by 4 KiB.
    Mfn
);
word!(
    /// Intermediate physical address (bytes): the input of stage 2.
    Ipa
);
word!(
    /// Guest virtual address (bytes): the input of stage 1.
    Gva
);
word!(
    /// Machine (physical) address in bytes: the output of stage 2.
    Maddr
);

macro_rules! frame {
    ($name:ident) => {
        impl $name {
            /// From C, where all ones means "no frame".
            pub const fn from_c(raw: u64) -> Option<Self> {
                if raw == INVALID_FRAME {
                    None
                } else {
                    Some(Self(raw))
                }
            }

            /// C's value; all ones for `None`.
            pub fn to_c(frame: Option<Self>) -> u64 {
                frame.map_or(INVALID_FRAME, Self::raw)
            }

            /// The frame `pages` after this one; wraps like C's `gfn_add`.
            #[must_use]
            pub const fn add(self, pages: u64) -> Self {
                Self(self.0.wrapping_add(pages))
            }
        }
    };
}

frame!(Gfn);
frame!(Mfn);

impl Gfn {
    /// The first frame after the block of 2^`order` pages that holds this frame
    /// (`gfn_next_boundary`). Wraps to 0 after the last block.
    #[must_use]
    pub const fn next_boundary(self, order: u32) -> Self {
        Self((self.0 >> order).wrapping_add(1) << order)
    }
}

impl Mfn {
    /// Address of the frame's first byte (`mfn_to_maddr`).
    pub const fn base(self) -> Maddr {
        Maddr(self.0 << PAGE_SHIFT)
    }
}

impl Ipa {
    /// The guest frame that holds this address (`gaddr_to_gfn`).
    pub const fn gfn(self) -> Gfn {
        Gfn(self.0 >> PAGE_SHIFT)
    }

    /// The first address of the page that holds this one.
    #[must_use]
    pub const fn page_start(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }

    /// Offset of this address in its page, in bytes.
    pub const fn page_offset(self) -> u64 {
        self.0 & (PAGE_SIZE - 1)
    }
}

impl Maddr {
    /// The machine frame that holds this address (`maddr_to_mfn`).
    pub const fn mfn(self) -> Mfn {
        Mfn(self.0 >> PAGE_SHIFT)
    }
}

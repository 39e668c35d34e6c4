// SPDX-License-Identifier: GPL-2.0-only
//! A stage-2 translation table entry, bit by bit (C's `lpae_p2m_t`).
//!
//! | bits | field | meaning |
//! |---|---|---|
//! | 0 | valid | the walker may use the entry |
//! | 1 | table | table descriptor (levels 0 to 2), page descriptor (level 3) |
//! | 5:2 | MemAttr | memory type |
//! | 7:6 | S2AP | bit 6 read, bit 7 write |
//! | 9:8 | SH | shareability |
//! | 10 | AF | access flag, always set: Xen does not track it |
//! | 47:12 | base | output address or next table |
//! | 54 | XN | no instruction fetch |
//! | 58:55 | type | ignored by hardware: [`P2mType`] |
//! | 62:59 | access | ignored by hardware: the access that mem_access set |
//!
//! **Bits 62:59** can be assigned to the hardware (PBHA), bit by bit, with
//! VTCR_EL2.HWU59 to HWU62, which Xen leaves 0 (DDI 0487K, D8.3.2). An SMMUv3
//! that walks these tables has STE.S2HWU59 to S2HWU62 for that, which Xen's driver
//! leaves 0 too. An SMMUv2 may use some of these bits as allocation hints,
//! which change no translation.
//!
//! **Valid and mapped are different.** [`Pte::valid_bit`] is bit 0, which tells the hardware
//! that it may use the entry. [`Pte::is_mapped`] tells the p2m that the type is not
//! `p2m_invalid`. Xen clears the valid bit of mapped entries on purpose, to learn from the next
//! fault what a guest touches (set/way emulation). An entry that is mapped but has its valid
//! bit clear still owns its references or its next table.

use core::fmt;

use crate::types::access::P2mAccess;
use crate::types::addr::{Mfn, PAGE_SHIFT};
use crate::types::level::Level;
use crate::types::p2m_type::{P2mType, Types};

const VALID: u64 = 1;
const TABLE: u64 = 1 << 1;
const MATTR_SHIFT: u32 = 2;
const READ: u64 = 1 << 6;
const WRITE: u64 = 1 << 7;
const SH_SHIFT: u32 = 8;
const AF: u64 = 1 << 10;
const BASE: u64 = ((1 << 36) - 1) << PAGE_SHIFT;
const XN: u64 = 1 << 54;
const TYPE_SHIFT: u32 = 55;
const TYPE: u64 = 0xf << TYPE_SHIFT;
const ACCESS_SHIFT: u32 = 59;
const ACCESS: u64 = 0xf << ACCESS_SHIFT;
/// The stored code is the access XOR this value, so that no restriction is stored as 0 and most
/// entries are as in C.
const UNRESTRICTED: u64 = P2mAccess::Rwx as u64;

/// S2AP and XN: what may change in a live entry without break-before-make
/// (C's `P2M_PERM_MASK`).
const PERMISSIONS: u64 = READ | WRITE | XN;

/// Memory attributes of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryAttributes {
    /// Stage-2 MemAttr\[3:0\].
    pub(crate) mattr: u64,
    /// SH\[1:0\].
    pub(crate) shareability: u64,
}

impl MemoryAttributes {
    /// Device-nGnRE, outer shareable (the architecture ignores SH here).
    pub(crate) const DEVICE: Self = Self::new(0x1, 0b10);
    /// Normal non-cacheable; the architecture treats it as outer shareable.
    pub(crate) const NON_CACHEABLE: Self = Self::new(0x5, 0b10);
    /// Normal write-back, outer shareable.
    pub(crate) const CACHEABLE_OUTER: Self = Self::new(0xf, 0b10);
    /// Normal write-back, inner shareable.
    pub(crate) const CACHEABLE_INNER: Self = Self::new(0xf, 0b11);

    const fn new(mattr: u64, shareability: u64) -> Self {
        Self {
            mattr,
            shareability,
        }
    }

    /// The memory attributes of a type.
    const fn of(ty: P2mType) -> Self {
        match ty {
            P2mType::MmioDirectDev => Self::DEVICE,
            P2mType::MmioDirectNc => Self::NON_CACHEABLE,
            P2mType::MmioDirectC => Self::CACHEABLE_OUTER,
            _ => Self::CACHEABLE_INNER,
        }
    }
}

/// An entry without a frame: the type `ty`, its memory attributes and its rights.
const fn of_type(ty: P2mType) -> u64 {
    let attributes = MemoryAttributes::of(ty);
    let (mattr, sh) = (attributes.mattr, attributes.shareability);
    let write = if ty.is_writable() { WRITE } else { 0 };
    let xn = if ty.is_executable() { 0 } else { XN };
    let ty = (ty as u64) << TYPE_SHIFT;
    VALID | AF | mattr << MATTR_SHIFT | sh << SH_SHIFT | ty | READ | write | xn
}

/// The fields of an entry that an access decides, with XN inverted: a set bit is a right.
const RIGHTS: u64 = PERMISSIONS | ACCESS;

/// The rights that a type gives; it leaves the stored access as it is.
const fn given(ty: P2mType) -> u64 {
    (of_type(ty) ^ XN) & PERMISSIONS | ACCESS
}

/// The rights that an access leaves, and the access as it is stored.
const fn left(access: P2mAccess) -> u64 {
    let read = if access.allows_read() { READ } else { 0 };
    let write = if access.allows_write() { WRITE } else { 0 };
    let execute = if access.allows_execute() { XN } else { 0 };
    read | write | execute | (access as u64 ^ UNRESTRICTED) << ACCESS_SHIFT
}

/// A table of what `$of` makes of each of `$all`, the values of an enumeration. The other entries are 0.
macro_rules! table_of {
    ($all:expr, $of:path) => {{
        let mut table = [0; CODES];
        let mut rest: &[_] = &$all;
        while let [value, after @ ..] = rest {
            // This runs at compile time, where a panic is a compile error.
            #[allow(clippy::indexing_slicing)]
            {
                table[*value as usize] = $of(*value);
            }
            rest = after;
        }
        table
    }};
}

/// An entry has four bits for a type and four for an access.
const CODES: usize = 16;

/// Tables, since every mapping needs these values.
static OF_TYPE: [u64; CODES] = table_of!(P2mType::ALL, of_type);
static GIVEN: [u64; CODES] = table_of!(P2mType::ALL, given);
static LEFT: [u64; CODES] = table_of!(P2mAccess::ALL, left);

/// What a table has for a code. Four bits are never beyond it, so there is nothing to check.
#[inline(always)]
fn of_code(table: &[u64; CODES], code: usize) -> u64 {
    table.get(code % CODES).copied().unwrap_or(0)
}

/// The entry of a type that is restricted to an access, without a frame
/// (`p2m_set_permission`).
#[inline(always)]
fn template(ty: P2mType, access: P2mAccess) -> u64 {
    let full = of_code(&OF_TYPE, ty as usize);
    // The common case.
    if matches!(access, P2mAccess::Rwx) {
        return full;
    }
    let left = of_code(&LEFT, access as usize);
    full & (left | !(READ | WRITE)) | !left & XN
}

/// A translation table entry, as a value (not its place in a table).
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pte(u64);

/// Prints an entry for a person to read, for example
/// `Pte(0x40081: RamRw, valid, page or table, read, write, access Rw)`.
/// "Page or table" is the table bit, which a page at level 3 has as well.
impl fmt::Debug for Pte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ty) = self.ty() else {
            return write!(f, "Pte(nothing mapped, {:#x})", self.0);
        };
        write!(f, "Pte({:#x}: {ty:?}", self.mfn().raw())?;
        let says = [
            (self.0, VALID, ", valid", ", invalid"),
            (self.0, TABLE, ", page or table", ", block"),
            (self.0, READ, ", read", ""),
            (self.0, WRITE, ", write", ""),
            (self.0, XN, "", ", execute"),
        ];
        for (bits, bit, set, clear) in says {
            f.write_str(if bits & bit != 0 { set } else { clear })?;
        }
        write!(f, ", access {:?})", self.access())
    }
}

/// The meaning of an entry at a given level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The entry maps nothing.
    Empty,
    /// The entry points to the next table, which is this frame.
    Table(Mfn),
    /// The entry maps a page or a block.
    Leaf,
}

impl Pte {
    /// The entry that maps nothing.
    pub const EMPTY: Self = Self(0);

    /// The entry with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The entry's 64 bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// An entry that maps a page or block at `level` (C's `mfn_to_p2m_entry`). Memory attributes
    /// and permissions come from the type; the access takes permissions away, and is not stored.
    #[inline(always)]
    pub fn leaf(mfn: Mfn, ty: P2mType, access: P2mAccess, level: Level) -> Self {
        debug_assert!(mfn.raw() >> 36 == 0);
        debug_assert!(level != Level::L0, "the architecture has no level-0 block");
        let frame = (mfn.raw() << PAGE_SHIFT) & BASE;
        Self(template(ty, access) | frame).at_level(level)
    }

    /// This mapping with `access` stored in it (`p2m_mem_access_radix_set`). An entry that was
    /// written before mem_access was enabled stores none, which reads as `Rwx` (C does not use
    /// its radix tree then).
    #[must_use]
    #[inline(always)]
    pub fn with_access(self, access: P2mAccess) -> Self {
        let code = u64::from(access.to_c()) ^ UNRESTRICTED;
        Self(self.0 & !ACCESS | code << ACCESS_SHIFT)
    }

    /// The access that is stored in the entry. Codes that no access has are never written;
    /// they decode as [`P2mAccess::N`].
    #[inline(always)]
    pub const fn access(self) -> P2mAccess {
        match P2mAccess::from_c((self.0 & ACCESS) >> ACCESS_SHIFT ^ UNRESTRICTED) {
            Some(access) => access,
            None => P2mAccess::N,
        }
    }

    /// C's value of [`Self::access`].
    // Four bits.
    #[allow(clippy::cast_possible_truncation)]
    #[inline(always)]
    pub const fn access_to_c(self) -> u32 {
        ((self.0 & ACCESS) >> ACCESS_SHIFT ^ UNRESTRICTED) as u32
    }

    /// This mapping, whose type is `ty`, with its permissions restricted to `access` and
    /// `access` stored in it.
    #[must_use]
    #[inline(always)]
    pub fn with_rights(self, ty: P2mType, access: P2mAccess) -> Self {
        let given = of_code(&GIVEN, ty as usize);
        let left = of_code(&LEFT, access as usize);
        Self((self.0 & !RIGHTS | given & left) ^ XN)
    }

    /// This leaf with a frame `pages` frames further on. If that is past the
    /// last frame that an entry can address, the result must not be written to a table.
    #[must_use]
    #[inline(always)]
    pub const fn advanced(self, pages: u64) -> Self {
        Self(self.0.wrapping_add(pages << PAGE_SHIFT))
    }

    /// An entry that points to the next table (C's `page_to_p2m_table`). The hardware
    /// ignores all fields but valid, table and base; the type makes the entry count
    /// as mapped.
    pub(crate) fn table(mfn: Mfn) -> Self {
        let page = Self::leaf(mfn, P2mType::RamRw, P2mAccess::Rwx, Level::L3);
        Self(page.0 | TABLE)
    }

    /// The valid bit, bit 0: whether the hardware may use the entry (C's `lpae_is_valid`).
    ///
    /// If the bit is clear, no TLB or walk cache holds the entry or anything below
    /// it, except while a flush is deferred: the bit of a live entry is only cleared
    /// with a flush before the unlock (breaks, `guest::fault::invalidate_root`), or
    /// where the valid bit of an entry above is clear already (`guest::fault::resolve`).
    #[inline(always)]
    pub const fn valid_bit(self) -> bool {
        self.0 & VALID != 0
    }

    /// Whether the entry is a mapping or points to a table for the p2m, whatever its valid bit
    /// says (C's `p2m_is_valid`).
    #[inline(always)]
    pub const fn is_mapped(self) -> bool {
        self.0 & TYPE != 0
    }

    /// This entry with its valid bit set.
    #[must_use]
    #[inline(always)]
    pub const fn with_valid_bit(self) -> Self {
        Self(self.0 | VALID)
    }

    /// This entry with its valid bit clear.
    #[must_use]
    #[inline(always)]
    pub const fn without_valid_bit(self) -> Self {
        Self(self.0 & !VALID)
    }

    /// The meaning of the entry at `level` (`p2m_is_mapping`, `p2m_is_superpage`).
    #[inline(always)]
    pub const fn kind(self, level: Level) -> Kind {
        if !self.is_mapped() {
            Kind::Empty
        } else if self.0 & TABLE != 0 && !matches!(level, Level::L3) {
            Kind::Table(self.mfn())
        } else {
            Kind::Leaf
        }
    }

    /// Bit 1, the table bit: above level 3, whether the entry points to the next table, as
    /// [`Self::kind`] says, since an entry without a type never has this bit.
    #[inline(always)]
    pub const fn has_table_bit(self) -> bool {
        debug_assert!(self.is_mapped() || self.0 & TABLE == 0);
        self.0 & TABLE != 0
    }

    /// The output frame of a leaf, or the frame of the next table.
    #[inline(always)]
    pub const fn mfn(self) -> Mfn {
        Mfn::new((self.0 & BASE) >> PAGE_SHIFT)
    }

    /// The type of a leaf; `None` if nothing is mapped.
    #[inline(always)]
    pub const fn ty(self) -> Option<P2mType> {
        P2mType::from_c((self.0 & TYPE) >> TYPE_SHIFT)
    }

    /// Whether this is the domain's own RAM ([`P2mType::is_ram`]); false if nothing is mapped.
    #[inline(always)]
    pub const fn is_ram(self) -> bool {
        Types::RAM.have((self.0 & TYPE) >> TYPE_SHIFT)
    }

    /// Whether this is another domain's page, to which the mapping owns a reference
    /// ([`P2mType::is_foreign`]).
    #[inline(always)]
    pub const fn is_foreign(self) -> bool {
        Types::FOREIGN.have((self.0 & TYPE) >> TYPE_SHIFT)
    }

    /// Whether this is RAM of any domain ([`P2mType::is_any_ram`]).
    #[inline(always)]
    pub const fn is_any_ram(self) -> bool {
        Types::ANY_RAM.have((self.0 & TYPE) >> TYPE_SHIFT)
    }

    /// C's value of [`Self::ty`]; 0 (`p2m_invalid`) if nothing is mapped.
    // Four bits.
    #[allow(clippy::cast_possible_truncation)]
    #[inline(always)]
    pub const fn ty_to_c(self) -> u32 {
        ((self.0 & TYPE) >> TYPE_SHIFT) as u32
    }

    /// Whether the two entries differ in permissions and the stored access only, so that one
    /// may replace the other while live: break-before-make is required for changes of
    /// address, memory type and block size (DDI 0487K, D8.16.1, R_WHZWS).
    #[inline(always)]
    pub const fn differs_only_in_permissions(self, other: Self) -> bool {
        (self.0 ^ other.0) & !(PERMISSIONS | ACCESS) == 0
    }

    /// The leaf of `level`, a block or a page, with the same first frame, attributes and
    /// permissions.
    #[must_use]
    #[inline(always)]
    pub const fn at_level(self, level: Level) -> Self {
        if matches!(level, Level::L3) {
            Self(self.0 | TABLE)
        } else {
            Self(self.0 & !TABLE)
        }
    }
}

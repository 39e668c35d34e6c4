// SPDX-License-Identifier: GPL-2.0-only
//! The values of a dump's fields.

/// By what a frame is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// A block of 1 GiB.
    Gib1,
    /// A block of 2 MiB.
    Mib2,
    /// A page.
    Kib4,
}

impl Size {
    /// All, in the order of a dump.
    pub const ALL: [Self; 3] = [Self::Gib1, Self::Mib2, Self::Kib4];

    /// log2 of its pages.
    #[must_use]
    pub const fn order(self) -> u64 {
        match self {
            Self::Gib1 => 18,
            Self::Mib2 => 9,
            Self::Kib4 => 0,
        }
    }

    /// As people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gib1 => "1G",
            Self::Mib2 => "2M",
            Self::Kib4 => "4K",
        }
    }
}

/// Whether the hardware may use an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    /// Yes.
    Yes,
    /// Its own valid bit is clear.
    No,
    /// Its own valid bit is set, but that of a table above is clear.
    NotAbove,
}

impl Valid {
    pub(super) const ALL: [(&'static str, Self); 3] = [
        ("yes", Self::Yes),
        ("no", Self::No),
        ("not-above", Self::NotAbove),
    ];
}

/// The type of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Type(usize);

/// What people call a kind of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The domain's own RAM.
    Ram,
    /// RAM that the domain may only read.
    RamRo,
    /// A device's registers or memory.
    Device,
    /// Another domain's page.
    Foreign,
    /// A page that another domain has granted.
    Grant,
    /// A page for a device alone.
    Iommu,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 6] = [
        Self::Ram,
        Self::RamRo,
        Self::Device,
        Self::Foreign,
        Self::Grant,
        Self::Iommu,
    ];

    /// In a legend.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ram => "RAM",
            Self::RamRo => "read-only RAM",
            Self::Device => "device",
            Self::Foreign => "foreign",
            Self::Grant => "grant",
            Self::Iommu => "for a device (IOMMU)",
        }
    }
}

/// C's names without `p2m_`, by value from 1 on, and what kind they are.
const TYPES: [(&str, Kind); 11] = [
    ("ram_rw", Kind::Ram),
    ("ram_ro", Kind::RamRo),
    ("mmio_direct_dev", Kind::Device),
    ("mmio_direct_nc", Kind::Device),
    ("mmio_direct_c", Kind::Device),
    ("map_foreign_rw", Kind::Foreign),
    ("map_foreign_ro", Kind::Foreign),
    ("grant_map_rw", Kind::Grant),
    ("grant_map_ro", Kind::Grant),
    ("iommu_map_rw", Kind::Iommu),
    ("iommu_map_ro", Kind::Iommu),
];

impl Type {
    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TYPES.iter().position(|&(each, _)| each == name).map(Self)
    }

    /// C's name without `p2m_`.
    #[must_use]
    pub fn name(self) -> &'static str {
        TYPES.get(self.0).map_or("", |&(name, _)| name)
    }

    /// Which kind.
    #[must_use]
    pub fn kind(self) -> Kind {
        TYPES.get(self.0).map_or(Kind::Ram, |&(_, kind)| kind)
    }
}

/// What mem_access leaves to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access(usize);

/// C's names without `p2m_access_`, by value; the rights as people write them; a character for each.
const ACCESSES: [(&str, &str, char); 11] = [
    ("n", "---", '0'),
    ("r", "r--", '4'),
    ("w", "-w-", '2'),
    ("rw", "rw-", '6'),
    ("x", "--x", '1'),
    ("rx", "r-x", '5'),
    ("wx", "-wx", '3'),
    ("rwx", "rwx", '7'),
    ("rx2rw", "r-x, then rw-", 'a'),
    ("n2rwx", "---, then rwx", 'b'),
    ("r_pw", "r--, walks write", 'c'),
];

impl Access {
    /// No restriction.
    pub const RWX: Self = Self(7);

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ACCESSES
            .iter()
            .position(|&(each, ..)| each == name)
            .map(Self)
    }

    /// All, by value.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ACCESSES.len()).map(Self)
    }

    /// C's name without `p2m_access_`.
    #[must_use]
    pub fn name(self) -> &'static str {
        ACCESSES.get(self.0).map_or("", |&(name, ..)| name)
    }

    /// As people write it: `r-x`.
    #[must_use]
    pub fn rights(self) -> &'static str {
        ACCESSES.get(self.0).map_or("", |&(_, rights, _)| rights)
    }

    /// A word for a map: the rights, or the name if they change by themselves.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self.rights().len() {
            3 => self.rights(),
            _ => self.name(),
        }
    }

    /// One character: the digit of `chmod`, or a letter.
    #[must_use]
    pub fn digit(self) -> char {
        ACCESSES.get(self.0).map_or('?', |&(.., digit)| digit)
    }

    /// Does it take anything away?
    #[must_use]
    pub fn is_restricted(self) -> bool {
        self != Self::RWX
    }

    /// Whether it forbids to read, to write, to execute.
    #[must_use]
    pub fn forbids(self) -> [bool; 3] {
        let rights = self.rights();
        ['r', 'w', 'x'].map(|right| !rights.get(..3).unwrap_or_default().contains(right))
    }
}

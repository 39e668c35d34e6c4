// SPDX-License-Identifier: GPL-2.0-only
//! `struct xen_hvm_altp2m_op` as a caller fills it: bytes at the places that public/hvm/hvm_op.h gives
//! them, without the C's own idea of it.

/// Operations.
pub(crate) mod cmd {
    pub(crate) const GET_DOMAIN_STATE: u32 = 1;
    pub(crate) const SET_DOMAIN_STATE: u32 = 2;
    pub(crate) const VCPU_ENABLE_NOTIFY: u32 = 3;
    pub(crate) const CREATE_P2M: u32 = 4;
    pub(crate) const DESTROY_P2M: u32 = 5;
    pub(crate) const SWITCH_P2M: u32 = 6;
    pub(crate) const SET_MEM_ACCESS: u32 = 7;
    pub(crate) const CHANGE_GFN: u32 = 8;
    pub(crate) const SET_MEM_ACCESS_MULTI: u32 = 9;
    pub(crate) const SET_SUPPRESS_VE: u32 = 10;
    pub(crate) const GET_SUPPRESS_VE: u32 = 11;
    pub(crate) const GET_MEM_ACCESS: u32 = 12;
    pub(crate) const VCPU_DISABLE_NOTIFY: u32 = 13;
    pub(crate) const GET_P2M_IDX: u32 = 14;
    pub(crate) const SET_SUPPRESS_VE_MULTI: u32 = 15;
    pub(crate) const SET_VISIBILITY: u32 = 16;

    pub(crate) const ALL: std::ops::RangeInclusive<u32> = GET_DOMAIN_STATE..=SET_VISIBILITY;
}

/// The size of the structure.
pub(crate) const SIZE: usize = 80;
/// Where its union begins.
const UNION: usize = 16;
/// Where the union's `opaque` of a list is, which is 8 bytes.
pub(crate) const OPAQUE: usize = UNION + 8;

/// The structure, in a caller's memory.
#[repr(C, align(8))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request(pub(crate) [u8; SIZE]);

impl Request {
    /// Of version 1; the rest is zero.
    pub(crate) fn new(cmd: u32, domain: u16) -> Self {
        Self([0; SIZE])
            .version(1)
            .put(4, &cmd.to_ne_bytes())
            .put(8, &domain.to_ne_bytes())
    }

    fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0[at..at + N].try_into().unwrap()
    }

    pub(crate) fn version(self, version: u32) -> Self {
        self.put(0, &version.to_ne_bytes())
    }

    pub(crate) fn pad1(self, pad: u16) -> Self {
        self.put(10, &pad.to_ne_bytes())
    }

    pub(crate) fn pad2(self, pad: u32) -> Self {
        self.put(12, &pad.to_ne_bytes())
    }

    /// A field of the union, by its offset there.
    pub(crate) fn u8(self, at: usize, value: u8) -> Self {
        self.put(UNION + at, &[value])
    }

    pub(crate) fn u16(self, at: usize, value: u16) -> Self {
        self.put(UNION + at, &value.to_ne_bytes())
    }

    pub(crate) fn u32(self, at: usize, value: u32) -> Self {
        self.put(UNION + at, &value.to_ne_bytes())
    }

    pub(crate) fn u64(self, at: usize, value: u64) -> Self {
        self.put(UNION + at, &value.to_ne_bytes())
    }

    pub(crate) fn get_u8(&self, at: usize) -> u8 {
        self.0[UNION + at]
    }

    pub(crate) fn get_u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.get(UNION + at))
    }

    pub(crate) fn get_u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.get(UNION + at))
    }
}

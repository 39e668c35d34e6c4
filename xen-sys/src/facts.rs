// SPDX-License-Identifier: GPL-2.0-only
//! What the C of one release or configuration of Xen does otherwise than that of another, where
//! the prototypes do not say it.
//!
//! In the hypervisor the build script has asked the tree's headers (`build/facts.rs`), and
//! these are constants. On the host each machine of the test harness stands for the release
//! that it is told to, so that one build of the tests has all of them.

/// What is so in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// mem_access.c's functions are part of the image. Without (Arm's default) nothing may call them.
    pub mem_access: bool,
    /// `domain_create()` maps pages (the GICv2's CPU interface), and may fail after that: so
    /// `p2m_init()` puts pages into the pool, `p2m_final_teardown()` frees the tables that are
    /// there, and `p2m_teardown()` is told whether it may be preempted. Up to 4.17
    /// (9c962e07fbf3).
    pub creation_maps: bool,
    /// `domain_relinquish_resources()` calls `p2m_clear_root_pages()` before `p2m_teardown()`,
    /// which relies on it. From 4.18 on (603956258ceb); until then `p2m_teardown()` does it.
    pub root_is_cleared_apart: bool,
    /// There is the access `r_pw`, so that the value of "default" is one more. From 4.20 on.
    pub r_pw: bool,
    /// `p2m_set_mem_access_multi()` is wanted (`ARM_P2M_RUST_SET_ACCESS_MULTI`). The C of every
    /// release refuses it.
    pub set_access_multi: bool,
}

/// The tree's.
#[cfg(target_os = "none")]
#[inline(always)]
pub fn facts() -> Facts {
    FACTS
}

/// The harness's, for the machine of the calling thread.
#[cfg(not(target_os = "none"))]
pub fn facts() -> Facts {
    crate::xs_mock_facts()
}

#[cfg(target_os = "none")]
include!(concat!(env!("OUT_DIR"), "/facts.rs"));

// SPDX-License-Identifier: GPL-2.0-only
//! What a Xen is like, found by trying: a fact is true where a few words of C compile with the
//! tree's own headers. `build.rs` tries them; the shim has `FACT_` and the name as a macro.

/// A fact.
pub struct Fact {
    /// Its name.
    pub name: &'static str,
    /// Compiles only where it is true, after the tree's headers.
    pub probe: &'static str,
}

/// All of them.
pub const FACTS: &[Fact] = &[
    Fact {
        name: "TEARDOWN_BOOL",
        probe: "int t(struct domain *d) { return p2m_teardown(d, true); }",
    },
    Fact {
        name: "INVALIDATE_ROOT",
        probe: "void t(struct p2m_domain *p) { p2m_invalidate_root(p); }",
    },
    Fact {
        name: "CLEAR_ROOT_PAGES",
        probe: "void t(struct p2m_domain *p) { p2m_clear_root_pages(p); }",
    },
    Fact {
        name: "R_PW",
        probe: "int t = XENMEM_access_r_pw;",
    },
    Fact {
        name: "SET_WAY_HSR",
        probe: "void t(union hsr h) { p2m_set_way_flush(NULL, NULL, h); }",
    },
    Fact {
        name: "CAN_PREEMPT",
        probe: "int p2m_set_allocation(struct domain *d, unsigned long pages, bool can_preempt);",
    },
];

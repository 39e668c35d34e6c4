// SPDX-License-Identifier: GPL-2.0-only
//! What the given Xen is like, found by trying: an answer holds where a few words of C compile
//! after the tree's headers. `build.rs` tries them. The names are those of `xen-sys/build/facts.rs`;
//! the shim has them as macros, with `FACT_` before them.

/// Something that is not the same in every Xen.
pub struct Question {
    /// For the message if no answer holds.
    pub about: &'static str,
    /// Exactly one must hold.
    pub answers: &'static [Answer],
}

/// What may be so.
pub struct Answer {
    /// Its name.
    pub name: &'static str,
    /// Compiles only where it is so.
    pub c: &'static str,
}

/// Everything that is asked.
pub const QUESTIONS: &[Question] = &[
    Question {
        about: "the prototypes of the other exported functions (oracle/c/prototypes.h)",
        answers: &[Answer {
            name: "prototypes",
            c: "#include \"prototypes.h\"",
        }],
    },
    Question {
        about: "the prototype of p2m_set_way_flush()",
        answers: &[
            Answer {
                name: "set_way_hsr",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_set_way_flush), \
                    void(struct vcpu *, struct cpu_user_regs *, union hsr)), \"\");",
            },
            Answer {
                name: "set_way_plain",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_set_way_flush), \
                    void(struct vcpu *, struct cpu_user_regs *)), \"\");",
            },
        ],
    },
    Question {
        about: "the prototype of p2m_teardown()",
        answers: &[
            Answer {
                name: "teardown_bool",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_teardown), \
                    int(struct domain *, bool)), \"\");",
            },
            Answer {
                name: "teardown_plain",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_teardown), \
                    int(struct domain *)), \"\");",
            },
        ],
    },
    Question {
        about: "the prototype of p2m_set_allocation()",
        answers: &[
            Answer {
                name: "set_allocation_pointer",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_set_allocation), \
                    int(struct domain *, unsigned long, bool *)), \"\");",
            },
            Answer {
                name: "set_allocation_bool",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_set_allocation), \
                    int(struct domain *, unsigned long, bool)), \"\");",
            },
        ],
    },
    Question {
        about: "the accesses of mem_access",
        answers: &[
            Answer {
                name: "access_without_r_pw",
                c: "_Static_assert(XENMEM_access_n2rwx == 9 && p2m_access_n2rwx == 9 && \
                    XENMEM_access_default == 10, \"\");",
            },
            Answer {
                name: "access_r_pw",
                c: "_Static_assert(XENMEM_access_r_pw == 10 && p2m_access_r_pw == 10 && \
                    XENMEM_access_default == 11, \"\");",
            },
        ],
    },
    Question {
        about: "what is called when a domain's creation has finished",
        answers: &[
            Answer {
                name: "declared_p2m_invalidate_root",
                c: "void probe(void) { (void)p2m_invalidate_root; }",
            },
            Answer {
                name: "declared_p2m_domain_creation_finished",
                c: "void probe(void) { (void)p2m_domain_creation_finished; }",
            },
        ],
    },
    Question {
        about: "who empties the root of a domain that is destroyed",
        answers: &[
            Answer {
                name: "declared_p2m_clear_root_pages",
                c: "void probe(void) { (void)p2m_clear_root_pages; }",
            },
            Answer {
                name: "teardown_clears_root",
                c: "int p2m_clear_root_pages;",
            },
        ],
    },
    Question {
        about: "dump_p2m_lookup()",
        answers: &[
            Answer {
                name: "declared_dump_p2m_lookup",
                c: "void probe(void) { (void)dump_p2m_lookup; }",
            },
            Answer {
                name: "no_dump_p2m_lookup",
                c: "int dump_p2m_lookup;",
            },
        ],
    },
];

/// Whether an answer holds for the Xen whose C this was built with.
#[must_use]
pub fn hold(name: &str) -> bool {
    let known = option_env!("ORACLE_FACTS").unwrap_or_default();
    known.split(',').any(|fact| fact == name)
}

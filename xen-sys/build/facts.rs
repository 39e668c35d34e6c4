// SPDX-License-Identifier: GPL-2.0-only
//! What is not the same in every Xen, and how the tree's headers are asked for it.
//!
//! No release is named in the code that is built: a [`Question`] has a few words of C for
//! each answer that is known, and the tree's own compiler says for which of them they are
//! C. So a commit between two releases, or a vendor's tree with a patch of a later release,
//! gets what it has. A tree for which no answer holds is one that this code has not been
//! compared with, and is refused.

use std::path::Path;

use crate::bindings::Bindings;
use crate::compiler::Compiler;
use crate::write;

/// One thing that differs, and what it can be.
struct Question {
    /// For the message if no answer holds.
    about: &'static str,
    /// Exactly one must hold.
    answers: &'static [Answer],
}

/// What may be so.
struct Answer {
    /// The cfg that stands for it.
    cfg: &'static str,
    /// Compiles, after `helpers.h`, only where it is so.
    c: &'static str,
}

/// Everything that is asked.
const QUESTIONS: &[Question] = &[
    Question {
        about: "the prototypes of p2m_set_way_flush() and inject_undef_exception()",
        answers: &[
            // Up to 4.20.
            Answer {
                cfg: "set_way_hsr",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_set_way_flush), \
                    void(struct vcpu *, struct cpu_user_regs *, union hsr)), \"\"); \
                    _Static_assert(__builtin_types_compatible_p(typeof(inject_undef_exception), \
                    void(struct cpu_user_regs *, union hsr)), \"\");",
            },
            Answer {
                cfg: "set_way_plain",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_set_way_flush), \
                    void(struct vcpu *, struct cpu_user_regs *)), \"\"); \
                    _Static_assert(__builtin_types_compatible_p(typeof(inject_undef_exception), \
                    void(struct cpu_user_regs *)), \"\");",
            },
        ],
    },
    Question {
        about: "the prototype of p2m_teardown()",
        answers: &[
            // Up to 4.17, where domain_create() maps pages (`creation_maps`).
            Answer {
                cfg: "teardown_bool",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_teardown), \
                    int(struct domain *, bool)), \"\");",
            },
            Answer {
                cfg: "teardown_plain",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_teardown), \
                    int(struct domain *)), \"\");",
            },
        ],
    },
    Question {
        about: "the prototype of p2m_set_allocation()",
        answers: &[
            // Up to 4.22.
            Answer {
                cfg: "set_allocation_pointer",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_set_allocation), \
                    int(struct domain *, unsigned long, bool *)), \"\");",
            },
            Answer {
                cfg: "set_allocation_bool",
                c: "_Static_assert(__builtin_types_compatible_p(typeof(p2m_set_allocation), \
                    int(struct domain *, unsigned long, bool)), \"\");",
            },
        ],
    },
    Question {
        about: "the accesses of mem_access",
        answers: &[
            // Up to 4.19.
            Answer {
                cfg: "access_without_r_pw",
                c: "_Static_assert(XENMEM_access_n2rwx == 9 && p2m_access_n2rwx == 9 && \
                    XENMEM_access_default == 10, \"\");",
            },
            Answer {
                cfg: "access_r_pw",
                c: "_Static_assert(XENMEM_access_r_pw == 10 && p2m_access_r_pw == 10 && \
                    XENMEM_access_default == 11, \"\");",
            },
        ],
    },
    // Not of the C, but of the options beside ARM_P2M_RUST.
    Question {
        about: "whether p2m_set_mem_access_multi() is wanted",
        answers: &[
            Answer {
                cfg: "set_access_multi",
                c: "_Static_assert(IS_ENABLED(CONFIG_ARM_P2M_RUST_SET_ACCESS_MULTI), \"\");",
            },
            Answer {
                cfg: "set_access_multi_off",
                c: "_Static_assert(!IS_ENABLED(CONFIG_ARM_P2M_RUST_SET_ACCESS_MULTI), \"\");",
            },
        ],
    },
    Question {
        about: "whether a domain can have views (altp2m), and what its structures have for them",
        answers: &[
            // Up to 4.18 there is no such option.
            Answer {
                cfg: "altp2m_off",
                c: "_Static_assert(!IS_ENABLED(CONFIG_ALTP2M), \"\");",
            },
            Answer {
                cfg: ALTP2M,
                c: "_Static_assert(IS_ENABLED(CONFIG_ALTP2M), \"\"); \
                    _Static_assert(__builtin_types_compatible_p(\
                    typeof(((struct domain *)0)->arch.p2m.views), struct p2m_views *), \"\"); \
                    _Static_assert(__builtin_types_compatible_p(\
                    typeof(((struct vcpu *)0)->arch.p2m_view), uint16_t), \"\");",
            },
        ],
    },
    Question {
        about: "its kind of compression of page indices (PDX)",
        answers: &[
            // From 4.21 on.
            Answer {
                cfg: "pdx_by_offset",
                c: "static inline unsigned long probe(void) { return pfn_pdx_lookup[0]; } \
                    _Static_assert(CONFIG_PDX_NR_LOOKUP, \"\");",
            },
            // All of 4.17, which has no option; the default on Arm.
            Answer {
                cfg: "pdx_by_mask",
                c: "static inline unsigned int probe(void) { return pfn_pdx_hole_shift; }",
            },
            // From 4.18 on.
            Answer {
                cfg: "pdx_is_frame",
                c: "_Static_assert(pfn_to_pdx(0x12345UL) == 0x12345UL, \"\");",
            },
        ],
    },
    Question {
        about: "how struct domain says that the domain is shutting down",
        answers: &[
            // Up to 4.22.
            Answer {
                cfg: "shutdown_flag",
                c: "_Static_assert(__builtin_types_compatible_p(\
                    typeof(((struct domain *)0)->is_shutting_down), bool), \"\");",
            },
            Answer {
                cfg: "shutdown_state",
                c: "_Static_assert(__builtin_types_compatible_p(\
                    typeof(((struct domain *)0)->shutdown_state), \
                    enum domain_shutdown_state) && DOMSHUTDOWN_none == 0, \"\");",
            },
        ],
    },
];

/// Exported functions and variables that not every Xen's headers declare. C may know what
/// it does not declare by the same name, as a static of the file that Rust stands for; so
/// what is not declared is not exported.
const DECLARED: &[(&str, &str)] = &[
    ("p2m_clear_root_pages", "declared_p2m_clear_root_pages"),
    ("p2m_invalidate_root", "declared_p2m_invalidate_root"),
    (
        "p2m_domain_creation_finished",
        "declared_p2m_domain_creation_finished",
    ),
    (
        "p2m_force_tlb_flush_sync",
        "declared_p2m_force_tlb_flush_sync",
    ),
    (
        "p2m_vmid_allocator_init",
        "declared_p2m_vmid_allocator_init",
    ),
    ("p2m_alloc_vmid", "declared_p2m_alloc_vmid"),
    ("p2m_free_vmid", "declared_p2m_free_vmid"),
    ("dump_p2m_lookup", "declared_dump_p2m_lookup"),
    ("max_vmid", "declared_max_vmid"),
    (
        "xen_p2m_resolve_permission_fault",
        "declared_xen_p2m_resolve_permission_fault",
    ),
    // Not of any release: of CONFIG_ARM_P2M_DUMP, which a patch of this repository adds.
    ("p2m_dump_stage2", "declared_p2m_dump_stage2"),
];

/// The cfg for mem_access.
pub(crate) const MEM_ACCESS: &str = "config_mem_access";

/// The cfg for views (altp2m).
pub(crate) const ALTP2M: &str = "config_altp2m";

/// mem_access is part of the image exactly where the headers declare this as a
/// function. Without the option they have a `static inline` of the same name
/// (Arm's default), and releases call the option by different names.
const MEM_ACCESS_FUNCTION: &str = "p2m_mem_access_check";

/// Every cfg that there can be.
pub(crate) fn all_cfgs() -> Vec<&'static str> {
    let answers = QUESTIONS.iter().flat_map(|question| question.answers);
    let declared = DECLARED.iter().map(|&(_, cfg)| cfg);
    answers
        .map(|answer| answer.cfg)
        .chain(declared)
        .chain([MEM_ACCESS])
        .collect()
}

/// Puts all questions to the compiler. Returns the cfgs of the answers that hold.
pub(crate) fn ask(compiler: &Compiler, out: &Path) -> Result<Vec<&'static str>, String> {
    let is_so = |c: &str| is_so(compiler, out, c);
    is_so("")?
        .map_err(|errors| format!("helpers.h does not fit this tree's headers:\n{errors}"))?;
    let mut all = Vec::new();
    for question in QUESTIONS {
        let mut holds = Vec::new();
        let mut errors = String::new();
        for answer in question.answers {
            match is_so(answer.c)? {
                Ok(()) => holds.push(answer.cfg),
                Err(error) => errors.push_str(&error),
            }
        }
        let [only] = holds[..] else {
            return Err(format!(
                "xen-p2m does not know this Xen: {} is none of the {} that it has been compared \
                 with. The compiler says of them:\n{errors}",
                question.about,
                question.answers.len()
            ));
        };
        all.push(only);
    }
    Ok(all)
}

/// Whether `c` is C after this tree's headers.
pub(crate) fn holds(compiler: &Compiler, out: &Path, c: &str) -> Result<bool, String> {
    Ok(is_so(compiler, out, c)?.is_ok())
}

/// What the compiler says of `c` after this tree's headers.
fn is_so(compiler: &Compiler, out: &Path, c: &str) -> Result<Result<(), String>, String> {
    let source = out.join("fact.c");
    write(&source, &format!("#include \"helpers.h\"\n{c}\n"))?;
    compiler.accepts(&source)
}

/// What was found out about a tree: the cfgs that hold.
pub(crate) struct Facts(Vec<&'static str>);

impl Facts {
    /// The answers, and what the headers declare.
    pub(crate) fn of(answers: Vec<&'static str>, bindings: &Bindings) -> Self {
        let declared = DECLARED
            .iter()
            .copied()
            .chain([(MEM_ACCESS_FUNCTION, MEM_ACCESS)])
            .filter(|(name, _)| bindings.declares(name))
            .map(|(_, cfg)| cfg);
        Self(answers.into_iter().chain(declared).collect())
    }

    /// Whether this one holds.
    pub(crate) fn has(&self, cfg: &str) -> bool {
        self.0.contains(&cfg)
    }

    /// The cfgs that hold.
    pub(crate) fn cfgs(&self) -> Vec<&'static str> {
        self.0.clone()
    }

    /// `facts.rs`: what the code asks at run time on the host, as constants.
    pub(crate) fn constants(&self) -> String {
        let is = |cfg: &str| self.has(cfg);
        format!(
            "/// The tree's.\n\
             const FACTS: Facts = Facts {{ mem_access: {}, creation_maps: {}, \
             root_is_cleared_apart: {}, r_pw: {}, set_access_multi: {} }};\n",
            is(MEM_ACCESS),
            is("teardown_bool"),
            is("declared_p2m_clear_root_pages"),
            is("access_r_pw"),
            is("set_access_multi"),
        )
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! Mistakes planted in the C, each of which the comparison has to find: it is
//! only worth something if it bites.

/// One planted mistake.
pub struct Mutation {
    /// For `--mutation`.
    pub name: &'static str,
    /// Below `xen/arch/arm/`.
    pub file: &'static str,
    /// Occurs exactly once.
    pub from: &'static str,
    /// The mistake.
    pub to: &'static str,
}

/// All of them.
pub const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "permission",
        file: "mmu/p2m.c",
        from: "    case p2m_access_x:\n        e->p2m.write = 0;\n        e->p2m.read = 0;",
        to: "    case p2m_access_x:\n        e->p2m.write = 0;",
    },
    Mutation {
        name: "statistics",
        file: "mmu/p2m.c",
        from: "    p2m->stats.mappings[next_level] += XEN_PT_LPAE_ENTRIES;",
        to: "    p2m->stats.mappings[next_level] += XEN_PT_LPAE_ENTRIES - 1;",
    },
    Mutation {
        name: "page-order",
        file: "mmu/p2m.c",
        from: "        *page_order = XEN_PT_LEVEL_ORDER(level);",
        to: "        *page_order = XEN_PT_LEVEL_ORDER(level) + !level;",
    },
    Mutation {
        name: "valid-bit",
        file: "mmu/p2m.c",
        from: "    entry.p2m.valid = 1;",
        to: "    entry.p2m.valid = level != 3;",
    },
    Mutation {
        name: "reference",
        file: "p2m.c",
        from: "    rc = guest_physmap_add_entry(d, _gfn(gfn), mfn, 0, p2m_map_foreign_rw);\n    if ( rc )",
        to: "    rc = guest_physmap_add_entry(d, _gfn(gfn), mfn, 0, p2m_map_foreign_rw);\n    if ( rc && rc != -ENOENT )",
    },
    Mutation {
        name: "lowest-gfn",
        file: "mmu/p2m.c",
        from: "        p2m->lowest_mapped_gfn = gfn_min(p2m->lowest_mapped_gfn, sgfn);",
        to: "",
    },
    Mutation {
        name: "access-check",
        file: "mem_access.c",
        from: "    case XENMEM_access_wx:\n        violation = npfec.read_access;",
        to: "    case XENMEM_access_wx:\n        violation = npfec.write_access;",
    },
    Mutation {
        name: "errno",
        file: "mem_access.c",
        from: "            return -ESRCH;",
        to: "            return -ENOENT;",
    },
    Mutation {
        name: "preemption",
        file: "p2m.c",
        from: "       count += 10;",
        to: "       count += 11;",
    },
];

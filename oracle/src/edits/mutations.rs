// SPDX-License-Identifier: GPL-2.0-only
//! Mistakes planted in the C, each of which the comparison has to find: it is
//! only worth something if it bites.

use super::edit::{none_needed, replace, Edit};

/// One planted mistake.
pub struct Mutation {
    /// For `--mutation`.
    pub name: &'static str,
    /// The mistake.
    pub edit: Edit,
}

/// All of them.
pub const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "permission",
        edit: Edit(&[replace(
            "    case p2m_access_x:\n        e->p2m.write = 0;\n        e->p2m.read = 0;",
            "    case p2m_access_x:\n        e->p2m.write = 0;",
        )]),
    },
    Mutation {
        name: "statistics",
        edit: Edit(&[replace(
            "    p2m->stats.mappings[next_level] += XEN_PT_LPAE_ENTRIES;",
            "    p2m->stats.mappings[next_level] += XEN_PT_LPAE_ENTRIES - 1;",
        )]),
    },
    Mutation {
        name: "page-order",
        edit: Edit(&[replace(
            "        *page_order = XEN_PT_LEVEL_ORDER(level);",
            "        *page_order = XEN_PT_LEVEL_ORDER(level) + !level;",
        )]),
    },
    Mutation {
        name: "valid-bit",
        edit: Edit(&[replace(
            "    entry.p2m.valid = 1;",
            "    entry.p2m.valid = level != 3;",
        )]),
    },
    Mutation {
        name: "reference",
        edit: Edit(&[replace(
            "    rc = guest_physmap_add_entry(d, _gfn(gfn), mfn, 0, p2m_map_foreign_rw);\n    if ( rc )",
            "    rc = guest_physmap_add_entry(d, _gfn(gfn), mfn, 0, p2m_map_foreign_rw);\n    if ( rc && rc != -ENOENT )",
        )]),
    },
    Mutation {
        name: "lowest-gfn",
        edit: Edit(&[replace(
            "        p2m->lowest_mapped_gfn = gfn_min(p2m->lowest_mapped_gfn, sgfn);",
            "",
        )]),
    },
    Mutation {
        name: "access-check",
        edit: Edit(&[replace(
            "    case XENMEM_access_wx:\n        violation = npfec.read_access;",
            "    case XENMEM_access_wx:\n        violation = npfec.write_access;",
        )]),
    },
    Mutation {
        name: "errno",
        edit: Edit(&[replace(
            "            return -ESRCH;",
            "            return -ENOENT;",
        )]),
    },
    Mutation {
        name: "preemption",
        edit: Edit(&[replace(
            "       count += 10;",
            "       count += 11;",
        )]),
    },
    // What one release alone has is not planted in others.
    Mutation {
        name: "pages-for-creation",
        edit: Edit(&[
            replace(
                "p2m_set_allocation(d, 16, NULL);",
                "p2m_set_allocation(d, 15, NULL);",
            ),
            none_needed(
                "
    rc = p2m_alloc_table(d);
    if ( rc )
        return rc;

    return 0;
}",
            ),
        ]),
    },
    Mutation {
        name: "final-teardown",
        edit: Edit(&[
            replace("    BUG_ON(p2m_teardown(d, false));\n", ""),
            none_needed(
                "
     * where relinquish_p2m_mapping() has been called.
     */

    ASSERT(page_list_empty(&p2m->pages));",
            ),
        ]),
    },
];

// SPDX-License-Identifier: GPL-2.0-only
//! The plans, as data.

/// The layers of one crate.
pub(crate) struct Plan {
    /// The crate's name.
    pub(crate) name: &'static str,
    /// Its source folder in the workspace.
    pub(crate) folder: &'static str,
    /// From the ground up. A room is a folder with all that is below it, or a file; rooms of one
    /// floor do not know each other. The crate's roots (`lib.rs`, `main.rs`) stand above all floors.
    pub(crate) floors: &'static [&'static [&'static str]],
    /// Types that have methods in other folders than their own.
    pub(crate) extended: &'static [Extension],
}

/// Methods of a type that stand in another folder than the type.
pub(crate) struct Extension {
    pub(crate) name: &'static str,
    pub(crate) folder: &'static str,
    /// Why that is better than to have them in one place.
    pub(crate) reason: &'static str,
}

/// How many folders a folder, or a crate at its top, may have: more are no picture any more.
pub(crate) const MOST_FOLDERS: usize = 8;

/// How many files a folder may have.
pub(crate) const MOST_FILES: usize = 12;

/// All crates that are checked.
pub(crate) const PLANS: &[Plan] = &[
    Plan {
        name: "test-harness",
        folder: "test-harness/src",
        floors: &[
            &["ground"],
            &["model"],
            &["books"],
            &["rules"],
            &["machine"],
            &["shims", "world"],
        ],
        extended: &[
            Extension {
                name: "Domain",
                folder: "world",
                reason:
                    "a test calls the exported functions on the handle, and they need the machine",
            },
            Extension {
                name: "Vcpu",
                folder: "world",
                reason: "as for Domain",
            },
            Extension {
                name: "State",
                folder: "rules/devices",
                reason: "the rules are more than a folder's files, and all are about the one state",
            },
            Extension {
                name: "State",
                folder: "rules/census",
                reason: "as for devices",
            },
        ],
    },
    Plan {
        name: "oracle",
        folder: "oracle/src",
        floors: &[
            &["edits"],
            &["ops"],
            &["sides"],
            &["exec"],
            &["lockstep"],
            &["process"],
        ],
        extended: &[],
    },
    Plan {
        name: "p2m-rs",
        folder: "p2m-rs/src",
        floors: &[
            &["types"],
            &["xen"],
            &["p2m"],
            &["table"],
            &["map"],
            &["guest", "lifecycle"],
            &["ffi"],
        ],
        extended: &[],
    },
    Plan {
        name: "mem_access-rs",
        folder: "mem_access-rs/src",
        floors: &[
            &["xenmem.rs"],
            &["settings.rs", "check_and_get_page.rs"],
            &["views.rs"],
            &["multi.rs", "violation.rs"],
            &["ffi.rs"],
            &["checks.rs"],
        ],
        extended: &[],
    },
    Plan {
        name: "p2m-show",
        folder: "p2m-show/src",
        floors: &[&["dump"], &["facts", "select.rs"], &["picture"]],
        extended: &[],
    },
    Plan {
        name: "xtask",
        folder: "xtask/src",
        floors: &[
            &["base"],
            &["host", "show.rs"],
            &["xen"],
            &["boot"],
            &["e2e", "selftest"],
            &["bench"],
            &["checks"],
        ],
        extended: &[],
    },
];

/// Crates of the workspace without a plan, and why.
pub(crate) const UNPLANNED: &[(&str, &str)] = &[(
    "xen-sys",
    "its files take the imports from the root, which hands out those of the mock or of Xen",
)];

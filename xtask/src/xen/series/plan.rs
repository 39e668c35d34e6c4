// SPDX-License-Identifier: GPL-2.0-only
//! The commits that bring the Rust into Xen's tree: the documents, then each crate after those that
//! it uses. `p2m-rs` comes layer by layer, since one mail with all of it is nothing to review: a layer
//! imports only those below it, so each of these commits compiles.
//!
//! What builds the Rust (Kconfig, make rules) follows when all of it is there. An option that was
//! there earlier could be switched on at commits where it cannot be built.

/// Where the Rust is, from the root of Xen's tree. All of it is Arm's: it binds Arm's headers, and
/// takes the place of files of `xen/arch/arm`.
pub(super) const HOME: &str = "xen/arch/arm/rust";

/// What a commit adds below [`HOME`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The README, and the documents that the code refers to.
    Documents,
    /// A whole crate, by its folder.
    Crate(&'static str),
    /// A layer of `p2m-rs`; the first one brings what is above the layers as well.
    Layer(&'static str),
    /// The static library.
    Archive,
}

/// A commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// What it adds.
    pub(super) part: Part,
    /// The first line of its message.
    pub(super) subject: &'static str,
    /// The rest of its message, without the sign-off.
    pub(super) body: &'static str,
}

/// The crate that comes in layers.
pub(super) const LAYERED: &str = "p2m-rs";

/// The documents of `docs/` that go with the code.
pub(super) const DOCUMENTS: [&str; 6] = [
    "altp2m.md",
    "c-to-rust.md",
    "code.md",
    "differences.md",
    "exports.md",
    "unsafe.md",
];

/// All of them, in order.
pub(super) const STEPS: &[Step] = &[
    Step {
        part: Part::Documents,
        subject: "xen/arm: rust: Describe the p2m in Rust",
        body: "\
The patches that follow add an implementation in Rust of p2m.c,
mmu/p2m.c and mem_access.c. Say first what it is, how it is built, where
it differs from the C and why, what is unsafe in it, and where each
function of the C went.
",
    },
    Step {
        part: Part::Crate("xen-sys"),
        subject: "xen/arm: rust: Add xen-sys, the interface with C",
        body: "\
When the p2m is built, bindgen reads the headers of the configured tree,
and a helper of a few lines is compiled, with Xen's own flags, for each
static inline and each macro that the p2m needs. Offsets and sizes as
gcc sees them are compared with clang's when this is compiled. No offset
is written down.

Compiled for the build machine, the crate has plain Rust types in place
of Xen's structures, so that the crates can be compiled and tested
without a tree.

Nothing is built from this yet.
",
    },
    Step {
        part: Part::Layer("types"),
        subject: "xen/arm: rust: p2m: Add numbers, entries and errors",
        body: "\
Guest frames, machine frames and addresses are types of their own, which
do not mix. An entry of a table is decoded in one place, and \"the
hardware may use it\" and \"it maps something\" have two names.
",
    },
    Step {
        part: Part::Layer("xen"),
        subject: "xen/arm: rust: p2m: Make Xen and the CPU safe to call",
        body: "\
Domains, vCPUs, pages with their references, the paging pool, TLBs and
IOMMUs as types whose functions can be called without unsafe. All texts
that are printed are here as well.
",
    },
    Step {
        part: Part::Layer("p2m"),
        subject: "xen/arm: rust: p2m: Add the lock, and its rule as types",
        body: "\
Xen's rwlocks are queued: a CPU that takes a read lock twice deadlocks
as soon as a writer waits in between. Commit 0012ae8afb4a (\"xen/arm:
p2m: Prevent deadlock when using memaccess\") fixed the place where this
happened, and nothing in C keeps it from coming back.

Here a guard borrows a token for as long as it lives, and all that may
take a p2m lock somewhere inside wants the same token. Code that takes a
p2m lock under a p2m lock does not compile.
",
    },
    Step {
        part: Part::Layer("table"),
        subject: "xen/arm: rust: p2m: Add tables, with break-before-make as types",
        body: "\
The only ways in which an entry may change. A live entry must be broken
and flushed before it is made again, and a removed one owns its
references and its table until the flushes are done; code that forgets
one does not compile.
",
    },
    Step {
        part: Part::Layer("map"),
        subject: "xen/arm: rust: p2m: Add lookup, insertion, removal and access",
        body: "\
A call goes down the tables once, in runs of entries, and one barrier
and one flush at the unlock cover all that it changed.
",
    },
    Step {
        part: Part::Layer("guest"),
        subject: "xen/arm: rust: p2m: Add faults, caches and context switches",
        body: "\
What a guest's traps, its hypercalls and its context switches need of
the p2m.
",
    },
    Step {
        part: Part::Layer("lifecycle"),
        subject: "xen/arm: rust: p2m: Add setup, creation and teardown",
        body: "\
From boot, where the shape of the tables is chosen, to the end of a
domain; the domain's paging pool and VMIDs.
",
    },
    Step {
        part: Part::Layer("ffi"),
        subject: "xen/arm: rust: p2m: Add the functions that C calls",
        body: "\
Each exported function keeps the name, the prototype and the lock state
of the C's. What its caller promises is in the types of its parameters,
and prototypes are compared with the headers' when this is compiled.
",
    },
    Step {
        part: Part::Crate("mem_access-rs"),
        subject: "xen/arm: rust: Add mem_access",
        body: "\
The functions of mem_access.c. They are part of the archive where the
headers declare them as functions.
",
    },
    Step {
        part: Part::Archive,
        subject: "xen/arm: rust: Add the archive libxen_p2m.a",
        body: "\
A static library that has what Xen otherwise links from p2m.o, mmu/p2m.o
and mem_access.o. A panic prints where it is and calls BUG(). Release
builds have no code that panics.
",
    },
];

/// The layers, from the ground up.
pub(super) fn layers() -> impl Iterator<Item = &'static str> {
    STEPS.iter().filter_map(|step| match step.part {
        Part::Layer(name) => Some(name),
        _ => None,
    })
}

/// The folders of the crates of which these steps add something.
pub(super) fn crates(steps: &[Step]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for step in steps {
        let name = match step.part {
            Part::Crate(name) => name,
            Part::Layer(_) => LAYERED,
            Part::Documents | Part::Archive => continue,
        };
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::STEPS;

    /// As docs/process/sending-patches.pandoc of Xen asks.
    #[test]
    fn messages_are_as_xen_wants_them() {
        for step in STEPS {
            let mut lines = step.body.lines().chain([step.subject]);
            assert_eq!(lines.find(|line| line.len() > 75), None, "{}", step.subject);
        }
    }
}

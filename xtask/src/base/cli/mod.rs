// SPDX-License-Identifier: GPL-2.0-only
//! The command line: the commands and their arguments.

mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::base::version::Version;

use values::{early_printk, part, release, seed};
pub(crate) use values::{EarlyPrintk, Extra, P2m, Patches, Theme};

/// Build, boot and test Xen/Arm with its p2m code in Rust.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Action,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Build Xen, boot it under QEMU with dom0 and a guest, and show what worked
    Boot(BootArgs),
    /// Build Xen and print the path of the binary
    BuildXen(BuildArgs),
    /// Run every check: format, lints, host tests, crates of others, gates on the image, compilers, a boot, comparisons with the C, guests
    Test(TestArgs),
    /// Compare the Rust p2m with Xen's C, operation by operation
    Diff(DiffArgs),
    /// Compare a thousand times a million operations on this machine, in turns, and record what agreed
    Soak(SoakArgs),
    /// Try the patches for Xen's own C: each applies, compiles, and makes the C do what the Rust does
    Upstream(UpstreamArgs),
    /// Count what the Rust p2m and Xen's C do for each operation
    Bench(BenchArgs),
    /// Write what runs the self-test and the benchmark on a board; or read what a board printed
    Image(ImageArgs),
    /// Take every release through it all: patches, builds, gates, self-test next to its own C, a boot
    Releases(ReleasesArgs),
    /// Make commits that put the Rust into Xen's own tree: a series for mail, or a branch
    Series(SeriesArgs),
    /// Draw the stage 2 of guests, from what debug key D prints; of two dumps, what has changed
    Show(ShowArgs),
    /// Measure how much of the p2m the host tests run through
    Coverage,
    /// Put mistakes into the p2m, one at a time (cargo-mutants): the host tests must notice them
    Mutants(MutantsArgs),
    /// Compare the list of the C that the Rust has been compared with (xen-sys/build/known-c.txt) with a clone of xen.git
    KnownC(KnownCArgs),
    /// Show what this machine has and what it lacks
    Doctor,
}

/// Which Xen's source.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SourceArgs {
    /// Your own Xen tree, which is copied and never changed [default: Debian's source package of Xen 4.20]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["release", "xen_git"])]
    pub(crate) xen_tree: Option<PathBuf>,
    /// A release of Xen: 4.17 and 4.20 are in Debian, those between and after them in a clone (--xen-git)
    #[arg(long, value_name = "X.YY", value_parser = release)]
    pub(crate) release: Option<Version>,
    /// A clone of xen.git, which is only read: the tip of the release's branch there is taken
    #[arg(long, value_name = "PATH", requires = "release")]
    pub(crate) xen_git: Option<PathBuf>,
}

impl SourceArgs {
    /// As it would be typed, with a space before.
    pub(crate) fn typed(&self) -> String {
        let path = |name: &str, path: &Option<PathBuf>| {
            path.as_ref()
                .map_or_else(String::new, |path| format!(" --{name} {}", path.display()))
        };
        let release = self.release.map(|release| format!(" --release {release}"));
        release.unwrap_or_default()
            + &path("xen-git", &self.xen_git)
            + &path("xen-tree", &self.xen_tree)
    }

    /// Is it what one gets without a word about it?
    pub(crate) fn is_default(&self) -> bool {
        self.xen_tree.is_none() && self.release.is_none()
    }
}

/// Which Xen to build.
#[derive(Args, Clone, Debug)]
pub(crate) struct BuildArgs {
    /// The p2m to link
    #[arg(long, value_enum, default_value_t = P2m::Rust)]
    pub(crate) p2m: P2m,
    /// Build Xen with CONFIG_DEBUG=y (slower, with its assertions)
    #[arg(long)]
    pub(crate) debug: bool,
    /// Of what.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// For a test.
    #[arg(skip)]
    pub(crate) extra: Option<Extra>,
    /// Fewer patches than there are, for a comparison.
    #[arg(skip)]
    pub(crate) patches: Patches,
    /// For a board: a serial port that Xen writes to before it knows any.
    #[arg(skip)]
    pub(crate) early_printk: Option<EarlyPrintk>,
}

impl BuildArgs {
    /// A release build with the defaults.
    pub(crate) fn of(p2m: P2m) -> Self {
        Self {
            p2m,
            debug: false,
            source: SourceArgs::default(),
            extra: None,
            patches: Patches::All,
            early_printk: None,
        }
    }
}

/// What to boot and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct BootArgs {
    /// Which Xen.
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    /// QEMU's CPU model: max (which is taken without FEAT_LPA2), cortex-a53, cortex-a57, neoverse-n1 ...
    #[arg(long, value_name = "NAME", default_value = "max")]
    pub(crate) cpu: String,
    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub(crate) smp: u32,
    /// No script: a shell in dom0, on this terminal (leave with Ctrl-A X)
    #[arg(long)]
    pub(crate) interactive: bool,
    /// dom0 without Xen's tools, with a disk behind an SMMU that shares dom0's tables (a QEMU from 8.1 on, which is downloaded if it must be)
    #[arg(long)]
    pub(crate) smmu: bool,
    /// Give up after so many seconds [default: 600, with --debug 1200]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
}

/// What to test.
#[derive(Args, Clone, Debug)]
pub(crate) struct TestArgs {
    /// Only what needs no Xen and no emulator: format, lints, host tests, crates of others
    #[arg(long, conflicts_with = "e2e")]
    pub(crate) host: bool,
    /// The long form, alone: Xen's own tools and real guests, with the C and with the Rust p2m
    #[arg(long)]
    pub(crate) e2e: bool,
    /// Of the long form only these scenarios; may be repeated
    #[arg(long, value_name = "NAME", requires = "e2e")]
    pub(crate) only: Vec<String>,
    /// What `views-hostile` draws from, as a run before has printed it
    #[arg(long, value_name = "N", requires = "e2e")]
    pub(crate) seed: Option<u32>,
}

/// Which C is known.
#[derive(Args, Clone, Debug)]
pub(crate) struct KnownCArgs {
    /// A clone of xen.git with all branches and tags, which is only read
    #[arg(long, value_name = "PATH")]
    pub(crate) xen_git: PathBuf,
    /// Write the list, after what is new was compared with the Rust
    #[arg(long)]
    pub(crate) write: bool,
}

/// What to compare.
#[derive(Args, Clone, Debug)]
pub(crate) struct DiffArgs {
    /// On this machine, both in one process, instead of inside Xen
    #[arg(long, conflicts_with_all = ["cpu", "smp", "debug", "matrix"])]
    pub(crate) host: bool,
    /// From all processors at once on one domain, in debug builds and the Rust in a release build: each must keep what it mapped
    #[arg(long, conflicts_with_all = ["host", "matrix", "debug"])]
    pub(crate) stress: bool,
    /// Crash on purpose instead, with the Rust p2m: what Xen prints must say where
    #[arg(long, conflicts_with_all = ["host", "matrix", "debug", "stress", "smmu", "hole", "smp"])]
    pub(crate) crash: bool,
    /// The Rust alone, with views of the domain's memory (altp2m): the host p2m must be what it is without them, and they what the host says. Also with --stress
    #[arg(long, conflicts_with_all = ["host", "matrix", "crash", "smmu", "hole"])]
    pub(crate) views: bool,
    /// How many operations; with --host over all machines, and 10000000 by default
    #[arg(long, value_name = "N", default_value_t = 100_000, default_value_ifs([("host", "true", "10000000"), ("matrix", "true", "70000")]), value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) ops: u64,
    /// Which operations
    #[arg(long, value_name = "S", default_value = "1", value_parser = seed)]
    pub(crate) seed: u64,
    /// QEMU's CPU model (max is taken without FEAT_LPA2); it decides the shape of the tables' root
    #[arg(long, value_name = "NAME", default_value = "max")]
    pub(crate) cpu: String,
    /// Number of processors [default: 1, with --stress 4]
    #[arg(long, value_name = "N", default_value_t = 1, default_value_if("stress", "true", "4"), hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub(crate) smp: u32,
    /// Build Xen with CONFIG_DEBUG=y
    #[arg(long)]
    pub(crate) debug: bool,
    /// With an SMMU that shares the tables (a QEMU from 8.1 on, which is downloaded if it must be)
    #[arg(long, conflicts_with_all = ["host", "matrix", "stress"])]
    pub(crate) smmu: bool,
    /// On a machine whose RAM has a hole, which Xen's frame table and direct map leave out (QEMU's xlnx-versal-virt)
    #[arg(long, conflicts_with_all = ["host", "matrix", "stress", "smmu", "cpu", "smp"])]
    pub(crate) hole: bool,
    /// All shapes of root that QEMU has a processor for, debug and release, one and four processors
    #[arg(long, conflicts_with_all = ["cpu", "smp", "debug"])]
    pub(crate) matrix: bool,
    /// Only machines with this in their name, such as 40-noncoherent-access; may be repeated
    #[arg(long = "config", value_name = "NAME", requires = "host")]
    pub(crate) machine: Vec<String>,
    /// Carry out the operations in this file instead
    #[arg(long, value_name = "FILE", requires = "host")]
    pub(crate) replay: Option<PathBuf>,
    /// Plant a mistake in the C (oracle/src/edits/mutations.rs), which must be found; `all`: each in turn
    #[arg(long, value_name = "NAME", requires = "host")]
    pub(crate) mutation: Option<String>,
    /// Leave an edit of the C out (oracle/src/edits/fixes/), such as B3: what it mends must then be found, unless the tree's C has it mended; may be repeated
    #[arg(long, value_name = "ID", requires = "host")]
    pub(crate) without: Vec<String>,
    /// Of which Xen.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// Arguments of `soak`.
#[derive(Args, Clone, Debug)]
pub(crate) struct SoakArgs {
    /// Stop after so many slices of a million operations
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) slices: usize,
    /// Of which Xen.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// Which patches to try, and on what.
#[derive(Args, Clone, Debug)]
pub(crate) struct UpstreamArgs {
    /// A tree of Xen's staging branch, or of a release that has the same code; it is only read
    #[arg(long, value_name = "PATH")]
    pub(crate) xen_tree: PathBuf,
    /// Only the patch with this number or for this defect, such as 0001 or B2; may be repeated
    #[arg(long, value_name = "ID")]
    pub(crate) only: Vec<String>,
    /// How many operations each patched C is compared with the Rust for, on each of three machines
    #[arg(long, value_name = "N", default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) ops: u64,
}

/// What to count.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    /// Only rows with this in their name; the files in docs/ stay as they are
    #[arg(long, value_name = "PART", value_parser = part)]
    pub(crate) only: Option<String>,
    /// Do everything twice, and fail unless all counts inside Xen are the same again
    #[arg(long, conflicts_with = "native")]
    pub(crate) repeat: bool,
    /// QEMU's CPU model
    #[arg(
        long,
        value_name = "NAME",
        default_value = "max",
        conflicts_with = "native"
    )]
    pub(crate) cpu: String,
    /// Times instead of counts: both compiled for this machine (x86-64), in one process, in turns. On a machine that has other things to do: under `chrt -f 1`
    #[arg(long)]
    pub(crate) native: bool,
    /// Of times: how many pairs of blocks for each row
    #[arg(long, value_name = "N", default_value_t = 101, requires = "native", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) blocks: u32,
    /// Of times: write docs/bench-native.md
    #[arg(long, requires = "native", conflicts_with = "check")]
    pub(crate) write: bool,
    /// Look at no time: only see that both answer the same in each row, and that it is noticed if they do not
    #[arg(long, requires = "native", conflicts_with_all = ["blocks", "only"])]
    pub(crate) check: bool,
    /// Of which Xen.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// What a board is to run; or what it printed.
#[derive(Args, Clone, Debug)]
pub(crate) struct ImageArgs {
    /// Read these logs of a board's console instead: of the C and of the Rust, or one with both
    #[arg(long, value_name = "LOG", num_args = 1.., conflicts_with_all = ["out", "debug", "ops", "seed", "runs", "rows", "early_printk", "release", "xen_git", "xen_tree"])]
    pub(crate) read: Vec<PathBuf>,
    /// The folder to write; an archive of it goes beside it [default: target/image/p2m-board-X.YY]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Build Xen with CONFIG_DEBUG=y: for a board on which something fails, not for its times
    #[arg(long)]
    pub(crate) debug: bool,
    /// How many operations of the self-test
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) ops: u64,
    /// Which operations
    #[arg(long, value_name = "S", default_value = "1", value_parser = seed)]
    pub(crate) seed: u64,
    /// How often each row of the benchmark is done
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,
    /// Only rows of the benchmark with this in their name
    #[arg(long, value_name = "PART", default_value = "all", value_parser = part)]
    pub(crate) rows: String,
    /// A serial port for what Xen has to say before it knows the board: its kind (8250, cadence, imx_lpuart, linflex, meson, mvebu, pl011, scif), its address, and for an 8250 the shift of its registers
    #[arg(long, value_name = "KIND,ADDRESS[,SHIFT]", value_parser = early_printk)]
    pub(crate) early_printk: Option<EarlyPrintk>,
    /// Of which Xen.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// Which releases to go through.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReleasesArgs {
    /// A clone of xen.git, which is only read: the tip of each release's branch [default: 4.17 and 4.20, which Debian has]
    #[arg(long, value_name = "PATH")]
    pub(crate) xen_git: Option<PathBuf>,
    /// Only this release; may be repeated
    #[arg(long, value_name = "X.YY", value_parser = release)]
    pub(crate) only: Vec<Version>,
    /// Only this step, and the builds that it needs; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Vec<String>,
    /// Write the steps that were run into the table of docs/releases.md
    #[arg(long)]
    pub(crate) write: bool,
}

/// Which tree the Rust is put into, and what comes of it.
#[derive(Args, Clone, Debug)]
pub(crate) struct SeriesArgs {
    /// The Xen tree that the series is for: what its repository has checked out and committed, or, without a repository, all of it. It is not changed
    #[arg(long, value_name = "PATH")]
    pub(crate) xen_tree: PathBuf,
    /// Where the cover letter and the patches go [default: target/series, unless --branch is given]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Make the commits a new branch of the tree's repository; what is checked out there stays
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    /// Where this repository can be found, for the cover letter
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

/// What to draw.
#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArgs {
    /// A console's log with a dump in it; LOG@2 is the second dump of each domain there, otherwise the last one is meant
    #[arg(value_name = "LOG")]
    pub(crate) file: String,
    /// Another, or another of the same log: what has changed from the first to this one is drawn
    #[arg(value_name = "OTHER")]
    pub(crate) other: Option<String>,
    /// Only this domain
    #[arg(long, value_name = "ID")]
    pub(crate) domain: Option<u16>,
    /// Where the picture goes [default: a file for each domain in target/show]
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// The picture's colours: as the reader's other pages, or always the same
    #[arg(long, value_enum, default_value_t = Theme::Auto)]
    pub(crate) theme: Theme,
}

/// Arguments of `mutants`.
#[derive(Args, Clone, Debug)]
pub(crate) struct MutantsArgs {
    /// Try so many of the 50 pieces; those that were tried before are not tried again
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub(crate) pieces: u8,
    /// Try only what was missed, or did not end, once more, with the code and the tests of the present commit
    #[arg(long)]
    pub(crate) retry: bool,
    /// Try nothing: only say what came of the pieces that were tried
    #[arg(long, conflicts_with_all = ["retry", "restart"])]
    pub(crate) report: bool,
    /// Forget what was tried, and begin with the present commit
    #[arg(long)]
    pub(crate) restart: bool,
    /// Keep the result in test-harness/mutants/record.md
    #[arg(long)]
    pub(crate) write: bool,
}

impl DiffArgs {
    /// A short comparison with the first seed.
    pub(crate) fn short(host: bool, ops: u64) -> Self {
        Self {
            host,
            stress: false,
            crash: false,
            views: false,
            smmu: false,
            hole: false,
            ops,
            seed: 1,
            cpu: "max".to_owned(),
            smp: 1,
            debug: false,
            matrix: false,
            machine: Vec::new(),
            replay: None,
            mutation: None,
            without: Vec::new(),
            source: SourceArgs::default(),
        }
    }

    /// A crash on purpose.
    pub(crate) fn crash() -> Self {
        Self {
            crash: true,
            ..Self::short(false, 1)
        }
    }

    /// All of four CPUs at once.
    pub(crate) fn stress(ops: u64) -> Self {
        Self {
            stress: true,
            smp: 4,
            ..Self::short(false, ops)
        }
    }

    /// The same with views of the domain's memory, or one after the other; of one debug build.
    pub(crate) fn with_views(self) -> Self {
        Self {
            views: true,
            debug: true,
            ..self
        }
    }
}

impl BootArgs {
    /// A boot with the defaults.
    pub(crate) fn of(p2m: P2m) -> Self {
        Self {
            build: BuildArgs::of(p2m),
            cpu: "max".to_owned(),
            smp: 2,
            interactive: false,
            smmu: false,
            timeout: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn to_read_is_not_to_write() {
        let parse =
            |args: &[&str]| Cli::try_parse_from([&["xtask", "image"], args].concat()).is_ok();
        assert!(parse(&[]) && parse(&["--read", "c.log", "rust.log"]));
        assert!(!parse(&["--read", "c.log", "--ops", "5"]));
        assert!(!parse(&["--rows", "two words"]));
    }

    #[test]
    fn one_source_at_a_time() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["xtask"], args].concat()).is_ok();
        assert!(parse(&["boot", "--release", "4.17"]));
        assert!(parse(&["boot", "--release", "4.19", "--xen-git", "/clone"]));
        assert!(!parse(&["boot", "--release", "4.17.1"]));
        assert!(!parse(&[
            "boot",
            "--release",
            "4.17",
            "--xen-tree",
            "/tree"
        ]));
        assert!(!parse(&["boot", "--xen-git", "/clone"]));
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! What an argument can be, and how it is read.

use std::fmt;

use clap::ValueEnum;

use crate::base::version::Version;

/// Which code manages the guests' second-stage tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum P2m {
    /// This project's archive
    Rust,
    /// Xen's own C files
    C,
}

impl fmt::Display for P2m {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "rust",
            Self::C => "c",
        })
    }
}

/// What a Xen for a test has and others have not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    /// What `diff` runs.
    Selftest,
    /// The same with views of a guest's memory (from 4.19 on).
    SelftestViews,
    /// What `bench` runs.
    Bench,
    /// The driver of an SMMU that translates in two stages.
    Smmu,
    /// The same, and PCI devices (from 4.21 on).
    SmmuPci,
    /// The debug key that prints stage 2.
    Dump,
    /// The C's old locking, which deadlocks; only for the test that shows it.
    OldLocking,
    /// Static memory and static shared memory, for guests that Xen itself creates.
    StaticMemory,
    /// Instrumented C, in a debug build.
    Ubsan,
    /// Split sections, and colours for the p2m's own pages.
    LivepatchAndColoring,
    /// As few as there may be of what is counted by CPU, and views of a guest's memory.
    TwoCpus,
    /// Views of a guest's memory (from 4.19 on).
    Views,
    /// No memory access: Arm's default configuration.
    NoMemAccess,
}

/// Which patches a tree gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Patches {
    /// All for its release.
    #[default]
    All,
    /// Not those for views of a guest's memory.
    WithoutViews,
    /// None: with the C alone.
    None,
}

/// A serial port, as Xen's Kconfig has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EarlyPrintk {
    /// The option that chooses its kind.
    pub(crate) option: &'static str,
    /// Its physical address.
    pub(crate) address: u64,
    /// Of an 8250: how far its registers are apart, as a shift.
    pub(crate) shift: Option<u32>,
}

/// A picture's colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Theme {
    /// Light or dark, as the reader prefers
    Auto,
    /// Light
    Light,
    /// Dark
    Dark,
}

/// A part of a row's name, which goes on Xen's command line.
pub(super) fn part(text: &str) -> Result<String, String> {
    let fits = (1..32).contains(&text.len());
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if fits && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("not a part of a row's name: letters, digits and dashes".to_owned())
    }
}

/// `4.17`: not a point release, of which the newest is meant.
pub(super) fn release(text: &str) -> Result<Version, String> {
    Version::find_in(text)
        .filter(|version| version.to_string() == text)
        .ok_or_else(|| "not a release such as 4.17".to_owned())
}

/// The kinds of serial port that Xen's early printk knows, and the options for them.
const EARLY: [(&str, &str); 8] = [
    ("8250", "CONFIG_EARLY_UART_CHOICE_8250"),
    ("cadence", "CONFIG_EARLY_UART_CHOICE_CADENCE"),
    ("imx_lpuart", "CONFIG_EARLY_UART_CHOICE_IMX_LPUART"),
    ("linflex", "CONFIG_EARLY_UART_CHOICE_LINFLEX"),
    ("meson", "CONFIG_EARLY_UART_CHOICE_MESON"),
    ("mvebu", "CONFIG_EARLY_UART_CHOICE_MVEBU"),
    ("pl011", "CONFIG_EARLY_UART_CHOICE_PL011"),
    ("scif", "CONFIG_EARLY_UART_CHOICE_SCIF"),
];

/// `pl011,0x9000000`.
pub(super) fn early_printk(text: &str) -> Result<EarlyPrintk, String> {
    let parsed = || {
        let mut words = text.split(',');
        let kind = words.next()?;
        let (_, option) = EARLY.iter().find(|(name, _)| *name == kind)?;
        let address = words.next()?.strip_prefix("0x")?;
        let address = u64::from_str_radix(address, 16).ok()?;
        let shift = words.next().map(str::parse).transpose().ok()?;
        let fits = words.next().is_none() && (shift.is_none() || kind == "8250");
        fits.then_some(EarlyPrintk {
            option,
            address,
            shift,
        })
    };
    parsed().ok_or_else(|| {
        "not a kind of serial port and its address, as pl011,0x9000000 or 8250,0xff1a0000,2"
            .to_owned()
    })
}

/// A number, also in the form in which a seed is shown.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "not a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::early_printk;

    #[test]
    fn a_serial_port() {
        let port = early_printk("pl011,0x9000000");
        assert!(
            port.is_ok_and(|port| port.option.ends_with("_PL011") && port.address == 0x900_0000)
        );
        let port = early_printk("8250,0xff1a0000,2");
        assert!(port.is_ok_and(|port| port.shift == Some(2)));
        for wrong in [
            "pl011",
            "pl011,9000000",
            "pl012,0x9000000",
            "pl011,0x",
            "pl011,0x9000000,2",
        ] {
            assert!(early_printk(wrong).is_err(), "{wrong}");
        }
    }
}

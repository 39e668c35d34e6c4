// SPDX-License-Identifier: GPL-2.0-only
//! The columns of the table: which of the plugin's counters each is made of.

use super::counts::Counted;

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its heading.
    pub(super) title: &'static str,
    /// Of these counters the sum ...
    of: &'static [&'static str],
    /// ... divided by this.
    by: i64,
}

const fn column(title: &'static str, of: &'static [&'static str], by: i64) -> Column {
    Column { title, of, by }
}

/// Instructions.
pub(super) const INSTRUCTIONS: Column = column("instructions", &["insn"], 1);
/// The longest stretch of instructions without a preemption check.
pub(super) const STRETCH: Column = column("longest stretch", &["longest"], 1);
/// The longest time that the p2m lock was held, in instructions.
pub(super) const HELD: Column = column("p2m lock held", &["held"], 1);
/// How often preemption was looked for.
pub(super) const CHECKS: Column = column("preemption checks", &["checks"], 1);
/// Every DSB.
pub(super) const DSB: Column = column(
    "DSB",
    &["dsb_sy", "dsb_ish", "dsb_ishst", "dsb_nsh", "dsb_other"],
    1,
);
/// Every broadcast invalidation of stage 2, and of stage 1 with it.
pub(super) const TLBI: Column = column("TLBI", &["tlbi_vmid", "tlbi_ipa", "tlbi_range"], 1);
/// Entries written: stores of 8 bytes.
pub(super) const STORES: Column = column("PTE stores", &["table_bytes"], 8);
/// Pages that were taken for tables, less those that were given back.
pub(super) const TABLES: Column = column("table pages", &["tables"], 1);
/// Cache lines written back.
pub(super) const DC: Column = column("DC", &["dc_civac", "dc_cvac", "dc_other"], 1);

/// All of them, in order. Taking a lock is a store to its word, and so is letting it go.
pub(super) const ALL: &[Column] = &[
    INSTRUCTIONS,
    DSB,
    column("of it SY", &["dsb_sy"], 1),
    column("ISH", &["dsb_ish"], 1),
    column("ISHST", &["dsb_ishst"], 1),
    column("NSH", &["dsb_nsh"], 1),
    column("ISB", &["isb"], 1),
    column("TLBI VMID", &["tlbi_vmid"], 1),
    column("IPA", &["tlbi_ipa"], 1),
    column("range", &["tlbi_range"], 1),
    column("stage 1", &["tlbi_s1"], 1),
    column(
        "local",
        &[
            "tlbi_vmid_local",
            "tlbi_ipa_local",
            "tlbi_range_local",
            "tlbi_s1_local",
        ],
        1,
    ),
    DC,
    column("DC ZVA", &["dc_zva"], 1),
    column("AT", &["at"], 1),
    TABLES,
    STORES,
    column("p2m lock pairs", &["p2m_lock"], 2),
    column("pool lock pairs", &["pool_lock"], 2),
    column("atomics", &["lse", "exclusive"], 1),
    column("lines: p2m", &["lines_p2m"], 1),
    column("pool", &["lines_pool"], 1),
    column("page_info", &["lines_frames"], 1),
    column("other", &["lines_other"], 1),
    CHECKS,
    STRETCH,
    HELD,
];

impl Column {
    /// Its number for a whole row; none when it was not counted.
    pub(super) fn total(&self, row: &Counted) -> Option<f64> {
        row.sum(self.of).map(|sum| float(sum) / float(self.by))
    }

    /// The same for each call.
    pub(super) fn per_call(&self, row: &Counted) -> Option<f64> {
        // Of many calls there is only the stretch over all of them, which nobody waits for.
        if self.title == STRETCH.title && row.calls != 1 {
            return None;
        }
        // The longest of all calls is no sum.
        if self.title == HELD.title {
            return self.total(row);
        }
        Some(self.total(row)? / float(row.calls.max(1)))
    }
}

/// Exact up to 2^53, far above any count here.
#[allow(clippy::cast_precision_loss)]
pub(super) fn float(number: i64) -> f64 {
    number as f64
}

/// With separators, and decimals only where they say something.
pub(super) fn shown(number: f64) -> String {
    let decimals = if number.fract().abs() < 0.000_5 || number.abs() >= 1000.0 {
        0
    } else if number.abs() >= 10.0 {
        1
    } else {
        3
    };
    let text = format!("{number:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i != 0 && (digits.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() {
        format!("{sign}{grouped}")
    } else {
        format!("{sign}{grouped}.{fraction}")
    }
}

/// The same, and nothing where there is no number.
pub(super) fn cell(number: Option<f64>) -> String {
    number.map_or_else(String::new, shown)
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn numbers_to_read() {
        assert_eq!(shown(0.0), "0");
        assert_eq!(shown(999.0), "999");
        assert_eq!(shown(-1_234_567.0), "-1,234,567");
        assert_eq!(shown(1.0039), "1.004");
        assert_eq!(shown(495.4), "495.4");
        assert_eq!(shown(1495.4), "1,495");
        assert_eq!(shown(1.000_1), "1");
    }
}

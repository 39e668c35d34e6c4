// SPDX-License-Identifier: GPL-2.0-only
//! Numbers as people read them.

/// So many pages of 4 KiB, as bytes: `12 KiB`, `1.5 MiB`, `64 GiB`.
pub(super) fn bytes(pages: u64) -> String {
    let kib = pages.saturating_mul(4);
    let units = [(1 << 30, "TiB"), (1 << 20, "GiB"), (1 << 10, "MiB")];
    for (size, unit) in units {
        if kib >= size {
            let tenths = (u128::from(kib) * 10 + u128::from(size) / 2) / u128::from(size);
            return match (tenths / 10, tenths % 10) {
                (whole, 0) => format!("{whole} {unit}"),
                (whole, tenth) => format!("{whole}.{tenth} {unit}"),
            };
        }
    }
    format!("{kib} KiB")
}

/// The address of the last byte before a frame.
pub(super) const fn last_byte(frame: u64) -> u64 {
    (frame << 12).wrapping_sub(1)
}

/// `65,536`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 table`, `2 tables`.
pub(super) fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

/// `25 %`; never 0 or 100 for what is not none or all.
pub(super) fn percent(part: u64, all: u64) -> String {
    if part == 0 || all == 0 {
        return "0 %".to_owned();
    }
    let rounded = (u128::from(part) * 100 + u128::from(all) / 2) / u128::from(all);
    match rounded {
        0 => "< 1 %".to_owned(),
        100 if part < all => "> 99 %".to_owned(),
        rounded => format!("{rounded} %"),
    }
}

/// `≥ 12`, if it is not all.
pub(super) fn at_least(is_part: bool, text: String) -> String {
    match is_part {
        true => format!("\u{2265} {text}"),
        false => text,
    }
}

/// `≥ 12`, `12`, or nothing for none at all.
pub(super) fn at_least_or(none: &str, is_part: bool, number: u64, text: String) -> String {
    match (is_part, number) {
        (false, 0) => none.to_owned(),
        _ => at_least(is_part, text),
    }
}

/// `+12`, `−3`, or nothing for no difference.
pub(super) fn difference(before: u64, after: u64) -> Option<String> {
    match after.abs_diff(before) {
        0 => None,
        more if after > before => Some(format!("+{}", count(more))),
        fewer => Some(format!("\u{2212}{}", count(fewer))),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, difference, percent};

    #[test]
    fn sizes_have_the_unit_that_they_are_large_enough_for() {
        let said = [0, 1, 255, 256, 384, 1 << 16, 1 << 18, 1 << 24, 1 << 28].map(bytes);
        let wanted = [
            "0 KiB", "4 KiB", "1020 KiB", "1 MiB", "1.5 MiB", "256 MiB", "1 GiB", "64 GiB", "1 TiB",
        ];
        assert_eq!(said, wanted);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [7, 999, 1000, 65536, 1_234_567].map(count),
            ["7", "999", "1,000", "65,536", "1,234,567"]
        );
    }

    #[test]
    fn some_is_not_none_and_not_all() {
        let said = [(0, 9), (1, 1000), (1, 4), (999, 1000), (9, 9)].map(|(a, b)| percent(a, b));
        assert_eq!(said, ["0 %", "< 1 %", "25 %", "> 99 %", "100 %"]);
    }

    #[test]
    fn differences_have_a_sign() {
        assert_eq!(difference(5, 5), None);
        assert_eq!(difference(5, 1005), Some("+1,000".to_owned()));
        assert_eq!(difference(9, 2), Some("\u{2212}7".to_owned()));
    }
}

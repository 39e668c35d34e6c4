// SPDX-License-Identifier: GPL-2.0-only
//! The part of Xen's `printk` format language that the p2m uses.

use xen_sys::PrintkArg;

/// Names for the pointers that `%pd` and `%pv` print.
pub(crate) trait Names {
    /// `d5` or `d5v0`.
    fn name(&self, address: usize) -> String;
    /// The text behind `%s`, which ends with a NUL, or after `most` bytes.
    fn text(&self, address: usize, most: Option<usize>) -> String;
}

/// Formats as Xen's `vsnprintf` would; an argument too many or too few is said
/// in the text, where a test will see it.
pub(crate) fn format(format: &str, arguments: &[PrintkArg], names: &dyn Names) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (mut alternate, mut zero, mut width) = (false, false, 0usize);
        loop {
            match rest.peek().copied() {
                Some('#') => alternate = true,
                Some('0') if width == 0 => zero = true,
                Some(d) if d.is_ascii_digit() => {
                    width = width * 10 + d.to_digit(10).unwrap_or(0) as usize;
                }
                Some('l' | 'h' | 'z') => {}
                _ => break,
            }
            rest.next();
        }
        let mut most = None;
        if rest.next_if_eq(&'.').is_some() && rest.next_if_eq(&'*').is_some() {
            // A negative one counts as none.
            if let Some(PrintkArg::Signed(precision)) = arguments.next() {
                most = usize::try_from(*precision).ok();
            }
        }
        let Some(kind) = rest.next() else { break };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let Some(argument) = arguments.next() else {
            out.push_str("<missing argument>");
            continue;
        };
        let body = match (kind, argument) {
            ('p', PrintkArg::Pointer(address)) => match rest.peek() {
                Some('d' | 'v') => {
                    rest.next();
                    names.name(*address)
                }
                _ => format!("{address:016x}"),
            },
            ('s', PrintkArg::Pointer(address)) => names.text(*address, most),
            ('d' | 'i', PrintkArg::Signed(v)) => v.to_string(),
            ('d' | 'i' | 'u', PrintkArg::Unsigned(v)) => v.to_string(),
            ('x', PrintkArg::Unsigned(v)) if alternate => format!("{v:#x}"),
            ('x', PrintkArg::Unsigned(v)) => format!("{v:x}"),
            ('x', PrintkArg::Signed(v)) if alternate => format!("{v:#x}"),
            ('x', PrintkArg::Signed(v)) => format!("{v:x}"),
            (other, argument) => format!("<%{other} with {argument:?}>"),
        };
        let padding = width.saturating_sub(body.len());
        // Zeros stand behind the 0x.
        match body.strip_prefix("0x") {
            Some(digits) if zero => out.push_str(&format!("0x{}{digits}", "0".repeat(padding))),
            _ => {
                out.push_str(&if zero { "0" } else { " " }.repeat(padding));
                out.push_str(&body);
            }
        }
    }
    if arguments.next().is_some() {
        out.push_str("<argument left over>");
    }
    out
}

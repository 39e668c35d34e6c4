// SPDX-License-Identifier: GPL-2.0-only
//! The functions that a C file of Xen defines: a name before a parameter list and a body, outside of all
//! braces. The preprocessor's lines are left out, so that both sides of an `#ifdef` count.

use std::collections::BTreeSet;

/// Their names.
pub(super) fn functions(source: &str) -> BTreeSet<String> {
    let text = without_comments(source);
    let mut names = BTreeSet::new();
    let mut depth = 0_usize;
    let mut head = String::new();
    for c in text.chars() {
        match c {
            '{' => {
                if depth == 0 {
                    names.extend(defined(&head));
                }
                depth += 1;
            }
            '}' => {
                depth = depth.saturating_sub(1);
                head.clear();
            }
            ';' if depth == 0 => head.clear(),
            _ if depth == 0 => head.push(c),
            _ => {}
        }
    }
    names
}

/// What is before a `{`: a function's name is before its parameters, which end there.
fn defined(head: &str) -> Option<String> {
    let head = head.trim();
    let parameters = head.find('(')?;
    let is_initialiser = head.contains('=');
    if is_initialiser || !head.ends_with(')') {
        return None;
    }
    let before = head.get(..parameters)?.trim_end();
    let name = before
        .rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Comments, strings, and lines of the preprocessor with those that continue them are nothing.
fn without_comments(source: &str) -> String {
    let mut lines = String::new();
    let mut continued = false;
    for line in source.lines() {
        let directive = continued || line.trim_start().starts_with('#');
        continued = directive && line.ends_with('\\');
        if !directive {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    let mut text = String::new();
    let mut rest = lines.as_str();
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else if rest.starts_with("//") {
            rest.find('\n')
        } else if c == '"' || c == '\'' {
            quoted(rest, c)
        } else {
            text.push(c);
            Some(c.len_utf8())
        };
        rest = skipped.and_then(|n| rest.get(n..)).unwrap_or_default();
    }
    text
}

/// The length of the literal at the start of `rest`.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if !escaped && c == quote {
            return Some(at + c.len_utf8());
        }
        escaped = !escaped && c == '\\';
    }
    None
}

#[cfg(test)]
mod tests {
    use super::functions;

    #[test]
    fn functions_are_found_in_each_form_that_xen_has() {
        let source = r#"
#define FOR(x) for ( x = 0; \
                     x < 1; x++ ) {
unsigned int __read_mostly p2m_ipa_bits = PADDR_BITS;
static DEFINE_SPINLOCK(lock);
int declared(struct domain *d);
static inline bool one(lpae_t pte)
{
    if ( pte.bits ) { printk("}{ (\" {"); }
    return '{';
}
/* void in_a_comment(void) { } */
struct page_info*
two(vaddr_t gva, unsigned long flag,
    const struct vcpu *v)
{
}
static struct notifier_block nfb = {
    .notifier_call = one,
};
#ifdef CONFIG_ARM_64
static int __init three(void)
{
    static const struct { int a; } info[] __initconst = { { f(1) } };
}
#endif
__initcall(three);
"#;
        let names = functions(source);
        assert_eq!(
            names.iter().map(String::as_str).collect::<Vec<_>>(),
            ["one", "three", "two"]
        );
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! How many unsafe blocks the hypervisor's code has, as the compiler meets them: those in
//! the body of a macro count as often as the macro expands them. docs/unsafe.md says how
//! many are where, and what for; the tests here keep that true, and the number bounded.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::base::files::read_text;
use crate::base::paths::Paths;

/// The crates that end up in the hypervisor.
const SOURCES: [&str; 4] = ["src", "p2m-rs/src", "mem_access-rs/src", "xen-sys/src"];

/// Not part of the hypervisor: the host's face of xen-sys.
const MOCK: &str = "xen-sys/src/mock.rs";

/// How many unsafe blocks there may be in all, but for those of [`ALTP2M`].
const MOST: usize = 150;

/// What is in the hypervisor with the option ALTP2M only. Each file has a row of its own.
const ALTP2M: [&str; 4] = [
    "p2m-rs/src/lifecycle/view_state.rs",
    "p2m-rs/src/lifecycle/views.rs",
    "p2m-rs/src/p2m/views.rs",
    "xen-sys/src/link.rs",
];

/// How many there may be in these.
const MOST_ALTP2M: usize = 18;

/// Not part of the hypervisor either, but of the archive that is timed on the machine that builds
/// it: what takes the place of Arm's instructions.
const NATIVE: &str = "xen-sys/src/native";

/// How many there may be in it.
const MOST_NATIVE: usize = 20;

/// What a stretch of code claims without the compiler's checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Claims {
    /// `unsafe { }`.
    blocks: usize,
    /// `unsafe impl`.
    impls: usize,
}

impl std::ops::AddAssign for Claims {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.impls += other.impls;
    }
}

impl Claims {
    fn times(self, n: usize) -> Self {
        Self {
            blocks: self.blocks * n,
            impls: self.impls * n,
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            blocks: self.blocks.max(other.blocks),
            impls: self.impls.max(other.impls),
        }
    }
}

/// What one arm of a macro expands to: once a call, and once an item of the list that the
/// call has, each of which ends in a semicolon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Body {
    call: Claims,
    item: Claims,
}

/// The macros with claims in them, by name. Of several arms, the most of each: no fewer than
/// there are.
type Macros = BTreeMap<String, Body>;

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

fn is_punct(token: Option<&TokenTree>, punct: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == punct)
}

/// The group of this delimiter, if the token is one.
fn group(token: Option<&TokenTree>, delimiter: Option<Delimiter>) -> Option<TokenStream> {
    match token {
        Some(TokenTree::Group(group)) if delimiter.is_none_or(|d| group.delimiter() == d) => {
            Some(group.stream())
        }
        _ => None,
    }
}

/// Calls `visit` for each `macro_rules! name { body }`, and `outside` with the tokens that are
/// in none.
fn split_macros(
    tokens: TokenStream,
    visit: &mut impl FnMut(String, TokenStream),
    outside: &mut Vec<TokenTree>,
) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut at = tokens.iter().enumerate();
    while let Some((n, token)) = at.next() {
        let name = ident(tokens.get(n + 2));
        let body = group(tokens.get(n + 3), None);
        match (ident(Some(token)).as_deref(), name, body) {
            (Some("macro_rules"), Some(name), Some(body)) if is_punct(tokens.get(n + 1), '!') => {
                visit(name, body);
                at.nth(2);
            }
            _ => match token {
                TokenTree::Group(group) => {
                    let mut inner = Vec::new();
                    split_macros(group.stream(), visit, &mut inner);
                    let stream = inner.into_iter().collect();
                    let group = proc_macro2::Group::new(group.delimiter(), stream);
                    outside.push(TokenTree::Group(group));
                }
                token => outside.push(token.clone()),
            },
        }
    }
}

/// The claims that are spelled out in these tokens. What is repeated, `$( )*`, goes to
/// `repeated` if there is one.
fn spelled(tokens: TokenStream, mut repeated: Option<&mut Claims>) -> Claims {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut claims = Claims::default();
    for (n, token) in tokens.iter().enumerate() {
        let next = tokens.get(n + 1);
        if ident(Some(token)).as_deref() == Some("unsafe") {
            claims.blocks += usize::from(group(next, Some(Delimiter::Brace)).is_some());
            claims.impls += usize::from(ident(next).as_deref() == Some("impl"));
        }
        let TokenTree::Group(group) = token else {
            continue;
        };
        let is_repeated = n > 0
            && is_punct(tokens.get(n - 1), '$')
            && group.delimiter() == Delimiter::Parenthesis;
        match repeated.as_deref_mut() {
            Some(repeated) if is_repeated => *repeated += spelled(group.stream(), None),
            _ => claims += spelled(group.stream(), repeated.as_deref_mut()),
        }
    }
    claims
}

/// What the arms of a macro expand to: `(pattern) => { body };`.
fn body_of(arms: TokenStream) -> Body {
    let tokens: Vec<_> = arms.into_iter().collect();
    let mut most = Body::default();
    for (n, token) in tokens.iter().enumerate() {
        // A body follows `=>`.
        if n < 2 || !is_punct(tokens.get(n - 1), '>') || !is_punct(tokens.get(n - 2), '=') {
            continue;
        }
        let Some(arm) = group(Some(token), None) else {
            continue;
        };
        let mut item = Claims::default();
        let call = spelled(arm, Some(&mut item));
        most.call = most.call.max(call);
        most.item = most.item.max(item);
    }
    most
}

/// The claims that calls of macros in these tokens expand to.
fn expanded(tokens: TokenStream, macros: &Macros) -> Claims {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut claims = Claims::default();
    for (n, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            claims += expanded(group.stream(), macros);
        }
        let Some(body) = ident(Some(token)).and_then(|name| macros.get(&name)) else {
            continue;
        };
        if let Some(call) = is_punct(tokens.get(n + 1), '!')
            .then(|| group(tokens.get(n + 2), None))
            .flatten()
        {
            let items = call.into_iter().filter(|t| is_punct(Some(t), ';')).count();
            claims += body.call;
            claims += body.item.times(items);
        }
    }
    claims
}

/// A file without its macros, and these by name.
fn read(text: &str) -> anyhow::Result<(TokenStream, BTreeMap<String, TokenStream>)> {
    syn::parse_file(text)?;
    let mut macros = BTreeMap::new();
    let mut outside = Vec::new();
    let tokens = text
        .parse()
        .map_err(|_| anyhow::anyhow!("no tokens of Rust"))?;
    split_macros(
        tokens,
        &mut |name, body| {
            macros.insert(name, body);
        },
        &mut outside,
    );
    Ok((outside.into_iter().collect(), macros))
}

/// The claims of each folder that has any.
fn counted(root: &Path) -> anyhow::Result<BTreeMap<String, Claims>> {
    let mut files = Vec::new();
    let mut folders: Vec<_> = SOURCES.iter().map(|s| root.join(s)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && path != root.join(MOCK) {
                files.push(path);
            }
        }
    }
    let mut codes = Vec::new();
    let mut macros = Macros::new();
    for file in files {
        let (code, own) = read(&read_text(&file)?).with_context(|| file.display().to_string())?;
        for (name, arms) in own {
            let body = body_of(arms.clone());
            // What a macro's body calls would have to be counted with each of its calls.
            let calls = expanded(arms.clone(), &macros);
            anyhow::ensure!(
                calls == Claims::default(),
                "{name}! calls a macro with unsafe code"
            );
            if body != Body::default() {
                let other = macros.insert(name.clone(), body);
                anyhow::ensure!(other.is_none(), "two macros are called {name}");
            }
        }
        codes.push((file, code));
    }
    let mut counts: BTreeMap<String, Claims> = BTreeMap::new();
    for (file, code) in codes {
        let mut claims = spelled(code.clone(), None);
        claims += expanded(code, &macros);
        let file = file.strip_prefix(root).unwrap_or(&file);
        let row = if ALTP2M.iter().any(|own| file == Path::new(own)) {
            file
        } else {
            file.parent().unwrap_or(file)
        };
        if claims != Claims::default() {
            *counts.entry(row.display().to_string()).or_default() += claims;
        }
    }
    Ok(counts)
}

/// The rows ``| `folder` | blocks | impls | ...`` of the table.
fn claimed(document: &str) -> BTreeMap<String, Claims> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let folder = cells.next()?.strip_suffix('`')?.to_owned();
        let blocks = cells.next()?.parse().ok()?;
        let impls = cells.next()?.parse().ok()?;
        Some((folder, Claims { blocks, impls }))
    };
    document.lines().filter_map(row).collect()
}

/// The row with the sums.
fn total(document: &str) -> Option<Claims> {
    let row = document.lines().find(|line| line.starts_with("| all |"))?;
    let mut cells = row.split('|').skip(2).map(str::trim);
    Some(Claims {
        blocks: cells.next()?.parse().ok()?,
        impls: cells.next()?.parse().ok()?,
    })
}

#[test]
fn the_document_says_how_many_there_are() -> anyhow::Result<()> {
    let paths = Paths::find()?;
    let document = read_text(&paths.root().join("docs/unsafe.md"))?;
    let counts = counted(paths.root())?;
    assert_eq!(claimed(&document), counts);
    let mut all = Claims::default();
    counts.values().for_each(|claims| all += *claims);
    assert_eq!(total(&document), Some(all));
    Ok(())
}

#[test]
fn there_are_no_more_than_the_bound() -> anyhow::Result<()> {
    let counts = counted(Paths::find()?.root())?;
    let of = |wanted: fn(&str) -> bool| -> usize {
        let rows = counts.iter().filter(|(row, _)| wanted(row));
        rows.map(|(_, claims)| claims.blocks).sum()
    };
    let blocks = of(|row| !ALTP2M.contains(&row) && row != NATIVE);
    let (optional, native) = (of(|row| ALTP2M.contains(&row)), of(|row| row == NATIVE));
    assert!(
        blocks <= MOST,
        "{blocks} unsafe blocks, {MOST} at most: {counts:?}"
    );
    assert!(
        optional <= MOST_ALTP2M,
        "{optional} unsafe blocks for views, {MOST_ALTP2M} at most: {counts:?}"
    );
    assert!(
        native <= MOST_NATIVE,
        "{native} unsafe blocks to be timed, {MOST_NATIVE} at most: {counts:?}"
    );
    // A counter that finds nothing would say so too.
    assert!(blocks > MOST / 2, "{blocks}");
    Ok(())
}

/// Blocks and impls of a text with its macros.
#[cfg(test)]
fn in_text(text: &str) -> anyhow::Result<(usize, usize)> {
    let (code, own) = read(text)?;
    let macros: Macros = own
        .into_iter()
        .map(|(name, arms)| (name, body_of(arms)))
        .collect();
    let mut claims = spelled(code.clone(), None);
    claims += expanded(code, &macros);
    Ok((claims.blocks, claims.impls))
}

#[test]
fn a_block_in_a_macro_counts_with_each_call_and_each_item() -> anyhow::Result<()> {
    let plain = "unsafe fn f() {} fn g() { unsafe { f() } } unsafe impl Send for S {}";
    assert_eq!(in_text(plain)?, (1, 1));
    let text = "// unsafe { }\nconst T: &str = \"unsafe { }\"; unsafe extern \"C\" { fn h(); }";
    assert_eq!(in_text(text)?, (0, 0));
    let once = "macro_rules! m { () => { unsafe { f() } }; } fn g() { m!(); h(m!()); }";
    assert_eq!(in_text(once)?, (2, 0));
    let unused = "macro_rules! m { () => { unsafe { f() } }; }";
    assert_eq!(in_text(unused)?, (0, 0));
    let listed = "macro_rules! m { ($($a:ident;)*) => { $(unsafe impl A for $a {} \
                  fn f() { unsafe { g() }; unsafe { h() } })* }; } m! { a; b; c; }";
    assert_eq!(in_text(listed)?, (6, 3));
    let inside = "fn f() { assert!(unsafe { g() }); }";
    assert_eq!(in_text(inside)?, (1, 0));
    Ok(())
}

#[test]
fn a_row_is_a_folder_and_two_numbers() {
    let rows = claimed("| `a` | 3 | 0 | why |\n| `b` | text | 1 |\n| folder | blocks |");
    let three = Claims {
        blocks: 3,
        impls: 0,
    };
    assert_eq!(rows, BTreeMap::from([("a".to_owned(), three)]));
    assert_eq!(total("| all | 3 | 0 | |"), Some(three));
}

// SPDX-License-Identifier: GPL-2.0-only
//! Reading a patch in unified form: its hunks, whether a file has them already, and which of them `patch`
//! refused.

/// A piece of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hunk<'a> {
    /// The file it changes or makes, below the tree's root.
    pub(super) file: &'a str,
    /// `@@ -1,2 +1,4 @@ ...`
    header: &'a str,
    lines: Vec<&'a str>,
}

impl Hunk<'_> {
    /// Does a file have all lines that this adds, in their order? Later patches may have put others
    /// between them, and what is around them may be another.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let mut have = text.lines();
        self.lines
            .iter()
            .filter_map(|line| line.strip_prefix('+'))
            .all(|new| have.any(|old| old == new))
    }

    /// Takes what this adds out of a file, and puts back what it removes: the file is then as an earlier patch
    /// left it. Nothing is done where the lines do not stand as the hunk has them.
    pub(super) fn take_out(&self, text: &mut String) {
        let side = |other: char| -> Vec<&str> {
            let of_side = self.lines.iter().filter(|line| !line.starts_with(other));
            of_side
                .map(|line| line.get(1..).unwrap_or_default())
                .collect()
        };
        let (new, old) = (side('-'), side('+'));
        let mut lines: Vec<&str> = text.lines().collect();
        let at = lines.windows(new.len().max(1)).position(|some| some == new);
        if let Some(at) = at {
            lines.splice(at..at + new.len(), old);
            *text = lines.iter().flat_map(|line| [line, "\n"]).collect();
        }
    }
}

/// All hunks of a patch.
pub(super) fn hunks(patch: &str) -> Vec<Hunk<'_>> {
    let mut found = Vec::new();
    let mut file = "";
    let mut lines = patch.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("+++ b/") {
            file = name.split('\t').next().unwrap_or(name);
        } else if let Some((mut old, mut new)) = counts(line) {
            let mut hunk = Hunk {
                file,
                header: line,
                lines: Vec::new(),
            };
            while old > 0 || new > 0 {
                let Some(line) = lines.next() else { break };
                match line.chars().next() {
                    Some('+') => new -= 1,
                    Some('-') => old -= 1,
                    Some('\\') => continue,
                    _ => (old, new) = (old - 1, new - 1),
                }
                hunk.lines.push(line);
            }
            found.push(hunk);
        }
    }
    found
}

/// How many lines of the old and of the new file a hunk has, by its header.
fn counts(line: &str) -> Option<(i32, i32)> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let count = |range: &str| match range.split_once(',') {
        Some((_, count)) => count.parse().ok(),
        None => Some(1),
    };
    Some((count(old)?, count(new)?))
}

/// A sentence for each hunk that `patch` said it could not place; `None` when it said nothing of the kind.
pub(super) fn refusal(name: &str, patch: &str, said: &str) -> Option<String> {
    let all = hunks(patch);
    let mut file = "";
    let mut refused: Vec<String> = Vec::new();
    for line in said.lines() {
        if let Some(next) = line.strip_prefix("patching file ") {
            file = next.trim_matches('\'');
        }
        let number = line.strip_prefix("Hunk #").and_then(|rest| {
            let (number, rest) = rest.split_once(' ')?;
            let failed = rest.starts_with("FAILED") || rest.starts_with("ignored");
            failed.then(|| number.parse::<usize>().ok())?
        });
        if let Some(number) = number {
            let mut of_file = all.iter().filter(|hunk| hunk.file == file);
            let hunk = of_file.nth(number.saturating_sub(1));
            let header = hunk.map_or("", |hunk| hunk.header);
            refused.push(format!("hunk {number} of {file} ({header})"));
        } else if let Some(next) = line.strip_prefix("The next patch would create the file ") {
            let made = next.trim_end_matches(',').trim_matches('\'');
            refused.push(format!("the new file {made}, which is there already"));
        } else if line.contains("previously applied") {
            refused.push(format!("a part of {file}, which is there already"));
        }
    }
    (!refused.is_empty()).then(|| format!("{name} does not fit this tree: {}", refused.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::{hunks, refusal};

    const PATCH: &str =
        "--- a/f\n+++ b/f\n@@ -1,3 +1,4 @@ where\n a\n+b\n-c\n+d\n e\n@@ -9 +10,2 @@\n z\n+y\n\
                         --- /dev/null\n+++ b/g\n@@ -0,0 +1 @@\n+new\n-- \n2.39\n";

    #[test]
    fn hunks_end_where_their_headers_say() {
        let found = hunks(PATCH);
        let shape: Vec<_> = found.iter().map(|h| (h.file, h.lines.len())).collect();
        assert_eq!(shape, [("f", 5), ("f", 2), ("g", 1)]);
    }

    #[test]
    fn what_is_added_must_be_there_whole() {
        let found = hunks(PATCH);
        let [change, _, new] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(change.is_in("x\nb\nx\nd\n"));
        assert!(!change.is_in("x\nb\nx\n"));
        assert!(!change.is_in("d\nb\n"));
        assert!(new.is_in("new\n") && !new.is_in(""));
    }

    #[test]
    fn what_was_added_is_taken_out_and_what_was_removed_put_back() {
        let found = hunks(PATCH);
        let [change, _, new] = found.as_slice() else {
            panic!("{found:?}");
        };
        let mut text = "x\na\nb\nd\ne\nz\n".to_owned();
        change.take_out(&mut text);
        assert_eq!(text, "x\na\nc\ne\nz\n");
        // Others stand between them: that is left alone.
        let mut text = "a\nb\nx\nd\ne\n".to_owned();
        change.take_out(&mut text);
        assert_eq!(text, "a\nb\nx\nd\ne\n");
        let mut text = "new\n".to_owned();
        new.take_out(&mut text);
        assert_eq!(text, "");
    }

    #[test]
    fn what_patch_refuses_is_named() {
        let said =
            "patching file f\nHunk #2 FAILED at 9.\n1 out of 2 hunks FAILED -- saving rejects\n";
        let text = refusal("0001.patch", PATCH, said).unwrap_or_default();
        assert_eq!(
            text,
            "0001.patch does not fit this tree: hunk 2 of f (@@ -9 +10,2 @@)"
        );
        let said =
            "The next patch would create the file g,\nwhich already exists!  Skipping patch.\n";
        let text = refusal("0001.patch", PATCH, said).unwrap_or_default();
        assert!(
            text.ends_with("the new file g, which is there already"),
            "{text}"
        );
        assert_eq!(refusal("0001.patch", PATCH, "patch: out of memory\n"), None);
    }
}

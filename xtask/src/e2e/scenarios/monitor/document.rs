// SPDX-License-Identifier: GPL-2.0-only
//! docs/mem_access.md, as a test reads it.

/// The document.
pub(super) const TEXT: &str = include_str!("../../../../../docs/mem_access.md");

/// A table of the document: its head and its rows.
#[derive(Clone, Debug)]
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The table behind `<!-- table: NAME -->`.
    pub(super) fn find(text: &str, name: &str) -> Result<Self, String> {
        let mark = format!("<!-- table: {name} -->");
        let (_, behind) = text
            .split_once(&mark)
            .ok_or_else(|| format!("docs/mem_access.md has no {mark}"))?;
        let lines = behind.trim_start().lines();
        let mut rows = lines
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.trim().trim_matches('|').replace('`', ""))
            .map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect())
            .filter(|row: &Vec<String>| !row.iter().all(|cell| cell.starts_with("--")));
        let head = rows
            .next()
            .ok_or_else(|| format!("no table after {mark}"))?;
        Ok(Self {
            head,
            rows: rows.collect(),
        })
    }

    /// What it says in a row, by the row's first cell, and in a column, by its head.
    pub(super) fn cell(&self, row: &str, column: &str) -> Result<&str, String> {
        let at = self.head.iter().position(|head| head == column);
        let row = self
            .rows
            .iter()
            .find(|cells| cells.first().is_some_and(|first| first == row));
        at.zip(row)
            .and_then(|(at, row)| row.get(at))
            .map(String::as_str)
            .ok_or_else(|| format!("docs/mem_access.md has no cell for {column}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, TEXT};

    #[test]
    fn a_cell_by_row_and_column() -> Result<(), String> {
        let text =
            "x\n<!-- table: a -->\n| of | `b` |\n|---|---|\n| `n` | R, `rwx` |\n\n| n | no |\n";
        let table = Table::find(text, "a")?;
        assert_eq!(table.cell("n", "b")?, "R, rwx");
        assert!(table.cell("n", "c").is_err());
        assert!(table.cell("m", "b").is_err());
        assert!(Table::find(text, "b").is_err());
        Ok(())
    }

    /// What a document shows of a file, of which nothing but its first line is missing.
    fn shown(source: &str) -> String {
        let (_, shown) = source.split_once("GPL-2.0-only\n").unwrap_or_default();
        assert!(!shown.is_empty(), "no such file");
        format!("```c\n{shown}```\n")
    }

    /// The code that the documents show is that of the monitor of the tests, and so compiles and was run.
    #[test]
    fn the_documents_code_is_the_monitors() {
        let events = shown(include_str!("../../../../guests/monitor/events.c"));
        assert!(
            TEXT.contains(&events),
            "docs/mem_access.md is to have\n{events}"
        );
        let first = shown(include_str!("../../../../guests/monitor/views/first.c"));
        let views = include_str!("../../../../../docs/altp2m.md");
        assert!(views.contains(&first), "docs/altp2m.md is to have\n{first}");
    }
}

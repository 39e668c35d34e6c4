// SPDX-License-Identifier: GPL-2.0-only
//! Reading the lcov format: what was covered, file by file.

use std::fmt;
use std::path::Path;

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    covered: u32,
    all: u32,
}

impl Share {
    fn count(&mut self, is_covered: bool) {
        self.all += 1;
        self.covered += u32::from(is_covered);
    }

    fn and(self, other: Self) -> Self {
        Self {
            covered: self.covered + other.covered,
            all: self.all + other.all,
        }
    }

    /// Of nothing, all is covered.
    pub(super) fn percent(self) -> f64 {
        if self.all == 0 {
            return 100.0;
        }
        f64::from(self.covered) * 100.0 / f64::from(self.all)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all == 0 {
            return f.write_str("-");
        }
        let Self { covered, all } = self;
        write!(f, "{:.1} % ({covered} of {all})", self.percent())
    }
}

/// A source file, or the sum of some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    /// Its path in the repository.
    pub(super) name: String,
    /// Lines with code.
    pub(super) lines: Share,
    /// Outcomes of conditions.
    pub(super) branches: Share,
}

impl Covered {
    /// Nothing yet.
    pub(super) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// With another file's counts.
    pub(super) fn and(self, other: &Self) -> Self {
        Self {
            name: self.name,
            lines: self.lines.and(other.lines),
            branches: self.branches.and(other.branches),
        }
    }
}

/// The files of a report that are below one of the folders, in the report's order.
pub(super) fn read(report: &str, root: &Path, folders: &[&str]) -> Vec<Covered> {
    let mut files = Vec::new();
    let mut file = Covered::default();
    for line in report.lines() {
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        // The last number: how often. A branch whose condition was never looked at has a dash.
        let is_covered = value
            .split(',')
            .nth(if key == "DA" { 1 } else { 3 })
            .is_some_and(|count| count != "0" && count != "-");
        match key {
            "SF" => {
                let path = Path::new(value);
                let name = path.strip_prefix(root).unwrap_or(path);
                file = Covered::named(&name.display().to_string());
            }
            "DA" => file.lines.count(is_covered),
            "BRDA" => file.branches.count(is_covered),
            "end_of_record" => files.push(std::mem::take(&mut file)),
            _ => {}
        }
    }
    files.retain(|file| folders.iter().any(|f| Path::new(&file.name).starts_with(f)));
    files
}

#[cfg(test)]
mod tests {
    use super::{read, Covered, Share};
    use std::path::Path;

    #[test]
    fn lines_and_branches_are_counted_for_the_files_that_matter() {
        let report = "SF:/r/p/a.rs\nFN:1,f\nDA:1,2\nDA:2,0\nBRDA:2,0,0,-\nBRDA:2,0,1,3\n\
                      end_of_record\nSF:/elsewhere/b.rs\nDA:1,0\nend_of_record\n";
        let files = read(report, Path::new("/r"), &["p"]);
        let half = Share { covered: 1, all: 2 };
        let expected = Covered {
            name: "p/a.rs".to_owned(),
            lines: half,
            branches: half,
        };
        assert_eq!(files, [expected]);
        assert_eq!(half.to_string(), "50.0 % (1 of 2)");
        assert_eq!(half.and(half), Share { covered: 2, all: 4 });
        assert_eq!(Share::default().to_string(), "-");
    }
}

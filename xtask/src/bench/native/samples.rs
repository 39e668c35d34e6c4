// SPDX-License-Identifier: GPL-2.0-only
//! What the program prints, a line for each pair of blocks, and what is made of it.

use anyhow::{Context, Result};

/// So many pairs that nobody disturbed are enough to leave the others out.
const ENOUGH: usize = 9;

/// A row with one number of threads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    /// Its name.
    pub(super) name: String,
    /// How many threads did it.
    pub(super) threads: usize,
    /// Operations of all threads in a block.
    operations: f64,
    /// Nanoseconds of each block, of the C and of the Rust, and whether a thread had to give its CPU up meanwhile.
    pairs: Vec<(f64, f64, bool)>,
}

/// The middle of some numbers, and what a quarter of them is below and above.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Spread {
    /// Of numbers in any order; of none it is zeros.
    fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_unstable_by(f64::total_cmp);
        let at = |quarter: usize| {
            let last = numbers.len().saturating_sub(1);
            // Between two if none is there.
            let (place, rest) = (last * quarter / 4, (last * quarter % 4) as f64 / 4.0);
            let value = |n: usize| numbers.get(n.min(last)).copied().unwrap_or_default();
            value(place) * (1.0 - rest) + value(place + 1) * rest
        };
        Self {
            low: at(1),
            median: at(2),
            high: at(3),
        }
    }
}

impl Measured {
    /// The pairs that count: those that nobody disturbed, if they are enough, and all otherwise.
    fn counted(&self) -> Vec<(f64, f64)> {
        let calm = self.pairs.iter().filter(|pair| !pair.2).count();
        let wanted = self.pairs.iter().filter(|pair| calm < ENOUGH || !pair.2);
        wanted.map(|&(c, rust, _)| (c, rust)).collect()
    }

    /// How many pairs count, and of how many, or that none was left out because too few were undisturbed.
    pub(super) fn pairs(&self) -> String {
        let (counted, all) = (self.counted().len(), self.pairs.len());
        let disturbed = self.pairs.iter().filter(|pair| pair.2).count();
        if counted == all && disturbed > 0 {
            format!("all {all}, {disturbed} disturbed")
        } else {
            format!("{counted} of {all}")
        }
    }

    /// Nanoseconds for an operation, the threads together: of the C and of the Rust.
    pub(super) fn nanoseconds(&self) -> (f64, f64) {
        let (c, rust): (Vec<f64>, Vec<f64>) = self.counted().into_iter().unzip();
        let median = |numbers| Spread::of(numbers).median / self.operations;
        (median(c), median(rust))
    }

    /// How often the Rust's time is the C's, pair by pair.
    pub(super) fn ratio(&self) -> Spread {
        let pairs = self.counted().into_iter();
        Spread::of(pairs.map(|(c, rust)| c / rust).collect())
    }
}

/// All that was printed.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// In the order of the lines.
    pub(super) rows: Vec<Measured>,
    /// Whether the program said that this is all.
    pub(super) is_whole: bool,
    /// What it had to say beside it, on lines of its own.
    pub(super) said: String,
}

impl Run {
    pub(super) fn read(printed: &str) -> Result<Self> {
        let mut run = Self::default();
        for line in printed.lines() {
            if line == "end" {
                run.is_whole = true;
            } else if line.contains(": ") {
                run.said.push('\n');
                run.said.push_str(line);
            } else {
                run.add(line)
                    .with_context(|| format!("`{line}` is no pair of blocks"))?;
            }
        }
        Ok(run)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let [name, threads, operations, c, rust, lost, _hash] =
            line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let threads = threads.parse().ok()?;
        let number = |text: &str| text.parse().ok().filter(|&n: &f64| n > 0.0);
        let lost: u64 = lost.parse().ok()?;
        let (operations, pair) = (number(operations)?, (number(c)?, number(rust)?, lost > 0));
        match self.rows.last_mut() {
            Some(row) if row.name == name && row.threads == threads => row.pairs.push(pair),
            _ => self.rows.push(Measured {
                name: name.to_owned(),
                threads,
                operations,
                pairs: vec![pair],
            }),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Run, Spread};

    #[test]
    fn quartiles() {
        let spread = |numbers: &[f64]| Spread::of(numbers.to_vec());
        let five = spread(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!((five.low, five.median, five.high), (2.0, 3.0, 4.0));
        let two = spread(&[1.0, 2.0]);
        assert_eq!((two.low, two.median, two.high), (1.25, 1.5, 1.75));
        assert_eq!(spread(&[7.0]).median, 7.0);
        assert_eq!(spread(&[]).median, 0.0);
    }

    #[test]
    fn a_ratio_is_of_the_pair_and_a_time_of_all_threads_together() -> anyhow::Result<()> {
        let run = Run::read("look-up 2 100 900 300 0 a\nlook-up 2 100 400 200 0 a\nend\n")?;
        assert!(run.is_whole);
        let [row] = &run.rows[..] else {
            anyhow::bail!("{:?}", run.rows);
        };
        assert_eq!(row.ratio().median, 2.5);
        assert_eq!(row.nanoseconds(), (6.5, 2.5));
        Ok(())
    }

    #[test]
    fn what_was_disturbed_is_left_out_if_enough_is_left() -> anyhow::Result<()> {
        let lines = |calm| "map 1 1 9 1 2 a\n".repeat(9) + &"map 1 1 2 1 0 a\n".repeat(calm);
        for (calm, ratio, said) in [(8, 9.0, "all 17, 9 disturbed"), (9, 2.0, "9 of 18")] {
            let run = Run::read(&lines(calm))?;
            let found: Vec<_> = run
                .rows
                .iter()
                .map(|row| (row.ratio().median, row.pairs()))
                .collect();
            assert_eq!(found, [(ratio, said.to_owned())]);
        }
        Ok(())
    }

    #[test]
    fn what_is_no_sample_is_an_error_or_is_kept() -> anyhow::Result<()> {
        assert!(Run::read("look-up 1 100 900 a\n").is_err());
        assert!(Run::read("look-up 1 100 0 300 0 a\n").is_err());
        let run = Run::read("map 1 100 900 300 0 a\ndiffer: map, thread 0: 1 and 2\n")?;
        assert!(!run.is_whole && run.said.contains("thread 0"));
        Ok(())
    }
}

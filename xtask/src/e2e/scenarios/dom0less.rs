// SPDX-License-Identifier: GPL-2.0-only
//! Guests that Xen makes itself, of static memory, and what they share.

use crate::boot::dom0::console::StepRun;
use crate::e2e::scenario::{ended_well, scenario, value, Scenario, Seen};

pub(in crate::e2e) const DOM0LESS: Scenario =
    scenario!("dom0less", "dom0less: static memory, static-shm", dom0less);

/// What guest 1 and guest 2 write, each for the other to see.
const WORDS: [&str; 2] = ["5ead0001", "5ead0002"];

fn dom0less(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let [one, two] = WORDS;
    for (key, word) in [("sees_1", two), ("sees_2", one)] {
        let seen = value(run, key)?;
        if seen != word {
            return Err(format!("{key} {seen} instead of {word}"));
        }
    }
    if run.number("left")? != 0 {
        return Err("a guest is left after it was destroyed".to_owned());
    }
    let shown = |key| -> Result<String, String> {
        let dump = value(run, key)?;
        if !dump.contains("4K_mappings:") {
            return Err(format!("no mappings shown in {key}: {dump}"));
        }
        let text = dump.replace('_', " ").replace(',', ", ");
        let text = text.replace(" mappings", "").replace(" (shattered 0)", "");
        Ok(text.trim_matches([',', ' ']).to_owned())
    };
    let text = format!(
        "each sees the other's word; owner {}; borrower {}; both destroyed",
        shown("tables_1")?,
        shown("tables_2")?
    );
    Seen::of(run, text, &["pages_1", "pages_2", "tables_1", "tables_2"])
}

#[cfg(test)]
mod tests {
    use super::dom0less;
    use crate::e2e::scenario::tests::run;

    #[test]
    fn both_see_and_both_go() {
        let good = "@@value sees_1=5ead0002\n@@value sees_2=5ead0001\n@@value left=0\n\
                    @@value pages_1=1\n@@value pages_2=1\n@@value tables_1=4K_mappings:_9,\n\
                    @@value tables_2=4K_mappings:_8,";
        assert!(dom0less(&run(0, good)).is_ok());
        for shown in ["4K_mappings:_9,", "4K_mappings:_8,"] {
            assert!(dom0less(&run(0, &good.replace(shown, ""))).is_err());
        }
        assert!(dom0less(&run(0, &good.replace("5ead0002", "0"))).is_err());
        assert!(dom0less(&run(0, &good.replace("left=0", "left=1"))).is_err());
        assert!(dom0less(&run(0, "")).is_err());
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! A PV disk: pages granted by the guest and mapped by dom0.

use crate::boot::dom0::console::StepRun;
use crate::e2e::scenario::{ended_well, scenario, value, Scenario, Seen};

pub(super) const DISK: Scenario = scenario!("disk", "PV disk (grants)", disk);

const WANTED: [&str; 3] = ["guest_read_dom0s", "guest_read_its_own", "dom0_read_guests"];

fn disk(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    for key in WANTED {
        if value(run, key)? != "yes" {
            return Err(format!("{key}: no"));
        }
    }
    Seen::of(
        run,
        "2 MiB read and 2 MiB written, equal".to_owned(),
        &WANTED,
    )
}

#[cfg(test)]
mod tests {
    use super::disk;
    use crate::e2e::scenario::tests::run;

    #[test]
    fn what_was_written_must_be_read() {
        let good = "@@value guest_read_dom0s=yes\n@@value guest_read_its_own=yes\n\
                    @@value dom0_read_guests=yes";
        assert!(disk(&run(0, good)).is_ok());
        assert!(disk(&run(0, &good.replacen("yes", "no", 1))).is_err());
        assert!(disk(&run(0, "")).is_err());
    }
}

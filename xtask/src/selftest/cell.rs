// SPDX-License-Identifier: GPL-2.0-only
//! The comparisons of the matrix.

use crate::base::cli::DiffArgs;
use crate::boot::hole;

/// Every shape of the root table that QEMU has a CPU for, and the default.
const CPUS: [&str; 4] = ["cortex-a53", "cortex-a57", "neoverse-n1", "max"];

/// Those that are tried with an SMMU as well: two shapes of root.
const SMMU_CPUS: [&str; 2] = ["cortex-a53", "max"];

/// One comparison.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) cpu: String,
    pub(super) smp: u32,
    pub(super) debug: bool,
    pub(super) smmu: bool,
    pub(super) hole: bool,
}

impl Cell {
    pub(super) fn name(&self) -> String {
        let kind = if self.debug { "debug" } else { "release" };
        let smmu = if self.smmu { " smmu" } else { "" };
        let hole = if self.hole { " hole" } else { "" };
        format!("{} {kind} smp {}{smmu}{hole}", self.cpu, self.smp)
    }

    /// The arguments that ask for it.
    pub(super) fn typed(&self) -> String {
        let machine = if self.hole {
            " --hole".to_owned()
        } else {
            format!(" --cpu {} --smp {}", self.cpu, self.smp)
        };
        let debug = if self.debug { " --debug" } else { "" };
        let smmu = if self.smmu { " --smmu" } else { "" };
        format!("{machine}{debug}{smmu}")
    }
}

/// What is to be compared.
pub(super) fn cells(args: &DiffArgs) -> Vec<Cell> {
    if args.hole {
        return vec![Cell {
            cpu: hole::CPU.to_owned(),
            smp: hole::SMP,
            debug: args.debug,
            smmu: false,
            hole: true,
        }];
    }
    if !args.matrix {
        return vec![Cell {
            cpu: args.cpu.clone(),
            smp: args.smp,
            debug: args.debug,
            smmu: args.smmu,
            hole: false,
        }];
    }
    let mut cells = Vec::new();
    for debug in [false, true] {
        for cpu in CPUS {
            for smp in [1, 4] {
                cells.push(Cell {
                    cpu: cpu.to_owned(),
                    smp,
                    debug,
                    smmu: false,
                    hole: false,
                });
            }
        }
        for cpu in SMMU_CPUS {
            cells.push(Cell {
                cpu: cpu.to_owned(),
                smp: 1,
                debug,
                smmu: true,
                hole: false,
            });
        }
    }
    cells
}

// SPDX-License-Identifier: GPL-2.0-only
//! What must be true of the source, of the image, and of both implementations on this machine.

mod board;
mod c_to_rust;
mod compilers;
pub(crate) mod coverage;
mod dependencies;
pub(crate) mod diff;
pub(crate) mod doctor;
mod gates;
mod in_tree;
pub(crate) mod known_c;
#[cfg(test)]
mod markdown;
pub(crate) mod mutants;
mod own_tree;
pub(crate) mod releases;
pub(crate) mod test;
#[cfg(test)]
mod unsafe_blocks;
pub(crate) mod upstream;

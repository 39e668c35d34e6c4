// SPDX-License-Identifier: GPL-2.0-only
//! The entries in Xen's own `MAINTAINERS`, `SUPPORT.md` and `CHANGELOG.md`. They are put where each
//! file's own order says, since no context is the same in all releases.

use anyhow::{Context, Result};

use super::plan::HOME;

/// The new section of `MAINTAINERS`.
const SECTION: &str = "ARM P2M IN RUST";

/// Where `MAINTAINERS` begins to be a list.
const LIST: &str = "Maintainers List";

/// Adds a section, in the order of the alphabet, for the Rust and these other files and folders.
pub(super) fn maintainers(text: &str, maintainer: &str, others: &[String]) -> Result<String> {
    let mut section = format!("{SECTION}\nM:\t{maintainer}\nS:\tMaintained\nF:\t{HOME}/\n");
    for other in others {
        section.push_str(&format!("F:\t{other}\n"));
    }
    let lines: Vec<&str> = text.lines().collect();
    let list = lines
        .iter()
        .position(|line| line.starts_with(LIST))
        .with_context(|| format!("MAINTAINERS has no \"{LIST}\""))?;
    // A section's name stands above its first letter and colon.
    let mut names = lines.windows(2).enumerate().skip(list);
    let next = names.find_map(|(at, pair)| match pair {
        [name, field] => {
            let is_field = field.get(1..3) == Some(":\t");
            let is_name = is_field && name.get(1..2) != Some(":") && !name.is_empty();
            (is_name && is_after(name)).then_some(at)
        }
        _ => None,
    });
    let next = next.context("MAINTAINERS does not end with \"THE REST\"")?;
    Ok(insert(&lines, next, &(section + "\n")))
}

/// Does a section come after ours?
fn is_after(name: &str) -> bool {
    name == "THE REST" || name.to_uppercase().as_str() > SECTION
}

/// Adds a feature at the end of what is said of memory management.
pub(super) fn support(text: &str) -> Result<String> {
    const FEATURE: &str = "\
### Arm: Stage-2 translation in Rust

An implementation in Rust of the p2m and of mem_access, which
CONFIG_ARM_P2M_RUST=y builds instead of the one in C.

    Status, Arm64: Experimental

";
    let lines: Vec<&str> = text.lines().collect();
    let begin = lines
        .iter()
        .position(|line| *line == "## Memory Management")
        .context("SUPPORT.md has no \"## Memory Management\"")?;
    let end = lines
        .iter()
        .enumerate()
        .skip(begin + 1)
        .find(|(_, line)| line.starts_with("# ") || line.starts_with("## "))
        .map_or(lines.len(), |(at, _)| at);
    Ok(insert(&lines, end, FEATURE))
}

/// Adds a line to what comes next. Where the newest section is of a release that is out, as on stable
/// branches, a section for what is not released comes before it.
pub(super) fn changelog(text: &str) -> Result<String> {
    const ITEM: &str = concat!(
        "   - Stage-2 translation (p2m) and mem_access in Rust, as an alternative to the\n",
        "     implementation in C (CONFIG_ARM_P2M_RUST, experimental).\n",
    );
    const ARM: &str = " - On Arm:\n";
    let lines: Vec<&str> = text.lines().collect();
    let find = |from: usize, wanted: &dyn Fn(&str) -> bool| {
        let mut rest = lines.iter().enumerate().skip(from);
        rest.find(|(_, line)| wanted(line)).map(|(at, _)| at)
    };
    let top = find(0, &|line| line.starts_with("## ["))
        .context("CHANGELOG.md has no section of a release")?;
    let newest = lines.get(top).copied().unwrap_or_default();
    if !newest.to_uppercase().contains("UNRELEASED") {
        let section = format!("## [Unreleased]\n\n### Added\n{ARM}{ITEM}\n");
        return Ok(insert(&lines, top, &section));
    }
    let end = find(top + 1, &|line| line.starts_with("## ")).unwrap_or(lines.len());
    let within = |at: &usize| *at < end;
    let Some(added) = find(top, &|line| line.starts_with("### Added")).filter(within) else {
        let section = format!("### Added\n{ARM}{ITEM}\n");
        return Ok(insert(&lines, end, &section));
    };
    let heading = |line: &str| line.starts_with('#');
    let ends = find(added + 1, &heading).unwrap_or(lines.len());
    let arm = find(added, &|line| line == ARM.trim_end()).filter(|at| *at < ends);
    match arm {
        Some(arm) => {
            let item_ends = find(arm + 1, &|line| !line.starts_with("   "));
            Ok(insert(&lines, item_ends.unwrap_or(ends), ITEM))
        }
        None => {
            // After the last line of the list, before the blank ones.
            let last = (added..ends)
                .rev()
                .find(|&at| lines.get(at).is_some_and(|line| !line.trim().is_empty()));
            Ok(insert(
                &lines,
                last.unwrap_or(added) + 1,
                &format!("{ARM}{ITEM}"),
            ))
        }
    }
}

/// The lines, with a text before one of them.
fn insert(lines: &[&str], at: usize, text: &str) -> String {
    let (before, after) = lines.split_at(at.min(lines.len()));
    let join = |lines: &[&str]| {
        lines
            .iter()
            .fold(String::new(), |all, line| all + line + "\n")
    };
    join(before) + text + &join(after)
}

#[cfg(test)]
mod tests {
    use super::{changelog, maintainers, support};

    #[test]
    fn a_section_in_the_order_of_the_alphabet() -> anyhow::Result<()> {
        let list = "M: Mail\nMaintainers List (try)\n\n\t---\n\nARGO\nR:\tA\nF:\ta\n\n\
                    ARM (W/ EXTENSIONS) ARCHITECTURE\nM:\tB\nF:\tb\n\nARM SMMU\nM:\tC\nF:\tc\n\n\
                    Change Log\nM:\tD\n\nTHE REST\nM:\tE\n";
        let ours = "ARM P2M IN RUST\nM:\tMe <me@x.org>\nS:\tMaintained\nF:\txen/arch/arm/rust/\n\
                    F:\txen/arch/arm/test/\n\n";
        let text = maintainers(list, "Me <me@x.org>", &["xen/arch/arm/test/".to_owned()])?;
        assert_eq!(text, list.replace("ARM SMMU", &format!("{ours}ARM SMMU")));
        // Also where nothing but the last section comes after it.
        let short = "Maintainers List\n\nARGO\nR:\tA\n\nTHE REST\nM:\tE\n";
        let text = maintainers(short, "Me <me@x.org>", &["xen/arch/arm/test/".to_owned()])?;
        assert_eq!(text, short.replace("THE REST", &format!("{ours}THE REST")));
        assert!(maintainers("nothing\n", "Me <me@x.org>", &[]).is_err());
        Ok(())
    }

    #[test]
    fn a_feature_at_the_end_of_memory_management() -> anyhow::Result<()> {
        let before = "# Feature Support\n\n## Memory Management\n\n### Paging\n\n    Status: x\n\n";
        let after = "## Resource Management\n\n## Memory\n";
        let text = support(&format!("{before}{after}"))?;
        assert!(
            text.starts_with(&format!("{before}### Arm: Stage-2")),
            "{text}"
        );
        assert!(
            text.ends_with(&format!("Experimental\n\n{after}")),
            "{text}"
        );
        assert!(support("## Resource Management\n").is_err());
        Ok(())
    }

    const HEAD: &str = "# Changelog\n\n";
    const ITEM: &str = concat!(
        "   - Stage-2 translation (p2m) and mem_access in Rust, as an alternative to the\n",
        "     implementation in C (CONFIG_ARM_P2M_RUST, experimental).\n",
    );

    #[test]
    fn a_line_in_what_is_not_released() -> anyhow::Result<()> {
        let with = |list: &str| {
            format!("{HEAD}## [4.23.0 UNRELEASED](x) - TBD\n\n### Changed\n - A\n\n### Added\n{list}\n### Removed\n - On Arm:\n   - B\n\n## [4.22.0](x)\n\n### Added\n - On Arm:\n   - C\n")
        };
        let empty = changelog(&with(""))?;
        assert_eq!(empty, with(&format!(" - On Arm:\n{ITEM}")));
        let x86 = " - On x86:\n   - D\n     more\n";
        let other = changelog(&with(x86))?;
        assert_eq!(other, with(&format!("{x86} - On Arm:\n{ITEM}")));
        let arm = " - On Arm:\n   - E\n     more\n";
        let both = changelog(&with(&format!("{arm}{x86}")))?;
        assert_eq!(both, with(&format!("{arm}{ITEM}{x86}")));
        Ok(())
    }

    #[test]
    fn a_section_before_the_newest_release() -> anyhow::Result<()> {
        let rest = "## [4.20.3](x)\n\n### Added\n - On Arm:\n   - A\n";
        let text = changelog(&format!("{HEAD}{rest}"))?;
        let ours = format!("## [Unreleased]\n\n### Added\n - On Arm:\n{ITEM}\n");
        assert_eq!(text, format!("{HEAD}{ours}{rest}"));
        assert!(changelog(HEAD).is_err());
        Ok(())
    }
}

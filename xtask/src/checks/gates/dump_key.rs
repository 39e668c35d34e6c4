// SPDX-License-Identifier: GPL-2.0-only
//! The option for the debug key that prints stage 2 (CONFIG_ARM_P2M_DUMP): off, the image has no trace of it.

use std::fs;

use anyhow::{Context, Result};

use crate::xen::build::BuiltXen;
use crate::xen::image::Symbol;

/// What the archive exports with the option.
pub(super) const FUNCTION: &str = "p2m_dump_stage2";

/// A text that is in the image with the option: of the lines, and of the command line's options.
const TEXT: &[u8] = b"p2m-dump";

/// The image has all of it, or nothing.
pub(super) fn as_asked(xen: &BuiltXen, linked: &[Symbol]) -> Result<Result<String, String>> {
    let image = xen.binary();
    let bytes = fs::read(&image).with_context(|| format!("cannot read {}", image.display()))?;
    Ok(judge(xen.dumps, &bytes, linked))
}

fn judge(asked: bool, image: &[u8], linked: &[Symbol]) -> Result<String, String> {
    let symbol = linked.iter().find(|symbol| symbol.name.contains(FUNCTION));
    let text = image.windows(TEXT.len()).any(|bytes| bytes == TEXT);
    match (asked, symbol, text) {
        (false, None, false) => Ok("no function and no text of it".to_owned()),
        (false, Some(symbol), _) => Err(format!("the option is off, but there is {}", symbol.name)),
        (false, None, true) => Err("the option is off, but the image has its texts".to_owned()),
        (true, Some(_), true) => Ok(format!("{FUNCTION}() and its texts")),
        (true, ..) => Err("the option is on, but it is not in the image".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::xen::image::Symbol;

    #[test]
    fn all_of_it_or_nothing() {
        let of = |name: &str| Symbol {
            address: Some(16),
            kind: 'T',
            name: name.to_owned(),
        };
        let (plain, with) = ([of("p2m_dump_info")], [of("p2m_dump_stage2")]);
        assert!(judge(false, b"p2m mappings", &plain).is_ok());
        assert!(judge(false, b"p2m mappings", &with).is_err());
        assert!(judge(false, b"xp2m-dump: x", &plain).is_err());
        assert!(judge(true, b"xp2m-dump: x", &with).is_ok());
        assert!(judge(true, b"xp2m-dump: x", &plain).is_err());
        assert!(judge(true, b"p2m", &with).is_err());
    }
}

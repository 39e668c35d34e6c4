// SPDX-License-Identifier: GPL-2.0-only
//! An edit of the C: a text, and what takes its place.
//!
//! Releases keep the same code in different files, so an edit names no file: its text must occur
//! exactly once in all of the C. Where releases have different texts the edit has a form for each,
//! of which exactly one fits; and where a release has no need of the edit, a form says by which
//! text that is known. So an edit that silently does nothing cannot be.
//!
//! A text may begin on a line of its own: a newline at its very beginning is not part of it.

/// One text of the C.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// What the C has.
    pub from: &'static str,
    /// What it has then; none: this text shows that there is nothing to edit.
    pub to: Option<&'static str>,
}

/// An edit, in the forms that the releases need.
#[derive(Debug, Clone, Copy)]
pub struct Edit(pub &'static [Form]);

/// Replaces a text.
#[must_use]
pub const fn replace(from: &'static str, to: &'static str) -> Form {
    Form { from, to: Some(to) }
}

/// A text that shows that there is nothing to edit.
#[must_use]
pub const fn none_needed(from: &'static str) -> Form {
    Form { from, to: None }
}

/// A C file: its name below `xen/arch/arm/`, and its text.
pub type Source = (&'static str, String);

/// Carries an edit out; false if there was nothing to do. `what` is for the message.
///
/// # Errors
///
/// If not exactly one form fits exactly one place.
pub fn apply(sources: &mut [Source], edit: &Edit, what: &str) -> Result<bool, String> {
    let mut places = Vec::new();
    for form in edit.0 {
        for (at, (_, text)) in sources.iter().enumerate() {
            places.extend(text.match_indices(begun(form.from)).map(|_| (at, form)));
        }
    }
    let [(at, form)] = places.as_slice() else {
        let texts: Vec<&str> = edit.0.iter().map(|form| begun(form.from)).collect();
        return Err(format!(
            "{what}: this Xen's C has the text that is replaced {} times instead of once; it is\n{}",
            places.len(),
            texts.join("\nor\n")
        ));
    };
    let (Some(to), Some((_, text))) = (form.to, sources.get_mut(*at)) else {
        return Ok(false);
    };
    *text = text.replacen(begun(form.from), begun(to), 1);
    Ok(true)
}

fn begun(text: &str) -> &str {
    text.strip_prefix('\n').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::{apply, none_needed, replace, Edit};

    const EDIT: Edit = Edit(&[replace("i < LEVEL", "i < PAGES"), none_needed("i < PAGES")]);

    #[test]
    fn the_form_that_fits_is_taken() {
        let mut old = [
            ("p2m.c", "x".to_owned()),
            ("mmu/p2m.c", "i < LEVEL;".to_owned()),
        ];
        assert_eq!(apply(&mut old, &EDIT, "B1"), Ok(true));
        assert_eq!(old[1].1, "i < PAGES;");
        assert_eq!(apply(&mut old, &EDIT, "B1"), Ok(false));
    }

    #[test]
    fn no_place_and_two_places_are_errors() {
        for texts in [
            ["", ""],
            ["i < LEVEL", "i < LEVEL"],
            ["i < LEVEL", "i < PAGES"],
        ] {
            let mut sources = texts.map(|text| ("p2m.c", text.to_owned()));
            let error = apply(&mut sources, &EDIT, "B1").unwrap_err();
            assert!(error.starts_with("B1: "), "{error}");
        }
    }
}

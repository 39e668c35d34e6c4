// SPDX-License-Identifier: GPL-2.0-only
//! `cargo xtask show`: the stage 2 that a log has dumps of, as pictures.

use std::fs;
use std::io::{stdout, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail, Context, Result};
use p2m_show::dump::{self, Found};
use p2m_show::picture::{svg, terminal, Subject};
use p2m_show::select::{self, Place};

use crate::base::cli::{ShowArgs, Theme};
use crate::base::files;
use crate::base::paths::Paths;

/// Draws what is asked for.
pub(crate) fn run(paths: &Paths, args: &ShowArgs) -> Result<()> {
    let colours = match stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        true => terminal::Colours::Ansi,
        false => terminal::Colours::None,
    };
    let out = draw(paths, args, colours)?;
    // Who reads the output may stop reading.
    let _ = stdout().write_all(out.as_bytes());
    Ok(())
}

/// Writes the pictures; what is to be printed.
fn draw(paths: &Paths, args: &ShowArgs, colours: terminal::Colours) -> Result<String> {
    let first = place(&args.file)?;
    let dumps = read(&first)?;
    let other = args.other.as_deref().map(place).transpose()?;
    let others = other.as_ref().map_or_else(|| Ok(Vec::new()), read)?;
    let subjects: Vec<(u16, Subject<'_>)> = match &other {
        None => select::one(&first, &dumps, args.domain)
            .map_err(|why| anyhow!(why))?
            .into_iter()
            .map(|dump| (dump.domain, Subject::one(dump)))
            .collect(),
        Some(other) => select::two((&first, other), (&dumps, &others), args.domain)
            .map_err(|why| anyhow!(why))?
            .into_iter()
            .map(|(before, after)| (after.domain, Subject::two(before, after)))
            .collect(),
    };
    if args.svg.is_some() && subjects.len() > 1 {
        bail!(
            "{} has {} domains, and --svg names one file: say which with --domain",
            first.file,
            subjects.len()
        );
    }
    let mut out = String::new();
    if subjects.len() > 1 {
        out += &terminal::tables(subjects.iter().map(|(_, subject)| subject));
        out += "\n";
    }
    for (domain, subject) in &subjects {
        out += &terminal::draw(subject, colours);
        let file = match &args.svg {
            Some(file) => file.clone(),
            None => default_file(paths, &first, other.as_ref(), *domain),
        };
        if let Some(folder) = file.parent().filter(|folder| *folder != Path::new("")) {
            files::create_dir(folder)?;
        }
        files::write(&file, svg::draw(subject, theme(args.theme)))?;
        out += &format!("\nAs a picture: {}\n\n", file.display());
    }
    Ok(out)
}

/// A file may itself be called `x@2`.
fn place(text: &str) -> Result<Place> {
    if Path::new(text).exists() {
        return Ok(Place::last(text));
    }
    Place::parse(text).map_err(|why| anyhow!(why))
}

fn read(place: &Place) -> Result<Vec<Found>> {
    let file = &place.file;
    let bytes = fs::read(file).with_context(|| format!("cannot read {file}"))?;
    dump::find(&String::from_utf8_lossy(&bytes)).map_err(|error| anyhow!("{file}: {error}"))
}

/// `target/show/boot-console-d1.svg` of `boot/console`, or `boot-console@1-boot-console-d1-changes.svg`: what is drawn
/// of other dumps has other names.
fn default_file(paths: &Paths, first: &Place, other: Option<&Place>, domain: u16) -> PathBuf {
    let names: Vec<String> = [Some(first), other]
        .into_iter()
        .flatten()
        .map(name)
        .collect();
    let kind = if other.is_some() { "-changes" } else { "" };
    let name = format!("{}-d{domain}{kind}.svg", names.join("-"));
    paths.target().join("show").join(name)
}

/// The names of a file and of its folder, and which dump of it.
fn name(place: &Place) -> String {
    let path = Path::new(&place.file);
    let folder = path.parent().and_then(Path::file_name);
    let names: Vec<_> = [folder, path.file_stem()]
        .into_iter()
        .flatten()
        .map(|name| name.to_string_lossy())
        .collect();
    let number = place.number.map(|number| format!("@{number}"));
    names.join("-") + &number.unwrap_or_default()
}

const fn theme(theme: Theme) -> svg::Theme {
    match theme {
        Theme::Auto => svg::Theme::Auto,
        Theme::Light => svg::Theme::Light,
        Theme::Dark => svg::Theme::Dark,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use anyhow::Result;
    use p2m_show::picture::terminal::Colours;

    use super::{draw, Paths, ShowArgs, Theme};

    /// A dump of a domain with a page of this access.
    fn dump(domain: u16, access: &str) -> String {
        [
            "0 begin format=1 vmid=2 ipa-bits=44 root-level=0 root-pages=1 mem-access=on default=rwx dying=0",
            &format!("1 map gfn=0x40000 mfn=0x9000 pages=0x1 order=0 type=ram_rw access={access} valid=yes"),
            "2 tables l0=1 l1=1 l2=1 l3=1 empty=0 pool=9 heap=0",
            "3 history split-1g=0 split-2m=0 locked=5",
            "4 end pages-1g=0x0 pages-2m=0x0 pages-4k=0x1 left-out=0 left-out-pages=0x0 dying=0",
        ]
        .map(|line| format!("(XEN) p2m-dump: d{domain} {line};\n"))
        .concat()
    }

    /// A folder with logs, and a workspace.
    struct Scene {
        folder: tempfile::TempDir,
        paths: Paths,
    }

    impl Scene {
        fn new() -> Result<Self> {
            let folder = tempfile::tempdir()?;
            let paths = Paths::at(folder.path().join("workspace"));
            let scene = Self { folder, paths };
            scene.log("a/console.log", &(dump(1, "rwx") + &dump(1, "r")))?;
            scene.log("b/console.log", &dump(1, "rx"))?;
            Ok(scene)
        }

        fn log(&self, name: &str, text: &str) -> Result<()> {
            let file = self.folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap_or(Path::new("")))?;
            Ok(fs::write(file, text)?)
        }

        fn args(&self, files: &[&str]) -> ShowArgs {
            let place = |name: &&str| self.folder.path().join(name).display().to_string();
            ShowArgs {
                file: files.first().map(place).unwrap_or_default(),
                other: files.get(1).map(place),
                domain: None,
                svg: None,
                theme: Theme::Auto,
            }
        }

        fn draw(&self, files: &[&str]) -> Result<String> {
            draw(&self.paths, &self.args(files), Colours::None)
        }

        /// The pictures in `target/show/`.
        fn pictures(&self) -> Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.paths.target().join("show"))? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort_unstable();
            Ok(names)
        }
    }

    #[test]
    fn the_file_that_is_named_first_is_what_was_before() -> Result<()> {
        let scene = Scene::new()?;
        let text = scene.draw(&["a/console.log@1", "b/console.log"])?;
        assert!(text.contains("4K rwx \u{2192} 4K r-x"), "{text}");
        let text = scene.draw(&["b/console.log", "a/console.log@1"])?;
        assert!(text.contains("4K r-x \u{2192} 4K rwx"), "{text}");
        let text = scene.draw(&["a/console.log"])?;
        assert!(text.contains("restricted to r--"), "{text}");
        Ok(())
    }

    #[test]
    fn a_picture_has_the_theme_that_is_asked_for() -> Result<()> {
        let scene = Scene::new()?;
        let picture = scene.folder.path().join("folder/picture.svg");
        for (theme, wanted) in [
            (Theme::Auto, [true, true]),
            (Theme::Light, [true, false]),
            (Theme::Dark, [false, true]),
        ] {
            let args = ShowArgs {
                theme,
                svg: Some(picture.clone()),
                ..scene.args(&["b/console.log"])
            };
            draw(&scene.paths, &args, Colours::None)?;
            let text = fs::read_to_string(&picture)?;
            let backgrounds = [".bg{fill:#ffffff}", ".bg{fill:#0d1117}"];
            assert_eq!(backgrounds.map(|rule| text.contains(rule)), wanted);
        }
        Ok(())
    }

    #[test]
    fn no_picture_takes_the_place_of_another() -> Result<()> {
        let scene = Scene::new()?;
        let all: [&[&str]; 7] = [
            &["a/console.log"],
            &["a/console.log@1"],
            &["a/console.log@2"],
            &["b/console.log"],
            &["a/console.log@1", "b/console.log"],
            &["b/console.log", "a/console.log@1"],
            &["a/console.log@2", "b/console.log"],
        ];
        for files in all {
            let said = scene.draw(files)?;
            assert!(said.contains("\nAs a picture: "), "{said}");
        }
        assert_eq!(
            scene.pictures()?,
            [
                "a-console-d1.svg",
                "a-console@1-b-console-d1-changes.svg",
                "a-console@1-d1.svg",
                "a-console@2-b-console-d1-changes.svg",
                "a-console@2-d1.svg",
                "b-console-a-console@1-d1-changes.svg",
                "b-console-d1.svg",
            ]
        );
        Ok(())
    }

    #[test]
    fn a_file_that_is_called_like_a_dump_of_another_is_that_file() -> Result<()> {
        let scene = Scene::new()?;
        scene.log("a/console.log@1", &dump(7, "n"))?;
        let text = scene.draw(&["a/console.log@1"])?;
        assert!(text.starts_with("Stage 2 of d7\n"), "{text}");
        let text = scene.draw(&["a/console.log@1@1"])?;
        assert!(text.starts_with("Stage 2 of d7\n"), "{text}");
        Ok(())
    }

    #[test]
    fn what_cannot_be_drawn_is_said_with_its_file() -> Result<()> {
        let scene = Scene::new()?;
        let damaged = dump(1, "rwx").replace("order=0", "order=1");
        scene.log("damaged.log", &(dump(1, "rwx") + &damaged))?;
        scene.log("none.log", "Linux\n")?;
        scene.log("two.log", &(dump(1, "r") + &dump(2, "r")))?;
        let folder = scene.folder.path().display();
        let said = |files: &[&str]| {
            let error = scene.draw(files).err();
            error.map_or(String::new(), |error| error.to_string())
        };
        assert_eq!(
            said(&["b/console.log@0"]),
            format!("{folder}/b/console.log@0: the first dump of a domain has number 1")
        );
        assert_eq!(said(&["c.log"]), format!("cannot read {folder}/c.log"));
        assert_eq!(
            said(&["damaged.log"]),
            format!(
                "{folder}/damaged.log, line 7: `order=1` is none of 0, 9 and 18 (whole dumps of d1: \
                 {folder}/damaged.log@1)"
            )
        );
        assert!(scene.draw(&["damaged.log@1"]).is_ok());
        assert_eq!(
            said(&["b/console.log@1", "b/console.log"]),
            format!("both are the same dump of d1 in {folder}/b/console.log")
        );
        assert!(said(&["none.log"]).starts_with(&format!("{folder}/none.log: there is no dump")));
        let args = ShowArgs {
            svg: Some(scene.folder.path().join("one.svg")),
            ..scene.args(&["two.log"])
        };
        assert!(draw(&scene.paths, &args, Colours::None).is_err());
        let one = ShowArgs {
            domain: Some(2),
            ..args
        };
        assert!(draw(&scene.paths, &one, Colours::None)?.starts_with("Stage 2 of d2\n"));
        let both = scene.draw(&["two.log"])?;
        assert!(
            both.starts_with("Tables of translation, by domain:\n"),
            "{both}"
        );
        Ok(())
    }
}

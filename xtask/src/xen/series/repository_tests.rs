// SPDX-License-Identifier: GPL-2.0-only
//! The caller's repository is read and nothing else, whatever kind of repository it is.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::{git, Identity, Repository};
use crate::base::command;
use crate::base::files::{create_dir, read_text, write};
use crate::base::paths::Paths;
use crate::xen::series::{make_room, require_new};

fn run(dir: &Path, args: &[&str]) -> anyhow::Result<String> {
    command::output(git(dir).args(args))
}

fn who() -> Identity {
    Identity {
        name: "A Name".to_owned(),
        email: "a@example.org".to_owned(),
    }
}

/// A repository with one commit, and something that is not committed.
fn theirs(dir: &Path) -> anyhow::Result<()> {
    run(dir, &["init", "--quiet", "."])?;
    for (key, value) in [("user.name", "B"), ("user.email", "b@example.org")] {
        run(dir, &["config", key, value])?;
    }
    create_dir(&dir.join("xen/arch/arm"))?;
    write(&dir.join("xen/arch/arm/Kconfig"), "config ARM_64\n")?;
    run(dir, &["add", "--all"])?;
    run(dir, &["commit", "--quiet", "--message=theirs"])?;
    write(&dir.join("xen/arch/arm/Kconfig"), "config MINE\n")?;
    write(&dir.join("new"), "new\n")
}

/// Everything that a caller could notice.
fn state(dir: &Path) -> anyhow::Result<[String; 4]> {
    Ok([
        run(dir, &["status", "--porcelain"])?,
        run(dir, &["rev-parse", "HEAD"])?,
        run(dir, &["for-each-ref"])?,
        read_text(&dir.join("xen/arch/arm/Kconfig"))?,
    ])
}

/// Makes a commit on what `tree` has, as a series does.
fn add(tree: &Path, dir: &Path) -> anyhow::Result<Repository> {
    let made = Repository::of(&Paths::find()?, tree, dir, &who())?;
    write(&made.dir().join("added"), "text\n")?;
    made.commit("xen: Add a file\n\nWhy.")?;
    assert_eq!(made.added()?, ["added"]);
    made.check()?;
    Ok(made)
}

#[test]
fn a_repository_is_read_and_a_branch_is_all_that_is_added() -> anyhow::Result<()> {
    let (tree, dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
    theirs(tree.path())?;
    let before = state(tree.path())?;
    let made = add(tree.path(), dir.path())?;
    // What is committed counts.
    let kconfig = read_text(&made.dir().join("xen/arch/arm/Kconfig"))?;
    assert_eq!(kconfig, "config ARM_64\n");
    assert_eq!(state(tree.path())?, before);
    made.publish("mine")?;
    assert!(made.has_branch("mine") && !made.has_branch("other"));
    let [status, head, _, kconfig] = state(tree.path())?;
    let [old_status, old_head, _, old_kconfig] = before;
    assert_eq!((status, head, kconfig), (old_status, old_head, old_kconfig));
    // The branch stands without the temporary repository.
    drop(dir);
    let log = run(
        tree.path(),
        &["log", "--format=%an <%ae>%n%B", "HEAD..mine"],
    )?;
    assert!(
        log.starts_with("A Name <a@example.org>\nxen: Add a file\n\nWhy.\n"),
        "{log}"
    );
    assert!(
        log.contains("Signed-off-by: A Name <a@example.org>"),
        "{log}"
    );
    assert_eq!(run(tree.path(), &["show", "mine:added"])?, "text\n");
    Ok(())
}

#[test]
fn a_patch_comes_in_the_callers_name_alone() -> anyhow::Result<()> {
    let (tree, dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
    theirs(tree.path())?;
    let made = add(tree.path(), dir.path())?;
    let patch = tree.path().join("other.patch");
    let text = "From: Others <others@example.org>\nDate: Mon, 23 Nov 2026 01:40:50 +0000\n\
                Subject: [PATCH 1/7] xen: Change a file\n\nWhy.\n\n\
                Signed-off-by: Others <others@example.org>\n---\n added | 2 +-\n\n\
                diff --git a/added b/added\n--- a/added\n+++ b/added\n@@ -1 +1 @@\n-text\n+texts\n-- \n1\n";
    write(&patch, text)?;
    made.apply(&patch)?;
    assert_eq!(read_text(&made.dir().join("added"))?, "texts\n");
    assert_eq!(
        run(made.dir(), &["log", "-1", "--format=%an <%ae>%n%B"])?.trim(),
        "A Name <a@example.org>\nxen: Change a file\n\nWhy.\n\n\
         Signed-off-by: A Name <a@example.org>"
    );
    Ok(())
}

#[test]
fn work_trees_and_shallow_clones_are_repositories_too() -> anyhow::Result<()> {
    let (tree, rest) = (tempfile::tempdir()?, tempfile::tempdir()?);
    theirs(tree.path())?;
    run(
        tree.path(),
        &["commit", "--quiet", "--all", "--message=second"],
    )?;
    let work = rest.path().join("work");
    let shown = work.to_string_lossy();
    run(
        tree.path(),
        &["worktree", "add", "--quiet", "-b", "side", &shown],
    )?;
    let shallow = rest.path().join("shallow");
    let from = format!("file://{}", tree.path().display());
    let shown = shallow.to_string_lossy();
    run(
        rest.path(),
        &["clone", "--quiet", "--depth=1", &from, &shown],
    )?;
    for (name, tree) in [("work", work), ("shallow", shallow)] {
        let dir = tempfile::tempdir()?;
        let made = add(&tree, dir.path()).context(name)?;
        assert!(made.has_origin(), "{name}");
        let out = tempfile::tempdir()?;
        assert_eq!(made.write_patches(out.path()).context(name)?.len(), 2);
        made.publish("mine").context(name)?;
        assert_eq!(
            run(&tree, &["log", "--oneline", "HEAD..mine"])?
                .lines()
                .count(),
            1
        );
    }
    Ok(())
}

#[test]
fn files_without_a_repository_do_as_well() -> anyhow::Result<()> {
    let tree = tempfile::tempdir()?;
    // Somebody else's repository around it is not the tree's.
    theirs(tree.path())?;
    let inner = tree.path().join("vendor/xen");
    create_dir(&inner.join("xen/arch/arm"))?;
    write(&inner.join("xen/arch/arm/Kconfig"), "config INNER\n")?;
    let dir = tempfile::tempdir()?;
    let made = add(&inner, dir.path())?;
    assert!(!made.has_origin() && made.publish("mine").is_err());
    let out = tempfile::tempdir()?;
    let patches = made.write_patches(out.path())?;
    let [letter, patch] = patches.as_slice() else {
        anyhow::bail!("{patches:?}");
    };
    let text = read_text(patch)?;
    assert!(
        text.contains("From: A Name <a@example.org>") && !text.contains("INNER"),
        "{text}"
    );
    assert!(read_text(letter)?.contains("*** SUBJECT HERE ***"));
    // Into a folder that has patches nothing more is written.
    let full = make_room(out.path(), true).map_err(|error| error.to_string());
    assert!(full.is_err_and(|said| said.contains("0000-cover-letter.patch")));
    Ok(())
}

#[test]
fn white_space_that_git_complains_of_is_an_error() -> anyhow::Result<()> {
    let (tree, dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
    theirs(tree.path())?;
    let made = add(tree.path(), dir.path())?;
    write(&made.dir().join("bad"), "text \n")?;
    made.commit("xen: Add a blank")?;
    // Also where a later commit takes it out again.
    write(&made.dir().join("bad"), "text\n")?;
    made.commit("xen: Take it out")?;
    let error = made.check().map_err(|error| error.to_string());
    assert!(error.is_err_and(|said| said.contains("bad:1: trailing whitespace")));
    Ok(())
}

#[test]
fn a_tree_that_has_it_is_refused() -> anyhow::Result<()> {
    for (file, text) in [
        ("xen/arch/arm/Kconfig.p2m", "config ARM_P2M_RUST\n"),
        ("xen/arch/arm/rust/README.md", "there\n"),
    ] {
        let (tree, dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
        theirs(tree.path())?;
        let file = tree.path().join(file);
        create_dir(file.parent().context("no folder")?)?;
        write(&file, text)?;
        run(tree.path(), &["add", "--all"])?;
        run(tree.path(), &["commit", "--quiet", "--message=it"])?;
        let made = Repository::of(&Paths::find()?, tree.path(), dir.path(), &who())?;
        let error = require_new(tree.path(), &made).map_err(|error| error.to_string());
        assert!(error.is_err_and(|said| said.contains("has the Rust p2m already")));
    }
    Ok(())
}

#[test]
fn without_a_name_there_is_no_sign_off() -> anyhow::Result<()> {
    let tree = tempfile::tempdir()?;
    theirs(tree.path())?;
    assert_eq!(Identity::of(tree.path())?.shown(), "B <b@example.org>");
    // Whoever runs this test may have a name of their own.
    run(tree.path(), &["config", "user.email", ""])?;
    let error = Identity::of(tree.path()).map_err(|error| error.to_string());
    assert!(error.is_err_and(|said| said.contains("does not know your user.email")));
    Ok(())
}

#[test]
fn git_is_not_led_astray_by_the_environment() {
    let git: Command = git(Path::new("/tree"));
    let removed: Vec<_> = git
        .get_envs()
        .filter(|(_, value)| value.is_none())
        .collect();
    for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_AUTHOR_NAME"] {
        assert!(removed.iter().any(|(key, _)| *key == name), "{name}");
    }
}

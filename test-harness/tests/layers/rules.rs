// SPDX-License-Identifier: GPL-2.0-only
//! The rules: arrows go down, nothing goes in a circle, folders stay small, and the methods of a
//! type stand beside it.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Arrow, Graph};
use crate::plan::{Plan, MOST_FILES, MOST_FOLDERS};
use crate::sources::{folder_of, Sources};

/// Everything that is wrong, a sentence each.
pub(crate) fn faults(plan: &Plan, sources: &Sources) -> Vec<String> {
    let graph = Graph::of(plan.name, sources);
    let judge = Judge {
        plan,
        sources,
        graph: &graph,
    };
    let mut faults = Vec::new();
    judge.rooms(&mut faults);
    judge.directions(&mut faults);
    judge.circles("files", |file| file, &mut faults);
    judge.circles("folders", Graph::folder, &mut faults);
    judge.sizes(&mut faults);
    judge.methods(&mut faults);
    faults
}

/// Where a file stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Floor, from 0, and the room there.
    Room(usize, &'static str),
    /// `lib.rs` and `main.rs`.
    Top,
    Nowhere,
}

struct Judge<'j> {
    plan: &'j Plan,
    sources: &'j Sources,
    graph: &'j Graph,
}

fn is_in(file: &str, room: &str) -> bool {
    file == room
        || file
            .strip_prefix(room)
            .is_some_and(|rest| rest.starts_with('/'))
}

impl Judge<'_> {
    fn place(&self, file: &str) -> Place {
        if ["lib.rs", "main.rs"].contains(&file) {
            return Place::Top;
        }
        let mut rooms = self.plan.floors.iter().enumerate();
        let found = rooms.find_map(|(floor, rooms)| {
            let room = rooms.iter().find(|room| is_in(file, room))?;
            Some(Place::Room(floor, room))
        });
        found.unwrap_or(Place::Nowhere)
    }

    fn at(&self, arrow: &Arrow) -> String {
        let Arrow { from, line, .. } = arrow;
        format!("{}/{from}:{line}", self.sources.folder)
    }

    /// The plan and the folder tell of the same files.
    fn rooms(&self, faults: &mut Vec<String>) {
        let folder = &self.sources.folder;
        for file in self.sources.files.keys() {
            if self.place(file) == Place::Nowhere && !self.graph.tests.contains(file) {
                faults.push(format!(
                    "{folder}/{file} stands on no floor: the plan must say where it belongs"
                ));
            }
        }
        for room in self.plan.floors.iter().copied().flatten() {
            if !self.sources.files.keys().any(|file| is_in(file, room)) {
                faults.push(format!(
                    "{folder}/{room} does not exist: the plan must not list it"
                ));
            }
        }
        for file in &self.graph.orphans {
            faults.push(format!(
                "{folder}/{file} is not compiled: no `mod` names it"
            ));
        }
    }

    /// No arrow up, and none to another room of the same floor.
    fn directions(&self, faults: &mut Vec<String>) {
        for arrow in &self.graph.arrows {
            let (from, to) = (self.place(&arrow.from), self.place(&arrow.to));
            let wrong = match (from, to) {
                (Place::Room(_, room), Place::Top) => {
                    format!("{room} uses the crate's root, which stands above it: name the module that defines it")
                }
                (Place::Room(low, room), Place::Room(high, other)) if low < high => format!(
                    "up from floor {low} ({room}) to floor {high} ({other}): move what both need \
                     to {room} or below, or pass it as an argument"
                ),
                (Place::Room(a, room), Place::Room(b, other)) if a == b && room != other => {
                    format!(
                        "{room} and {other} are rooms of the same floor, {a}, and do not know each \
                         other: move what both need below, or give one of them a floor of its own"
                    )
                }
                _ => continue,
            };
            let (at, text, to) = (self.at(arrow), &arrow.text, &arrow.to);
            faults.push(format!("{at}: `{text}` leads to {to}: {wrong}"));
        }
    }

    /// No way leads back to where it began.
    fn circles(&self, what: &str, node: fn(&str) -> &str, faults: &mut Vec<String>) {
        let mut ways: BTreeMap<&str, BTreeMap<&str, &Arrow>> = BTreeMap::new();
        for arrow in &self.graph.arrows {
            let (from, to) = (node(&arrow.from), node(&arrow.to));
            if from != to {
                ways.entry(from).or_default().entry(to).or_insert(arrow);
            }
        }
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for &start in ways.keys() {
            if told.contains(start) {
                continue;
            }
            let Some(circle) = shortest_circle(&ways, start) else {
                continue;
            };
            told.extend(circle.iter().map(|arrow| node(&arrow.from)));
            let only_files = circle.iter().all(|arrow| node(&arrow.from) == arrow.from);
            if only_files && what != "files" {
                continue;
            }
            let steps: Vec<String> = circle
                .iter()
                .map(|arrow| {
                    let (at, text) = (self.at(arrow), &arrow.text);
                    format!("    {at}: `{text}` leads to {}", node(&arrow.to))
                })
                .collect();
            faults.push(format!(
                "{what} that use each other in a circle: move what both need to a third one below \
                 them\n{}",
                steps.join("\n")
            ));
        }
    }

    /// A folder is small enough to be looked through.
    fn sizes(&self, faults: &mut Vec<String>) {
        let mut files: BTreeMap<&str, usize> = BTreeMap::new();
        let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for file in self.sources.files.keys() {
            let mut folder = folder_of(file);
            *files.entry(folder).or_default() += 1;
            while !folder.is_empty() {
                folders.entry(folder_of(folder)).or_default().insert(folder);
                folder = folder_of(folder);
            }
        }
        let src = &self.sources.folder;
        for (folder, count) in files.into_iter().filter(|(_, n)| *n > MOST_FILES) {
            faults.push(format!(
                "{src}/{folder} has {count} files, more than {MOST_FILES}: split it by concept"
            ));
        }
        for (folder, inside) in folders.into_iter().filter(|(_, f)| f.len() > MOST_FOLDERS) {
            let count = inside.len();
            faults.push(format!(
                "{src}/{folder} has {count} folders, more than {MOST_FOLDERS}: put together what \
                 belongs together"
            ));
        }
    }

    /// The methods of a type stand in its folder, or where the plan says why not.
    fn methods(&self, faults: &mut Vec<String>) {
        let mut used = vec![false; self.plan.extended.len()];
        for methods in &self.graph.methods {
            let (home, here) = (folder_of(&methods.home), folder_of(&methods.file));
            if home == here {
                continue;
            }
            let mut extensions = self.plan.extended.iter();
            let listed = extensions.position(|e| e.name == methods.name && e.folder == here);
            if let Some(listed) = listed {
                used[listed] = true;
                continue;
            }
            let (src, name, line) = (&self.sources.folder, &methods.name, methods.line);
            faults.push(format!(
                "{src}/{}:{line}: `impl {name}` stands in another folder than {name}, which is \
                 defined in {src}/{}: move the methods there, or make them functions",
                methods.file, methods.home
            ));
        }
        for (extension, used) in self.plan.extended.iter().zip(used) {
            let (name, folder) = (extension.name, extension.folder);
            if !used {
                faults.push(format!(
                    "{folder} has no `impl {name}` any more: the plan must not list it"
                ));
            }
            if extension.reason.is_empty() {
                faults.push(format!("the plan does not say why {folder} extends {name}"));
            }
        }
    }
}

/// The shortest way from a node back to it.
fn shortest_circle<'a>(
    ways: &BTreeMap<&'a str, BTreeMap<&'a str, &'a Arrow>>,
    start: &'a str,
) -> Option<Vec<&'a Arrow>> {
    let mut came_by: BTreeMap<&str, (&str, &Arrow)> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for (&to, &arrow) in ways.get(at).into_iter().flatten() {
            if to == start {
                let mut circle = vec![arrow];
                let mut back = at;
                while back != start {
                    let (before, arrow) = came_by[back];
                    circle.push(arrow);
                    back = before;
                }
                circle.reverse();
                return Some(circle);
            }
            if !came_by.contains_key(to) {
                came_by.insert(to, (at, arrow));
                queue.push_back(to);
            }
        }
    }
    None
}

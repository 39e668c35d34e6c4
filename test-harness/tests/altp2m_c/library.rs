// SPDX-License-Identifier: GPL-2.0-only
//! altp2m.c as the patch has it, compiled into a library of this machine and loaded.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_long, c_uint, c_ulong, c_void};
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

use test_harness::symbols::GuestHandle;
use xen_sys::{arch_domain, arch_vcpu, domain, hvm_domain, p2m_domain, p2m_view, p2m_views, vcpu};

use crate::common::loaded::Loaded;
use crate::{archive, xen};

pub(crate) const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/altp2m_c/c");
const PATCHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../patches/altp2m");

/// The file under test, and its headers, below `xen/arch/arm/`.
const SOURCE: &str = "altp2m.c";
const HEADERS: &str = "include/";

/// Where the tests that look for a planted fault find the libraries.
pub(crate) const PLANTED: &str = "XEN_P2M_ALTP2M_C";

/// Which of the trees all tests are run with, but for those that run each.
pub(crate) const TREE: &str = "XEN_P2M_ALTP2M_C_TREE";

/// How a tree creates a domain with views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tree {
    /// By the mode alone: up to 4.20.
    Mode,
    /// By the mode and a number of views: from 4.21 on.
    Number,
}

impl Tree {
    pub(crate) const ALL: [Self; 2] = [Self::Mode, Self::Number];

    /// The one that tests are run with.
    pub(crate) fn chosen() -> Self {
        let name = env::var(TREE).ok();
        let of_name = |tree: &Self| name.as_deref() == Some(tree.file());
        Self::ALL.into_iter().find(of_name).unwrap_or(Self::Mode)
    }

    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Mode => "mode.so",
            Self::Number => "number.so",
        }
    }

    fn defines(self) -> &'static [&'static str] {
        match self {
            Self::Mode => &[],
            Self::Number => &["-DCONFIG_ALTP2M_NR"],
        }
    }
}

/// The files under test that the patches add, by their names below `xen/arch/arm/`: not those of
/// the self-test.
pub(crate) fn added() -> BTreeMap<String, String> {
    let patches = fs::read_dir(PATCHES).unwrap();
    let texts = patches.map(|patch| fs::read_to_string(patch.unwrap().path()).unwrap());
    let patch = texts.collect::<String>();
    let parts = patch.split("\ndiff --git ").skip(1);
    let new = parts.filter(|part| part.contains("\nnew file mode "));
    new.map(|part| {
        let name = part.split_once(" b/xen/arch/arm/").unwrap().1;
        let name = name.lines().next().unwrap().to_owned();
        let body = part.split_once(" @@\n").unwrap().1.lines();
        let lines = body.map_while(|line| line.strip_prefix('+'));
        (name, lines.flat_map(|line| [line, "\n"]).collect())
    })
    .filter(|(name, _): &(String, String)| name == SOURCE || name.starts_with(HEADERS))
    .collect()
}

/// A folder with the libraries for these trees, of the C changed by `edit`; and the compiler's
/// warnings.
pub(crate) fn compile(
    name: &str,
    trees: &[Tree],
    edit: impl Fn(String) -> String,
) -> (PathBuf, String) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("altp2m_c");
    let folder = folder.join(name);
    let _ = fs::remove_dir_all(&folder);
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let added = added();
    for (file, text) in &added {
        let header = file.strip_prefix(HEADERS);
        write(header.unwrap_or(file), &edit(text.clone()));
    }
    // Xen's own headers are empty: all is in xen.h.
    let includes = added.values().flat_map(|text| text.lines());
    for line in includes {
        let header = line
            .strip_prefix("#include <")
            .and_then(|l| l.strip_suffix('>'));
        if let Some(header) = header.filter(|h| !h.starts_with("asm")) {
            write(header, "");
        }
    }
    for file in ["xen.h", "calls.c"] {
        write(
            file,
            &fs::read_to_string(Path::new(HERE).join(file)).unwrap(),
        );
    }
    let mut warnings = String::new();
    for tree in trees {
        let compiled = Command::new("cc")
            .current_dir(&folder)
            // As Xen's make, but for -Werror: whoever plants a fault may leave something unused.
            .args(["-std=gnu99", "-O1", "-fno-strict-aliasing", "-Wall"])
            .args([
                "-shared",
                "-fPIC",
                "-Wl,-Bsymbolic",
                "-include",
                "xen.h",
                "-I",
                ".",
            ])
            .args(tree.defines())
            .args([SOURCE, "calls.c", "-o", tree.file()])
            .output()
            .expect("cc, which links Rust programs as well");
        let errors = String::from_utf8_lossy(&compiled.stderr).into_owned();
        assert!(compiled.status.success(), "{errors}");
        warnings.push_str(&errors);
    }
    (folder, warnings)
}

type OfDomain<R> = unsafe extern "C" fn(*mut domain) -> R;

/// What altp2m.c gives to the rest of Xen.
pub(crate) struct Library {
    pub(crate) is_allowed: unsafe extern "C" fn(*const c_void) -> bool,
    pub(crate) init: unsafe extern "C" fn(*mut domain, *const c_void) -> c_int,
    pub(crate) teardown: OfDomain<()>,
    pub(crate) hvm_op: unsafe extern "C" fn(c_ulong, GuestHandle, *mut c_long) -> bool,
    pub(crate) set_param: extern "C" fn(c_uint) -> c_int,
    pub(crate) get_param: extern "C" fn(c_uint) -> c_int,
    pub(crate) answered: unsafe extern "C" fn(*mut vcpu, u16),
    pub(crate) active: OfDomain<bool>,
    pub(crate) vcpu_idx: unsafe extern "C" fn(*const vcpu) -> c_uint,
}

impl Library {
    fn load(path: &Path) -> Self {
        let it = Loaded::new(path);
        let layout = it.find("test_layout").cast::<[usize; LAYOUT.len()]>();
        // SAFETY: a constant of calls.c.
        assert_eq!(unsafe { *layout }, LAYOUT, "xen.h is not the mock");
        for (name, function) in xen::calls().into_iter().chain(archive::calls()) {
            it.set(name, function);
        }
        macro_rules! functions {
            ($($field:ident = $name:literal),*) => {
                Self { $($field: {
                    // SAFETY: the prototypes are those of asm/p2m-views.h and of calls.c.
                    unsafe { it.function($name) }
                }),* }
            };
        }
        functions!(
            is_allowed = "altp2m_is_allowed",
            init = "altp2m_init",
            teardown = "altp2m_teardown",
            hvm_op = "altp2m_hvm_op",
            set_param = "altp2m_set_param",
            get_param = "altp2m_get_param",
            answered = "test_answered",
            active = "test_altp2m_active",
            vcpu_idx = "test_altp2m_vcpu_idx"
        )
    }
}

/// The C for a tree: as the patch has it, or with the fault that another test has planted.
pub(crate) fn library(tree: Tree) -> &'static Library {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    static MODE: OnceLock<Library> = OnceLock::new();
    static NUMBER: OnceLock<Library> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| match env::var_os(PLANTED) {
        Some(folder) => folder.into(),
        None => {
            let (folder, warnings) = compile("as_it_is", &Tree::ALL, |text| text);
            assert_eq!(warnings, "", "Xen's make takes them for errors");
            folder
        }
    });
    let place = match tree {
        Tree::Mode => &MODE,
        Tree::Number => &NUMBER,
    };
    place.get_or_init(|| Library::load(&folder.join(tree.file())))
}

/// As in calls.c.
const LAYOUT: [usize; 18] = {
    let arch = offset_of!(domain, arch);
    let p2m = arch + offset_of!(arch_domain, p2m);
    [
        size_of::<domain>(),
        offset_of!(domain, is_dying),
        p2m + offset_of!(p2m_domain, domain),
        p2m + offset_of!(p2m_domain, views),
        arch + offset_of!(arch_domain, hvm) + offset_of!(hvm_domain, params),
        size_of::<vcpu>(),
        offset_of!(vcpu, domain),
        offset_of!(vcpu, arch) + offset_of!(arch_vcpu, p2m_view),
        size_of::<p2m_view>(),
        offset_of!(p2m_view, first_source),
        size_of::<p2m_views>(),
        offset_of!(p2m_views, last_ran),
        offset_of!(p2m_views, active),
        offset_of!(p2m_views, nr),
        offset_of!(p2m_views, visible),
        offset_of!(p2m_views, view),
        xen_sys::XS_P2M_VIEWS as usize,
        xen_sys::XS_P2M_NO_VIEW as usize,
    ]
};

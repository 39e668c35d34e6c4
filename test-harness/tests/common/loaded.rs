// SPDX-License-Identifier: GPL-2.0-only
//! C of our patches, as a library of this machine that a test has compiled.

use std::ffi::{c_char, c_int, c_void, CString};
use std::mem::transmute_copy;
use std::path::Path;

unsafe extern "C" {
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

const RTLD_NOW: c_int = 2;

/// A loaded library, which is never unloaded.
pub struct Loaded(*mut c_void);

impl Loaded {
    pub fn new(path: &Path) -> Self {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: a library of this test, which does nothing when it is loaded.
        let library = unsafe { dlopen(path.as_ptr(), RTLD_NOW) };
        assert!(!library.is_null(), "{path:?} cannot be loaded");
        Self(library)
    }

    pub fn find(&self, name: &str) -> *mut c_void {
        let c_name = CString::new(name).unwrap();
        // SAFETY: the library is loaded.
        let found = unsafe { dlsym(self.0, c_name.as_ptr()) };
        assert!(!found.is_null(), "{name} is not in the library");
        found
    }

    /// A function of the library.
    ///
    /// # Safety
    ///
    /// `F` is a pointer to a function as the C has it.
    pub unsafe fn function<F>(&self, name: &str) -> F {
        let found = self.find(name);
        assert_eq!(size_of::<F>(), size_of_val(&found));
        // SAFETY: the caller's promise.
        unsafe { transmute_copy(&found) }
    }

    /// Sets the library's variable `test_NAME`, a pointer to a function.
    pub fn set(&self, name: &str, function: *const ()) {
        let place = self.find(&format!("test_{name}")).cast::<*const ()>();
        // SAFETY: a variable of the library.
        unsafe { place.write(function) };
    }
}

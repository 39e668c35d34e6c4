// SPDX-License-Identifier: GPL-2.0-only
//! What altp2m.c does about views: the exported functions, and who is paused meanwhile.

use super::calls::{call, INVALID};
use crate::ground::handles::{Domain, Vcpu};
use crate::machine::with;

impl Domain {
    /// Begins to use views, or stops to (`HVMOP_altp2m_set_domain_state`). The domain is paused, so
    /// none of its vCPUs may be running.
    pub fn use_views(self, uses: bool) -> i32 {
        call!(p2m_views_set_use(self.0, uses))
    }

    /// Creates a view: its number, or a negative errno. The machine learns of the root.
    ///
    /// # Errors
    ///
    /// The return code, if it is not 0.
    pub fn create_view(self, access: u32) -> Result<u16, i32> {
        let mut number = u16::MAX;
        match call!(p2m_view_create(self.0, access, &mut number)) {
            0 => {
                with(|m, _| m.adopt_view(self, number));
                Ok(number)
            }
            rc => {
                assert_eq!(number, u16::MAX, "no view, and a number");
                Err(rc)
            }
        }
    }

    /// Destroys a view.
    pub fn destroy_view(self, number: u16) -> i32 {
        call!(p2m_view_destroy(self.0, number))
    }

    /// All vCPUs go on in a view. The domain is paused, so none of them may be running.
    pub fn switch_view(self, number: u16) -> i32 {
        call!(p2m_view_switch_domain(self.0, number))
    }

    /// Shows a view to [`Domain::switch_view`], or hides it.
    pub fn show_view(self, number: u16, visible: bool) -> i32 {
        call!(p2m_view_set_visible(self.0, number, visible))
    }

    /// Shows `new` at `old` in a view.
    pub fn change_gfn(self, number: u16, old: u64, new: u64) -> i32 {
        call!(p2m_view_change_gfn(self.0, number, old, new))
    }

    /// Shows in a view at `old` what the host p2m maps there.
    pub fn restore_gfn(self, number: u16, old: u64) -> i32 {
        self.change_gfn(number, old, INVALID)
    }

    /// `p2m_set_mem_access()` of one page in a view, as the hypercall calls it.
    pub fn set_access_in_view(self, number: u16, gfn: u64, access: u32) -> i64 {
        let view = number.into();
        call!(p2m_set_mem_access(self.0, gfn, 1, 0, 0, access, view))
    }

    /// `p2m_set_mem_access()` of `nr` pages in a view, of which the first `start` are done, as a
    /// hypercall that can be continued where no bit of `mask` is set.
    pub fn set_accesses_in_view(
        self,
        number: u16,
        gfn: u64,
        (nr, start, mask): (u32, u32, u32),
        access: u32,
    ) -> i64 {
        let view = number.into();
        call!(p2m_set_mem_access(
            self.0, gfn, nr, start, mask, access, view
        ))
    }

    /// `p2m_get_mem_access()` in a view: return code and access.
    #[must_use]
    pub fn access_in_view(self, number: u16, gfn: u64) -> (i32, u32) {
        let mut access = u32::MAX;
        let view = number.into();
        let rc = call!(p2m_get_mem_access(self.0, gfn, &mut access, view));
        (rc, access)
    }
}

impl Vcpu {
    /// The vCPU, which is paused, goes on in a view.
    pub fn switch_view(self, number: u16) -> i32 {
        call!(p2m_view_switch_vcpu(self.0, number))
    }
}

// SPDX-License-Identifier: GPL-2.0-only
//! The console, and the ends of the world.

mod printk;

use std::ffi::{c_uint, CStr};

use xen_sys::{paddr_t, PrintkArg};

use self::printk::{format, Names};
use crate::machine::{self, with};
use crate::model::domains::Domains;

struct Live<'a>(&'a Domains);

impl Names for Live<'_> {
    fn name(&self, address: usize) -> String {
        self.0.name(address)
    }

    fn text(&self, address: usize, most: Option<usize>) -> String {
        let bytes = match most {
            Some(0) => &[],
            Some(most) => {
                let pointer = std::ptr::with_exposed_provenance(address);
                // SAFETY: `%.*s` is given so many bytes, or a string, that live during the call.
                let bytes: &[u8] = unsafe { std::slice::from_raw_parts(pointer, most) };
                bytes.split(|&byte| byte == 0).next().unwrap_or_default()
            }
            None => {
                let pointer = std::ptr::with_exposed_provenance(address);
                // SAFETY: `%s` is given a string that lives during the call.
                unsafe { CStr::from_ptr(pointer) }.to_bytes()
            }
        };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

fn text(text: &CStr, arguments: &[PrintkArg]) -> String {
    with(|m, _| format(&text.to_string_lossy(), arguments, &Live(&m.domains)))
}

#[unsafe(no_mangle)]
fn xs_mock_printk(format: &CStr, arguments: &[PrintkArg]) {
    let line = text(format, arguments);
    with(|m, cpu| {
        // A console is slow, and a dump long.
        if line.starts_with("p2m-dump: ") {
            m.must_not_hold_p2m_lock(cpu, "a line of a dump");
        }
        m.console.push(line);
    });
}

#[unsafe(no_mangle)]
fn xs_mock_panic(format: &CStr, arguments: &[PrintkArg]) -> ! {
    machine::stop(format!("panic: {}", text(format, arguments)))
}

#[unsafe(no_mangle)]
extern "C" fn xs_bug() -> ! {
    machine::stop("BUG".into())
}

#[unsafe(no_mangle)]
extern "C" fn xs_printk_ratelimit() -> bool {
    with(|m, _| !m.devices.printk_limited)
}

#[unsafe(no_mangle)]
extern "C" fn dump_pt_walk(
    ttbr: paddr_t,
    addr: paddr_t,
    root_level: c_uint,
    nr_root_tables: c_uint,
) {
    with(|m, _| {
        m.devices
            .pt_walk_dumps
            .push((ttbr, addr, root_level, nr_root_tables))
    });
}

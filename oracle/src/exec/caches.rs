// SPDX-License-Identifier: GPL-2.0-only
//! Flushes of caches and TLBs, and faults that are resolved.

use super::outcome::Outcome;
use super::request::Request;
use crate::sides::exports::call;

pub(super) fn finished(r: Request<'_>) -> Outcome {
    call!(r.exports(), p2m_domain_creation_finished(r.domain()));
    Vec::new()
}

/// A fault resolves one level, in C: four times are enough.
pub(super) fn resolve(r: Request<'_>) -> Outcome {
    let [gfn, ..] = r.args();
    let mut resolved = false;
    for _ in 0..4 {
        resolved = call!(r.exports(), p2m_resolve_translation_fault(r.domain(), gfn));
    }
    vec![("return", resolved.into())]
}

pub(super) fn cache_flush(r: Request<'_>) -> Outcome {
    let [mut at, end, ..] = r.args();
    let mut stops = Vec::new();
    let mut outcome = r.prepared.through(r.side, || {
        let rc = call!(r.exports(), p2m_cache_flush_range(r.domain(), &mut at, end));
        stops.push(("start", at));
        rc
    });
    outcome.extend(stops);
    outcome
}

pub(super) fn flush(r: Request<'_>) -> Outcome {
    r.write_locked(|| {
        call!(r.exports(), p2m_force_tlb_flush_sync(r.p2m()));
        call!(r.exports(), p2m_tlb_flush_sync(r.p2m()));
    });
    Vec::new()
}

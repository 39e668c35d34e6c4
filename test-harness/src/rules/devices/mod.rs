// SPDX-License-Identifier: GPL-2.0-only
//! What devices, and what models them, may still come to or believe.

mod iotlb;
mod mapcache;

/* SPDX-License-Identifier: GPL-2.0-only */
/* A single line that is cleaned: as in asm/arm64/page.h. */
#include_next <asm/page.h>

#undef clean_dcache
#define clean_dcache(x) do {                                                  \
    typeof(x) *p_ = &(x);                                                     \
                                                                              \
    if ( sizeof(x) > MIN_CACHELINE_BYTES || sizeof(x) > alignof(x) )          \
        clean_dcache_va_range(p_, sizeof(x));                                 \
    else                                                                      \
        asm volatile ( "" :: "r" (p_), "m" (*p_) );                           \
} while ( 0 )

/* SPDX-License-Identifier: GPL-2.0-only */
/* Nothing is patched: this CPU has none of the errata. */
#include_next <asm/alternative.h>

#undef ALTERNATIVE
#define ALTERNATIVE(oldinstr, newinstr, ...) oldinstr "\n"

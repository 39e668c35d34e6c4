/* SPDX-License-Identifier: GPL-2.0-only */
/* BUG(): an undefined instruction. */
#ifndef NATIVE_BUG_H
#define NATIVE_BUG_H

#include <xen/stringify.h>
#include <asm/arm64/brk.h>

#define BUG_INSTR "ud2"
#define BUG_FN_REG rax

#endif /* NATIVE_BUG_H */

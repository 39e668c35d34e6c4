/* SPDX-License-Identifier: GPL-2.0-only */
/* read_atomic() and write_atomic(): one load, one store. Arm's are instructions too. */
#include_next <asm/atomic.h>

#ifndef NATIVE_READ_ATOMIC_H
#define NATIVE_READ_ATOMIC_H

#undef read_atomic
#define read_atomic(p) (*(const volatile typeof(*(p)) *)(p))
#undef write_atomic
#define write_atomic(p, x) ((void)(*(volatile typeof(*(p)) *)(p) = (x)))

/* By who holds the lock: no locked instruction, here and there. */
#undef add_sized
#define add_sized(p, x) ((void)(*(volatile typeof(*(p)) *)(p) += (x)))

#endif /* NATIVE_READ_ATOMIC_H */

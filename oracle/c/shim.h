/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What Xen's p2m.c, mmu/p2m.c and mem_access.c need of the rest of Xen, on the
 * machine of the test harness.
 *
 * The structures are those of xen-sys' mock, on which the Rust works as well;
 * layout.c and its Rust side check that. Functions end in the harness' own
 * (xs_*), so both implementations are judged by the same model. asm/p2m.h,
 * asm/mmu/p2m.h, asm/lpae.h, xen/mm-frame.h and a few more are the tree's, with
 * their #include lines taken out.
 */
#ifndef ORACLE_SHIM_H
#define ORACLE_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <limits.h>

#include "prefix.h"

#define CONFIG_ARM_64 1
#define CONFIG_MMU 1
#define CONFIG_IOREQ_SERVER 1
#define NDEBUG /* gfn_t and mfn_t are words; ASSERT() below is on all the same */

/* Compiler. */
#define __packed __attribute__((__packed__))
#define __must_check __attribute__((__warn_unused_result__))
#define __read_mostly
#define __init
#define __initconst
#define __initcall(fn) static __attribute__((__used__)) int (*fn##_call)(void) = fn
#define asm_inline asm
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ACCESS_ONCE(x) (*(volatile typeof(x) *)&(x))
#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define BUILD_BUG_ON(cond) _Static_assert(!(cond), #cond)
#define _AC(x, y) x##y
#define _AT(t, x) ((t)(x))
#define min(x, y) ((x) < (y) ? (x) : (y))
#define max(x, y) ((x) > (y) ? (x) : (y))

/* Ends the process, which the supervisor takes for a difference. */
void __attribute__((__noreturn__)) oracle_stop(const char *what,
                                               const char *file, int line);
#define ASSERT(x) \
    do { if ( !(x) ) oracle_stop("ASSERT(" #x ")", __FILE__, __LINE__); } while ( 0 )
#define ASSERT_UNREACHABLE() oracle_stop("ASSERT_UNREACHABLE()", __FILE__, __LINE__)
#define BUG() oracle_stop("BUG()", __FILE__, __LINE__)
#define BUG_ON(x) do { if ( x ) BUG(); } while ( 0 )
#define panic(fmt, ...) oracle_stop("panic: " fmt, __FILE__, __LINE__)

/* errno, and what is printed. */
#define ENOENT 2
#define ESRCH 3
#define ENOMEM 12
#define EBUSY 16
#define EEXIST 17
#define EINVAL 22
#define ERANGE 34
#define ENOSYS 38
#define EILSEQ 84
#define ERESTART 85
#define EOPNOTSUPP 95
#define XENLOG_ERR
#define XENLOG_INFO
#define XENLOG_WARNING
#define XENLOG_G_ERR
#define XENLOG_G_DEBUG
#define PRIpaddr "016lx"
#define PRIvaddr "016lx"
#define PRIregister "016lx"
#define printk(...) ((void)0)
#define gprintk(...) ((void)0)
#define dprintk(...) ((void)0)
#define gdprintk(...) ((void)0)

/* Numbers of the architecture. */
#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PADDR_BITS 48
#define PADDR_MASK ((1ULL << PADDR_BITS) - 1)
#define NR_CPUS 8
#define MAX_VIRT_CPUS 128
#define INVALID_VCPU_ID MAX_VIRT_CPUS
#define SCTLR_Axx_ELx_M (1UL << 0)
#define SCTLR_Axx_ELx_C (1UL << 2)
#define HCR_VM (1UL << 0)
#define HCR_TVM (1UL << 26)
#define GV2M_READ (0u << 0)
#define GV2M_WRITE (1u << 0)
#define ARM64_WORKAROUND_AT_SPECULATE 0
#define MM64_VMID_16_BITS_SUPPORT 2
#define BITS_TO_LONGS(bits) (((bits) + 63) / 64)

typedef uint64_t paddr_t, vaddr_t, register_t;
typedef uint16_t domid_t;
typedef bool bool_t; /* up to 4.18 */
/* <stdlib.h> has a register_t of its own. */
void *calloc(size_t nmemb, size_t size);
void free(void *p);
union hsr { register_t bits; };

/* As in xen-sys/src/mock.rs. */
typedef struct { uint64_t words[2]; } rwlock_t;
typedef struct { uint64_t words[2]; } spinlock_t;
struct page_list_head { uint64_t words[2]; };
struct radix_tree_root { unsigned int height; uint64_t rnode; };
struct page_info {
    union {
        uint64_t words[4];
        struct { struct { unsigned long type_info; } inuse; } u;
    };
};
struct vm_event_domain { uint64_t words[1]; };
struct cpu_user_regs { uint64_t words[1]; };
struct domain;
struct vcpu;

/* Types that the tree's headers want; oracle_tree.h has those headers. */
typedef struct { const void *p; } guest_handle_t;
#define XEN_GUEST_HANDLE(name) guest_handle_t
#define XEN_GUEST_HANDLE_PARAM(name) guest_handle_t
typedef struct vm_event_st {
    uint32_t version, flags, reason, vcpu_id;
    union {
        struct { uint64_t gfn, offset, gla; uint32_t flags, _pad; } mem_access;
    } u;
} vm_event_request_t;

#define current xs_current()
struct vcpu *xs_current(void);
uint64_t xs_mock_read_sctlr_el1(void);
#define READ_SYSREG(reg) oracle_read_##reg()
#define READ_SYSREG64(reg) READ_SYSREG(reg)
#define oracle_read_SCTLR_EL1() xs_mock_read_sctlr_el1()

#define dom_xen ((struct domain *)NULL)
#define PGT_writable_page 0
struct page_info *xs_mfn_to_page(unsigned long mfn);
#define mfn_to_page(mfn) xs_mfn_to_page(mfn_x(mfn))
bool xs_mfn_valid(unsigned long mfn);
#define mfn_valid(mfn) xs_mfn_valid(mfn_x(mfn))
bool get_page(struct page_info *page, const struct domain *d);
void put_page(struct page_info *page);
bool xs_rw_is_locked(const rwlock_t *l);
bool xs_rw_is_write_locked(const rwlock_t *l);
void xs_read_lock(rwlock_t *l);
void xs_read_unlock(rwlock_t *l);
void xs_write_lock(rwlock_t *l);
void xs_write_unlock(rwlock_t *l);
#define rw_is_locked(l) xs_rw_is_locked(l)
#define rw_is_write_locked(l) xs_rw_is_write_locked(l)
#define read_lock(l) xs_read_lock(l)
#define read_unlock(l) xs_read_unlock(l)
#define write_lock(l) xs_write_lock(l)
#define write_unlock(l) xs_write_unlock(l)

#include "oracle_tree.h"
#include "oracle_facts.h"
#ifndef ORACLE_PROBE
#include "prototypes.h"
#include "rest.h"
#include "oracle_fixes.h"
#include "mended.h"
#endif

#endif /* ORACLE_SHIM_H */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a program for dom0 needs that has no C library: system calls, Xen's hypercalls by the kernel's privcmd device,
 * and values that the console's reader looks for. The program has the function run().
 */
#ifndef DOM0_H
#define DOM0_H

#include <stddef.h>
#include <stdint.h>
#include <public/xen.h>
#include <public/domctl.h>

enum { SYS_ioctl = 29, SYS_openat = 56, SYS_write = 64, SYS_pread64 = 67, SYS_exit = 93, SYS_nanosleep = 101,
       SYS_clock_gettime = 113, SYS_mlockall = 230 };

struct privcmd_hypercall {
    uint64_t op, arg[5];
};
#define IOCTL_PRIVCMD_HYPERCALL ((sizeof(struct privcmd_hypercall) << 16) | ('P' << 8))

enum { EAGAIN = 11, ERESTART = 85 };

static int privcmd;

static inline long syscall(long number, long a, long b, long c, long d)
{
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;

    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}

void *memset(void *to, int byte, size_t size)
{
    for ( size_t i = 0; i < size; i++ )
        ((volatile char *)to)[i] = (char)byte;
    return to;
}

// In one piece, so that nothing of Xen's gets in between.
static inline void value(const char *name, long number)
{
    static char line[128];
    char digits[24];
    int at = sizeof(digits);
    size_t end = 0;
    unsigned long rest = number < 0 ? -(unsigned long)number : (unsigned long)number;

    digits[--at] = 0;
    do
        digits[--at] = (char)('0' + rest % 10);
    while ( (rest /= 10) != 0 );
    if ( number < 0 )
        digits[--at] = '-';
    for ( ; *name != 0 && end < sizeof(line) - sizeof(digits) - 2; name++ )
        line[end++] = *name;
    line[end++] = '=';
    for ( ; digits[at] != 0; at++ )
        line[end++] = digits[at];
    line[end++] = '\n';
    syscall(SYS_write, 1, (long)line, (long)end, 0);
}

static inline void die(const char *what, long rc)
{
    value(what, rc);
    syscall(SYS_exit, 1, 0, 0, 0);
}

static inline long hypercall(uint64_t op, uint64_t a, uint64_t b)
{
    struct privcmd_hypercall call = { .op = op, .arg = { a, b } };

    return syscall(SYS_ioctl, privcmd, IOCTL_PRIVCMD_HYPERCALL, (long)&call, 0);
}

static inline long number(const char *digits)
{
    long n = 0;

    for ( ; *digits >= '0' && *digits <= '9'; digits++ )
        n = n * 10 + (*digits - '0');
    return n;
}

static inline long now(void)
{
    long time[2];

    syscall(SYS_clock_gettime, 1, (long)time, 0, 0);
    return time[0];
}

static inline struct xen_domctl *domctl(uint32_t cmd, long domain)
{
    static struct xen_domctl ctl;

    memset(&ctl, 0, sizeof(ctl));
    ctl.cmd = cmd;
    ctl.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    ctl.domain = (domid_t)domain;
    return &ctl;
}

static inline void open_privcmd(void)
{
    privcmd = (int)syscall(SYS_openat, -100, (long)"/dev/xen/privcmd", 2, 0);
    if ( privcmd < 0 )
        die("/dev/xen/privcmd", privcmd);
    // Xen reads our memory by its address: it must be there.
    syscall(SYS_mlockall, 1, 0, 0, 0);
}

/* Xen gives a domain's memory back step by step. */
static inline void destroy(long id)
{
    long rc;

    do
        rc = hypercall(__HYPERVISOR_domctl, (uint64_t)domctl(XEN_DOMCTL_destroydomain, id), 0);
    while ( rc == -EAGAIN || rc == -ERESTART );
    if ( rc != 0 )
        die("destroydomain", rc);
}

static int run(long count, const char **words);

__attribute__((used)) static void enter(long *stack)
{
    syscall(SYS_exit, run(stack[0], (const char **)(stack + 1)), 0, 0, 0);
}

asm(".globl _start\n_start:\n\tmov x0, sp\n\tb enter\n");

#endif

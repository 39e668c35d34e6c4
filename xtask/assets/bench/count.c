/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A plugin for QEMU (API version 1: QEMU 6.0 to 8.2) that counts what Xen does between two
 * markers: instructions, barriers, TLB and cache maintenance by kind, atomics, the lines of
 * memory that are written, and stores to pages and words that were announced. patches/xen,
 * p2m-bench/region.c, is the other side.
 *
 *   -plugin count.so,out=FILE,from=ADDRESS,to=ADDRESS[,softirq=ADDRESS,percpu=ADDRESS,
 *           percpu_end=ADDRESS,callers=ADDRESS,callers_end=ADDRESS]
 *
 * Only instructions at addresses from `from` up to `to`, which are Xen's, are counted; `softirq`
 * is the word that a preemption check reads. What lies from `percpu` up to `percpu_end` is this
 * CPU's own; code from `callers` up to `callers_end` is the benchmark, which calls what is to be
 * counted. Without `softirq` no access to memory is watched. One line of numbers a region goes
 * to FILE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"
#include "kinds.h"

EXPORT int qemu_plugin_version = 1;

static uint64_t now[NR_COUNTERS], begun[NR_COUNTERS];
static uint64_t from, to = UINT64_MAX, softirq, last_check, longest;
static uint64_t percpu, percpu_end, callers, callers_end, taken, held;
static bool active, holding;
static FILE *out;

/* Tables are in Xen's direct map, announced by address; a window of 64 GiB holds all of it. */
#define PAGE_SHIFT 12
#define WINDOW (1ull << 36)
static uint8_t table_page[WINDOW >> PAGE_SHIFT];
static uint64_t window, p2m_word, pool_word;

/* This CPU's stack, and the array of struct page_info, by an address in each. */
#define LINE 64ull
#define STACK_SIZE (1ull << 15)
#define FRAME_TABLE_SIZE (1ull << 35)
static uint64_t stack, frame_table;

/* The lines of struct p2m_domain, and of what holds the pool. */
#define MOST_LINES 64
static struct lines {
    uint64_t line[MOST_LINES];
    unsigned int count;
} p2m_lines, pool_lines;

/*
 * Lines that were written, and in which call that was last seen: a call that writes a line
 * again still has it. Open addressing.
 */
#define SLOTS (1u << 22)
static struct slot {
    uint64_t line, call;
} written[SLOTS];
static uint64_t call = 1;
static unsigned int used;

static void stretch(void)
{
    uint64_t length = now[insn] - last_check;

    if (length > longest)
        longest = length;
    last_check = now[insn];
}

static void at_begin(unsigned int cpu, void *data)
{
    memcpy(begun, now, sizeof(now));
    last_check = now[insn];
    longest = held = 0;
    holding = false;
    call++;
    active = true;
}

static void at_end(unsigned int cpu, void *data)
{
    if (!active)
        return;
    stretch();
    active = false;
    for (int i = 0; i < NR_COUNTERS; i++)
        fprintf(out, "%" PRIu64 "\t", now[i] - begun[i]);
    fprintf(out, "%" PRIu64 "\t%" PRIu64 "\n", longest, held);
    fflush(out);
}

static void at_forget(unsigned int cpu, void *data)
{
    memset(table_page, 0, sizeof(table_page));
    window = p2m_word = pool_word = stack = frame_table = 0;
    p2m_lines.count = pool_lines.count = 0;
    if (used)
        memset(written, 0, sizeof(written));
    used = 0;
}

static void die(const char *why)
{
    fprintf(stderr, "count.c: %s\n", why);
    exit(1);
}

static void announced_table(unsigned int cpu, meminfo info, uint64_t vaddr, void *data)
{
    window = vaddr & ~(WINDOW - 1);
    table_page[(vaddr & (WINDOW - 1)) >> PAGE_SHIFT] = 1;
}

static void announced_word(unsigned int cpu, meminfo info, uint64_t vaddr, void *data)
{
    *(uint64_t *)data = vaddr;
}

static void announced_line(unsigned int cpu, meminfo info, uint64_t vaddr, void *data)
{
    struct lines *lines = data;

    if (lines->count == MOST_LINES)
        die("too many lines were announced");
    lines->line[lines->count++] = vaddr & ~(LINE - 1);
}

static bool has(const struct lines *lines, uint64_t line)
{
    for (unsigned int i = 0; i < lines->count; i++)
        if (lines->line[i] == line)
            return true;
    return false;
}

/* Has this call not yet written that line? */
static bool is_new(uint64_t line)
{
    struct slot *slot = &written[(line / LINE * 0x9e3779b97f4a7c15ull) >> 42];

    while (slot->line && slot->line != line)
        if (++slot == &written[SLOTS])
            slot = written;
    if (!slot->line) {
        if (++used > SLOTS / 2)
            die("too many lines are written");
        slot->line = line;
    }
    if (slot->call == call)
        return false;
    slot->call = call;
    return true;
}

/* A store to memory that is no table: what other CPUs may have in their caches as well? */
static void shared(uint64_t vaddr)
{
    uint64_t line = vaddr & ~(LINE - 1);

    if ((vaddr & ~(STACK_SIZE - 1)) == (stack & ~(STACK_SIZE - 1)) ||
        (vaddr >= percpu && vaddr < percpu_end) || line == (softirq & ~(LINE - 1)))
        return;
    if (!is_new(line))
        return;
    if ((vaddr & ~(FRAME_TABLE_SIZE - 1)) == (frame_table & ~(FRAME_TABLE_SIZE - 1)))
        now[lines_frames]++;
    else if (has(&p2m_lines, line))
        now[lines_p2m]++;
    else if (has(&pool_lines, line))
        now[lines_pool]++;
    else
        now[lines_other]++;
}

/* Nobody else wants it: each store takes it, for reading or writing, or releases it. */
static void p2m_lock_changes_hands(void)
{
    uint64_t length = now[insn] - taken;

    now[p2m_lock]++;
    if (holding && length > held)
        held = length;
    holding = !holding;
    taken = now[insn];
}

/* What the benchmark itself writes is not counted as a shared line. */
#define OF_CALLER ((void *)1)

static void access(unsigned int cpu, meminfo info, uint64_t vaddr, void *data)
{
    if (!active)
        return;
    if (!qemu_plugin_mem_is_store(info)) {
        if (vaddr == softirq) {
            now[checks]++;
            stretch();
        }
        return;
    }
    if ((vaddr & ~(WINDOW - 1)) == window && table_page[(vaddr & (WINDOW - 1)) >> PAGE_SHIFT]) {
        now[table_bytes] += 1 << qemu_plugin_mem_size_shift(info);
        return;
    }
    if (vaddr == p2m_word)
        p2m_lock_changes_hands();
    else if (vaddr == pool_word)
        now[pool_lock]++;
    if (data != OF_CALLER)
        shared(vaddr);
}

/* A store-exclusive that stores: one that has lost the line comes to no access. */
static void stored_exclusive(unsigned int cpu, meminfo info, uint64_t vaddr, void *data)
{
    if (active && qemu_plugin_mem_is_store(info))
        now[exclusive]++;
}

/* Back in the benchmark: what it calls next is another call. */
static void in_caller(unsigned int cpu, void *data)
{
    call++;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *it = qemu_plugin_tb_get_insn(tb, i);
        uint64_t vaddr = qemu_plugin_insn_vaddr(it);
        enum counter kind;
        bool is_caller;
        uint32_t word;

        memcpy(&word, qemu_plugin_insn_data(it), sizeof(word));
        if (word == 0xd503299f) /* HINT #76, and #77, #78 */
            qemu_plugin_register_vcpu_insn_exec_cb(it, at_forget, NO_REGS, NULL);
        else if (word == 0xd50329bf)
            qemu_plugin_register_vcpu_insn_exec_cb(it, at_begin, NO_REGS, NULL);
        else if (word == 0xd50329df)
            qemu_plugin_register_vcpu_insn_exec_cb(it, at_end, NO_REGS, NULL);
        if (vaddr < from || vaddr >= to)
            continue;
        if ((word & 0xfffffc1f) == 0x3840081f) /* LDTRB WZR, [Xn], LDTRH, LDTR */
            qemu_plugin_register_vcpu_mem_cb(it, announced_table, NO_REGS, MEM_RW, NULL);
        else if ((word & 0xfffffc1f) == 0x7840081f)
            qemu_plugin_register_vcpu_mem_cb(it, announced_word, NO_REGS, MEM_RW, &p2m_word);
        else if ((word & 0xfffffc1f) == 0xb840081f)
            qemu_plugin_register_vcpu_mem_cb(it, announced_word, NO_REGS, MEM_RW, &pool_word);
        else if ((word & 0xfffffc1f) == 0x38c0081f) /* LDTRSB WZR, XZR, LDTRSH WZR, XZR */
            qemu_plugin_register_vcpu_mem_cb(it, announced_word, NO_REGS, MEM_RW, &stack);
        else if ((word & 0xfffffc1f) == 0x3880081f)
            qemu_plugin_register_vcpu_mem_cb(it, announced_word, NO_REGS, MEM_RW, &frame_table);
        else if ((word & 0xfffffc1f) == 0x78c0081f)
            qemu_plugin_register_vcpu_mem_cb(it, announced_line, NO_REGS, MEM_RW, &p2m_lines);
        else if ((word & 0xfffffc1f) == 0x7880081f)
            qemu_plugin_register_vcpu_mem_cb(it, announced_line, NO_REGS, MEM_RW, &pool_lines);
        qemu_plugin_register_vcpu_insn_exec_inline(it, INLINE_ADD_U64, &now[insn], 1);
        kind = kind_of(word);
        if (kind < NR_COUNTERS)
            qemu_plugin_register_vcpu_insn_exec_inline(it, INLINE_ADD_U64, &now[kind], 1);
        if (!softirq)
            continue;
        is_caller = vaddr >= callers && vaddr < callers_end;
        if (i == 0 && is_caller)
            qemu_plugin_register_vcpu_insn_exec_cb(it, in_caller, NO_REGS, NULL);
        if (is_store_exclusive(word))
            qemu_plugin_register_vcpu_mem_cb(it, stored_exclusive, NO_REGS, MEM_RW, NULL);
        qemu_plugin_register_vcpu_mem_cb(it, access, NO_REGS, MEM_RW,
                                         is_caller ? OF_CALLER : NULL);
    }
}

static const struct argument {
    const char *name;
    uint64_t *value;
} arguments[] = {
    { "from", &from }, { "to", &to }, { "softirq", &softirq },
    { "percpu", &percpu }, { "percpu_end", &percpu_end },
    { "callers", &callers }, { "callers_end", &callers_end },
};
#define NR_ARGUMENTS (sizeof(arguments) / sizeof(arguments[0]))

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        size_t known = 0;

        if (!value)
            return 1;
        *value++ = 0;
        if (!strcmp(argv[i], "out")) {
            out = fopen(value, "w");
            continue;
        }
        while (known < NR_ARGUMENTS && strcmp(argv[i], arguments[known].name))
            known++;
        if (known == NR_ARGUMENTS)
            return 1;
        *arguments[known].value = strtoull(value, NULL, 0);
    }
    if (!out)
        return 1;
    fprintf(out, "%s\tlongest\theld\n", (COUNTERS(NAME)) + 1);
    fflush(out);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}

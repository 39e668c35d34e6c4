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
 *
 * The prototypes are written down here because Debian has no package with qemu-plugin.h.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From QEMU's include/qemu/qemu-plugin.h. */
#define EXPORT __attribute__((visibility("default")))
typedef uint64_t plugin_id;
typedef uint32_t meminfo;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGS = 0, INLINE_ADD_U64 = 0, MEM_RW = 3 };
typedef void (*tb_cb)(plugin_id id, struct qemu_plugin_tb *tb);
typedef void (*exec_cb)(unsigned int cpu, void *data);
typedef void (*mem_cb)(unsigned int cpu, meminfo info, uint64_t vaddr, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, tb_cb cb);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *ptr,
                                                uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb cb, int flags,
                                            void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mem_cb cb, int flags, int rw,
                                      void *data);
unsigned int qemu_plugin_mem_size_shift(meminfo info);
bool qemu_plugin_mem_is_store(meminfo info);

EXPORT int qemu_plugin_version = 1;

/* What is counted; the names head the columns. */
#define COUNTERS(X) \
    X(insn) X(dsb_sy) X(dsb_ish) X(dsb_ishst) X(dsb_nsh) X(dsb_other) X(dmb) X(isb) \
    X(tlbi_vmid) X(tlbi_ipa) X(tlbi_range) X(tlbi_s1) X(tlbi_vmid_local) X(tlbi_ipa_local) \
    X(tlbi_range_local) X(tlbi_s1_local) X(tlbi_other) X(dc_zva) X(dc_civac) X(dc_cvac) \
    X(dc_other) X(at) X(vttbr) X(table_bytes) X(p2m_lock) X(pool_lock) X(checks) \
    X(lse) X(exclusive) X(lines_p2m) X(lines_pool) X(lines_frames) X(lines_other)
#define ENUM(name) name,
#define NAME(name) "\t" #name
enum counter { COUNTERS(ENUM) NR_COUNTERS, NOT_COUNTED };

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

/* SYS instructions: op1, CRn, CRm, op2. */
#define SYS(op1, n, m, op2) ((op1) << 16 | (n) << 12 | (m) << 8 | (op2) << 5)

static enum counter tlbi(uint32_t sys)
{
    switch (sys) {
    case SYS(4, 8, 3, 6): case SYS(4, 8, 1, 6): /* VMALLS12E1IS, OS */
        return tlbi_vmid;
    case SYS(4, 8, 7, 6):
        return tlbi_vmid_local;
    case SYS(4, 8, 0, 1): case SYS(4, 8, 0, 5): /* IPAS2E1IS, IPAS2LE1IS, OS */
    case SYS(4, 8, 4, 0): case SYS(4, 8, 4, 4):
        return tlbi_ipa;
    case SYS(4, 8, 4, 1): case SYS(4, 8, 4, 5):
        return tlbi_ipa_local;
    case SYS(4, 8, 0, 2): case SYS(4, 8, 0, 6): /* RIPAS2E1IS, RIPAS2LE1IS, OS */
    case SYS(4, 8, 4, 3): case SYS(4, 8, 4, 7):
        return tlbi_range;
    case SYS(4, 8, 4, 2): case SYS(4, 8, 4, 6):
        return tlbi_range_local;
    case SYS(0, 8, 3, 0): case SYS(0, 8, 1, 0): /* VMALLE1IS, OS */
        return tlbi_s1;
    case SYS(0, 8, 7, 0):
        return tlbi_s1_local;
    default:
        return tlbi_other;
    }
}

static enum counter maintenance(uint32_t sys)
{
    switch (sys) {
    case SYS(3, 7, 4, 1):
        return dc_zva;
    case SYS(3, 7, 14, 1):
        return dc_civac;
    case SYS(3, 7, 10, 1):
        return dc_cvac;
    }
    switch ((sys >> 8) & 0xf) {
    case 8: case 9:
        return at;
    case 1: case 5: /* IC; CFP, CPP and DVP have the same CRm as no DC */
        return NOT_COUNTED;
    default:
        return dc_other;
    }
}

static enum counter barrier(uint32_t word)
{
    unsigned int kind = (word >> 8) & 0xf;

    if ((word & 0xe0) == 0xa0)
        return dmb;
    if ((word & 0xe0) == 0xc0)
        return isb;
    if ((word & 0xe0) != 0x80)
        return NOT_COUNTED;
    switch (kind) {
    case 15:
        return dsb_sy;
    case 11:
        return dsb_ish;
    case 10:
        return dsb_ishst;
    case 7: case 6: case 5:
        return dsb_nsh;
    case 0: case 4: /* SSBB, PSSBB */
        return NOT_COUNTED;
    default:
        return dsb_other;
    }
}

/* STXR, STXP and their kin with release; CASP has their pattern, but for 128 bits. */
static bool is_store_exclusive(uint32_t word)
{
    bool is_pair = word & 1u << 21;

    return (word & 0x3fc00000) == 0x08000000 && (!is_pair || word & 1u << 31);
}

/* FEAT_LSE: CAS, CASP, SWP, LDADD and its kin. LDAPR and ST64B are among them, but do not modify. */
static bool is_lse(uint32_t word)
{
    if ((word & 0x3fa07c00) == 0x08a07c00 || (word & 0xbfa07c00) == 0x08207c00)
        return true;
    return (word & 0x3f200c00) == 0x38200000 && (!(word & 1u << 15) || !(word & 7u << 12));
}

static enum counter kind_of(uint32_t word)
{
    if (is_lse(word))
        return lse;
    if ((word & 0xfffff01f) == 0xd503301f)
        return barrier(word);
    if ((word & 0xffffffe0) == 0xd51c2100) /* MSR VTTBR_EL2 */
        return vttbr;
    if ((word & 0xfff8f000) == 0xd5088000)
        return tlbi(word & 0x7ffe0);
    if ((word & 0xfff8f000) == 0xd5087000)
        return maintenance(word & 0x7ffe0);
    return NOT_COUNTED;
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

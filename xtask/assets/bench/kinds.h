/* SPDX-License-Identifier: GPL-2.0-only */
/* What count.c counts, and which instructions are of which kind. */

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

/*
 * FEAT_LSE: CAS, CASP, SWP, LDADD and its kin. LDAPR and ST64B are encoded among them, but modify
 * nothing.
 */
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

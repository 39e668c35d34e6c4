/* SPDX-License-Identifier: GPL-2.0-only */
/* The rows of the table. */
#include <xen/config.h>
#include <xen/mm.h>
#include <xen/sched.h>

#include <asm/p2m.h>

#include "native.h"
#include "domains.h"
#include "sides.h"

/* The next of a sequence of frames, the same for both sides (xorshift64). */
static always_inline unsigned long next(unsigned long *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;

    return *seed % NATIVE_RAM;
}

/* So many pages of a guest's are near each other in time, too: rings, hypercall buffers. */
#define NEAR 16

#define SIDE NATIVE_C
#define CALL(f) c_ ## f
#define BODY(row) c_row_ ## row
#include "rows.h"
#undef SIDE
#undef CALL
#undef BODY

#define SIDE NATIVE_RUST
#define CALL(f) f
#define BODY(row) rust_row_ ## row
#include "rows.h"
#undef SIDE
#undef CALL
#undef BODY

typedef void body(unsigned int thread, unsigned long n, struct native_answer *answer);

/* What of the first GiB of NATIVE_EMPTY is mapped, and how. */
enum state { NONE, PAGES, ONE_CALL };

/* A block takes some milliseconds, which is rather undisturbed than a second is. */
#define ALL NATIVE_RAM

/*
 * The names, in the order in which they are printed; what runs, how often in
 * each thread, whether with several threads too; what is mapped before and
 * after it, whether NATIVE_ACCESS is restricted, and whether all of the tables
 * is looked at after a block.
 */
#define ROWS(row)                                                                          \
    row("look-up-in-order",        look_up_in_order,        ALL / 4, 0, NONE, NONE, 0, 0)  \
    row("look-up",                 look_up,                 ALL / 4, 1, NONE, NONE, 0, 0)  \
    row("look-up-blocks",          look_up_blocks,          ALL / 4, 1, NONE, NONE, 0, 0)  \
    row("page-and-reference",      page_and_reference,      ALL / 16, 1, NONE, NONE, 0, 0) \
    row("page-and-reference-near", page_and_reference_near, ALL / 4, 1, NONE, NONE, 0, 0)  \
    row("buffer",                  buffer,                  ALL / 16, 1, NONE, NONE, 0, 0) \
    row("buffer-near",             buffer_near,             ALL / 4, 1, NONE, NONE, 0, 0)  \
    row("fault-on-valid",          fault_on_valid,          ALL / 4, 1, NONE, NONE, 0, 0)  \
    row("map",                     map,                     ALL, 0, NONE, PAGES, 0, 1)     \
    row("unmap",                   unmap,                   ALL, 0, PAGES, NONE, 0, 1)     \
    row("map-and-unmap",           map_and_unmap,           ALL / 4, 1, NONE, NONE, 0, 1)  \
    row("map-in-one-call",         map_in_one_call,         ALL, 0, NONE, ONE_CALL, 0, 1)  \
    row("unmap-in-one-call",       unmap_in_one_call,       ALL, 0, ONE_CALL, NONE, 0, 1)  \
    row("access-in-one-call",      access_in_one_call,      2 * ALL, 0, NONE, NONE, 0, 1)  \
    row("access-of-a-page",        access_of_a_page,        ALL / 16, 0, NONE, NONE, 0, 1) \
    row("get-access",              get_access,              ALL / 4, 1, NONE, NONE, 1, 1)

#define ROW(name, f, operations, threads, before, after, restricted, looked_at) \
    { name, operations, threads },
const struct native_row native_rows[] = { ROWS(ROW) };
#undef ROW
const unsigned int native_nr_rows = ARRAY_SIZE(native_rows);

#define ROW(name, f, operations, threads, before, after, restricted, looked_at) \
    { { c_row_ ## f, rust_row_ ## f }, before, after, restricted, looked_at },
static const struct {
    body *body[2];
    enum state before, after;
    bool restricted, looked_at;
} bodies[] = { ROWS(ROW) };
#undef ROW

/* PAR_EL1 of the guest's pages, with the attributes of its RAM. */
static uint64_t pars[2][NATIVE_RAM];

static void translate(int side)
{
    unsigned long i, ram = native_ram(side, NATIVE_PAGES);

    for ( i = 0; !pars[side][NATIVE_RAM - 1] && i < NATIVE_RAM; i++ )
        pars[side][i] = ((ram + (i ^ 1)) << PAGE_SHIFT) | (0xffUL << 56) |
                        (1UL << 11) | (3UL << 7);
    native_par = pars[side];
    native_pars = NATIVE_RAM;
}

/* Maps or unmaps so many pages. */
static void bring(int side, enum state state, bool mapped, unsigned long pages)
{
    static body *const how[2][2][2] = {
        { { c_row_unmap, c_row_map }, { c_row_unmap_in_one_call, c_row_map_in_one_call } },
        { { rust_row_unmap, rust_row_map },
          { rust_row_unmap_in_one_call, rust_row_map_in_one_call } },
    };
    struct native_answer answer;

    if ( state == NONE )
        return;
    how[side][state == ONE_CALL][mapped](0, pages, &answer);
    if ( answer.good != pages )
        native_stop("what a row begins with cannot be made");
}

void native_before(unsigned int row, int side, unsigned long operations)
{
    static struct {
        enum state state;
        unsigned long pages;
        bool restricted;
    } now[2];
    struct domain *d = native_domains[side][NATIVE_ACCESS];
    bool restricted = bodies[row].restricted;

    native_run(side);
    translate(side);
    if ( now[side].state != bodies[row].before ||
         now[side].pages != operations )
    {
        bring(side, now[side].state, false, now[side].pages);
        bring(side, bodies[row].before, true, operations);
    }
    now[side].state = bodies[row].after;
    now[side].pages = operations;
    if ( now[side].restricted != restricted &&
         BY(side, p2m_set_mem_access)(d, _gfn(0), NATIVE_RAM, 0, ~0U,
                                      restricted ? XENMEM_access_rx : XENMEM_access_rwx,
                                      0) )
        native_stop("the access cannot be set");
    now[side].restricted = restricted;
}

void native_block(unsigned int row, int side, unsigned int thread,
                  unsigned long operations, struct native_answer *answer)
{
    bodies[row].body[side](thread, operations, answer);
}

/*
 * What the tables say after a block that may have changed them: how each page
 * is mapped of the domain that is for that, and what the access is of each.
 */
void native_after(unsigned int row, int side, struct native_answer *answer)
{
    struct domain *mapped = native_domains[side][NATIVE_EMPTY];
    struct domain *restricted = native_domains[side][NATIVE_ACCESS];
    const unsigned long ram = native_ram(side, NATIVE_EMPTY);
    const xenmem_access_t wanted = bodies[row].restricted ? XENMEM_access_rx
                                                          : XENMEM_access_rwx;
    unsigned long i;

    for ( i = 0; bodies[row].looked_at && i < NATIVE_RAM; i++ )
    {
        xenmem_access_t access = XENMEM_access_default;
        p2m_type_t t;
        mfn_t mfn = BY(side, p2m_lookup)(mapped, _gfn(i), &t);

        answer->hash = answer->hash * 31 + t;
        if ( !mfn_eq(mfn, INVALID_MFN) )
            answer->hash += (mfn_x(mfn) - ram) << 8;
        if ( BY(side, p2m_get_mem_access)(restricted, _gfn(i), &access, 0) ||
             access != wanted )
            answer->good = 0;
    }
}

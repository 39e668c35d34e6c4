// SPDX-License-Identifier: GPL-2.0-only
// One instruction at a time without a single step of the hardware's: by two views. In the one the page with the code
// has an SMC at the instruction that is due, in the other at the one that follows; in either the rest is the code. The
// answer to the SMC's event is the other view. Meanwhile another CPU executes the same code in view 0, and stops nowhere.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "views.h"

#define CODE BLOCK(0)
#define DATA BLOCK(1)
// The page with the code, as the two views show it.
#define COPY(n) (NEW_FRAME + (n))

#define SMC 0xd4000003U
#define RET 0xd65f03c0U

// What there is of branches, an exclusive sequence, and a loop. Counts at DATA, which the argument is added to at the end.
asm(".pushsection .rodata\n"
    "    .balign 4\n"
    "    .globl stepped_code, stepped_end\n"
    "stepped_code:\n"
    "    add     x0, x0, #1\n"
    "    tbz     x0, #0, 1f\n"
    "    add     x0, x0, #16\n"
    "1:  cmp     x0, #20\n"
    "    b.ne    2f\n"
    "    add     x0, x0, #1000\n"
    "2:  movz    x1, #0x4320, lsl #16\n"
    "3:  ldxr    x2, [x1]\n"
    "    add     x2, x2, #1\n"
    "    stxr    w3, x2, [x1]\n"
    "    cbnz    w3, 3b\n"
    "    mov     x4, #3\n"
    "4:  sub     x4, x4, #1\n"
    "    cbnz    x4, 4b\n"
    "    b       5f\n"
    "    mov     x0, #0\n"
    "5:  tbnz    x0, #40, 6f\n"
    "    cbz     x4, 7f\n"
    "6:  mov     x0, #0\n"
    "7:  ret\n"
    "stepped_end:\n"
    ".popsection\n");
extern const uint32_t stepped_code[], stepped_end[];

// The same in C.
static uint64_t result(uint64_t x)
{
    x += 1;
    x += x & 1 ? 16 : 0;
    return x == 20 ? x + 1000 : x;
}

static unsigned int length(void)
{
    return (unsigned int)(stepped_end - stepped_code);
}

static int64_t offset(uint32_t instruction, unsigned int low, unsigned int bits)
{
    return (int64_t)((uint64_t)instruction << (64 - low - bits)) >> (64 - bits);
}

// Where it may go from an instruction: one or two places. An exclusive sequence is one: an exception between its load
// and its store makes the store fail, and so it would never end.
static unsigned int followers(unsigned int at, unsigned int next[2])
{
    uint32_t it = stepped_code[at];

    next[0] = at + 1;
    // B
    if ( (it & 0xfc000000U) == 0x14000000U )
    {
        next[0] = (unsigned int)(at + offset(it, 0, 26));
        return 1;
    }
    // B.cond, CBZ and CBNZ
    if ( (it & 0xff000010U) == 0x54000000U || (it & 0x7e000000U) == 0x34000000U )
    {
        next[1] = (unsigned int)(at + offset(it, 5, 19));
        return 2;
    }
    // TBZ and TBNZ
    if ( (it & 0x7e000000U) == 0x36000000U )
    {
        next[1] = (unsigned int)(at + offset(it, 5, 14));
        return 2;
    }
    // LDXR: behind the CBNZ that is behind the STXR
    if ( (it & 0xbffffc00U) == 0x885f7c00U )
    {
        while ( (stepped_code[at] & 0xbfe0fc00U) != 0x88007c00U )
            at++;
        next[0] = at + 2;
    }
    return 1;
}

// What a view shows: the code, with these places replaced. The view must be one that no vCPU is in, or its vCPU waits.
static void show(unsigned int copy, unsigned int count, const unsigned int places[])
{
    uint32_t code[64];

    memcpy(code, stepped_code, length() * sizeof(*code));
    for ( unsigned int i = 0; i < count; i++ )
        code[places[i]] = SMC;
    put_code(COPY(copy), code, length() * sizeof(*code));
}

static uint16_t views[2];
static unsigned long steps;

// The SMC of CPU 0 in a view; where.
static unsigned int next_place(vm_event_request_t *event, unsigned int in)
{
    next_smc(event, 0, views[in]);
    steps++;
    return (unsigned int)((event->data.regs.arm.pc - ADDRESS(CODE)) / 4);
}

// A whole call by steps, from its first instruction in view 0 of the two.
static void step_through(uint64_t argument)
{
    vm_event_request_t event;
    unsigned int in = 0, places[2] = { 0, 0 }, count = 1, at;

    show(in, count, places);
    order(0, ORDER_CALL, ADDRESS(CODE), argument);
    do
    {
        at = next_place(&event, in);
        if ( !expect(at == places[0] || (count == 2 && at == places[1]), "an SMC at %u, not at %u or %u", at, places[0],
                     places[1]) )
            break;
        in = 1 - in;
        count = stepped_code[at] == RET ? 0 : followers(at, places);
        show(in, count, places);
        answer_in(&event, views[in]);
    } while ( count != 0 );
    expect(result_of(0) == result(argument), "the result is %" PRIu64, result_of(0));
    // The next call begins in the first view.
    if ( in != 0 )
        move(0, views[0]);
}

// Between load and store: however often it is tried, the store fails, and the word stays.
static unsigned long step_inside(unsigned long tries)
{
    vm_event_request_t event;
    unsigned int load = 0, in = 0, at;
    uint64_t before = word_of(DATA, 0);
    unsigned long failed = 0;

    while ( (stepped_code[load] & 0xbffffc00U) != 0x885f7c00U )
        load++;
    // In the one view at the ADD behind the load, in the other at the CBNZ, which would be left if the store had been.
    show(0, 1, (const unsigned int[]){ load + 1 });
    show(1, 2, (const unsigned int[]){ load + 3, load + 4 });
    order(0, ORDER_CALL, ADDRESS(CODE), 0);
    for ( ; failed < tries; failed++ )
    {
        at = next_place(&event, in);
        if ( !expect(at == load + 1, "an SMC at %u, not at %u", at, load + 1) )
            break;
        answer_in(&event, views[1]);
        at = next_place(&event, 1);
        if ( at != load + 3 || word_of(DATA, 0) != before )
            break;
        answer_in(&event, views[0]);
    }
    // As one, it gets on.
    next_place(&event, 0);
    show(0, 0, NULL);
    show(1, 0, NULL);
    answer_in(&event, views[0]);
    expect(result_of(0) == result(0), "the result is %" PRIu64, result_of(0));
    return failed;
}

void views_step(unsigned long calls)
{
    unsigned long others = 0, inside;

    if ( xc_monitor_privileged_call(monitor.xc, monitor.domain, true) )
        die("xc_monitor_privileged_call");
    set_word(DATA, 0, 0);
    put_code(CODE, stepped_code, length() * sizeof(*stepped_code));
    set_enabled(true);
    for ( unsigned int i = 0; i < 2; i++ )
    {
        populate(COPY(i));
        views[i] = new_view(XENMEM_access_rwx);
        show(i, 0, NULL);
        change_frame(views[i], CODE, COPY(i));
    }
    move(0, views[0]);
    for ( unsigned long n = 0; n < calls; n++ )
    {
        // Arguments that take each of the branches.
        order(1, ORDER_CALL, ADDRESS(CODE), n);
        step_through(n % 8 == 7 ? 19 : n % 8);
        expect(result_of(1) == result(n), "the other's result is %" PRIu64, result_of(1));
        others++;
    }
    expect(word_of(DATA, 0) == calls + others, "%" PRIu64 " were counted, not %lu", word_of(DATA, 0), calls + others);
    inside = step_inside(16);
    switch_to(0);
    set_enabled(false);
    xc_monitor_privileged_call(monitor.xc, monitor.domain, false);
    value("steps", steps);
    value("calls", calls);
    value("inside", inside);
}

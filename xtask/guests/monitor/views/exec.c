// SPDX-License-Identifier: GPL-2.0-only
// A view in which everything may be executed and nothing else: what the guest reads and writes gives an event that names
// the view, and goes on in view 0, or once the page is opened in the view.

#include "views.h"

#define PAGE BLOCK(0)
#define WORD 0x100UL

// Returns 42.
static const uint32_t code[] = { 0xd2800540U, 0xd65f03c0U };

// Both CPUs execute the page: how many events of it there were.
static unsigned int both_execute(uint16_t view)
{
    unsigned int events = 0;
    unsigned long until = seconds() + PATIENCE / 1000;
    uint64_t frame = NO_FRAME;

    for ( unsigned int cpu = 0; cpu < ORDER_CPUS; cpu++ )
        order(cpu, ORDER_CALL, ADDRESS(PAGE), 0);
    while ( !(is_done(0) && is_done(1)) && seconds() < until )
        switch ( first_next(&monitor, view, &frame, 10) )
        {
        case 1:
            events += frame == PAGE;
            expect(frame != PAGE + 1, "nobody executes that page");
            break;
        case -1:
            die("first_next");
        }
    for ( unsigned int cpu = 0; cpu < ORDER_CPUS; cpu++ )
        expect(result_of(cpu) == 42, "the code is executed");
    return events;
}

// The monitor of docs/altp2m.md.
static void first_executions(void)
{
    unsigned int first, again;
    uint16_t view;

    if ( first_begin(&monitor, &view) )
        die("first_begin");
    first = both_execute(view);
    // Both may come to it before it is opened.
    expect(first == 1 || first == 2, "%u events of the page that both execute", first);
    again = both_execute(view);
    expect(again == 0, "%u events of a page that was executed before", again);
    expect(view_of(0) == view && view_of(1) == view, "vCPUs are in views %u and %u", view_of(0), view_of(1));
    if ( first_end(&monitor) )
        die("first_end");
}

void views_exec(void)
{
    const uint64_t word = 0x600df00d600df00dUL;
    vm_event_request_t event;
    uint16_t view;

    put_code(PAGE, code, sizeof(code));
    set_word(PAGE, WORD / 8, word);
    set_word(PAGE + 1, 0, word + 1);
    set_enabled(true);
    view = new_view(XENMEM_access_x);
    open_image(view);
    switch_to(view);
    expect(view_of(0) == view && view_of(1) == view, "vCPUs are in views %u and %u", view_of(0), view_of(1));
    for ( unsigned int cpu = 0; cpu < ORDER_CPUS; cpu++ )
        expect(have(cpu, ORDER_CALL, ADDRESS(PAGE), 0) == 42, "the code is executed");

    // Xen itself uses the guest's own page, whatever the view forbids the guest: no event.
    set_word(PAGE + 2, 0, 0);
    expect(have_text(0, ADDRESS(PAGE + 2)) == 0 && word_of(PAGE + 2, 0) != 0, "a hypercall to a page that is forbidden");

    // It reads where it may only execute: one event. In view 0 it goes on, and gives no more.
    order(0, ORDER_READ, ADDRESS(PAGE) + WORD, 0);
    if ( next_access(&event, 0, view, PAGE, MEM_ACCESS_R) )
        expect(event.u.mem_access.gla == ADDRESS(PAGE) + WORD && event.u.mem_access.offset == WORD, "another address");
    expect(!is_done(0), "the guest does not wait for the answer");
    answer_in(&event, 0);
    expect(result_of(0) == word, "the guest reads something else");
    expect(view_of(0) == 0 && view_of(1) == view, "vCPUs are in views %u and %u", view_of(0), view_of(1));
    have(0, ORDER_WRITE, ADDRESS(PAGE) + WORD, word + 2);
    expect(have(0, ORDER_CALL, ADDRESS(PAGE), 0) == 42, "the code is executed");

    // The other, which stays in the view; the page is opened there.
    order(1, ORDER_WRITE, ADDRESS(PAGE) + WORD, word + 3);
    next_access(&event, 1, view, PAGE, MEM_ACCESS_W);
    expect(word_of(PAGE, WORD / 8) == word + 2, "what is not allowed has happened");
    set_access(view, PAGE, XENMEM_access_rwx);
    answer_in(&event, view);
    result_of(1);
    expect(word_of(PAGE, WORD / 8) == word + 3 && view_of(1) == view, "what is allowed has not happened");
    expect(have(1, ORDER_READ, ADDRESS(PAGE) + WORD, 0) == word + 3, "the guest reads something else");
    expect(view_access_of(view, PAGE) == XENMEM_access_rwx && view_access_of(view, PAGE + 1) == XENMEM_access_x &&
           view_access_of(0, PAGE) == XENMEM_access_rwx, "accesses");
    order(1, ORDER_READ, ADDRESS(PAGE + 1), 0);
    next_access(&event, 1, view, PAGE + 1, MEM_ACCESS_R);
    answer_in(&event, 0);
    expect(result_of(1) == word + 1, "the guest reads something else");

    // An access of a page, and both back.
    set_access(view, PAGE, XENMEM_access_rw);
    switch_to(view);
    order(0, ORDER_CALL, ADDRESS(PAGE), 0);
    next_access(&event, 0, view, PAGE, MEM_ACCESS_X);
    // A view that there is not: it is as if none were named.
    set_access(view, PAGE, XENMEM_access_rwx);
    answer_in(&event, 7);
    expect(result_of(0) == 42, "the code is executed");
    expect(view_of(0) == view, "vCPU 0 is in view %u", view_of(0));

    // A restriction of view 0 is view 0's.
    set_access(0, PAGE, XENMEM_access_n);
    expect(have(0, ORDER_READ, ADDRESS(PAGE) + WORD, 0) == word + 3, "the guest reads something else");
    switch_to(0);
    order(0, ORDER_READ, ADDRESS(PAGE) + WORD, 0);
    next_access(&event, 0, 0, PAGE, MEM_ACCESS_R);
    answer_in(&event, view);
    expect(result_of(0) == word + 3, "the guest reads something else");
    set_access(0, PAGE, XENMEM_access_rwx);
    set_enabled(false);
    first_executions();
    value("code", have(0, ORDER_CALL, ADDRESS(PAGE), 0));
}

// SPDX-License-Identifier: GPL-2.0-only
// monitor views-KIND ID [N]: which, and what they have in common.

#include <stdio.h>
#include <string.h>
#include "views.h"

// A guest that knows nothing of it runs in a view that allows everything: with its memory copied as it is used, and moved
// between two views and the host's now and then.
static void views_linux(unsigned long length)
{
    unsigned long until = seconds() + length, switches = 0;
    vm_event_request_t event;
    uint16_t views[2];

    set_enabled(true);
    for ( unsigned int i = 0; i < 2; i++ )
        views[i] = new_view(XENMEM_access_rwx);
    // On a slow machine as often as on another.
    while ( (seconds() < until || switches < 8) && !stopped )
    {
        static const unsigned int turns[] = { 0, 1, 2, 1 };
        unsigned int turn = turns[switches % 4];

        switch_to(turn == 0 ? views[0] : turn == 1 ? views[1] : 0);
        switches++;
        // Nothing is restricted.
        if ( monitor_next(&monitor, &event, 500) == 1 )
        {
            expect(false, "an event of reason %u for frame %lx", event.reason, event.u.mem_access.gfn);
            answer_in(&event, 0);
        }
    }
    switch_to(views[0]);
    // To the end of the program it is in the view; then all is switched off under it.
    nap(2000);
    for ( unsigned int cpu = 0; cpu < 2; cpu++ )
        expect(view_of(cpu) == views[0], "vCPU %u is in view %u and not in %u", cpu, view_of(cpu), views[0]);
    set_enabled(false);
    // monitor_close would answer what has come meanwhile, and say nothing.
    while ( monitor_next(&monitor, &event, 1000) == 1 )
    {
        expect(false, "an event of reason %u for frame %lx at the end", event.reason, event.u.mem_access.gfn);
        monitor_answer(&monitor, &event);
    }
    value("switches", switches);
}

// false: there is no such kind. The guest has gone after the last one.
bool do_views(const char *kind, unsigned long n, bool *gone)
{
    *gone = false;
    if ( !strcmp(kind, "linux") )
        views_linux(n);
    else if ( !strcmp(kind, "off") )
        views_off();
    else
    {
        puppet_open();
        if ( !strcmp(kind, "ops") )
            views_ops();
        else if ( !strcmp(kind, "exec") )
            views_exec();
        else if ( !strcmp(kind, "shadow") )
            views_shadow(n);
        else if ( !strcmp(kind, "cycle") )
            views_cycle(n);
        else if ( !strcmp(kind, "step") )
            views_step(n);
        else if ( !strcmp(kind, "stage1") )
            views_stage1(n);
        else if ( !strcmp(kind, "end") )
        {
            views_end(n);
            *gone = true;
        }
        else
            return false;
        if ( !*gone )
            puppet_close();
    }
    value("wrong", wrong);
    return true;
}

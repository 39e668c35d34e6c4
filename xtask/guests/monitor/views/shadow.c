// SPDX-License-Identifier: GPL-2.0-only
// A view shows other contents than the guest's own page: of another page of the guest's, and of one that was made for it.
// Undone, or when that page goes, the guest's own is there again.

#include "views.h"

#define OWN BLOCK(0)
#define SHADOW (BLOCK(1) + 1)

static const uint64_t own = 0x0111011101110111UL, shadow = 0x0222022202220222UL, made = 0x0333033303330333UL;

static void sees(unsigned int cpu, uint64_t frame, uint64_t wanted, const char *when)
{
    uint64_t seen = have(cpu, ORDER_READ, ADDRESS(frame), 0);

    expect(seen == wanted, "%s, CPU %u sees %lx at %lx", when, cpu, seen, frame);
}

// As monitors hide what they show: the page that is shown may be executed, and whoever reads there goes on in view 0, where
// the guest's own is. A frame takes the access of what it shows when it begins to show it; what is set for one of the two
// from then on is that one's.
static void hidden(uint16_t view)
{
    vm_event_request_t event;

    change_frame(view, OWN, SHADOW);
    set_access(view, SHADOW, XENMEM_access_n);
    sees(0, OWN, shadow, "restricted where it is the guest's");
    order(0, ORDER_READ, ADDRESS(SHADOW), 0);
    next_access(&event, 0, view, SHADOW, MEM_ACCESS_R);
    set_access(view, SHADOW, XENMEM_access_rwx);
    answer_in(&event, view);
    expect(result_of(0) == shadow, "the guest reads something else");

    set_access(view, OWN, XENMEM_access_x);
    sees(0, SHADOW, shadow, "restricted where it is shown");
    order(0, ORDER_READ, ADDRESS(OWN), 0);
    next_access(&event, 0, view, OWN, MEM_ACCESS_R);
    answer_in(&event, 0);
    expect(result_of(0) == own, "the guest reads what is hidden");
    move(0, view);
    set_access(view, OWN, XENMEM_access_rwx);
    sees(0, OWN, shadow, "opened where it is shown");
    expect(view_access_of(view, OWN) == XENMEM_access_rwx, "its access");
    change_frame(view, OWN, NO_FRAME);
    sees(0, OWN, own, "changed back");
}

static void round_of(uint16_t view)
{
    set_word(OWN, 0, own);
    set_word(OWN + 1, 0, own + 1);
    set_word(SHADOW, 0, shadow);

    // Another page of the guest's, for the CPU that is in the view.
    sees(0, OWN, own, "at first");
    change_frame(view, OWN, SHADOW);
    sees(0, OWN, shadow, "changed");
    sees(1, OWN, own, "changed");
    have(0, ORDER_WRITE, ADDRESS(OWN) + 8, shadow + 1);
    expect(word_of(SHADOW, 1) == shadow + 1 && word_of(OWN, 1) != shadow + 1, "the guest wrote to its own page");
    // Xen itself uses the guest's own page, whatever the view shows.
    set_word(OWN, 2, 0);
    set_word(SHADOW, 2, 0);
    expect(have_text(0, ADDRESS(OWN) + 16) == 0 && word_of(OWN, 2) != 0 && word_of(SHADOW, 2) == 0,
           "a hypercall to a page that is shown elsewhere: %lx, %lx", word_of(OWN, 2), word_of(SHADOW, 2));
    change_frame(view, OWN, NO_FRAME);
    sees(0, OWN, own, "changed back");

    hidden(view);

    // One that was made for it, for two of its pages; gone again, without a word to the view.
    populate(NEW_FRAME);
    set_word(NEW_FRAME, 0, made);
    change_frame(view, OWN, NEW_FRAME);
    change_frame(view, OWN + 1, NEW_FRAME);
    sees(0, OWN, made, "changed");
    sees(0, OWN + 1, made, "changed");
    sees(1, OWN + 1, own + 1, "changed");
    {
        xen_pfn_t frame = NEW_FRAME;

        if ( xc_domain_decrease_reservation_exact(monitor.xc, monitor.domain, 1, 0, &frame) )
            die("xc_domain_decrease_reservation_exact");
    }
    sees(0, OWN, own, "the source is gone");
    sees(0, OWN + 1, own + 1, "the source is gone");

    // The guest gives the source back to Xen: in the view, and from the other CPU.
    for ( unsigned int by = 0; by < 2; by++ )
    {
        long given;

        set_word(SHADOW, 0, shadow);
        change_frame(view, OWN, SHADOW);
        sees(0, OWN, shadow, "changed");
        given = give_back(by, SHADOW);
        expect(given == 1, "the guest could not give the source back: %ld", given);
        sees(0, OWN, own, by ? "the other gave the source back" : "it gave the source back");
        populate(SHADOW);
    }
}

void views_shadow(unsigned long rounds)
{
    uint16_t view;

    set_enabled(true);
    view = new_view(XENMEM_access_rwx);
    move(0, view);
    for ( unsigned long n = 0; n < rounds; n++ )
        round_of(view);
    expect(view_of(0) == view && view_of(1) == 0, "vCPUs are in views %u and %u", view_of(0), view_of(1));
    switch_to(0);
    drop_view(view);
    set_enabled(false);
    value("rounds", rounds);
}

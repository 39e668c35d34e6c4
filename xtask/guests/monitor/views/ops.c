// SPDX-License-Identifier: GPL-2.0-only
// Each operation of HVMOP_altp2m with each input that must be refused, and why: docs/altp2m.md has the list. By dom0, and
// by the guest itself, which may do nothing.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "views.h"
#include <xen/hvm/params.h>

#define ACCESS_BAD (XENMEM_access_default + 1)
#define HOLE NEW_FRAME
#define PAGE BLOCK(0)
#define FIRST_BAD_COMMAND 17

// Before the operation itself is looked at.
static void before_the_operation(void)
{
    xen_hvm_altp2m_op_t op = OP(get_domain_state);

    op.version = 0;
    try(EINVAL, "version 0", op);
    op.version = HVMOP_ALTP2M_INTERFACE_VERSION + 1;
    try(EINVAL, "version 2", op);
    try(EINVAL, "pad1", OP(get_domain_state, .pad1 = 1));
    try(EINVAL, "pad2", OP(get_domain_state, .pad2 = 1));
    for ( unsigned int command = 0; command < 2; command++ )
    {
        op = OP(get_domain_state);
        op.cmd = command == 0 ? 0 : FIRST_BAD_COMMAND;
        try(EOPNOTSUPP, "a command that there is not", op);
        // The domain is looked for later.
        op.domain = 0x7000;
        try(EOPNOTSUPP, "neither the command nor the domain", op);
        op.pad1 = 1;
        try(EINVAL, "neither, and pad1", op);
    }
    op = OP(get_domain_state);
    op.domain = 0x7000;
    try(ESRCH, "a domain that there is not", op);
}

// All 16, each as it would be right.
static xen_hvm_altp2m_op_t right(unsigned int command)
{
    xen_hvm_altp2m_op_t op = OP(get_domain_state);

    op.cmd = command;
    switch ( command )
    {
    case HVMOP_altp2m_set_domain_state: op.u.domain_state.state = 1; break;
    case HVMOP_altp2m_create_p2m: op.u.view.hvmmem_default_access = XENMEM_access_rwx; break;
    case HVMOP_altp2m_destroy_p2m: op.u.view.view = 1; break;
    case HVMOP_altp2m_set_mem_access:
        op.u.mem_access.view = 1;
        op.u.mem_access.access = XENMEM_access_rwx;
        op.u.mem_access.gfn = PAGE;
        break;
    case HVMOP_altp2m_change_gfn:
        op.u.change_gfn.view = 1;
        op.u.change_gfn.old_gfn = PAGE;
        op.u.change_gfn.new_gfn = NO_FRAME;
        break;
    case HVMOP_altp2m_get_mem_access:
        op.u.mem_access.view = 1;
        op.u.mem_access.gfn = PAGE;
        break;
    case HVMOP_altp2m_set_visibility:
        op.u.set_visibility.altp2m_idx = 1;
        op.u.set_visibility.visible = 1;
        break;
    }
    return op;
}

static bool is_state(unsigned int command)
{
    return command == HVMOP_altp2m_get_domain_state || command == HVMOP_altp2m_set_domain_state;
}

// No guest may do any of it, whomever it names: A19. Whether views are switched on is looked at before.
static void by_the_guest(bool enabled)
{
    for ( unsigned int command = 1; command <= FIRST_BAD_COMMAND; command++ )
    {
        const domid_t named[] = { DOMID_SELF, (domid_t)monitor.domain, 0, 0x7000 };

        for ( unsigned int i = 0; i < 4; i++ )
        {
            xen_hvm_altp2m_op_t op = right(command);
            long wanted = command == FIRST_BAD_COMMAND ? EOPNOTSUPP : i == 3 ? ESRCH :
                // dom0 has no views: that is said to all.
                i == 2 ? (is_state(command) ? EINVAL : EOPNOTSUPP) :
                enabled || is_state(command) ? EPERM : EOPNOTSUPP;
            long rc;

            op.domain = named[i];
            // One CPU and the other, which may be in different views.
            rc = by_guest(command & 1, op);
            expect(rc == -wanted, "the guest's operation %u on domain %u: %ld, and not %ld", command, named[i], rc,
                   -wanted);
        }
    }
    expect(by_guest(0, OP(create_p2m, .pad1 = 1)) == -EINVAL, "the guest's operation with pad1");
}

// Of a domain that cannot have views, or whose views are off.
static void all_refused(bool possible)
{
    for ( unsigned int command = 1; command < FIRST_BAD_COMMAND; command++ )
        if ( !is_state(command) )
            try(EOPNOTSUPP, possible ? "off" : "never", right(command));
        else if ( !possible )
            try(EINVAL, "the state of a domain without views", right(command));
}

static void create_and_destroy(void)
{
    try(EINVAL, "create: access", OP(create_p2m, .u.view.hvmmem_default_access = ACCESS_BAD));
    try(EINVAL, "create: access", OP(create_p2m, .u.view.hvmmem_default_access = 0xffff));
    try_addresses();
    // The lowest number that is free; after an error nothing is left, so that all nine are there.
    for ( unsigned int n = 1; n < VIEWS; n++ )
        expect(try(0, "create", OP(create_p2m, .u.view.hvmmem_default_access = XENMEM_access_rwx)).u.view.view == n,
               "a view has not the number %u", n);
    try(EINVAL, "create: one too many", OP(create_p2m, .u.view.hvmmem_default_access = XENMEM_access_rwx));
    try(0, "destroy", OP(destroy_p2m, .u.view.view = 4));
    try(EBUSY, "destroy: again", OP(destroy_p2m, .u.view.view = 4));
    expect(try(0, "create", OP(create_p2m, .u.view.hvmmem_default_access = XENMEM_access_default)).u.view.view == 4,
           "not the lowest number");
    for ( unsigned int n = 3; n < VIEWS; n++ )
        try(0, "destroy", OP(destroy_p2m, .u.view.view = (uint16_t)n));
    try(EBUSY, "destroy: view 0", OP(destroy_p2m, .u.view.view = 0));
    try(EBUSY, "destroy: none", OP(destroy_p2m, .u.view.view = 5));
    try(EBUSY, "destroy: the first that cannot be", OP(destroy_p2m, .u.view.view = VIEWS));
    try(EBUSY, "destroy: 0xffff", OP(destroy_p2m, .u.view.view = 0xffff));
}

static void switching(void)
{
    try(EINVAL, "switch: none", OP(switch_p2m, .u.view.view = 5));
    try(EINVAL, "switch: the first that cannot be", OP(switch_p2m, .u.view.view = VIEWS));
    try(EINVAL, "switch: 0xffff", OP(switch_p2m, .u.view.view = 0xffff));
    try(EINVAL, "visibility: none", OP(set_visibility, .u.set_visibility.altp2m_idx = 5));
    try(EINVAL, "visibility: too high", OP(set_visibility, .u.set_visibility.altp2m_idx = VIEWS));
    try(EINVAL, "visibility: pad", OP(set_visibility, .u.set_visibility = { 1, 0, 1 }));
    try(0, "visibility: hidden", OP(set_visibility, .u.set_visibility = { 1, 0, 0 }));
    try(EINVAL, "switch: hidden", OP(switch_p2m, .u.view.view = 1));
    try(0, "visibility: shown", OP(set_visibility, .u.set_visibility = { 1, 1, 0 }));
    try(0, "switch", OP(switch_p2m, .u.view.view = 1));
    for ( unsigned int cpu = 0; cpu < ORDER_CPUS; cpu++ )
        expect(try(0, "index", OP(get_p2m_idx, .u.get_vcpu_p2m_idx.vcpu_id = cpu)).u.get_vcpu_p2m_idx.altp2m_idx == 1,
               "vCPU %u is not in view 1", cpu);
    try(EINVAL, "index: no such vCPU", OP(get_p2m_idx, .u.get_vcpu_p2m_idx.vcpu_id = ORDER_CPUS));
    try(EINVAL, "index: no such vCPU", OP(get_p2m_idx, .u.get_vcpu_p2m_idx.vcpu_id = ~0U));
    try(EBUSY, "destroy: vCPUs are in it", OP(destroy_p2m, .u.view.view = 1));
    // Hidden under its vCPUs: they stay.
    try(0, "visibility: hidden", OP(set_visibility, .u.set_visibility = { 1, 0, 0 }));
    have(0, ORDER_READ, ADDRESS(PAGE), 0);
    try(0, "visibility: shown", OP(set_visibility, .u.set_visibility = { 1, 1, 0 }));
    by_the_guest(true);
    try(0, "switch", OP(switch_p2m, .u.view.view = 0));
}

#define ACCESS(v, p, a, g) .u.mem_access = { .view = (v), .pad = (p), .access = (a), .gfn = (g) }

static void accesses(void)
{
    const int rwx = XENMEM_access_rwx;

    try(EINVAL, "set: pad", OP(set_mem_access, ACCESS(1, 1, rwx, PAGE)));
    try(EINVAL, "set: no view", OP(set_mem_access, ACCESS(5, 0, rwx, PAGE)));
    try(EINVAL, "set: no view", OP(set_mem_access, ACCESS(0xffff, 0, rwx, PAGE)));
    try(EINVAL, "set: access", OP(set_mem_access, ACCESS(1, 0, ACCESS_BAD, PAGE)));
    try(EINVAL, "set: access", OP(set_mem_access, ACCESS(1, 0, 0xffff, PAGE)));
    try(EINVAL, "set: the default of a view", OP(set_mem_access, ACCESS(1, 0, rwx, NO_FRAME)));
    try(0, "set: the default of all", OP(set_mem_access, ACCESS(0, 0, rwx, NO_FRAME)));
    try(0, "set: nothing is mapped there", OP(set_mem_access, ACCESS(1, 0, rwx, HOLE)));
    try(0, "set", OP(set_mem_access, ACCESS(1, 0, XENMEM_access_r, PAGE)));
    try(0, "set", OP(set_mem_access, ACCESS(0, 0, XENMEM_access_rx, PAGE)));
    try(EINVAL, "get: pad", OP(get_mem_access, ACCESS(1, 1, 0, PAGE)));
    try(EINVAL, "get: no view", OP(get_mem_access, ACCESS(5, 0, 0, PAGE)));
    try(EINVAL, "get: no view", OP(get_mem_access, ACCESS(VIEWS, 0, 0, PAGE)));
    try(ESRCH, "get: nothing is mapped there", OP(get_mem_access, ACCESS(1, 0, 0, HOLE)));
    try(ESRCH, "get: no such frame", OP(get_mem_access, ACCESS(1, 0, 0, 1UL << 50)));
    for ( unsigned int i = 0; i < 4; i++ )
    {
        // What was set in either, what was never used in the view, the view's default.
        const uint16_t views[] = { 1, 0, 1, 1 };
        const uint64_t frames[] = { PAGE, PAGE, PAGE + 1, NO_FRAME };
        const uint16_t wanted[] = { XENMEM_access_r, XENMEM_access_rx, XENMEM_access_rwx, XENMEM_access_rwx };

        expect(try(0, "get", OP(get_mem_access, ACCESS(views[i], 0, 0, frames[i]))).u.mem_access.access == wanted[i],
               "view %u has another access for %lx", views[i], frames[i]);
    }
    try(0, "set", OP(set_mem_access, ACCESS(0, 0, rwx, PAGE)));
    try(0, "set", OP(set_mem_access, ACCESS(1, 0, rwx, PAGE)));
}

static xen_hvm_altp2m_op_t many(uint16_t view, uint16_t pad, uint32_t count, uint64_t from, const uint64_t *frames,
                                const uint8_t *accesses)
{
    xen_hvm_altp2m_op_t op = OP(set_mem_access_multi);
    struct xen_hvm_altp2m_set_mem_access_multi *it = &op.u.set_mem_access_multi;

    it->view = view;
    it->pad = pad;
    it->nr = count;
    it->opaque = from;
    set_xen_guest_handle_raw(it->pfn_list, frames);
    set_xen_guest_handle_raw(it->access_list, accesses);
    return op;
}

static void many_accesses(void)
{
    // Of this process, and there, when Xen copies from them: they are used just before.
    static uint64_t frames[200];
    static uint8_t list[200];
    uint64_t *const nowhere = (uint64_t *)8;

    for ( unsigned int i = 0; i < 200; i++ )
    {
        frames[i] = PAGE + i;
        list[i] = XENMEM_access_r;
    }
    try(EINVAL, "multi: pad", many(1, 1, 200, 0, frames, list));
    try(EINVAL, "multi: no view", many(5, 0, 200, 0, frames, list));
    try(EINVAL, "multi: begins behind its end", many(1, 0, 200, 201, frames, list));
    try(EINVAL, "multi: begins far away", many(1, 0, 200, 1UL << 40, frames, list));
    try(EFAULT, "multi: no frames", many(1, 0, 200, 0, nowhere, list));
    try(EFAULT, "multi: no accesses", many(1, 0, 200, 0, frames, (uint8_t *)nowhere));
    try(0, "multi: none", many(1, 0, 0, 0, nowhere, (uint8_t *)nowhere));
    expect(view_access_of(1, PAGE) == XENMEM_access_rwx, "a call that was refused has set an access");
    // What comes before the bad one stays.
    list[150] = 200;
    try(EINVAL, "multi: access", many(1, 0, 200, 0, frames, list));
    expect(view_access_of(1, PAGE + 149) == XENMEM_access_r && view_access_of(1, PAGE + 150) == XENMEM_access_rwx &&
           view_access_of(1, PAGE + 151) == XENMEM_access_rwx, "what a call that stopped in the middle has set");
    list[150] = XENMEM_access_r;
    // From the middle on, as a call that is continued.
    try(0, "multi: from the middle", many(1, 0, 200, 160, frames, list));
    expect(view_access_of(1, PAGE + 159) == XENMEM_access_rwx && view_access_of(1, PAGE + 160) == XENMEM_access_r,
           "a call from the middle on");
    frames[3] = HOLE;
    try(0, "multi", many(1, 0, 200, 0, frames, list));
    expect(view_access_of(1, PAGE + 199) == XENMEM_access_r && view_access_of(0, PAGE + 199) == XENMEM_access_rwx,
           "what a whole call has set");
}

#define CHANGE(v, a, b, o, n) .u.change_gfn = { .view = (v), .pad1 = (a), .pad2 = (b), .old_gfn = (o), .new_gfn = (n) }

static void changes(void)
{
    try(EINVAL, "change: pad1", OP(change_gfn, CHANGE(1, 1, 0, PAGE, NO_FRAME)));
    try(EINVAL, "change: pad2", OP(change_gfn, CHANGE(1, 0, 1, PAGE, NO_FRAME)));
    try(EINVAL, "change: no view", OP(change_gfn, CHANGE(5, 0, 0, PAGE, NO_FRAME)));
    try(EINVAL, "change: view 0", OP(change_gfn, CHANGE(0, 0, 0, PAGE, PAGE + 1)));
    try(EINVAL, "change: view 0", OP(change_gfn, CHANGE(0, 0, 0, PAGE, NO_FRAME)));
    try(ESRCH, "change: to a hole", OP(change_gfn, CHANGE(1, 0, 0, PAGE, HOLE)));
    try(ESRCH, "change: of a hole", OP(change_gfn, CHANGE(1, 0, 0, HOLE, PAGE)));
    try(ESRCH, "change: to no frame", OP(change_gfn, CHANGE(1, 0, 0, PAGE, 1UL << 50)));
    try(ESRCH, "change: of no frame", OP(change_gfn, CHANGE(1, 0, 0, 1UL << 50, PAGE)));
    try(0, "change: back, of a frame that never was", OP(change_gfn, CHANGE(1, 0, 0, PAGE + 2, NO_FRAME)));
    try(0, "change", OP(change_gfn, CHANGE(1, 0, 0, PAGE, BLOCK(1))));
    try(0, "change: back", OP(change_gfn, CHANGE(1, 0, 0, PAGE, NO_FRAME)));
}

#define NOTIFY(v, p) .u.enable_notify = { .vcpu_id = (v), .pad = (p), .gfn = PAGE }

// What makes no sense here: a virtualisation exception of x86's.
static void not_on_arm(void)
{
    try(EINVAL, "notify: pad", OP(vcpu_enable_notify, NOTIFY(0, 1)));
    try(EINVAL, "notify: no such vCPU", OP(vcpu_enable_notify, NOTIFY(ORDER_CPUS, 0)));
    try(EINVAL, "notify: no such vCPU", OP(vcpu_disable_notify, .u.disable_notify.vcpu_id = ORDER_CPUS));
    try(EOPNOTSUPP, "notify", OP(vcpu_enable_notify, NOTIFY(0, 0)));
    try(EOPNOTSUPP, "notify", OP(vcpu_disable_notify, .u.disable_notify.vcpu_id = 0));
    try(EOPNOTSUPP, "suppress", OP(set_suppress_ve, .u.suppress_ve = { .view = 1, .gfn = PAGE }));
    try(EOPNOTSUPP, "suppress", OP(get_suppress_ve, .u.suppress_ve = { .view = 1, .gfn = PAGE }));
    try(EOPNOTSUPP, "suppress", OP(set_suppress_ve_multi, .u.suppress_ve_multi = { .view = 1 }));
}

void views_ops(void)
{
    uint64_t mode = 0;

    expect(xc_hvm_param_get(monitor.xc, monitor.domain, HVM_PARAM_ALTP2M, &mode) == 0 && mode == XEN_ALTP2M_external,
           "HVM_PARAM_ALTP2M is %lu", mode);
    expect(xc_hvm_param_set(monitor.xc, monitor.domain, HVM_PARAM_ALTP2M, XEN_ALTP2M_mixed) != 0 && errno == EEXIST,
           "HVM_PARAM_ALTP2M can be set: %d", errno);
    before_the_operation();
    expect(try(0, "state", OP(get_domain_state)).u.domain_state.state == 0, "views are on from the beginning");
    all_refused(true);
    by_the_guest(false);
    try(0, "on", OP(set_domain_state, .u.domain_state.state = 1));
    try(0, "on again", OP(set_domain_state, .u.domain_state.state = 255));
    expect(try(0, "state", OP(get_domain_state)).u.domain_state.state == 1, "views are not on");
    before_the_operation();
    create_and_destroy();
    switching();
    accesses();
    many_accesses();
    changes();
    not_on_arm();
    // With two views, and a vCPU in one.
    try(0, "switch", OP(switch_p2m, .u.view.view = 2));
    try(0, "off", OP(set_domain_state, .u.domain_state.state = 0));
    try(0, "off again", OP(set_domain_state, .u.domain_state.state = 0));
    expect(try(0, "state", OP(get_domain_state)).u.domain_state.state == 0, "views are not off");
    all_refused(true);
    by_the_guest(false);
    have(0, ORDER_READ, ADDRESS(PAGE), 0);
    // Nothing of before comes back.
    try(0, "on", OP(set_domain_state, .u.domain_state.state = 1));
    expect(view_of(0) == 0 && view_of(1) == 0, "a vCPU is in a view of before");
    try(EINVAL, "switch: of before", OP(switch_p2m, .u.view.view = 2));
    expect(new_view(XENMEM_access_rwx) == 1, "a view of before is there");
    try(0, "off", OP(set_domain_state, .u.domain_state.state = 0));
    value("tried", tried);
}

// A guest that was created without altp2m.
void views_off(void)
{
    uint64_t mode = 7;

    expect(xc_hvm_param_get(monitor.xc, monitor.domain, HVM_PARAM_ALTP2M, &mode) == 0 && mode == XEN_ALTP2M_disabled,
           "HVM_PARAM_ALTP2M is %lu", mode);
    all_refused(false);
    before_the_operation();
    value("tried", tried);
}

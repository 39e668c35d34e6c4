/* SPDX-License-Identifier: GPL-2.0-only */
/* The way from altp2m.c to the test and back. */
#include <asm/altp2m.h>

/* The test sets test_NAME, a pointer, for each function NAME. */
#define DEFINE(type, name, parameters, names) \
    type (*test_##name) parameters; \
    type name parameters { return test_##name names; }
CALLS(DEFINE)

/* As in xen-sys/src/mock.rs, in the order of library.rs. */
const size_t test_layout[] = {
    sizeof(struct domain),
    offsetof(struct domain, is_dying),
    offsetof(struct domain, arch.p2m.domain),
    offsetof(struct domain, arch.p2m.views),
    offsetof(struct domain, arch.hvm.params),
    sizeof(struct vcpu),
    offsetof(struct vcpu, domain),
    offsetof(struct vcpu, arch.p2m_view),
    sizeof(struct p2m_view),
    offsetof(struct p2m_view, first_source),
    sizeof(struct p2m_views),
    offsetof(struct p2m_views, last_ran),
    offsetof(struct p2m_views, active),
    offsetof(struct p2m_views, nr),
    offsetof(struct p2m_views, visible),
    offsetof(struct p2m_views, view),
    P2M_VIEWS,
    P2M_NO_VIEW,
};

/* What is an inline function to other files. */
bool test_altp2m_active(const struct domain *d)
{
    return altp2m_active(d);
}

/* As vm_event.c calls it. */
void test_answered(struct vcpu *v, uint16_t view)
{
    p2m_altp2m_check(v, view);
}

unsigned int test_altp2m_vcpu_idx(const struct vcpu *v)
{
    return altp2m_vcpu_idx(v);
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */

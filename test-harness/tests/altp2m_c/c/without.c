/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * asm/p2m-views.h in a Xen that is configured without views: what hvm.c and domain.c
 * ask is refused. Ends with 1 at the first question that is not.
 */
#include "xen.h"

#include <stdlib.h>
#include <string.h>

#ifdef CONFIG_ALTP2M
# error "this is for a Xen without views"
#endif

#define HOLDS(x, n) do { if ( !(x) ) {          \
        printf("%s: %lu\n", #x, (unsigned long)(n)); \
        exit(1); } } while ( 0 )

/* Nobody else has looked at the number: whoever is let in indexes an array with it. */
static void parameter(unsigned int param)
{
    HOLDS(altp2m_set_param(param) == -EINVAL, param);
    HOLDS(altp2m_get_param(param) == -EINVAL, param);
}

/* Not taken, and the caller's own answer stays: hvm.c knows no such operation then. */
static void operation(unsigned long op)
{
    XEN_GUEST_HANDLE_PARAM(void) arg = { NULL };
    long rc = 77;

    HOLDS(!altp2m_hvm_op(op, arg, &rc), op);
    HOLDS(rc == 77, op);
}

int main(void)
{
    struct domain d, before;

    for ( unsigned int n = 0; n < 64; n++ )
    {
        struct xen_domctl_createdomain config = { .altp2m_opts = n };

        parameter(n);
        operation(n);
        HOLDS(!altp2m_is_allowed(&config), n);
        memset(&d, 0x55, sizeof(d));
        before = d;
        HOLDS(!altp2m_init(&d, &config) && !memcmp(&d, &before, sizeof(d)), n);
    }
    parameter(~0U);
    operation(~0UL);

    return 0;
}

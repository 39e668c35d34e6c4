// SPDX-License-Identifier: GPL-2.0-only
// HVMOP_altp2m without libxc, from dom0 and from the guest.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "views.h"
#include <xencall.h>

unsigned long tried;

static xencall_handle *call;
static xen_hvm_altp2m_op_t *shared;

static void prepare(void)
{
    if ( call )
        return;
    call = xencall_open(NULL, 0);
    // A page of its own, whose protection is changed below.
    shared = call ? xencall_alloc_buffer_pages(call, 1) : NULL;
    if ( !shared )
        die("xencall_alloc_buffer_pages");
}

static int at(uint64_t address)
{
    return xencall2(call, __HYPERVISOR_hvm_op, HVMOP_altp2m, address) < 0 ? errno : 0;
}

int raw(xen_hvm_altp2m_op_t *op)
{
    int rc;

    prepare();
    *shared = *op;
    rc = at((uintptr_t)shared);
    *op = *shared;
    return rc;
}

xen_hvm_altp2m_op_t try(int wanted, const char *what, xen_hvm_altp2m_op_t op)
{
    int rc = raw(&op);

    tried++;
    expect(rc == wanted, "%s: %s (%d), and not %d", what, strerror(rc), rc, wanted);
    return op;
}

void try_addresses(void)
{
    int rc;

    prepare();
    // Nothing of this process is there.
    rc = at(8);
    tried++;
    expect(rc == EFAULT, "an operation that cannot be read: %d", rc);
    // The number of the view cannot be told: then there is none.
    *shared = OP(create_p2m, .u.view.hvmmem_default_access = XENMEM_access_rwx);
    if ( mprotect(shared, XC_PAGE_SIZE, PROT_READ) )
        die("mprotect");
    rc = at((uintptr_t)shared);
    tried++;
    expect(rc == EFAULT, "a view whose number cannot be written: %d", rc);
    if ( mprotect(shared, XC_PAGE_SIZE, PROT_READ | PROT_WRITE) )
        die("mprotect");
}

long by_guest(unsigned int cpu, xen_hvm_altp2m_op_t op)
{
    memcpy(buffer_of(cpu), &op, sizeof(op));
    tried++;
    return have_hypercall(cpu, HVMOP_altp2m, buffer_address(cpu), __HYPERVISOR_hvm_op);
}

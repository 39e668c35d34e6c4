// SPDX-License-Identifier: GPL-2.0-only
// Printing: by hypercall where Xen lets this domain (dom0less), else into the PV console's ring.

#include <stdarg.h>
#include "guest.h"
#include <public/event_channel.h>
#include <public/hvm/hvm_op.h>
#include <public/hvm/params.h>
#include <public/io/console.h>

static struct xencons_interface *ring;
static evtchn_port_t port;

static uint64_t parameter(uint32_t index)
{
    static struct xen_hvm_param p;

    p.domid = DOMID_SELF;
    p.index = index;
    p.value = 0;
    if ( hypercall(HVMOP_get_param, (uint64_t)&p, 0, 0, 0, __HYPERVISOR_hvm_op) )
        return 0;
    return p.value;
}

void console_init(void)
{
    uint64_t pfn = parameter(HVM_PARAM_CONSOLE_PFN);

    port = parameter(HVM_PARAM_CONSOLE_EVTCHN);
    if ( pfn != 0 && pfn != ~0UL && port != 0 )
        ring = (void *)(pfn * PAGE);
}

static void put(const char *text, size_t size)
{
    if ( !ring )
    {
        hypercall(CONSOLEIO_write, size, (uint64_t)text, 0, 0, __HYPERVISOR_console_io);
        return;
    }
    for ( size_t i = 0; i < size; i++ )
    {
        XENCONS_RING_IDX prod = ring->out_prod;

        while ( prod - __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE) >= sizeof(ring->out) )
            yield();
        ring->out[MASK_XENCONS_IDX(prod, ring->out)] = text[i];
        __atomic_store_n(&ring->out_prod, prod + 1, __ATOMIC_RELEASE);
    }
    static struct evtchn_send send;
    send.port = port;
    hypercall(EVTCHNOP_send, (uint64_t)&send, 0, 0, 0, __HYPERVISOR_event_channel_op);
}

void say(const char *format, ...)
{
    static char line[256];
    size_t n = 0;
    va_list args;

    va_start(args, format);
    for ( ; *format != 0 && n < sizeof(line) - 32; format++ )
    {
        char digits[24];
        int count = 0;
        unsigned long value, base = 10;
        const char *text;

        if ( *format != '%' )
        {
            line[n++] = *format;
            continue;
        }
        switch ( *++format )
        {
        case 's':
            for ( text = va_arg(args, const char *); *text != 0 && n < sizeof(line) - 32; text++ )
                line[n++] = *text;
            continue;
        case 'd':
            value = va_arg(args, unsigned long);
            if ( (long)value < 0 )
            {
                line[n++] = '-';
                value = -value;
            }
            break;
        case 'x':
            base = 16;
            value = va_arg(args, unsigned long);
            break;
        default:
            value = va_arg(args, unsigned long);
            break;
        }
        do
            digits[count++] = "0123456789abcdef"[value % base];
        while ( (value /= base) != 0 );
        while ( count > 0 )
            line[n++] = digits[--count];
    }
    va_end(args);
    line[n++] = '\n';
    put(line, n);
}

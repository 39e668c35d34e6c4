/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a monitor has the guest do, CPU by CPU (views.c here, views/puppet.c of the monitor): orders in a page of the
 * guest's that both see.
 */
#ifndef VIEWS_H
#define VIEWS_H

#include <stdint.h>

#define ORDER_READ 1      /* the word at a[0] */
#define ORDER_WRITE 2     /* a[1] to a[0] */
#define ORDER_CALL 3      /* the function at a[0] with a[1] */
#define ORDER_HYPERCALL 4 /* number a[5] with a[0] to a[4] */
#define ORDER_TOUCH 5     /* reads a[1] words from a[0] on, a[2] bytes apart, a[3] times */
#define ORDER_FLIP 6      /* a[0] times: maps a page of its own to a[1] and a[2] in turn */
#define ORDER_FOLLOW 7    /* a[0] times: reads what the other has mapped there */

/* Guest-physical, as is all here: the page of the orders, beside what guest.h has. */
#define ORDERS_AT 0x42020000UL
#define ORDER_CPUS 2

struct orders {
    struct order {
        /* A new number is a new order; done becomes the same once the result is there. */
        uint64_t number, done, what, result;
        uint64_t a[6];
    } of[ORDER_CPUS];

    /* Between the CPUs of ORDER_FLIP and ORDER_FOLLOW. */
    uint64_t mapped, seen;

    /* For each CPU the buffer of a hypercall. */
    uint8_t buffer[ORDER_CPUS][512];
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the two worlds of this program: machine.c and rows.c are compiled
 * as Xen's C is, with Xen's headers; main.c as any program. Types are C's own.
 */
#ifndef NATIVE_H
#define NATIVE_H

/* The two sides. */
#define NATIVE_C 0
#define NATIVE_RUST 1

/* CPUs, that is threads, at most. */
#define NATIVE_CPUS 8

/* What one block of a row came to. */
struct native_answer {
    unsigned long hash;   /* of all that was returned, in order */
    unsigned long good;   /* how many operations did what they should */
};

/* A row of the table: rows.c has them. */
struct native_row {
    const char *name;
    unsigned long operations;  /* in a block, of one thread */
    int threads;               /* also with several threads? */
};

/* rows.c */
extern const struct native_row native_rows[];
extern const unsigned int native_nr_rows;
/* Before a block, not timed: brings the tables to where the row begins. */
void native_before(unsigned int row, int side, unsigned long operations);
/* The block. */
void native_block(unsigned int row, int side, unsigned int thread,
                  unsigned long operations, struct native_answer *answer);
/* After a block, not timed: adds to the answer what the tables say now. */
void native_after(unsigned int row, int side, struct native_answer *answer);

/* machine.c: once, in the thread that is CPU 0; and in each other thread. */
void native_boot(void);
void native_set_up(unsigned int cpu);
/* radix-tree.c, for native_boot(). */
void native_boot_radix_tree(void);
/* domains.c: before a block, in each thread: it runs a vCPU of the side's guest. */
void native_run(int side);
/* domains.c: a mistake on purpose in the C's tables, which a row must notice. */
enum native_mistake {
    NATIVE_NO_MISTAKE,
    NATIVE_ELSEWHERE,  /* a page that is not where it should be */
    NATIVE_MORE,       /* one that the Rust's tables have not got, and no row asks for */
};
void native_plant(enum native_mistake mistake);

/* main.c: what Xen's C needs of this program. */
void *native_map(unsigned long address, unsigned long bytes);
void *native_zeroed(unsigned long bytes, unsigned long align);
void native_release(void *p);
void __attribute__((__noreturn__)) native_stop(const char *what);

#endif /* NATIVE_H */

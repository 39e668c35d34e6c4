/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What p2m-dump.c needs of Xen, on a host: see main.c. The functions are there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define __init
#define __read_mostly
#define cf_check
#define __initcall(fn) static int (*const initcall)(void) = fn
/* The name on the command line, beside the variable. */
#define integer_runtime_param(name, var) static const char *const name_of_##var = name

struct domain {
    int domain_id;
    bool is_listed, is_freed;
    /* The first is the domain's own, until it is destroyed. */
    unsigned int references;
    struct domain *next;
};

/* xen/rcupdate.h, xen/sched.h */
struct rcu_lock { int any; };
extern struct rcu_lock domlist_read_lock;
void rcu_read_lock(struct rcu_lock *lock);
void rcu_read_unlock(struct rcu_lock *lock);
bool get_domain(struct domain *d);
void put_domain(struct domain *d);
struct domain *first_domain(void);
struct domain *next_domain(const struct domain *d);
#define for_each_domain(d) for ( (d) = first_domain(); (d); (d) = next_domain(d) )

/* xen/console.h, xen/lib.h */
void console_start_log_everything(void);
void console_end_log_everything(void);
#define printk(...) ((void)(0 && printf(__VA_ARGS__)))

/* xen/tasklet.h */
struct tasklet { void (*fn)(void *data); void *data; };
#define DECLARE_TASKLET(name, fn, data) struct tasklet name = { fn, data }
void tasklet_schedule(struct tasklet *t);

/* xen/keyhandler.h */
void register_keyhandler(unsigned char key, void (*fn)(unsigned char key), const char *desc,
                         bool diagnostic);

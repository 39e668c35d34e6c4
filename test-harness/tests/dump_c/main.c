/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * p2m-dump.c on a host, with three domains, of which one has lost its last reference.
 * Ends with 1 at the first promise that does not hold, and says which.
 */
#include "p2m-dump.c"

#define HOLDS(x, ...) do { if ( !(x) ) {                 \
        printf("%s: ", #x); printf(__VA_ARGS__); puts(""); \
        exit(1); } } while ( 0 )

/* The list of domains. */
#define DOMAINS 3
static struct domain domains[DOMAINS];
struct rcu_lock domlist_read_lock;
static unsigned int readers, logging, scheduled, dumped;
static bool is_dumped[DOMAINS];
static unsigned long lines;
/* This one is destroyed by another CPU while it is dumped. */
static const struct domain *destroyed;
static struct tasklet *tasklet;
static void (*handler)(unsigned char key);

static void no_longer_used(struct domain *d)
{
    if ( !d->is_listed && !readers )
        d->is_freed = true;
}

void rcu_read_lock(struct rcu_lock *lock)
{
    HOLDS(lock == &domlist_read_lock, "the list's");
    readers++;
}

void rcu_read_unlock(struct rcu_lock *lock)
{
    HOLDS(lock == &domlist_read_lock && readers, "the list's, which is held");
    readers--;
    for ( unsigned int i = 0; i < DOMAINS; i++ )
        no_longer_used(&domains[i]);
}

/* Fails for a domain whose last reference has gone. */
bool get_domain(struct domain *d)
{
    HOLDS(readers && !d->is_freed, "domain %d", d->domain_id);
    if ( !d->references )
        return false;
    d->references++;

    return true;
}

/* As domain_destroy(): out of the list, and freed when nobody reads it any more. */
void put_domain(struct domain *d)
{
    HOLDS(d->references && !d->is_freed, "domain %d", d->domain_id);
    if ( --d->references )
        return;
    d->is_listed = false;
    no_longer_used(d);
}

static struct domain *listed_from(struct domain *d)
{
    while ( d && !d->is_listed )
        d = d->next;

    return d;
}

struct domain *first_domain(void)
{
    HOLDS(readers, "who reads the list says so");

    return listed_from(&domains[0]);
}

struct domain *next_domain(const struct domain *d)
{
    HOLDS(readers, "who reads the list says so");
    HOLDS(!d->is_freed, "domain %d has gone", d->domain_id);

    return listed_from(d->next);
}

void console_start_log_everything(void) { logging++; }
void console_end_log_everything(void)
{
    HOLDS(logging, "began");
    logging--;
}

void tasklet_schedule(struct tasklet *t)
{
    tasklet = t;
    scheduled++;
}

void register_keyhandler(unsigned char key, void (*fn)(unsigned char key), const char *desc,
                         bool diagnostic)
{
    HOLDS(key == 'D' && desc && !handler, "'%c'", key);
    HOLDS(!diagnostic, "'*' is not to take minutes");
    handler = fn;
}

/* The Rust, which may take long. */
void p2m_dump_stage2(struct domain *d, unsigned long nr)
{
    HOLDS(!readers, "domain %d: nobody else could free a domain meanwhile", d->domain_id);
    HOLDS(logging == 1, "domain %d: lines may get lost", d->domain_id);
    HOLDS(d->references > 1 && !d->is_freed, "domain %d may go away", d->domain_id);
    HOLDS(nr == lines, "domain %d: %lu lines", d->domain_id, nr);
    HOLDS(!is_dumped[d - domains], "domain %d twice", d->domain_id);
    is_dumped[d - domains] = true;
    dumped++;
    if ( d == destroyed )
        put_domain(d);
}

/* Domain 0, one that has no reference left but is still listed, and another one. */
static void machine(void)
{
    static const int ids[DOMAINS] = { 0, 3, 5 };

    memset(is_dumped, 0, sizeof(is_dumped));
    dumped = scheduled = 0;
    destroyed = NULL;
    tasklet = NULL;
    for ( unsigned int i = 0; i < DOMAINS; i++ )
        domains[i] = (struct domain){
            .domain_id = ids[i], .is_listed = true, .references = i != 1,
            .next = i + 1 < DOMAINS ? &domains[i + 1] : NULL,
        };
}

/* The key, then what it has scheduled. */
static void press(void)
{
    handler('D');
    HOLDS(scheduled == 1 && tasklet, "somebody holds the lock of sysctls");
    HOLDS(!dumped && !readers && !logging, "so all of it is done later");
    tasklet->fn(tasklet->data);
    HOLDS(scheduled == 1, "once");
    HOLDS(!readers && !logging, "all that began has ended");
}

/* With @wanted, those of @ids are dumped, and each has the references that it had. */
static void dumps(int wanted, bool first, bool last)
{
    machine();
    dump_domain = wanted;
    press();
    HOLDS(is_dumped[0] == first && !is_dumped[1] && is_dumped[2] == last, "of %d", wanted);
    for ( unsigned int i = 0; i < DOMAINS; i++ )
        HOLDS(domains[i].references == (i != 1) && domains[i].is_listed, "of %d: domain %d", wanted,
              domains[i].domain_id);
}

int main(void)
{
    HOLDS(!strcmp(name_of_dump_domain, "p2m-dump-domain") && dump_domain == -1, "all of them");
    HOLDS(!strcmp(name_of_dump_lines, "p2m-dump-lines") && dump_lines == 512, "some lines");
    HOLDS(!initcall() && handler, "there is a key");

    for ( lines = 0; lines <= 512; lines += 256 )
    {
        dump_lines = lines;
        dumps(-1, true, true);
        dumps(0, true, false);
        dumps(3, false, false);
        dumps(5, false, true);
        dumps(9, false, false);
    }

    /* Each of the two goes away while it is dumped, and the next one is found. */
    dump_domain = -1;
    lines = dump_lines = 512;
    for ( unsigned int i = 0; i < DOMAINS; i += 2 )
    {
        machine();
        destroyed = &domains[i];
        press();
        HOLDS(dumped == 2, "domain %d was destroyed", domains[i].domain_id);
        HOLDS(!domains[i].references && domains[i].is_freed, "domain %d", domains[i].domain_id);
    }
    puts("all of it holds");

    return 0;
}

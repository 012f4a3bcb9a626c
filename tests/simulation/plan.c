/* What happens to a world, from its seed: every item can be left out, so that a failing seed can be made small. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

static plan_item *add(plan *p, plan_item item)
{
    CN_ASSERT(p->n < MAX_ITEMS);
    p->item[p->n] = item;
    return &p->item[p->n++];
}

static void plan_conditions(plan *p, rng *r, unsigned validators, uint64_t seed)
{
    if (rng_chance(r, 60))
        add(p, (plan_item){.kind = E_LOSS, .value = rng_below(r, 15)});
    add(p, (plan_item){.kind = E_DUPLICATE, .value = rng_below(r, 10)});
    add(p, (plan_item){.kind = E_DELAY, .value = 2 + rng_below(r, rng_chance(r, 30) ? 80 : 12)});
    for (unsigned k = 0; k < cn_max_faults(validators); k++) {
        unsigned who = (unsigned)rng_below(r, validators);
        if (rng_chance(r, seed % 5 ? 12 : 60))
            add(p, (plan_item){.kind = E_ROT_JOURNAL,
                               .at = rng_below(r, p->length),
                               .node = who,
                               .value = 20 + rng_below(r, 500)});
        else
            add(p, (plan_item){.kind = E_FAULT, .node = who, .value = 1 + rng_below(r, FAULT_KINDS - 1)});
    }
}

/* Up to three changes of the set, each decided by a statement; a fifth validator makes room for others to leave. */
static void plan_changes(plan *p, rng *r, unsigned validators)
{
    unsigned changes = rng_chance(r, 45) ? 0 : 1 + (unsigned)rng_below(r, 3);
    for (unsigned k = 0; k < changes; k++) {
        set_change *c = &p->change[rng_below(r, p->statements)];
        c->kind = (change_kind)(CHANGE_JOIN + rng_below(r, 3));
        if (k == 0 && c->kind == CHANGE_LEAVE)
            c->kind = CHANGE_JOIN;
        c->host = (unsigned)rng_below(r, validators);
        if (c->kind == CHANGE_JOIN && p->hosts < MAX_HOSTS)
            c->host = p->hosts++;
    }
    if (p->hosts > validators && rng_chance(r, 15))
        add(p, (plan_item){.kind = E_FAULT, .node = validators, .value = 1 + rng_below(r, FAULT_KINDS - 1)});
}

static void plan_partition(plan *p, rng *r)
{
    plan_item *item = add(p, (plan_item){.kind = E_PARTITION, .at = rng_below(r, p->length)});
    for (uint64_t k = rng_below(r, p->hosts * 2); k > 0; k--)
        item->cut[rng_below(r, p->hosts)] |= 1u << rng_below(r, p->hosts);
    if (rng_chance(r, 30)) { /* one node alone, both ways */
        unsigned alone = (unsigned)rng_below(r, p->hosts);
        item->cut[alone] = (1u << p->hosts) - 1;
        for (unsigned k = 0; k < p->hosts; k++)
            item->cut[k] |= 1u << alone;
    }
}

static plan_item crash_of(rng *r, unsigned who, uint64_t at)
{
    return (plan_item){.kind = E_CRASH, .at = at, .node = who, .value = 20 + rng_below(r, 1500)};
}

static void plan_crashes(plan *p, rng *r)
{
    for (uint64_t k = rng_below(r, 6); k > 0; k--)
        add(p, crash_of(r, (unsigned)rng_below(r, p->hosts), rng_below(r, p->length)));
    if (rng_chance(r, 15)) /* all at once */
        for (unsigned i = 0; i < p->hosts; i++)
            add(p, crash_of(r, i, p->length / 2));
}

/* Disks that run full, and a clock that is hours or seconds off for a while: of one node, as more than f of them may
 * rightly bring the others to a stop (R13). */
static void plan_hosts(plan *p, rng *r)
{
    for (uint64_t k = rng_chance(r, 25) ? 1 + rng_below(r, 2) : 0; k > 0; k--)
        add(p, (plan_item){.kind = E_DISK_FULL,
                           .at = rng_below(r, p->length),
                           .node = (unsigned)rng_below(r, p->hosts),
                           .value = 50 + rng_below(r, 1500)});
    if (rng_chance(r, 25)) {
        int64_t ahead = (int64_t)(rng_chance(r, 50) ? 1000 + rng_below(r, 60000) : 3600000 * (1 + rng_below(r, 12)));
        unsigned who = (unsigned)rng_below(r, p->hosts);
        uint64_t at = rng_below(r, p->length);
        add(p, (plan_item){
                   .kind = E_CLOCK, .at = at, .node = who, .value = (uint64_t)(rng_chance(r, 50) ? ahead : -ahead)});
        add(p, (plan_item){.kind = E_CLOCK, .at = at + 200 + rng_below(r, 2000), .node = who});
    }
}

/* The way back of a validator whose safety table is lost: a ballot gives it a new key. */
static void plan_return(plan *p, rng *r)
{
    unsigned number = (unsigned)rng_below(r, p->statements);
    for (size_t i = 0; i < p->n; i++)
        if (p->item[i].kind == E_ROT_JOURNAL && rng_chance(r, 60)) {
            p->change[number] = (set_change){CHANGE_ROTATE, p->item[i].node};
            for (size_t k = 0; k < p->n; k++)
                if (p->item[k].kind == E_SUBMIT && p->item[k].value == number)
                    p->item[k].at = p->item[i].at + rng_below(r, 1000);
            number = (number + 1) % p->statements;
        }
}

/* One world in five is rough: whole networks go down again and again, under partitions that hardly end, with disks that
 * are often full. Nodes then hold different parts of what was voted for. */
static void plan_rough(plan *p, rng *r)
{
    for (uint64_t k = rng_below(r, 20); k > 0; k--)
        add(p, crash_of(r, (unsigned)rng_below(r, p->hosts), rng_below(r, p->length)));
    for (uint64_t k = rng_below(r, 3); k > 0; k--) {
        uint64_t at = rng_below(r, p->length - 3);
        for (unsigned i = 0; i < p->hosts; i++)
            add(p, crash_of(r, i, at + rng_below(r, 3)));
    }
    for (uint64_t k = rng_below(r, 20); k > 0; k--)
        plan_partition(p, r);
    for (uint64_t k = rng_below(r, 4); k > 0; k--)
        add(p, (plan_item){.kind = E_DISK_FULL,
                           .at = rng_below(r, p->length),
                           .node = (unsigned)rng_below(r, p->hosts),
                           .value = 50 + rng_below(r, 1500)});
}

void plan_from_seed(uint64_t seed, unsigned validators, plan *p)
{
    rng stream = {seed * UINT64_C(0xd1342543de82ef95) + 7}, *r = &stream;
    for (int i = 0; i < 8; i++)
        rng_next(r);
    *p = (plan){.hosts = validators, .length = 1500 + rng_below(r, 2500)};
    p->statements = 8 + (unsigned)rng_below(r, 40);
    plan_conditions(p, r, validators, seed);
    plan_changes(p, r, validators);
    for (unsigned k = 0; k < p->statements; k++)
        add(p,
            (plan_item){
                .kind = E_SUBMIT, .at = rng_below(r, p->length), .node = (unsigned)rng_below(r, p->hosts), .value = k});
    plan_crashes(p, r);
    if (rng_chance(r, 20))
        add(p, (plan_item){.kind = E_ROT_LEDGER,
                           .at = rng_below(r, p->length),
                           .node = (unsigned)rng_below(r, p->hosts),
                           .value = 20 + rng_below(r, 300)});
    for (uint64_t k = rng_below(r, 5); k > 0; k--)
        plan_partition(p, r);
    plan_hosts(p, r);
    if (seed % 5 == 0)
        plan_rough(p, r);
    plan_return(p, r);
}

static void apply(sim *s, const plan_item *item)
{
    switch (item->kind) {
    case E_FAULT:
        s->node[item->node].fault = (fault_kind)item->value;
        return;
    case E_LOSS:
        s->loss = (unsigned)item->value;
        return;
    case E_DUPLICATE:
        s->duplicate = (unsigned)item->value;
        return;
    case E_DELAY:
        s->max_delay = item->value;
        return;
    case E_ROT_JOURNAL:
        s->node[item->node].may_lose_journal = true;
        break;
    case E_SUBMIT:
        s->wanted[item->value] = true;
        break;
    default:
        break;
    }
    sim_event e = {.at = item->at, .kind = item->kind, .node = item->node, .value = item->value};
    if (item->kind == E_PARTITION) {
        e.n = sizeof item->cut;
        e.bytes = malloc(e.n);
        memcpy(e.bytes, item->cut, e.n);
    }
    schedule(s, e);
}

void plan_apply(sim *s, const plan *p, const bool *dropped)
{
    s->chaos_end = p->length;
    memcpy(s->change, p->change, sizeof s->change);
    world_statements(s, p->statements);
    for (size_t i = 0; i < p->n; i++)
        if (!dropped || !dropped[i])
            apply(s, &p->item[i]);
}

/* ---- making a failing seed small ---- */

static bool still_fails(const sim_options *options, const bool *dropped, char text[256])
{
    sim_options o = *options;
    o.dropped = dropped;
    o.transcript = NULL;
    o.quiet = true;
    sim_result r = sim_run(&o);
    if (r.violated)
        memcpy(text, r.text, sizeof r.text);
    return r.violated;
}

/* Leaves out ever smaller runs of items, as long as something was left out in a round. */
static void reduce(const sim_options *options, const plan *p, bool *dropped, char text[256])
{
    bool trial[MAX_ITEMS];
    for (size_t chunk = p->n / 2 + 1, progress = 1; chunk > 1 || progress; chunk = chunk > 1 ? (chunk + 1) / 2 : 1) {
        progress = 0;
        for (size_t first = 0; first < p->n; first += chunk) {
            bool any = false;
            memcpy(trial, dropped, sizeof trial);
            for (size_t i = first; i < first + chunk && i < p->n; i++) {
                any = any || !trial[i];
                trial[i] = true;
            }
            if (any && still_fails(options, trial, text)) {
                memcpy(dropped, trial, sizeof trial);
                progress = 1;
            }
        }
    }
}

bool sim_minimise(const sim_options *options)
{
    static plan p;
    bool dropped[MAX_ITEMS] = {false};
    char text[256];
    plan_from_seed(options->seed, options->nodes, &p);
    if (!still_fails(options, dropped, text))
        return false;
    reduce(options, &p, dropped, text);
    size_t left = 0;
    for (size_t i = 0; i < p.n; i++)
        left += !dropped[i];
    printf("seed %llu, %u validators of %u nodes: %zu of %zu items are enough\n", (unsigned long long)options->seed,
           options->nodes, p.hosts, left, p.n);
    for (size_t i = 0; i < p.n; i++)
        if (!dropped[i])
            print_item(&p.item[i], &p);
    printf("violation: %s\n", text);
    return true;
}

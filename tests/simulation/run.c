/* One run: chaos by the plan, then a whole network, and what must hold at the end. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

static void on_committed(sim *s, const sim_event *e)
{
    sync_disk(s, e->node, e->token, true);
    step(s, e->node, &(cn_event){.kind = CN_EV_DURABLE, .view = e->value});
    tell_pending(s, e->node);
    follow_epoch(s, e->node);
}

static void on_partition(sim *s, const sim_event *e)
{
    uint32_t cut[MAX_HOSTS];
    memcpy(cut, e->bytes, sizeof cut);
    for (unsigned from = 0; from < s->n; from++)
        for (unsigned to = 0; to < s->n; to++)
            s->cut[from][to] = cut[from] >> to & 1;
}

static void go_down(sim *s, const sim_event *e)
{
    node *nd = &s->node[e->node];
    bool was_up = nd->core != NULL;
    crash(s, e->node);
    if (e->kind == E_ROT_LEDGER)
        rot_ledger(s, e->node);
    else if (e->kind == E_ROT_JOURNAL && !nd->lost_journal)
        rot_journal(s, e->node);
    if (was_up)
        schedule(s, (sim_event){.at = s->now + e->value, .kind = E_RESTART, .node = e->node});
}

static void set_clock(sim *s, const sim_event *e)
{
    node *nd = &s->node[e->node];
    nd->wall_ahead = (int64_t)e->value;
    tell(s, e->node, "sets its clock to %lld s from the right time", (long long)nd->wall_ahead / 1000);
    if (nd->core)
        cn_consensus_set_wall(nd->core, nd->wall_ahead);
}

static void handle_own(sim *s, const sim_event *e)
{
    node *nd = &s->node[e->node];
    if (e->life != nd->life || !nd->up)
        return;
    if ((e->kind == E_PERSISTED || e->kind == E_COMMITTED) && !has_room(s, e->node))
        return; /* the sync fails, and with it all that waited for it */
    if (e->kind == E_PERSISTED) {
        sync_disk(s, e->node, e->token, false);
        step(s, e->node, &(cn_event){.kind = CN_EV_PERSISTED, .token = e->token});
    } else if (e->kind == E_COMMITTED) {
        on_committed(s, e);
    } else {
        nd->next_timer = 0;
        step(s, e->node, &(cn_event){.kind = CN_EV_TICK});
    }
}

static void handle(sim *s, const sim_event *e)
{
    switch (e->kind) {
    case E_DELIVER:
        deliver(s, e);
        break;
    case E_SUBMIT:
        if (e->value >= s->submitted)
            s->submitted = (unsigned)e->value + 1;
        add_statement(s, e->node, (unsigned)e->value, true);
        break;
    case E_POLL:
        if (s->node[e->node].up && s->now >= s->node[e->node].final_ms + POLL_EVERY_MS)
            ask_sync(s, e->node);
        schedule(s, (sim_event){.at = s->now + POLL_EVERY_MS, .kind = E_POLL, .node = e->node});
        break;
    case E_CRASH:
    case E_ROT_LEDGER:
    case E_ROT_JOURNAL:
        go_down(s, e);
        break;
    case E_RESTART:
        if (!s->node[e->node].core)
            start(s, e->node);
        break;
    case E_PARTITION:
        on_partition(s, e);
        break;
    case E_DISK_FULL:
        s->node[e->node].full_until = s->now + e->value;
        break;
    case E_CLOCK:
        set_clock(s, e);
        break;
    default:
        handle_own(s, e);
        break;
    }
    arm_timer(s, e->node);
}

/* ---- a world ---- */

sim *world_new(const sim_options *options, unsigned hosts)
{
    sim *s = calloc(1, sizeof *s);
    s->opt = *options;
    s->n = hosts;
    s->r.s = options->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 8; i++)
        rng_next(&s->r);
    s->network = cn_sha256("simulated network", 17);
    s->oracle = oracle_new(&s->network, options->epochless);
    s->max_delay = 5;
    record_world(s);
    remember_genesis(s, options->nodes);
    for (unsigned i = 0; i < s->n; i++) {
        node *nd = &s->node[i];
        nd->world = s;
        nd->member = i;
        nd->chain = calloc(1, sizeof *nd->chain);
        nd->chain[0].block = copy_block(&s->executed[0].block);
        nd->skew = rng_below(&s->r, SKEW_MS);
    }
    return s;
}

void world_statements(sim *s, unsigned count)
{
    s->total = count;
    for (unsigned k = 0; k < count; k++) {
        uint8_t name[16] = {0};
        cn_store_u64(name, s->opt.seed);
        cn_store_u64(name + 8, k);
        s->statement[k] = cn_sha256(name, sizeof name);
    }
}

void world_start(sim *s)
{
    uint32_t honest = 0;
    for (unsigned i = 0; i < s->n; i++)
        honest |= s->node[i].fault == HONEST ? 1u << s->node[i].member : 0;
    oracle_honest(s->oracle, honest);
    oracle_epoch(s->oracle, 1, &s->set[0]);
    record_set(s, 1, &s->set[0]);
    for (unsigned i = 0; i < s->n; i++) {
        start(s, i);
        schedule(s, (sim_event){.at = POLL_EVERY_MS + 100 * i, .kind = E_POLL, .node = i});
    }
}

/* The network is whole again, everybody is up, has room and the right time, clients offer again what is not final. */
void heal(sim *s)
{
    s->loss = s->duplicate = 0;
    s->max_delay = 5;
    memset(s->cut, 0, sizeof s->cut);
    s->submitted = s->total;
    for (unsigned i = 0; i < s->n; i++) {
        s->node[i].full_until = 0;
        set_clock(s, &(sim_event){.node = i});
        if (!s->node[i].core)
            start(s, i);
    }
    for (unsigned k = 0; k < s->total; k++)
        for (unsigned i = 0; i < s->n && s->wanted[k]; i++)
            if (s->node[i].fault == HONEST)
                schedule(s, (sim_event){.at = s->now + 1, .kind = E_SUBMIT, .node = i, .value = k});
}

/* Everything offered is final everywhere, and everybody is in the same epoch. */
static bool all_final(const sim *s)
{
    uint64_t epoch = 0;
    for (unsigned i = 0; i < s->n; i++) {
        const node *nd = &s->node[i];
        if (nd->fault != HONEST)
            continue;
        if (epoch && nd->epoch != epoch)
            return false;
        epoch = nd->epoch;
        if (find_executed((sim *)(uintptr_t)s, &nd->chain[nd->height].block.digest)->pending >= 0)
            return false; /* a ready change still waits for its closing block */
        for (unsigned k = 0; k < s->total; k++)
            if (s->wanted[k] && !nd->final[k])
                return false;
    }
    return true;
}

void run_until(sim *s, uint64_t end, bool stop_when_final)
{
    uint64_t next_check = s->now + 200;
    while (s->heap_n > 0 && s->heap[0].at <= end && !oracle_violation(s->oracle)) {
        sim_event e = pop(s);
        s->now = e.at;
        s->events++;
        handle(s, &e);
        free(e.bytes);
        if (stop_when_final && s->now >= next_check) {
            next_check = s->now + 200;
            if (all_final(s))
                return;
        }
    }
    if (!oracle_violation(s->oracle) && s->now < end && !(stop_when_final && all_final(s)))
        s->now = end;
}

/* ---- the end ---- */

/* Where each node stands, for whoever replays a seed. */
static void dump_nodes(const sim *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        cn_consensus_info info;
        if (!s->node[i].core)
            continue;
        cn_consensus_info_get(s->node[i].core, &info);
        printf("node %u fault %d up %d: epoch %llu view %llu (final view %llu, height %llu), leader %u, votes N%x 0%x "
               "F%x, outstanding %llu, D %llu, voting %d: %s\n",
               i, (int)s->node[i].fault, s->node[i].up, (unsigned long long)info.epoch, (unsigned long long)info.view,
               (unsigned long long)info.final_view, (unsigned long long)info.final_height, info.leader,
               info.notarize_votes, info.nullify_votes, info.finalize_votes, (unsigned long long)info.outstanding,
               (unsigned long long)info.delay_ms, info.voting, cn_wait_text(info.waiting_for));
    }
}

static void check_node(sim *s, unsigned i)
{
    const node *nd = &s->node[i];
    unsigned times[MAX_STATEMENTS] = {0};
    for (size_t h = 1; h <= nd->height; h++) {
        const cn_digest *expected = oracle_chain(s->oracle, h);
        const model_block *b = &nd->chain[h];
        if (!expected || memcmp(expected->b, b->block.digest.b, 32))
            oracle_fail(s->oracle, "node %u holds another block at height %zu than it reported", i, h);
        if (b->block.header.kind == CN_BLOCK_CLOSING && (!b->cert || b->cert->epoch != b->block.header.epoch))
            oracle_fail(s->oracle, "node %u holds the closing block at height %zu without its finalization", i, h);
        for (size_t m = 0; m < b->block.record_count; m++) {
            int number = statement_number(s, &b->block.record[m]);
            if (number < 0 || ++times[number] != 1)
                oracle_fail(s->oracle, "node %u recorded a statement twice, or one that nobody wrote", i);
        }
    }
}

/* The way back from a lost safety table: with a new key by ballot the member votes again. */
static bool came_back(const sim *s, unsigned i)
{
    const node *nd = &s->node[i];
    return nd->fault == HONEST && nd->lost_journal && nd->self != OBSERVER && nd->key > nd->lost_key;
}

static void check_end(sim *s)
{
    if (oracle_violation(s->oracle))
        return;
    if (!all_final(s)) {
        if (!s->opt.quiet)
            dump_nodes(s);
        oracle_fail(s->oracle, "liveness: %u s after the network healed a statement is still not final everywhere",
                    HEAL_LIMIT_MS / 1000);
        return;
    }
    for (unsigned i = 0; i < s->n; i++)
        if (s->node[i].fault == HONEST)
            check_node(s, i);
}

static void free_node(sim *s, unsigned i)
{
    node *nd = &s->node[i];
    crash(s, i);
    for (size_t h = 0; h <= nd->height; h++) {
        free_block(&nd->chain[h].block);
        free(nd->chain[h].cert);
    }
    for (size_t k = 0; k < nd->bodies; k++)
        free_block(&nd->body[k]);
    for (size_t k = 0; k < REPLAYED; k++)
        free(nd->heard[k].bytes);
    free(nd->chain);
    free(nd->body);
    free(nd->row);
    free(nd->notarization);
    free(nd->unsynced);
}

sim_result world_end(sim *s)
{
    sim_result result = {.statements = s->total, .events = s->events, .epochs = oracle_epochs(s->oracle)};
    check_end(s);
    for (unsigned i = 0; i < s->n; i++) {
        cn_consensus_info info;
        if (s->node[i].height > result.final_height)
            result.final_height = s->node[i].height;
        if (s->node[i].core) {
            cn_consensus_info_get(s->node[i].core, &info);
            result.nullified += info.nullified_views;
            result.returned += came_back(s, i);
            if (came_back(s, i) && !info.voting)
                oracle_fail(s->oracle, "node %u has a new key and does not vote with it", i);
        }
    }
    if (oracle_violation(s->oracle)) {
        result.violated = true;
        snprintf(result.text, sizeof result.text, "%s", oracle_violation(s->oracle));
    }
    s->opt.transcript = s->opt.record = NULL;
    for (unsigned i = 0; i < s->n; i++)
        free_node(s, i);
    while (s->heap_n > 0)
        free(pop(s).bytes);
    for (size_t k = 0; k < s->executed_n; k++)
        free_block(&s->executed[k].block);
    free(s->executed);
    free(s->heap);
    oracle_free(s->oracle);
    free(s);
    return result;
}

sim_result sim_run(const sim_options *options)
{
    plan *p = calloc(1, sizeof *p);
    plan_from_seed(options->seed, options->nodes, p);
    sim *s = world_new(options, p->hosts);
    plan_apply(s, p, options->dropped);
    world_start(s);
    run_until(s, s->chaos_end, false);
    heal(s);
    run_until(s, s->now + HEAL_LIMIT_MS, true);
    free(p);
    return world_end(s);
}

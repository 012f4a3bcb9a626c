/* One run: a plan from the seed, chaos, healing, judgement. */
#include "whole.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEALED_MS 60000u /* within this time after the chaos everything must be final everywhere */
#define LOOK_MS 100u

static whole *current;

whole *the_world(void)
{
    return current;
}

void say(whole *w, const char *format, ...)
{
    va_list args;
    if (!w->trace)
        return;
    fprintf(w->trace, "%6llu  ", (unsigned long long)w->now);
    va_start(args, format);
    vfprintf(w->trace, format, args);
    va_end(args);
    fputc('\n', w->trace);
}

/* ---- hosts ---- */

static void configure(const host *h, cn_config *c)
{
    memset(c, 0, sizeof *c);
    snprintf(c->name, sizeof c->name, "%s", genesis()->member[h->index].name);
    snprintf(c->genesis, sizeof c->genesis, "%s/genesis.json", h->dir);
    snprintf(c->data_dir, sizeof c->data_dir, "%s/data", h->dir);
    snprintf(c->keys_dir, sizeof c->keys_dir, "%s/keys", h->dir);
    snprintf(c->log_level, sizeof c->log_level, "%s", h->world->trace ? "info" : "error");
    c->map_bytes = 64u << 20;
    c->peer_queue_bytes = 8u << 20;
    c->mempool_bytes = 8u << 20;
    c->workers = 1;
    c->delay_floor_ms = 50;
    c->forward_ms = 10;
}

/* What is new in the node's store: judged, and from now on it must not get lost. */
void host_note_final(whole *w, host *h)
{
    cn_snapshot *snap = NULL;
    cn_tip tip;
    cn_err err = {0};
    if (cn_snapshot_open(h->node->store, &snap, &err) != CN_OK || cn_snapshot_tip(snap, &tip, &err) != CN_OK) {
        if (!h->full && !h->dead) /* LMDB refuses everything once a write of its own has failed */
            oracle_fail(w->oracle, "the store of host %u cannot be read: %s", h->index, err.text);
        cn_snapshot_close(snap);
        return;
    }
    if (tip.height < h->height && h->twist == TWIST_NONE)
        oracle_fail(w->oracle, "host %u had height %llu and has %llu: what was final is lost", h->index,
                    (unsigned long long)h->height, (unsigned long long)tip.height);
    for (; h->height < tip.height; h->height++) {
        cn_header header;
        cn_span rows;
        uint64_t closing;
        CN_ASSERT(cn_snapshot_header(snap, h->height + 1, &header, &err) == CN_OK);
        cn_digest digest = cn_header_digest(&header);
        if (h->twist == TWIST_NONE)
            oracle_final(w->oracle, h->index, &header, &digest, header.epoch);
        w->blocks = h->height + 1 > w->blocks ? h->height + 1 : w->blocks;
        if (header.kind == CN_BLOCK_CLOSING && header.epoch == w->epoch && h->twist == TWIST_NONE &&
            cn_snapshot_epoch(snap, header.epoch + 1, &closing, &rows, &err) == CN_OK) {
            member_set set;
            set_of_rows(rows, &set);
            oracle_epoch(w->oracle, header.epoch + 1, &set);
            w->epoch = header.epoch + 1;
            w->changes_done++;
            say(w, "epoch %llu begins, of %u validators", (unsigned long long)w->epoch, set.n);
        }
    }
    cn_snapshot_close(snap);
}

void host_start(whole *w, unsigned i)
{
    host *h = &w->host[i];
    cn_err err = {0};
    cn_config *config = malloc(sizeof *config);
    CN_ASSERT(config);
    if (h->node || h->full) {
        free(config);
        return;
    }
    configure(h, config);
    h->dead = false;
    h->life++;
    h->steady_ahead_ms = h->wall_ahead_ms > 0 ? (uint64_t)h->wall_ahead_ms : 0; /* as the wall clock was at the start */
    w->running = h;
    cn_status st = cn_node_open(config, &h->node, &err);
    if (st == CN_OK)
        cn_core_step(h->node, &(cn_event){.kind = CN_EV_TICK});
    w->running = NULL;
    free(config);
    if (st != CN_OK) {
        h->node = NULL;
        if (h->dead) /* killed while it started */
            schedule(w, (event){.at = w->now + 50, .kind = E_START, .host = i});
        else
            oracle_fail(w->oracle, "host %u does not start again: %s: %s", i, err.field, err.text);
        h->calls_left = -1;
        return;
    }
    say(w, "host %u starts", i);
    links_refresh(w);
    host_run(w, i);
}

static void take_down(whole *w, unsigned i)
{
    host *h = &w->host[i];
    if (!h->node)
        return;
    w->running = h;
    h->dead = true; /* nothing that it does while it goes reaches anything */
    links_refresh(w);
    cn_node_free(h->node);
    w->running = NULL;
    h->node = NULL;
    h->dead = false;
    h->calls_left = -1;
    h->life++;
}

void host_crash(whole *w, unsigned i)
{
    say(w, "host %u crashes", i);
    take_down(w, i);
}

/* It stopped by itself: for want of room, or because it was killed within a call, or because it found a fault. */
static void stopped(whole *w, unsigned i)
{
    host *h = &w->host[i];
    cn_err err = h->node->stop_err;
    bool excused = h->full || h->dead || h->twist != TWIST_NONE;
    say(w, "host %u stops: %s: %s", i, err.field, err.text);
    if (!excused)
        oracle_fail(w->oracle, "honest host %u stopped: %s: %s", i, err.field, err.text);
    take_down(w, i);
    schedule(w, (event){.at = w->now + 20 + rng_below(&w->r, 800), .kind = E_START, .host = i});
}

void host_run(whole *w, unsigned i)
{
    host *h = &w->host[i];
    if (!h->node)
        return;
    w->running = h;
    for (unsigned rounds = 0; rounds < 64; rounds++) {
        for (cn_task *task; (task = cn_queue_pop(h->node->work, 0));)
            cn_worker_run(h->node, task);
        cn_node_turn(h->node, cn_queue_pop(h->node->queue, 0));
        if (atomic_load(&h->node->stop) || h->dead ||
            (cn_queue_bytes(h->node->work) == 0 && cn_queue_bytes(h->node->queue) == 0))
            break;
    }
    w->running = NULL;
    if (atomic_load(&h->node->stop) || h->dead) {
        stopped(w, i);
        return;
    }
    links_refresh(w); /* keys of peers may have changed */
    host_note_final(w, h);
    w->running = h;
    uint64_t wake = cn_node_next_wake(h->node);
    w->running = NULL;
    wake = wake > BASE_MS + w->now ? wake - BASE_MS : w->now + 1;
    if (h->wake_at > w->now && h->wake_at <= wake)
        return; /* it will be woken before */
    h->wake_at = wake;
    schedule(w, (event){.at = wake, .kind = E_WAKE, .host = i, .life = h->life});
}

/* ---- the plan ---- */

static void plan(whole *w)
{
    rng *r = &w->r;
    w->chaos_end = 2500 + rng_below(r, 3000);
    w->max_delay = 2 + rng_below(r, 25);
    w->changes_left = (unsigned)rng_below(r, 3);
    if (rng_chance(r, 60))
        w->host[rng_below(r, VOTERS)].twist = (twist_kind)(1 + rng_below(r, TWIST_SIMULATED_LAST));
    for (uint64_t k = rng_below(r, 5); k > 0; k--) {
        uint64_t at = rng_below(r, w->chaos_end);
        unsigned who = (unsigned)rng_below(r, HOSTS);
        bool within = rng_chance(r, 60); /* between any two calls that write */
        schedule(w,
                 (event){.at = at, .kind = within ? E_KILL : E_CRASH, .host = who, .value = (int64_t)rng_below(r, 40)});
    }
    if (rng_chance(r, 10)) /* all at once */
        for (unsigned i = 0; i < HOSTS; i++)
            schedule(w, (event){.at = w->chaos_end / 2, .kind = E_CRASH, .host = i});
    for (uint64_t k = rng_below(r, 5); k > 0; k--) {
        unsigned a = (unsigned)rng_below(r, HOSTS), b = (unsigned)rng_below(r, HOSTS);
        uint64_t at = rng_below(r, w->chaos_end);
        schedule(w, (event){.at = at, .kind = E_CUT, .host = a, .other = rng_chance(r, 30) ? HOSTS : b});
        schedule(w, (event){.at = at + rng_below(r, 2000), .kind = E_MEND, .host = a, .other = b});
    }
    if (rng_chance(r, 25)) {
        unsigned who = (unsigned)rng_below(r, HOSTS);
        uint64_t at = rng_below(r, w->chaos_end);
        schedule(w, (event){.at = at, .kind = E_FULL, .host = who});
        schedule(w, (event){.at = at + rng_below(r, 1500), .kind = E_ROOM, .host = who});
    }
    if (rng_chance(r, 25)) { /* an hour forth or back, and back to the truth */
        unsigned who = (unsigned)rng_below(r, HOSTS);
        uint64_t at = rng_below(r, w->chaos_end);
        schedule(w, (event){.at = at, .kind = E_CLOCK, .host = who, .value = rng_chance(r, 50) ? 3600000 : -3600000});
        schedule(w, (event){.at = at + rng_below(r, 2000), .kind = E_CLOCK, .host = who, .value = 0});
    }
}

static void cut(whole *w, unsigned a, unsigned b, bool is_cut)
{
    for (unsigned k = 0; k < HOSTS; k++)
        if (k != a && (b == HOSTS || b == k || !is_cut))
            w->cut[a][k] = w->cut[k][a] = is_cut;
    links_refresh(w);
}

static void heal(whole *w)
{
    say(w, "the network heals");
    memset(w->cut, 0, sizeof w->cut);
    for (unsigned i = 0; i < HOSTS; i++) {
        w->host[i].full = false;
        w->host[i].wall_ahead_ms = 0;
        w->host[i].calls_left = -1;
        if (!w->host[i].node)
            schedule(w, (event){.at = w->now + 1, .kind = E_START, .host = i});
    }
    links_refresh(w);
}

/* ---- running ---- */

static void wake(whole *w, const event *e)
{
    host *h = &w->host[e->host];
    if (!h->node || h->life != e->life)
        return;
    if (e->at >= h->wake_at)
        h->wake_at = 0;
    host_run(w, e->host);
}

static void happen(whole *w, event *e)
{
    host *h = &w->host[e->host];
    switch (e->kind) {
    case E_DELIVER:
        links_deliver(w, e);
        break;
    case E_WAKE:
        wake(w, e);
        break;
    case E_CLIENT:
        traffic_client(w);
        if (w->now < w->chaos_end)
            schedule(w, (event){.at = w->now + 20 + rng_below(&w->r, 120), .kind = E_CLIENT});
        break;
    case E_LOOK:
        traffic_look(w);
        schedule(w, (event){.at = w->now + LOOK_MS, .kind = E_LOOK});
        break;
    case E_START:
        host_start(w, e->host);
        break;
    case E_CRASH:
        host_crash(w, e->host);
        schedule(w, (event){.at = w->now + 20 + rng_below(&w->r, 1200), .kind = E_START, .host = e->host});
        break;
    case E_KILL:
        if (h->node && w->now < w->chaos_end)
            h->calls_left = e->value;
        break;
    case E_CUT:
        if (e->host != e->other)
            cut(w, e->host, e->other, true);
        break;
    case E_MEND:
        if (e->value)
            links_refresh(w); /* a peer that was held off */
        else
            cut(w, e->host, e->other, false);
        break;
    case E_FULL:
        h->full = true;
        say(w, "the disk of host %u is full", e->host);
        break;
    case E_ROOM:
        h->full = false;
        if (!h->node)
            schedule(w, (event){.at = w->now + 1, .kind = E_START, .host = e->host});
        break;
    case E_CLOCK:
        h->wall_ahead_ms = e->value;
        say(w, "the clock of host %u is set by %lld ms", e->host, (long long)e->value);
        break;
    }
    free(e->bytes);
}

/* Every honest validator has signed the newest checkpoint, and every honest host holds that. */
static bool endorsed(const whole *w)
{
    unsigned faulty = 0;
    for (unsigned i = 0; i < HOSTS; i++)
        faulty += w->host[i].twist != TWIST_NONE;
    for (unsigned i = 0; i < HOSTS; i++) {
        uint64_t height;
        unsigned held, of;
        bool own;
        if (w->host[i].twist != TWIST_NONE)
            continue;
        cn_endorse_count(w->host[i].node, &height, &held, &of, &own);
        if (held + faulty < of)
            return false;
    }
    return true;
}

static bool settled(const whole *w)
{
    for (unsigned i = 0; i < HOSTS; i++)
        if (w->host[i].twist == TWIST_NONE && (!w->host[i].node || w->host[i].height != w->blocks))
            return false;
    return traffic_settled(w) && endorsed(w);
}

/* Where everything stands, for who reads a trace. */
static void report(whole *w)
{
    for (unsigned i = 0; i < HOSTS; i++) {
        const host *h = &w->host[i];
        cn_consensus_info info = {0};
        if (h->node)
            cn_consensus_info_get(h->node->core, &info);
        say(w,
            "host %u twist %d: %s, height %llu of %llu, epoch %llu view %llu final view %llu leader %u, %s, %s; pool "
            "%zu",
            i, (int)h->twist, h->node ? "up" : "down", (unsigned long long)h->height, (unsigned long long)w->blocks,
            (unsigned long long)info.epoch, (unsigned long long)info.view, (unsigned long long)info.final_view,
            info.leader, info.voting ? "votes" : "does not vote", cn_wait_text(info.waiting_for),
            h->node ? cn_mempool_count(h->node->pool) : 0);
        for (unsigned k = 0; k < HOSTS; k++)
            if (k != i && !w->linked[i][k])
                say(w, "host %u has no link to %u", i, k);
    }
    traffic_report(w);
}

static void run(whole *w)
{
    bool healed = false;
    while (!oracle_violation(w->oracle)) {
        event e = next_event(w);
        w->now = e.at;
        w->events++;
        happen(w, &e);
        if (!healed && w->now >= w->chaos_end) {
            healed = true;
            heal(w);
        }
        if (healed && settled(w))
            return;
        if (w->now > w->chaos_end + HEALED_MS) {
            report(w);
            oracle_fail(w->oracle, "liveness: %u s after the network healed not everything is final everywhere",
                        HEALED_MS / 1000);
            return;
        }
    }
}

static void begin(whole *w)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char folder[64];
    member_set first;
    cn_buf rows;
    current = w;
    snprintf(folder, sizeof folder, "%.40s/carnet-whole-%d", base, (int)getpid());
    (void)mkdir(folder, 0700);
    for (unsigned i = 0; i < HOSTS; i++) {
        host *h = &w->host[i];
        *h = (host){.world = w, .index = i, .calls_left = -1};
        snprintf(h->dir, sizeof h->dir, "%s/%u", folder, i);
        files_make(h);
    }
    cn_buf_init(&rows, 1u << 16);
    cn_validator_set_encode(&genesis()->set, &rows);
    set_of_rows(CN_SPAN(rows.p, rows.n), &first);
    cn_buf_free(&rows);
    w->epoch = 1;
    w->oracle = oracle_new(&genesis()->network, false);
    oracle_epoch(w->oracle, 1, &first);
    plan(w);
    uint32_t honest = 0;
    for (unsigned i = 0; i < HOSTS; i++) {
        host *h = &w->host[i];
        honest |= (uint32_t)(h->twist == TWIST_NONE) << i;
        h->twister = (twister){.kind = h->twist,
                               .random = w->seed,
                               .network = genesis()->network,
                               .vote_key = vote_key(i, 0),
                               .ctx = h,
                               .send = links_say};
    }
    oracle_honest(w->oracle, honest);
    traffic_begin(w);
    for (unsigned i = 0; i < HOSTS; i++)
        host_start(w, i);
    schedule(w, (event){.at = 30, .kind = E_CLIENT});
    schedule(w, (event){.at = 60, .kind = E_LOOK});
}

static void end(whole *w)
{
    char folder[192];
    for (unsigned i = 0; i < HOSTS; i++)
        take_down(w, i);
    for (unsigned i = 0; i < HOSTS && !oracle_violation(w->oracle); i++)
        if (w->host[i].twist == TWIST_NONE)
            check_chain(w, &w->host[i]);
    traffic_end(w);
    for (unsigned i = 0; i < HOSTS; i++) {
        twister_end(&w->host[i].twister);
        files_remove(&w->host[i]);
        for (const char *const *sub = (const char *const[]){"/data", "/keys", "", NULL}; *sub; sub++) {
            snprintf(folder, sizeof folder, "%s%s", w->host[i].dir, *sub);
            (void)rmdir(folder);
        }
    }
    *strrchr(folder, '/') = '\0';
    (void)rmdir(folder);
    while (w->heap_n)
        free(next_event(w).bytes);
    free(w->heap);
}

whole_result whole_run(uint64_t seed, FILE *trace, const char *mutation)
{
    whole *w = calloc(1, sizeof *w);
    whole_result result = {0};
    CN_ASSERT(w);
    w->seed = seed;
    w->r.s = seed * UINT64_C(0x9e3779b97f4a7c15) + 11;
    for (int i = 0; i < 8; i++)
        rng_next(&w->r);
    w->trace = trace;
    w->mutation = mutation;
    begin(w);
    run(w);
    end(w);
    result.violated = oracle_violation(w->oracle) != NULL;
    if (result.violated)
        snprintf(result.text, sizeof result.text, "%s", oracle_violation(w->oracle));
    result.blocks = w->blocks;
    result.events = w->events;
    result.epochs = w->changes_done;
    for (unsigned i = 0; i < w->count; i++)
        result.statements += w->traffic[i].final;
    oracle_free(w->oracle);
    current = NULL;
    free(w);
    return result;
}

/* Clients: devices and parties that sign statements, keep them until they are final, and send them again. */
#include "whole.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS 700u
#define PIPELINE 3u /* statements of a key that may wait at once */
#define GOVERN_EVERY 3u

/* ---- signing ---- */

static int make(whole *w, unsigned who, cn_body *body, const cn_span *items, size_t count, bool must)
{
    signer *s = &w->signer[who];
    cn_err err = {0};
    if (w->count == MAX_TRAFFIC)
        return -1;
    traffic *t = &w->traffic[w->count];
    *t = (traffic){.signer = who, .must = must, .rival = -1};
    cn_buf_init(&t->bytes, CN_MAX_STATEMENT_BYTES);
    body->network = genesis()->network;
    body->key_id = s->id;
    body->sequence = s->sequence + 1;
    body->previous = s->previous;
    body->created_ms = T0 + w->now;
    if (cn_statement_sign(body, items, count, &s->key, &t->bytes, &t->id, &err) != CN_OK) {
        oracle_fail(w->oracle, "the client cannot sign: %s: %s", err.field, err.text);
        return -1;
    }
    s->sequence++;
    s->previous = t->id;
    return (int)w->count++;
}

static cn_digest subject(unsigned number)
{
    char uri[48];
    snprintf(uri, sizeof uri, "urn:example:whole:%u", number);
    return cn_subject_tag(genesis()->subject_salt, uri);
}

#define CONTAINERS 2u
#define SUBJECTS 8u

static int batch(whole *w, unsigned who)
{
    static const uint8_t secret[32] = {9};
    cn_batch_entry entry[2];
    cn_buf item[3];
    cn_span span[3];
    uint32_t items = 1 + (uint32_t)rng_below(&w->r, 3);
    cn_body *body = calloc(1, sizeof *body);
    CN_ASSERT(body);
    for (uint32_t i = 0; i < items; i++) {
        char text[64];
        int n =
            snprintf(text, sizeof text, "{\"reading\":%u,\"by\":%u,\"at\":%llu}", i, who, (unsigned long long)w->now);
        cn_buf_init(&item[i], CN_MAX_ITEM_BYTES);
        cn_item_write(&item[i], secret, CN_ITEM_DCSA, text, (size_t)n);
        span[i] = CN_SPAN(item[i].p, item[i].n);
    }
    uint64_t at = T0 + w->now;
    entry[0] = (cn_batch_entry){subject((unsigned)rng_below(&w->r, SUBJECTS)), 0, items, at - 50, at};
    entry[1] = (cn_batch_entry){subject((unsigned)rng_below(&w->r, SUBJECTS)), 0, 1, at - 50, at};
    int order = memcmp(entry[0].subject.b, entry[1].subject.b, CN_DIGEST_LEN);
    if (order > 0) {
        cn_batch_entry t = entry[0];
        entry[0] = entry[1];
        entry[1] = t;
    }
    body->kind = CN_PAYLOAD_EVENT_BATCH;
    body->batch.entry = entry;
    body->batch.entry_count = order == 0 ? 1 : 2;
    if (order == 0)
        entry[0].count = items;
    int made = make(w, who, body, span, items, true);
    for (uint32_t i = 0; i < items; i++)
        cn_buf_free(&item[i]);
    free(body);
    return made;
}

static int small(whole *w, unsigned who, const cn_body *body, bool must)
{
    cn_body *copy = malloc(sizeof *copy);
    CN_ASSERT(copy);
    *copy = *body;
    int made = make(w, who, copy, NULL, 0, must);
    free(copy);
    return made;
}

static void pairing(whole *w, unsigned who)
{
    uint64_t at = T0 + w->now;
    cn_body body = {.kind = CN_PAYLOAD_PAIRING};
    body.pairing = (cn_pairing){subject((unsigned)rng_below(&w->r, CONTAINERS)),
                                subject(CONTAINERS + (unsigned)rng_below(&w->r, SUBJECTS - CONTAINERS)), at, at + 500};
    (void)small(w, who, &body, true);
}

static void document(whole *w, unsigned who)
{
    cn_digest about = subject((unsigned)rng_below(&w->r, SUBJECTS));
    cn_body body = {.kind = CN_PAYLOAD_DOCUMENT};
    body.document = (cn_document_anchor){.digest = cn_sha256(&w->now, sizeof w->now),
                                         .size = 100,
                                         .kind = 1,
                                         .issued_ms = T0 + w->now,
                                         .subject_count = 1,
                                         .subject = &about};
    (void)small(w, who, &body, true);
}

/* ---- keys ---- */

static unsigned add_signer(whole *w, const cn_secret_key *key, unsigned owner, int registration)
{
    w->signer[w->signers] = (signer){.key = *key,
                                     .id = cn_key_id(&key->public_key),
                                     .owner = owner,
                                     .active = registration < 0,
                                     .registration = registration};
    return w->signers++;
}

static void register_device(whole *w, unsigned owner)
{
    uint8_t seed[16];
    cn_secret_key key;
    cn_store_u64(cn_store_u64(seed, w->seed), w->signers);
    cn_digest secret = cn_tagged("simulated device", seed, sizeof seed);
    CN_ASSERT(cn_secret_key_from_bytes(w->signers % 2 ? CN_KEY_ED25519 : CN_KEY_SECP256K1, secret.b, &key, NULL) ==
              CN_OK);
    cn_digest id = cn_key_id(&key.public_key), member = genesis()->member[owner].id;
    cn_digest digest = cn_possession_digest(&genesis()->network, &member, &id);
    cn_body body = {.kind = CN_PAYLOAD_REGISTRY};
    body.registry.op = CN_REG_KEY_REGISTER;
    body.registry.new_key = (cn_key_register){.key = key.public_key, .purpose = CN_PURPOSE_DEVICE};
    CN_ASSERT(cn_sign(&key, &digest, &body.registry.new_key.possession, NULL) == CN_OK);
    int made = small(w, owner, &body, true);
    if (made >= 0)
        (void)add_signer(w, &key, owner, made);
}

/* What waits of this key may never find its place. */
static void give_up(whole *w, unsigned who)
{
    for (unsigned i = 0; i < w->count; i++)
        if (w->traffic[i].signer == who && !w->traffic[i].final)
            w->traffic[i].must = false;
}

static void revoke(whole *w, unsigned device)
{
    cn_body body = {.kind = CN_PAYLOAD_REGISTRY};
    body.registry.op = CN_REG_KEY_REVOKE;
    body.registry.key_id = w->signer[device].id;
    body.registry.sequence = w->signer[device].sequence;
    body.registry.reason = 1;
    give_up(w, device);
    w->signer[device].retired = true;
    (void)small(w, w->signer[device].owner, &body, false);
}

/* The device has lost its memory: another key of its owner says where it goes on. */
static void gap(whole *w, unsigned device)
{
    signer *s = &w->signer[device];
    cn_body body = {.kind = CN_PAYLOAD_REGISTRY};
    body.registry.op = CN_REG_KEY_GAP;
    body.registry.key_id = s->id;
    body.registry.sequence = s->sequence + 3;
    body.registry.previous = cn_tagged("simulated gap", &w->now, sizeof w->now);
    body.registry.reason = 1;
    give_up(w, device);
    if (small(w, s->owner, &body, true) < 0)
        return;
    s->sequence += 3;
    s->previous = body.registry.previous;
}

/* Two statements for one place in the chain of a key, given to different nodes. */
static void fork_chain(whole *w, unsigned device)
{
    signer *s = &w->signer[device], before = *s;
    int one = batch(w, device);
    *s = before;
    w->now++; /* so that the other one differs */
    int other = one >= 0 ? batch(w, device) : -1;
    w->now--;
    if (other < 0)
        return;
    w->traffic[one].must = w->traffic[other].must = false;
    w->traffic[one].rival = other;
    w->traffic[other].rival = one;
    s->retired = true;
}

/* A good statement with one bit of its signature changed, or of another network. */
static void false_one(whole *w, unsigned who)
{
    signer *s = &w->signer[who], before = *s;
    int made = batch(w, who);
    *s = before;
    if (made < 0)
        return;
    traffic *t = &w->traffic[made];
    cn_statement *decoded = NULL;
    t->must = false;
    t->never = true;
    CN_ASSERT(cn_statement_decode(t->bytes.p, t->bytes.n, &decoded, NULL) == CN_OK);
    t->bytes.p[decoded->record.n - 1 - rng_below(&w->r, 64)] ^= 4; /* the signature ends the record */
    cn_statement_free(decoded);
}

/* ---- changes of the set ---- */

static int propose(whole *w, governance *g)
{
    cn_body *body = calloc(1, sizeof *body);
    CN_ASSERT(body);
    body->kind = CN_PAYLOAD_PROPOSAL;
    body->proposal.action = g->action;
    body->proposal.member = genesis()->member[g->member].id;
    if (g->action != CN_CHANGE_LEAVE) {
        row_of(g->member, g->generation, &body->proposal.row);
        for (unsigned k = 0; k < CN_ROW_KEYS; k++)
            body->proposal.possession[k] = possession(g->member, g->generation, k);
    }
    int made = make(w, g->action == CN_CHANGE_LEAVE ? (g->member + 1) % VOTERS : g->member, body, NULL, 0, true);
    free(body);
    if (made >= 0)
        g->id = w->traffic[made].id;
    return made;
}

static int ballot(whole *w, const governance *g, unsigned who, bool approve)
{
    cn_body body = {.kind = CN_PAYLOAD_BALLOT};
    body.ballot = (cn_ballot_payload){g->id, genesis()->member[g->member].id, approve};
    return small(w, who, &body, true);
}

static int ready(whole *w, const governance *g)
{
    const host *h = &w->host[g->member];
    cn_snapshot *snap = NULL;
    cn_tip tip;
    cn_body body = {.kind = CN_PAYLOAD_READINESS};
    if (!h->node || cn_snapshot_open(h->node->store, &snap, NULL) != CN_OK)
        return -1;
    CN_ASSERT(cn_snapshot_tip(snap, &tip, NULL) == CN_OK);
    cn_snapshot_close(snap);
    body.readiness = (cn_readiness_payload){
        .proposal = g->id, .member = genesis()->member[g->member].id, .height = tip.height, .block = tip.digest};
    cn_digest digest = cn_readiness_digest(&genesis()->network, &g->id, tip.height, &tip.digest);
    CN_ASSERT(cn_sign(vote_key(g->member, g->generation), &digest, &body.readiness.signature, NULL) == CN_OK);
    return small(w, g->member, &body, true);
}

static void choose_change(whole *w)
{
    governance *g = &w->change;
    const host *joiner = &w->host[VOTERS];
    bool joined = joiner->generation > 0;
    memset(g, 0, sizeof *g);
    g->proposal = g->last = -1;
    if (!joined && rng_chance(&w->r, 60)) {
        g->action = CN_CHANGE_JOIN;
        g->member = VOTERS;
        g->call_off = rng_chance(&w->r, 30);
    } else {
        g->action = CN_CHANGE_ROTATE;
        g->member = (unsigned)rng_below(&w->r, VOTERS);
        g->generation = w->host[g->member].generation + 1;
        if (w->host[g->member].twist != TWIST_NONE || g->generation == GENERATIONS)
            g->action = (cn_change_action)0; /* another time */
    }
    if (g->action == CN_CHANGE_ROTATE) {
        w->host[g->member].generation = g->generation;
        files_add_next(&w->host[g->member]);
    }
    if (g->action)
        w->changes_left--;
}

/* One step when the one before it is final: proposal, three ballots, readiness, and the next epoch comes by itself. */
static void govern(whole *w)
{
    governance *g = &w->change;
    if (g->action && g->last >= 0 && !w->traffic[g->last].final)
        return;
    switch (g->action ? g->step : 100) {
    case 100:
        if (w->changes_left > 0 && w->now < w->chaos_end)
            choose_change(w);
        break;
    case 0:
        g->last = propose(w, g);
        g->step++;
        break;
    case 1:
    case 2:
    case 3:
        g->last = ballot(w, g, (g->member + g->step) % VOTERS, true);
        g->step++;
        break;
    case 4:
        if (g->call_off) {
            g->last = ballot(w, g, (g->member + 1) % VOTERS, false);
            say(w, "the change is called off");
            g->call_off = false;
            g->step = 0; /* and proposed again */
        } else {
            g->last = ready(w, g);
            g->step += g->last >= 0;
        }
        break;
    case 5: /* the epoch it was accepted in has ended, or is about to */
        if (g->action == CN_CHANGE_JOIN)
            w->host[VOTERS].generation = 1; /* only a mark that it has joined */
        g->action = (cn_change_action)0;
        break;
    default:
        break;
    }
}

/* ---- sending ---- */

static void submit(whole *w, unsigned number, unsigned to)
{
    traffic *t = &w->traffic[number];
    host *h = &w->host[to];
    t->retry_at = w->now + RETRY_MS;
    if (!h->node)
        return;
    w->running = h;
    (void)cn_admit_from_peer(h->node, (unsigned)-1, t->bytes.p, t->bytes.n); /* as the API does: not a peer's */
    w->running = NULL;
    host_run(w, to);
}

void traffic_begin(whole *w)
{
    for (unsigned i = 0; i < HOSTS; i++)
        (void)add_signer(w, capture_key(i), i, -1);
}

static unsigned waiting(const whole *w, unsigned who)
{
    unsigned count = 0;
    for (unsigned i = 0; i < w->count; i++)
        count += w->traffic[i].signer == who && !w->traffic[i].final && !w->traffic[i].never;
    return count;
}

static void act(whole *w, unsigned who)
{
    uint64_t what = rng_below(&w->r, 100);
    bool device = who >= HOSTS;
    if (what < 55)
        (void)batch(w, who);
    else if (what < 65)
        pairing(w, who);
    else if (what < 72)
        document(w, who);
    else if (what < 84 && !device && w->signers < SIGNERS)
        register_device(w, who);
    else if (what < 88 && device)
        revoke(w, who);
    else if (what < 92 && device)
        gap(w, who);
    else if (what < 96 && device)
        fork_chain(w, who);
    else
        false_one(w, who);
}

void traffic_client(whole *w)
{
    unsigned who = (unsigned)rng_below(&w->r, w->signers), from = w->count;
    signer *s = &w->signer[who];
    if (s->active && !s->retired && waiting(w, who) < PIPELINE)
        act(w, who);
    if (w->order % GOVERN_EVERY == 0)
        govern(w);
    for (; from < w->count; from++)
        submit(w, from, (unsigned)rng_below(&w->r, HOSTS));
    if (w->count && rng_chance(&w->r, 10)) /* the same bytes again */
        submit(w, (unsigned)rng_below(&w->r, w->count), (unsigned)rng_below(&w->r, HOSTS));
}

/* ---- what has become of them ---- */

static void look_for(whole *w, unsigned number, cn_snapshot *snap)
{
    traffic *t = &w->traffic[number];
    uint64_t index;
    cn_stored_statement stored;
    if (cn_snapshot_find_id(snap, &t->id, &index, NULL) != CN_OK)
        return;
    if (t->never && cn_snapshot_statement(snap, index, &stored, NULL) == CN_OK && stored.record.n <= t->bytes.n &&
        memcmp(stored.record.p, t->bytes.p, stored.record.n) == 0)
        oracle_fail(w->oracle, "a statement whose signature was changed is final at index %llu",
                    (unsigned long long)index);
    if (t->never)
        return;
    if (t->rival >= 0 && w->traffic[t->rival].final)
        oracle_fail(w->oracle, "two statements of one place in a key's chain are final");
    t->final = true; /* from here on it is acknowledged */
    t->index = index;
    for (unsigned i = 0; i < w->signers; i++)
        if (w->signer[i].registration == (int)number)
            w->signer[i].active = true;
}

void traffic_look(whole *w)
{
    unsigned who = (unsigned)rng_below(&w->r, HOSTS), from = w->count;
    host *h = &w->host[who];
    cn_snapshot *snap = NULL;
    if (h->node && h->twist == TWIST_NONE && cn_snapshot_open(h->node->store, &snap, NULL) == CN_OK) {
        for (unsigned i = 0; i < w->count; i++)
            if (!w->traffic[i].final)
                look_for(w, i, snap);
        cn_snapshot_close(snap);
    }
    govern(w);
    for (; from < w->count; from++)
        submit(w, from, (unsigned)rng_below(&w->r, HOSTS));
    for (unsigned i = 0; i < w->count; i++)
        if (!w->traffic[i].final && !w->traffic[i].never && w->traffic[i].retry_at <= w->now)
            submit(w, i, (unsigned)rng_below(&w->r, HOSTS));
}

bool traffic_settled(const whole *w)
{
    if (w->change.action)
        return false;
    for (unsigned i = 0; i < w->count; i++)
        if (w->traffic[i].must && !w->traffic[i].final)
            return false;
    return true;
}

void traffic_report(whole *w)
{
    if (w->change.action)
        say(w, "change %d of member %u stands at step %u", (int)w->change.action, w->change.member, w->change.step);
    for (unsigned i = 0; i < w->count; i++) {
        const traffic *t = &w->traffic[i];
        cn_statement *s = NULL;
        if (cn_statement_decode(t->bytes.p, t->bytes.n, &s, NULL) != CN_OK)
            continue;
        say(w, "statement %u of signer %u, payload %d, sequence %llu is %s%s%s", i, t->signer, (int)s->body.kind,
            (unsigned long long)s->body.sequence, t->final ? "final" : "not final", t->must ? ", and must be" : "",
            t->never ? ", and must not be" : "");
        cn_statement_free(s);
        for (unsigned k = 0; k < HOSTS; k++) {
            cn_refusal *r = NULL;
            if (w->host[k].node)
                HASH_FIND(hh, w->host[k].node->refusals, t->id.b, CN_DIGEST_LEN, r);
            if (r)
                say(w, "  refused by host %u: %s: %s", k, r->err.field, r->err.text);
        }
    }
}

void traffic_end(whole *w)
{
    for (unsigned i = 0; i < w->count; i++)
        cn_buf_free(&w->traffic[i].bytes);
    for (unsigned i = HOSTS; i < w->signers; i++)
        cn_secret_key_wipe(&w->signer[i].key);
}

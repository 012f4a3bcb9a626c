#include "step_world.h"

#include <stdio.h>
#include <stdlib.h>

#define T0 UINT64_C(1000000)
#define HEAL_ROUNDS 1500u
#define MEMORY_MAX ((size_t)8 << 20) /* bytes one core may hold here (R9); its blocks are small */

static const cn_digest network = {{1, 2, 3}}, set = {{9}};

static void fail(const world *w, const char *what)
{
    (void)w;
#ifdef CARNET_PLANT
    fprintf(stderr, "planted bug: ");
#endif
    fuzz_violation(__FILE__, __LINE__, what);
}

static void sign_cb(void *ctx, const cn_digest *digest, cn_signature *ret)
{
    sim_sign((unsigned)(uintptr_t)ctx, digest, ret->b);
}

static bool verify_cb(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[64])
{
    (void)ctx;
    return sim_verify(signer, digest, signature);
}

/* ---- blocks of the model ledger ---- */

static int find_block(const world *w, const cn_digest *digest)
{
    for (size_t i = 0; i < w->block_n; i++)
        if (cn_digest_eq(&w->block[i].digest, digest))
            return (int)i;
    return -1;
}

static void roots(const cn_header *parent, cn_header *h, const cn_digest *record, size_t count)
{
    h->log_size = parent->log_size + count;
    h->log_root = parent->log_root;
    for (size_t i = 0; i < count; i++)
        h->log_root = cn_node_hash(&h->log_root, &record[i]);
    h->state_root = h->kind == CN_BLOCK_NORMAL ? parent->state_root : cn_node_hash(&h->log_root, &parent->state_root);
    h->body = cn_body_digest(record, count);
}

/* -1: no room. Whether a block executes follows from its bytes and its parent, so it is the same for every host. */
static int add_block(world *w, const cn_block *b)
{
    int known = find_block(w, &b->digest);
    if (known >= 0)
        return known;
    if (w->block_n == MAX_BLOCKS)
        return -1;
    size_t i = w->block_n++;
    cn_digest *record = calloc(b->record_count + 1, sizeof *record);
    FUZZ_REQUIRE(record != NULL);
    if (b->record_count)
        memcpy(record, b->record, b->record_count * sizeof *record);
    w->block[i] = *b;
    w->block[i].record = record;
    w->parent[i] = find_block(w, &b->header.parent);
    if (w->parent[i] >= 0) {
        const cn_header *p = &w->block[w->parent[i]].header;
        cn_header h = b->header;
        roots(p, &h, record, b->record_count);
        cn_digest digest = cn_header_digest(&h);
        bool normal = h.kind == CN_BLOCK_NORMAL;
        w->checkpoint_time[i] = normal ? w->checkpoint_time[w->parent[i]] : h.time_ms;
        w->checkpoint_log[i] = normal ? w->checkpoint_log[w->parent[i]] : h.log_size;
        if (!cn_digest_eq(&digest, &b->digest) || h.height != p->height + 1 || h.time_ms <= p->time_ms)
            w->parent[i] = -1;
    }
    return (int)i;
}

static cn_block make_block(const world *w, int parent, uint64_t time_ms, cn_digest *record, size_t count)
{
    const cn_block *p = &w->block[parent];
    cn_header h = {.version = 1,
                   .kind = count ? CN_BLOCK_NORMAL : CN_BLOCK_CHECKPOINT,
                   .epoch = 1,
                   .height = p->header.height + 1,
                   .time_ms = time_ms,
                   .parent = p->digest,
                   .set = set,
                   .next_set = set};
    roots(&p->header, &h, record, count);
    return (cn_block){.digest = cn_header_digest(&h), .header = h, .record_count = count, .record = record};
}

/* ---- lives ---- */

static void start(world *w, unsigned i)
{
    host *h = &w->host[i];
    int tip = h->chain[h->height];
    static cn_block bodies[MAX_BLOCKS];
    cn_consensus_config cfg = {.network = network,
                               .epoch = 1,
                               .n = VALIDATORS,
                               .self = i,
                               .set = set,
                               .crypto = {(void *)(uintptr_t)i, sign_cb, verify_cb},
                               .delay_floor_ms = 50,
                               .delay_cap_ms = 1000,
                               .forward_ms = 10,
                               .checkpoint_interval_ms = 400,
                               .heartbeat_ms = 5000,
                               .may_vote = true,
                               .final_block = w->block[tip],
                               .final_view = h->final_view,
                               .final_certificate = h->has_cert ? &h->cert : NULL,
                               .checkpoint_time_ms = w->checkpoint_time[tip],
                               .checkpoint_log_size = w->checkpoint_log[tip],
                               .floor_view = h->floor,
                               .row_count = h->row_n,
                               .row = h->row,
                               .certificate_count = h->notarization_n,
                               .certificate = h->notarization,
                               .block = bodies};
    for (size_t k = 0; k < h->body_n; k++)
        if (w->block[h->body[k]].header.height > h->height)
            bodies[cfg.block_count++] = w->block[h->body[k]];
    h->core = cn_consensus_new(&cfg, w->now);
    h->pending = false;
}

/* One epoch, and keys that are never rotated. */
unsigned member_key(const member_set *members, unsigned index)
{
    return members->member[index];
}

world *world_new(void)
{
    world *w = calloc(1, sizeof *w);
    FUZZ_REQUIRE(w != NULL);
    w->now = T0;
    w->oracle = oracle_new(&network, false);
    member_set members = {.n = VALIDATORS, .digest = set};
    for (unsigned i = 0; i < VALIDATORS; i++)
        members.member[i] = (uint8_t)i;
    oracle_epoch(w->oracle, 1, &members);
    oracle_honest(w->oracle, (1u << HONEST) - 1);
    cn_block genesis = {.header = {.version = 1, .kind = CN_BLOCK_CLOSING, .time_ms = T0 - 10, .log_size = 2}};
    genesis.header.body = cn_body_digest(NULL, 0);
    genesis.digest = cn_header_digest(&genesis.header);
    (void)add_block(w, &genesis);
    w->checkpoint_time[0] = genesis.header.time_ms;
    w->checkpoint_log[0] = 2;
    for (unsigned i = 0; i < HONEST; i++)
        start(w, i);
    return w;
}

void world_free(world *w)
{
    for (unsigned i = 0; i < HONEST; i++) {
        cn_consensus_free(w->host[i].core);
        free(w->host[i].journal);
        free(w->host[i].row);
        free(w->host[i].notarization);
    }
    while (w->mail_n)
        world_drop(w, w->mail_n - 1);
    for (size_t i = 0; i < w->block_n; i++)
        free((void *)(uintptr_t)w->block[i].record);
    oracle_free(w->oracle);
    free(w);
}

void world_crash(world *w, unsigned i)
{
    host *h = &w->host[i];
    cn_consensus_free(h->core);
    h->journal_n = 0; /* what was not synced is gone */
    start(w, i);
}

/* ---- mail ---- */

static void post(world *w, unsigned from, unsigned to, const cn_digest *block, const uint8_t *bytes, size_t n)
{
    if (w->mail_n == MAX_MAIL || to == from || to >= HONEST)
        return;
    mail *m = &w->mail[w->mail_n++];
    *m = (mail){.to = to, .from = from, .n = n};
    if (block)
        m->block = *block;
    if (bytes) {
        m->bytes = malloc(n);
        FUZZ_REQUIRE(m->bytes != NULL);
        memcpy(m->bytes, bytes, n);
    }
}

void world_drop(world *w, size_t index)
{
    if (index >= w->mail_n)
        return;
    free(w->mail[index].bytes);
    memmove(&w->mail[index], &w->mail[index + 1], (w->mail_n - index - 1) * sizeof w->mail[0]);
    w->mail_n--;
}

void world_deliver(world *w, size_t index, bool keep)
{
    if (index >= w->mail_n)
        return;
    mail m = w->mail[index];
    int body = m.bytes ? -1 : find_block(w, &m.block);
    if (m.bytes) { /* of exact size, so that a sanitizer sees its end */
        m.bytes = malloc(m.n);
        FUZZ_REQUIRE(m.bytes != NULL);
        memcpy(m.bytes, w->mail[index].bytes, m.n);
    }
    if (!keep)
        world_drop(w, index);
    if (m.bytes)
        world_step(w, m.to, &(cn_event){.kind = CN_EV_MESSAGE, .from = m.from, .bytes = m.bytes, .n = m.n});
    else if (body >= 0)
        world_step(w, m.to, &(cn_event){.kind = CN_EV_BLOCK, .block = w->block[body]});
    free(m.bytes);
}

static void overheard(world *w, const uint8_t *p, size_t n)
{
    cn_vote v;
    cn_certificate c;
    if (cn_vote_read(p, n, &v))
        w->vote[w->vote_n++ % MAX_VOTES] = v;
    else if (cn_certificate_message_read(p, n, &c))
        w->heard[w->heard_n++ % 64] = c;
}

static void send_all(world *w, unsigned from, const cn_action *a)
{
    oracle_sent(w->oracle, from, true, a->bytes, a->n);
    overheard(w, a->bytes, a->n);
    for (unsigned to = 0; to < HONEST; to++)
        if (a->to == CN_TO_ALL || a->to == to)
            post(w, from, to, NULL, a->bytes, a->n);
}

/* ---- the host's part ---- */

static void persist(world *w, unsigned i, const cn_action *a)
{
    host *h = &w->host[i];
    h->journal = realloc(h->journal, (h->journal_n + 1) * sizeof *h->journal);
    FUZZ_REQUIRE(h->journal != NULL);
    cn_reader r = cn_reader_of(a->bytes, a->n);
    cn_certificate notarization = {0};
    FUZZ_REQUIRE(!a->n || (cn_certificate_read(&r, &notarization, NULL) == CN_OK && cn_reader_done(&r)));
    h->journal[h->journal_n++] = (written){.token = a->token,
                                           .has_notarization = a->n > 0,
                                           .notarization = notarization,
                                           .has_row = a->has_row,
                                           .row = a->row,
                                           .body = a->store_body && a->block ? add_block(w, a->block) : -1};
}

static void put_row(host *h, const cn_sign_row *row)
{
    size_t k = 0;
    while (k < h->row_n && h->row[k].view != row->view)
        k++;
    if (k == h->row_n) {
        h->row = realloc(h->row, ++h->row_n * sizeof *h->row);
        FUZZ_REQUIRE(h->row != NULL);
    }
    h->row[k] = *row;
}

static void put_notarization(host *h, const cn_certificate *c)
{
    h->notarization = realloc(h->notarization, (h->notarization_n + 1) * sizeof *h->notarization);
    FUZZ_REQUIRE(h->notarization != NULL);
    h->notarization[h->notarization_n++] = *c;
}

void world_sync_disk(world *w, unsigned i)
{
    host *h = &w->host[i];
    uint64_t token = 0;
    for (size_t k = 0; k < h->journal_n; k++) {
        const written *d = &h->journal[k];
        if (d->has_row)
            put_row(h, &d->row);
        if (d->has_notarization)
            put_notarization(h, &d->notarization);
        if (d->body >= 0 && h->body_n < MAX_BLOCKS)
            h->body[h->body_n++] = d->body;
        token = d->token;
    }
    bool any = h->journal_n > 0;
    h->journal_n = 0;
    if (any)
        world_step(w, i, &(cn_event){.kind = CN_EV_PERSISTED, .token = token});
}

static void take_final(world *w, unsigned i, const cn_action *a)
{
    host *h = &w->host[i];
    cn_reader r = cn_reader_of(a->bytes, a->n);
    for (size_t k = 0; k < a->count; k++) {
        const cn_block *b = a->blocks[k];
        int at = add_block(w, b);
        oracle_final(w->oracle, i, &b->header, &b->digest, 1);
        FUZZ_REQUIRE(b->header.height == h->height + 1);
        FUZZ_REQUIRE(at >= 0 && w->parent[at] == h->chain[h->height]);
        h->chain[++h->height] = at;
    }
    h->final_view = a->view;
    h->has_cert = cn_certificate_read(&r, &h->cert, NULL) == CN_OK && cn_reader_done(&r);
    FUZZ_REQUIRE(h->has_cert && h->cert.kind == CN_FINALIZE);
}

/* Answers that step the core again, after its action list is through. */
typedef struct answer {
    cn_event ev;
    cn_digest record;
} answer;

static void build(world *w, const cn_action *a, answer *out)
{
    int parent = find_block(w, &a->parent);
    size_t count = a->want_statements ? 1 : 0;
    out->ev = (cn_event){.kind = CN_EV_BUILT, .view = a->view};
    if (parent < 0 || w->block_n + 8 > MAX_BLOCKS)
        return;
    w->statements++;
    out->record = cn_sha256(&w->statements, sizeof w->statements);
    cn_block b = make_block(w, parent, a->time_ms, &out->record, count);
    int at = add_block(w, &b);
    out->ev.ok = at >= 0;
    if (at >= 0)
        out->ev.block = w->block[at];
}

/* R9: what a core holds, in bytes. */
static void check_memory(const world *w, unsigned i)
{
    const cn_consensus *c = w->host[i].core;
    size_t tallies = 0, bytes = c->slot_cap * sizeof(slot) + c->entry_count * sizeof(entry);
    for (size_t k = 0; k < c->slot_count; k++) {
        for (unsigned kind = 0; kind < KINDS; kind++) {
            tallies += c->slot[k].votes[kind] != NULL;
            bytes += c->slot[k].cert[kind] ? sizeof(cn_certificate) : 0;
        }
        bytes += c->slot[k].proposal_n;
    }
    for (size_t k = 0; k < c->entry_count; k++)
        bytes += c->entry[k]->block.record_count * sizeof(cn_digest);
    bytes += tallies * sizeof(tally) + c->pending_cap * sizeof(pending_signature);
    FUZZ_REQUIRE(tallies <= KINDS * (CN_VIEW_WINDOW + 2));
    FUZZ_REQUIRE(c->entry_count <= MAX_ENTRIES && c->want_count <= MAX_WANTS);
    FUZZ_REQUIRE(bytes <= MEMORY_MAX);
}

static bool act(world *w, unsigned i, const cn_action *a, answer *out)
{
    switch (a->kind) {
    case CN_ACT_PERSIST:
        persist(w, i, a);
        return false;
    case CN_ACT_SEND:
        send_all(w, i, a);
        return false;
    case CN_ACT_BUILD:
        build(w, a, out);
        return true;
    case CN_ACT_EXECUTE: {
        int at = add_block(w, a->block);
        out->ev = (cn_event){.kind = CN_EV_EXECUTED, .ok = at >= 0 && w->parent[at] >= 0};
        out->ev.block.digest = a->block->digest;
        return at >= 0; /* no room in this world: the execution never ends */
    }
    case CN_ACT_FETCH:
        post(w, VALIDATORS, i, &a->parent, NULL, 0);
        return false;
    case CN_ACT_FINAL:
        take_final(w, i, a);
        out->ev = (cn_event){.kind = CN_EV_DURABLE, .view = a->view};
        return true;
    case CN_ACT_FLOOR:
        FUZZ_REQUIRE(a->view > w->host[i].floor);
        w->host[i].floor = a->view;
        return false;
    case CN_ACT_EVIDENCE:
        if (a->to != LIAR)
            fail(w, "evidence against an honest validator (R10)");
        return false;
    case CN_ACT_STOP:
        fprintf(stderr, "%s\n", a->reason);
        fail(w, "an honest node stopped");
        return false;
    default:
        return false;
    }
}

void world_step(world *w, unsigned i, const cn_event *ev)
{
    cn_actions actions = {0};
    cn_consensus_step(w->host[i].core, w->now, ev, &actions);
    answer *answers = calloc(actions.n + 1, sizeof *answers);
    FUZZ_REQUIRE(answers != NULL);
    size_t count = 0;
    for (size_t k = 0; k < actions.n; k++)
        count += act(w, i, &actions.v[k], &answers[count]);
    cn_actions_free(&actions);
    check_memory(w, i);
    if (oracle_violation(w->oracle)) {
        fprintf(stderr, "oracle: %s\n", oracle_violation(w->oracle));
        fail(w, "the oracle's rules");
    }
    for (size_t k = 0; k < count; k++)
        world_step(w, i, &answers[k].ev);
    free(answers);
}

/* R12: the final blocks of another, applied by the host. */
void world_catch_up(world *w, unsigned i, unsigned from)
{
    host *h = &w->host[i], *other = &w->host[from];
    if (other->height <= h->height)
        return;
    while (h->height < other->height) {
        h->height++;
        h->chain[h->height] = other->chain[h->height];
    }
    h->final_view = other->final_view;
    h->cert = other->cert;
    h->has_cert = other->has_cert;
    int tip = h->chain[h->height];
    cn_event ev = {.kind = CN_EV_SYNCED,
                   .view = h->final_view,
                   .block = w->block[tip],
                   .checkpoint_time_ms = w->checkpoint_time[tip],
                   .checkpoint_log_size = w->checkpoint_log[tip],
                   .final_certificate = &h->cert};
    world_step(w, i, &ev);
    world_step(w, i, &(cn_event){.kind = CN_EV_DURABLE, .view = h->final_view});
}

/* ---- lies ---- */

static uint64_t view_near(const world *w, unsigned to, uint8_t byte)
{
    cn_consensus_info info;
    cn_consensus_info_get(w->host[to].core, &info);
    if (byte >= 250)
        return info.view + (UINT64_C(1) << (byte - 245));
    uint64_t view = info.view + byte % 16;
    return view > 8 ? view - 8 : 1;
}

static cn_digest some_block(const world *w, uint8_t byte)
{
    return byte == 255 ? cn_sha256("nothing", 7) : w->block[w->block_n - 1 - byte % w->block_n].digest;
}

static void say(world *w, unsigned to, cn_buf *bytes)
{
    oracle_sent(w->oracle, LIAR, false, bytes->p, bytes->n);
    overheard(w, bytes->p, bytes->n);
    world_step(w, to, &(cn_event){.kind = CN_EV_MESSAGE, .from = LIAR, .bytes = bytes->p, .n = bytes->n});
    cn_buf_free(bytes);
}

static cn_vote lie(uint8_t kind, uint64_t view, const cn_digest *block)
{
    cn_vote v = {.kind = (uint8_t)(1 + kind % 3), .epoch = kind >= 250 ? 2 : 1, .view = view, .signer = LIAR};
    if (v.kind != CN_NULLIFY)
        v.block = *block;
    cn_digest d = cn_vote_digest(&network, v.epoch, v.kind, v.view, &v.block);
    sim_sign(LIAR, &d, v.signature.b);
    return v;
}

void world_forge_vote(world *w, unsigned to, cn_reader *r)
{
    uint8_t kind = cn_read_u8(r);
    uint64_t view = view_near(w, to, cn_read_u8(r));
    cn_digest block = some_block(w, cn_read_u8(r));
    cn_vote v = lie(kind, view, &block);
    cn_buf bytes;
    cn_buf_init(&bytes, 256);
    cn_vote_write(&v, &bytes);
    say(w, to, &bytes);
}

/* Real signatures as far as the liar has them, and its own; the rest is invented. */
void world_forge_certificate(world *w, unsigned to, cn_reader *r)
{
    uint8_t kind = cn_read_u8(r);
    uint64_t view = view_near(w, to, cn_read_u8(r));
    cn_digest block = some_block(w, cn_read_u8(r));
    cn_vote own = lie(kind, view, &block);
    cn_certificate c = {.kind = own.kind, .epoch = own.epoch, .view = view, .block = own.block, .n = VALIDATORS};
    for (unsigned signer = 0; signer < VALIDATORS && c.signature_count < cn_quorum(VALIDATORS); signer++) {
        const cn_vote *found = signer == LIAR ? &own : NULL;
        for (size_t k = 0; k < w->vote_n && k < MAX_VOTES && !found; k++) {
            const cn_vote *v = &w->vote[k];
            if (v->signer == signer && v->kind == c.kind && v->view == view && v->epoch == c.epoch &&
                cn_digest_eq(&v->block, &c.block))
                found = v;
        }
        if (!found && signer < VALIDATORS - cn_quorum(VALIDATORS))
            continue;
        c.bitmap[0] = (uint8_t)(c.bitmap[0] | 1u << signer);
        c.signature[c.signature_count++] = found ? found->signature : own.signature;
    }
    cn_buf bytes;
    cn_buf_init(&bytes, CN_CERTIFICATE_MAX + 2);
    cn_certificate_message_write(&c, &bytes);
    say(w, to, &bytes);
}

void world_forge_proposal(world *w, unsigned to, cn_reader *r)
{
    uint64_t view = view_near(w, to, cn_read_u8(r));
    uint8_t what = cn_read_u8(r);
    int parent = find_block(w, &(cn_digest){{0}});
    cn_digest chosen = some_block(w, cn_read_u8(r) % 255), record = cn_sha256(&w->statements, 8);
    while ((view + 1) % VALIDATORS != LIAR)
        view++;
    parent = find_block(w, &chosen);
    if (w->block_n + 8 > MAX_BLOCKS || parent < 0)
        return;
    w->statements += what & 1;
    cn_block b = make_block(w, parent, w->block[parent].header.time_ms + 1 + (what & 2), &record, what >> 2 & 1);
    if (what & 8)
        b.header.state_root.b[0] ^= 1; /* does not execute */
    if (what & 16)
        b.header.height += what >> 5;
    b.digest = cn_header_digest(&b.header);
    (void)add_block(w, &b);
    cn_proposal p = {.epoch = 1,
                     .view = view,
                     .parent_view = view - 1 - (what >> 6) % view,
                     .header = b.header,
                     .record_count = b.record_count,
                     .record = &record};
    cn_certificate evidence[8];
    for (size_t k = w->heard_n; k > 0 && p.evidence_count < 8 && k + 64 > w->heard_n; k--) {
        const cn_certificate *c = &w->heard[(k - 1) % 64];
        if (c->view < view && c->view + 8 >= view)
            evidence[p.evidence_count++] = *c;
        if (c->kind != CN_NULLIFY && cn_digest_eq(&c->block, &chosen))
            p.parent_view = c->view < view ? c->view : p.parent_view;
    }
    p.evidence = evidence;
    cn_header_encode(&p.header, p.header_bytes);
    p.vote = lie(0, view, &b.digest).signature;
    cn_buf bytes;
    cn_buf_init(&bytes, CN_MAX_MESSAGE_BYTES);
    cn_proposal_write_unsigned(&p, &bytes);
    cn_digest digest = cn_proposal_digest(&network, bytes.p, bytes.n);
    sim_sign(LIAR, &digest, p.signature.b);
    cn_put_bytes(&bytes, p.signature.b, CN_SIGNATURE_LEN);
    say(w, to, &bytes);
}

void world_forge_request(world *w, unsigned to, cn_reader *r)
{
    uint64_t first = view_near(w, to, cn_read_u8(r)), more = cn_read_u8(r);
    cn_buf bytes;
    cn_buf_init(&bytes, 64);
    cn_cert_request_write(1, first, more == 255 ? UINT64_MAX : first + more, &bytes);
    say(w, to, &bytes);
}

void world_change(world *w, cn_reader *r)
{
    uint16_t which = cn_read_u16(r), at = cn_read_u16(r);
    uint8_t with = cn_read_u8(r);
    mail *m = w->mail_n ? &w->mail[which % w->mail_n] : NULL;
    if (m && m->bytes && m->n)
        m->bytes[at % m->n] ^= with;
}

/* ---- healing ---- */

static uint64_t lowest(const world *w)
{
    uint64_t height = UINT64_MAX;
    for (unsigned i = 0; i < HONEST; i++)
        height = w->host[i].height < height ? w->host[i].height : height;
    return height;
}

void world_heal(world *w)
{
    uint64_t goal = 0;
    for (unsigned i = 0; i < HONEST; i++)
        goal = w->host[i].height + 1 > goal ? w->host[i].height + 1 : goal;
    if (goal + 8 > MAX_BLOCKS || w->block_n + 200 > MAX_BLOCKS)
        return; /* this world is full */
    for (unsigned round = 0; round < HEAL_ROUNDS && lowest(w) < goal; round++) {
        w->now += 25;
        for (unsigned i = 0; i < HONEST; i++) {
            if (!w->host[i].pending) /* clients offer again what is not final */
                world_step(w, i, &(cn_event){.kind = CN_EV_PENDING, .oldest_ms = w->now});
            w->host[i].pending = true;
            world_step(w, i, &(cn_event){.kind = CN_EV_TICK});
            world_sync_disk(w, i);
        }
        for (size_t n = w->mail_n; n > 0; n--)
            world_deliver(w, 0, false);
        if (round % 20 == 19) /* hosts answer SYNC */
            for (unsigned i = 0; i < HONEST; i++)
                for (unsigned k = 1; k < HONEST; k++)
                    world_catch_up(w, i, (i + k) % HONEST);
    }
    if (lowest(w) < goal && w->block_n + 8 <= MAX_BLOCKS) {
        for (unsigned i = 0; i < HONEST; i++) {
            cn_consensus_info info;
            cn_consensus_info_get(w->host[i].core, &info);
            fprintf(stderr, "node %u: height %llu, view %llu, final view %llu: %s\n", i,
                    (unsigned long long)w->host[i].height, (unsigned long long)info.view,
                    (unsigned long long)info.final_view, cn_wait_text(info.waiting_for));
        }
        fail(w, "the healed network decides nothing more");
    }
}

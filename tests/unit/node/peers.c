#include "peers.h"

#include "consensus/message.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 30000u

void peers_pause(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- genesis and files ---- */

static void generate(cn_secret_key *key, uint8_t type)
{
    cr_assert_eq(cn_secret_key_generate(type, key, NULL), CN_OK);
}

static void make_member(peers *w, cn_genesis_member *m, unsigned i, const char *name)
{
    cn_secret_key other;
    snprintf(m->name, sizeof m->name, "%s", name);
    memcpy(m->country, "NL", 3);
    m->roles = CN_ROLE_CARRIER;
    m->registrar = m->validator = true;
    memset(w->channel[i], (int)i + 1, 32);
    cn_x25519_public(w->channel[i], m->channel_key);
    generate(&w->capture[i].key, CN_KEY_SECP256K1);
    w->capture[i].id = cn_key_id(&w->capture[i].key.public_key);
    m->capture_key = w->capture[i].key.public_key;
    generate(&w->vote[i], CN_KEY_SECP256K1);
    memcpy(m->row.vote_key, w->vote[i].public_key.b, 33);
    cr_assert_eq(cn_evm_address(&w->vote[i].public_key, m->row.evm_address, NULL), CN_OK);
    generate(&other, CN_KEY_P256);
    memcpy(m->row.receipt_key, other.public_key.b, 33);
    generate(&other, CN_KEY_ED25519);
    memcpy(m->row.cosignature_key, other.public_key.b, 32);
    generate(&other, CN_KEY_ED25519);
    memcpy(m->row.log_key, other.public_key.b, 32);
}

static int by_id(const void *a, const void *b)
{
    cn_digest x = cn_member_id(*(const char *const *)a), y = cn_member_id(*(const char *const *)b);
    return memcmp(x.b, y.b, CN_DIGEST_LEN);
}

static void make_genesis(peers *w)
{
    const char *names[] = {"exporter", "bank", "carrier", "customs"};
    cn_genesis g = {.name = "peers",
                    .origin = "peers.example",
                    .time_ms = w->time_ms,
                    .member_count = 4,
                    .parameters = {3600000, 3600000, CN_MAX_BLOCK_BYTES, 3}};
    qsort(names, 4, sizeof names[0], by_id); /* member i is row i */
    g.member = calloc(4, sizeof *g.member);
    for (unsigned i = 0; i < 4; i++)
        make_member(w, &g.member[i], i, names[i]);
    cn_buf_init(&w->genesis_bytes, CN_MAX_GENESIS_BYTES);
    cr_assert_eq(cn_genesis_write(&g, &w->genesis_bytes, NULL), CN_OK);
    free(g.member);
    cn_err err = {0};
    cr_assert_eq(cn_genesis_parse(w->genesis_bytes.p, w->genesis_bytes.n, &w->genesis, &err), CN_OK, "%s", err.text);
}

static void write_file(const peers *w, const char *name, const void *p, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && write(fd, p, n) == (ssize_t)n && close(fd) == 0);
}

static void write_keys(peers *w)
{
    char text[CN_KEY_FILE_MAX], path[128];
    cn_key_file vote = {.purpose = "vote", .key = w->vote[NODE_ROW]},
                channel = {.purpose = "channel", .is_x25519 = true};
    memcpy(channel.x25519_secret, w->channel[NODE_ROW], 32);
    cn_x25519_public(channel.x25519_secret, channel.x25519_public);
    snprintf(path, sizeof path, "%s/keys", w->dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    write_file(w, "keys/vote.key", text, cn_key_file_format(&vote, text));
    write_file(w, "keys/channel.key", text, cn_key_file_format(&channel, text));
    write_file(w, "genesis.json", w->genesis_bytes.p, w->genesis_bytes.n);
    snprintf(path, sizeof path, "%s/keys/safety.journal", w->dir);
    cr_assert_eq(cn_safety_create(path, w->vote[NODE_ROW].public_key.b, NULL), CN_OK);
}

/* ---- the node and its peers ---- */

static uint16_t free_port(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof where;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&where, sizeof where) == 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&where, &n), 0);
    close(fd);
    return ntohs(where.sin_port);
}

static void on_message(void *ctx, unsigned slot, uint8_t type, const uint8_t *payload, size_t n)
{
    peer *p = ctx;
    (void)slot;
    if (type == CN_WIRE_SYNC_REQUEST)
        atomic_fetch_add(&p->sync_requests, 1);
    else if (type == CN_WIRE_FETCH_RECORDS)
        atomic_fetch_add(&p->record_requests, 1);
    else if (type == CN_WIRE_CONSENSUS && cn_message_kind_of(payload, n) == CN_MSG_VOTE)
        atomic_fetch_add(&p->votes, 1);
}

static void on_change(void *ctx, unsigned slot, bool up)
{
    (void)slot;
    atomic_store(&((peer *)ctx)->up, up);
}

static uint16_t start_node(peers *w)
{
    cn_config *config = calloc(1, sizeof *config);
    cn_err err = {0};
    uint16_t port = free_port();
    snprintf(config->name, sizeof config->name, "%s", w->genesis.member[NODE_ROW].name);
    snprintf(config->genesis, sizeof config->genesis, "%s/genesis.json", w->dir);
    snprintf(config->data_dir, sizeof config->data_dir, "%s/data", w->dir);
    snprintf(config->keys_dir, sizeof config->keys_dir, "%s/keys", w->dir);
    snprintf(config->peer_listen, sizeof config->peer_listen, "127.0.0.1:%u", port);
    snprintf(config->api_listen, sizeof config->api_listen, "127.0.0.1:0");
    snprintf(config->log_level, sizeof config->log_level, "info");
    config->map_bytes = (uint64_t)1 << 30;
    config->peer_queue_bytes = 64u << 20;
    config->mempool_bytes = 64u << 20;
    config->workers = 2;
    config->delay_floor_ms = 250;
    config->forward_ms = 50;
    cr_assert_eq(cn_node_start(config, &w->node, &err), CN_OK, "%s: %s", err.field, err.text);
    free(config);
    return port;
}

static void link_up(peers *w, uint16_t port)
{
    for (unsigned i = 0; i < PEERS; i++) {
        cn_peer_address where = {.name = "node", .dials = true};
        cn_links_options o = {.network = w->genesis.network,
                              .listen = "127.0.0.1:0",
                              .queue_bytes = 64u << 20,
                              .ctx = &w->peer[i],
                              .on_message = on_message,
                              .on_change = on_change};
        memcpy(o.channel_secret, w->channel[i], 32);
        cn_x25519_public(w->channel[NODE_ROW], where.channel_key);
        snprintf(where.address, sizeof where.address, "127.0.0.1:%u", port);
        w->peer[i].world = w;
        cr_assert_eq(cn_links_start(&o, &w->peer[i].links, NULL), CN_OK);
        cn_links_set_peer(w->peer[i].links, NODE_ROW, &where);
    }
    for (unsigned i = 0; i < PEERS; i++)
        for (unsigned ms = 0; !atomic_load(&w->peer[i].up); ms += 10) {
            cr_assert_lt(ms, PATIENCE_MS, "peer %u has no link", i);
            peers_pause(10);
        }
}

static void unlink_all(peers *w)
{
    for (unsigned i = 0; i < PEERS; i++) {
        cn_links_stop(w->peer[i].links);
        memset(&w->peer[i], 0, sizeof w->peer[i]);
    }
}

void peers_open(peers *w)
{
    char path[128];
    cn_err err = {0};
    memset(w, 0, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/tmp/carnet-peers-XXXXXX");
    cr_assert_not_null(mkdtemp(w->dir));
    w->time_ms = cn_wall_ms() / 3600000 * 3600000 - 3600000; /* no checkpoint becomes due by itself */
    make_genesis(w);
    write_keys(w);
    snprintf(path, sizeof path, "%s/own", w->dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    cn_store_options options = {.dir = path, .map_size = (size_t)1 << 30};
    cr_assert_eq(cn_ledger_create(&options, w->genesis_bytes.p, w->genesis_bytes.n, &w->genesis, &err), CN_OK, "%s",
                 err.text);
    cr_assert_eq(cn_store_open(&options, &w->store, &err), CN_OK, "%s", err.text);
    cr_assert_eq(cn_ledger_open(w->store, &w->genesis, &w->ledger, &err), CN_OK, "%s", err.text);
    link_up(w, start_node(w));
}

void peers_restart(peers *w)
{
    unlink_all(w);
    cn_node_free(w->node);
    link_up(w, start_node(w));
}

void peers_close(peers *w)
{
    static const char *const files[] = {"own/data.mdb",  "own/lock.mdb",     "own/writer.lock",     "own",
                                        "data/data.mdb", "data/lock.mdb",    "data/writer.lock",    "data",
                                        "keys/vote.key", "keys/channel.key", "keys/safety.journal", "keys",
                                        "genesis.json"};
    char path[128];
    unlink_all(w);
    cn_node_free(w->node);
    cn_ledger_close(w->ledger);
    cn_store_close(w->store);
    cn_genesis_free(&w->genesis);
    cn_buf_free(&w->genesis_bytes);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", w->dir, files[i]);
        (void)remove(path);
    }
    cr_assert_eq(rmdir(w->dir), 0, "%s is not empty", w->dir);
}

/* ---- blocks ---- */

cn_stmt *peers_batch(peers *w, signer *s, unsigned count)
{
    static const uint8_t secret[32] = {7};
    static uint64_t named;
    cn_body *body = calloc(1, sizeof *body);
    cn_batch_entry *entry = calloc(count, sizeof *entry);
    cn_statement *statement = NULL;
    cn_buf item, bytes;
    cn_err err = {0};
    cr_assert(body && entry);
    cn_buf_init(&item, CN_MAX_ITEM_BYTES);
    cn_buf_init(&bytes, CN_MAX_STATEMENT_BYTES);
    cn_item_write(&item, secret, CN_ITEM_DCSA, "{\"reading\":4}", 13);
    for (unsigned i = 0; i < count; i++) {
        char uri[64];
        snprintf(uri, sizeof uri, "urn:example:%llu", (unsigned long long)named++);
        entry[i] = (cn_batch_entry){
            .subject = cn_subject_tag(w->genesis.subject_salt, uri), .count = 1, .first_ms = 1, .last_ms = 1};
    }
    for (unsigned i = 1; i < count; i++) /* entries ascend by tag */
        for (unsigned k = i; k > 0 && memcmp(entry[k - 1].subject.b, entry[k].subject.b, CN_DIGEST_LEN) > 0; k--) {
            cn_batch_entry t = entry[k];
            entry[k] = entry[k - 1];
            entry[k - 1] = t;
        }
    body->kind = CN_PAYLOAD_EVENT_BATCH;
    body->batch.entry_count = count;
    body->batch.entry = entry;
    body->network = w->genesis.network;
    body->key_id = s->id;
    body->sequence = s->sequence + 1;
    body->previous = s->previous;
    body->created_ms = w->time_ms;
    cn_span span = CN_SPAN(item.p, item.n);
    cr_assert_eq(cn_statement_sign(body, &span, 1, &s->key, &bytes, NULL, &err), CN_OK, "%s: %s", err.field, err.text);
    cr_assert_eq(cn_statement_decode(bytes.p, bytes.n, &statement, &err), CN_OK, "%s", err.text);
    s->sequence++;
    s->previous = statement->id;
    cn_buf_free(&item);
    cn_buf_free(&bytes);
    free(entry);
    free(body);
    return cn_stmt_new(statement);
}

typedef struct source {
    cn_stmt *const *stmt;
    size_t count, given;
} source;

static cn_stmt *next_of(void *ctx)
{
    source *s = ctx;
    return s->given < s->count ? s->stmt[s->given++] : NULL;
}

cn_ledger_block *peers_block(peers *w, cn_ledger_block *parent, cn_stmt *const *stmts, size_t count)
{
    source s = {stmts, count, 0};
    cn_build_limits limits = {CN_MAX_BLOCK_BYTES, CN_MAX_BLOCK_STATEMENTS};
    cn_ledger_block *b = NULL;
    cn_err err = {0};
    parent = parent ? parent : cn_ledger_tip(w->ledger);
    uint64_t time_ms = cn_ledger_block_header(parent)->time_ms + 1;
    cr_assert_eq(cn_ledger_build(w->ledger, parent, time_ms, count ? next_of : NULL, &s, &limits, &b, &err), CN_OK,
                 "%s: %s", err.field, err.text);
    cr_assert_eq(cn_ledger_block_count(b), count);
    return b;
}

void peers_certify(const peers *w, uint8_t kind, uint64_t view, const cn_digest *block, cn_certificate *ret)
{
    *ret = (cn_certificate){.kind = kind, .epoch = CN_FIRST_EPOCH, .view = view, .block = *block, .n = 4};
    cn_digest digest = cn_vote_digest(&w->genesis.network, CN_FIRST_EPOCH, kind, view, block);
    for (unsigned i = 0; i < PEERS; i++) {
        ret->bitmap[0] |= (uint8_t)(1u << i);
        cr_assert_eq(cn_sign(&w->vote[i], &digest, &ret->signature[ret->signature_count++], NULL), CN_OK);
    }
}

/* ---- messages ---- */

void peers_send(peers *w, unsigned row, uint8_t type, const cn_buf *bytes)
{
    cr_assert(!bytes->fault);
    cr_assert(cn_links_send(w->peer[row].links, NODE_ROW, type, bytes->p, bytes->n, true), "the link is down");
}

void peers_send_certificate(peers *w, unsigned row, uint8_t kind, uint64_t view, const cn_ledger_block *b)
{
    cn_certificate *cert = calloc(1, sizeof *cert);
    cn_buf bytes;
    cn_buf_init(&bytes, CN_CERTIFICATE_MAX + 2);
    peers_certify(w, kind, view, cn_ledger_block_digest(b), cert);
    cn_certificate_message_write(cert, &bytes);
    peers_send(w, row, CN_WIRE_CONSENSUS, &bytes);
    cn_buf_free(&bytes);
    free(cert);
}

void peers_propose(peers *w, uint64_t view, uint64_t parent_view, const cn_ledger_block *b)
{
    unsigned leader = (unsigned)((view + CN_FIRST_EPOCH) % 4);
    size_t count = cn_ledger_block_count(b);
    cr_assert_neq(leader, NODE_ROW, "view %llu is led by the node", (unsigned long long)view);
    cn_proposal *p = calloc(1, sizeof *p);
    cn_digest *record = calloc(count + 1, sizeof *record);
    cn_certificate *evidence = calloc(1, sizeof *evidence);
    cr_assert(p && record && evidence);
    for (size_t i = 0; i < count; i++)
        record[i] = cn_ledger_block_statement((cn_ledger_block *)(uintptr_t)b, i)->s->record_digest;
    *p = (cn_proposal){.epoch = CN_FIRST_EPOCH,
                       .view = view,
                       .parent_view = parent_view,
                       .header = *cn_ledger_block_header(b),
                       .record_count = count,
                       .record = record,
                       .evidence = evidence};
    cn_header_encode(&p->header, p->header_bytes);
    if (parent_view > 0) {
        peers_certify(w, CN_NOTARIZE, parent_view, &p->header.parent, evidence);
        p->evidence_count = 1;
    }
    cn_digest vote = cn_vote_digest(&w->genesis.network, p->epoch, CN_NOTARIZE, view, cn_ledger_block_digest(b));
    cr_assert_eq(cn_sign(&w->vote[leader], &vote, &p->vote, NULL), CN_OK);
    cn_buf bytes;
    cn_buf_init(&bytes, CN_MAX_MESSAGE_BYTES);
    cn_proposal_write_unsigned(p, &bytes);
    cn_digest digest = cn_proposal_digest(&w->genesis.network, bytes.p, bytes.n);
    cr_assert_eq(cn_sign(&w->vote[leader], &digest, &p->signature, NULL), CN_OK);
    cn_put_bytes(&bytes, p->signature.b, CN_SIGNATURE_LEN);
    peers_send(w, leader, CN_WIRE_CONSENSUS, &bytes);
    cn_buf_free(&bytes);
    free(record);
    free(evidence);
    free(p);
}

void peers_send_block(peers *w, unsigned row, const cn_ledger_block *b)
{
    uint8_t header[CN_HEADER_LEN];
    size_t count = cn_ledger_block_count(b);
    cn_buf bytes;
    cn_buf_init(&bytes, CN_MAX_MESSAGE_BYTES);
    cn_header_encode(cn_ledger_block_header(b), header);
    cn_put_bytes(&bytes, header, sizeof header);
    cn_put_u32(&bytes, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        cn_put_digest(&bytes, &cn_ledger_block_statement(b, i)->s->record_digest);
    peers_send(w, row, CN_WIRE_BLOCK, &bytes);
    cn_buf_free(&bytes);
}

void peers_notarize(peers *w, uint64_t view, const cn_ledger_block *b)
{
    for (size_t i = 0; i < cn_ledger_block_count(b); i++)
        peers_send_statement(w, 0, CN_WIRE_STATEMENT, cn_ledger_block_statement(b, i), false);
    peers_send_certificate(w, 0, CN_NOTARIZE, view, b);
    peers_send_block(w, 0, b); /* the certificate makes the node ask for it */
}

/* The last byte of a SignedStatement lies in the content of its last item. */
static void put_statement(cn_buf *out, const cn_stmt *stmt, bool spoiled)
{
    cn_put_bytes(out, stmt->s->whole.p, stmt->s->whole.n);
    if (spoiled)
        out->p[out->n - 1] ^= 1;
}

void peers_send_statement(peers *w, unsigned row, uint8_t type, const cn_stmt *stmt, bool spoiled)
{
    cn_buf bytes;
    cn_buf_init(&bytes, CN_MAX_MESSAGE_BYTES);
    if (type == CN_WIRE_RECORDS)
        cn_put_u32(&bytes, (uint32_t)stmt->s->whole.n);
    put_statement(&bytes, stmt, spoiled);
    peers_send(w, row, type, &bytes);
    cn_buf_free(&bytes);
}

void peers_send_run(peers *w, unsigned row, uint64_t view, cn_ledger_block *const *blocks, size_t count, bool spoiled)
{
    cn_buf bytes;
    cn_certificate *cert = calloc(1, sizeof *cert);
    uint8_t header[CN_HEADER_LEN];
    cn_buf_init(&bytes, CN_MAX_MESSAGE_BYTES);
    cn_put_u32(&bytes, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        cn_header_encode(cn_ledger_block_header(blocks[i]), header);
        cn_put_bytes(&bytes, header, sizeof header);
        cn_put_u32(&bytes, (uint32_t)cn_ledger_block_count(blocks[i]));
        for (size_t k = 0; k < cn_ledger_block_count(blocks[i]); k++) {
            const cn_stmt *stmt = cn_ledger_block_statement(blocks[i], k);
            cn_put_u32(&bytes, (uint32_t)stmt->s->whole.n);
            put_statement(&bytes, stmt, spoiled);
        }
    }
    peers_certify(w, CN_FINALIZE, view, cn_ledger_block_digest(blocks[count - 1]), cert);
    cn_certificate_encode(cert, &bytes);
    peers_send(w, row, CN_WIRE_SYNC_BLOCKS, &bytes);
    cn_buf_free(&bytes);
    free(cert);
}

/* ---- what the node says ---- */

typedef struct question {
    const cn_digest *block;
    bool executed;
    uint64_t height;
    cn_digest tip;
} question;

static void look(cn_node *node, void *arg)
{
    question *q = arg;
    q->height = cn_ledger_block_header(cn_ledger_tip(node->ledger))->height;
    q->tip = *cn_ledger_block_digest(cn_ledger_tip(node->ledger));
    q->executed = q->block && cn_body_executed(node, q->block);
}

static void ask(peers *w, question *q)
{
    cr_assert(cn_node_call(w->node, look, q, PATIENCE_MS), "the node does not answer: %s: %s", w->node->stop_err.field,
              w->node->stop_err.text);
}

bool peers_wait_height(peers *w, uint64_t height)
{
    question q = {0};
    for (unsigned ms = 0; ms < PATIENCE_MS && q.height < height; ms += 10) {
        peers_pause(10);
        ask(w, &q);
    }
    return q.height == height;
}

bool peers_wait_executed(peers *w, const cn_ledger_block *b)
{
    question q = {.block = cn_ledger_block_digest(b)};
    for (unsigned ms = 0; ms < PATIENCE_MS && !q.executed; ms += 10) {
        peers_pause(10);
        ask(w, &q);
    }
    return q.executed;
}

bool peers_wait_count(const atomic_uint *count, unsigned at_least)
{
    for (unsigned ms = 0; ms < PATIENCE_MS && atomic_load(count) < at_least; ms += 10)
        peers_pause(10);
    return atomic_load(count) >= at_least;
}

bool peers_wait_bad_bytes(peers *w, uint64_t at_least)
{
    for (unsigned ms = 0; ms < PATIENCE_MS && atomic_load(&w->node->bad_peer_bytes) < at_least; ms += 10)
        peers_pause(10);
    return atomic_load(&w->node->bad_peer_bytes) >= at_least;
}

cn_digest peers_tip(peers *w)
{
    question q = {0};
    ask(w, &q);
    return q.tip;
}

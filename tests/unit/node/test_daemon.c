/* A node against peers that lie, that are ahead of it, or that are silent. */
#include "peers.h"

#include "consensus/message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void make_final(peers *w, cn_ledger_block *const *blocks, size_t count)
{
    cn_certificate *cert = calloc(1, sizeof *cert);
    cn_buf bytes;
    cn_err err = {0};
    cn_buf_init(&bytes, CN_CERTIFICATE_MAX);
    peers_certify(w, CN_FINALIZE, 1, cn_ledger_block_digest(blocks[count - 1]), cert);
    cn_certificate_encode(cert, &bytes);
    cr_assert_eq(cn_ledger_finalize(w->ledger, blocks, count, CN_SPAN(bytes.p, bytes.n), &err), CN_OK, "%s", err.text);
    cn_buf_free(&bytes);
    free(cert);
}

static cn_ledger_block *block_of_one(peers *w, cn_ledger_block *parent, signer *s, unsigned subjects)
{
    cn_stmt *stmt = peers_batch(w, s, subjects);
    cn_ledger_block *b = peers_block(w, parent, &stmt, 1);
    cn_stmt_unref(stmt);
    return b;
}

/* The digest of a record does not cover its items, so whoever is asked for a statement of an open block can change
 * them. That is no fault of the block: it is executed with the items that another peer has, and no node stops over it.
 */
Test(daemon, items_changed_by_who_was_asked_for_a_record)
{
    static peers w;
    peers_open(&w);
    cn_ledger_block *b = block_of_one(&w, NULL, &w.capture[0], 3);
    const cn_stmt *stmt = cn_ledger_block_statement(b, 0);
    peers_propose(&w, 1, 0, b);
    cr_assert(peers_wait_count(&w.peer[2].record_requests, 1), "the proposer was not asked for the statement");
    peers_send_statement(&w, 0, CN_WIRE_RECORDS, stmt, true);
    cr_assert(peers_wait_bad_bytes(&w, 1), "changed items were not noticed");
    peers_send_certificate(&w, 0, CN_NOTARIZE, 1, b); /* of which a node that thinks the block invalid dies */
    peers_send_statement(&w, 1, CN_WIRE_RECORDS, stmt, false);
    cr_assert(peers_wait_executed(&w, b), "the block was not executed");
    peers_send_certificate(&w, 1, CN_FINALIZE, 1, b);
    cr_assert(peers_wait_height(&w, 1));
    cn_ledger_block_unref(b);
    peers_close(&w);
}

Test(daemon, items_changed_by_who_was_asked_for_final_blocks)
{
    static peers w;
    peers_open(&w);
    cn_ledger_block *b = block_of_one(&w, NULL, &w.capture[0], 3);
    peers_send_run(&w, 0, 1, &b, 1, true);
    cr_assert(peers_wait_bad_bytes(&w, 1), "changed items were not noticed");
    peers_send_run(&w, 1, 1, &b, 1, false);
    cr_assert(peers_wait_height(&w, 1));
    cn_ledger_block_unref(b);
    peers_close(&w);
}

/* As many blocks without a checkpoint between them as a peer sends at once. */
Test(daemon, catches_up_over_many_blocks_without_a_checkpoint)
{
    static peers w;
    enum { COUNT = 200 };
    cn_ledger_block *b[COUNT];
    peers_open(&w);
    for (size_t i = 0; i + 1 < COUNT; i++)
        b[i] = block_of_one(&w, i ? b[i - 1] : NULL, &w.capture[0], 1);
    b[COUNT - 1] = block_of_one(&w, b[COUNT - 2], &w.capture[1], 1);
    make_final(&w, b, COUNT); /* so that the last one's map is that of one step */
    cn_ledger_block *checkpoint = peers_block(&w, NULL, NULL, 0), *all[COUNT + 1];
    for (size_t i = 0; i < COUNT; i++)
        all[i] = b[i];
    all[COUNT] = checkpoint;
    peers_send_run(&w, 0, COUNT + 1, all, COUNT + 1, false);
    cr_assert(peers_wait_height(&w, COUNT + 1));
    for (size_t i = 0; i <= COUNT; i++)
        cn_ledger_block_unref(all[i]);
    peers_close(&w);
}

/* The base moves by block sync below blocks that are executed here and not final: they stand on it afterwards as they
 * stood on their own ancestors. */
Test(daemon, block_sync_below_open_blocks)
{
    static peers w;
    enum { FIRST = 60 };
    cn_ledger_block *first[FIRST + 1];
    peers_open(&w);
    for (size_t i = 0; i < FIRST; i++) /* a state that lies in many rows */
        first[i] = block_of_one(&w, i ? first[i - 1] : NULL, &w.capture[0], 60);
    make_final(&w, first, FIRST);
    first[FIRST] = peers_block(&w, NULL, NULL, 0);
    peers_send_run(&w, 0, 1, first, FIRST + 1, false);
    cr_assert(peers_wait_height(&w, FIRST + 1));
    make_final(&w, &first[FIRST], 1);

    cn_ledger_block *a = block_of_one(&w, NULL, &w.capture[0], 60), *k = peers_block(&w, a, NULL, 0);
    cn_ledger_block *c = block_of_one(&w, k, &w.capture[1], 60), *d = peers_block(&w, c, NULL, 0);
    cn_ledger_block *e = block_of_one(&w, d, &w.capture[2], 60), *f = peers_block(&w, e, NULL, 0);
    cn_ledger_block *const open[] = {a, k, c, d}, *const final[] = {a, k}, *const later[] = {e, f};
    for (size_t i = 0; i < 4; i++)
        peers_notarize(&w, 3 + i, open[i]);
    cr_assert(peers_wait_executed(&w, d), "the open blocks were not executed");
    peers_send_run(&w, 1, 4, final, 2, false);
    cr_assert(peers_wait_height(&w, FIRST + 3));
    for (size_t i = 0; i < 2; i++)
        peers_notarize(&w, 7 + i, later[i]);
    cr_assert(peers_wait_executed(&w, f), "blocks over the open ones were not executed");
    peers_send_certificate(&w, 1, CN_FINALIZE, 8, f);
    cr_assert(peers_wait_height(&w, FIRST + 7));
    cn_digest tip = peers_tip(&w);
    cr_assert(cn_digest_eq(&tip, cn_ledger_block_digest(f)));
    peers_restart(&w); /* a small ledger is checked whole at the start */
    tip = peers_tip(&w);
    cr_assert(cn_digest_eq(&tip, cn_ledger_block_digest(f)));
    for (size_t i = 0; i <= FIRST; i++)
        cn_ledger_block_unref(first[i]);
    for (size_t i = 0; i < 4; i++)
        cn_ledger_block_unref(open[i]);
    cn_ledger_block_unref(e);
    cn_ledger_block_unref(f);
    peers_close(&w);
}

static unsigned records_asked(peers *w)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < PEERS; i++)
        sum += atomic_load(&w->peer[i].record_requests);
    return sum;
}

/* Another branch becomes final by block sync while statements of an open block are still missing here. */
Test(daemon, block_sync_beside_open_blocks)
{
    static peers w;
    peers_open(&w);
    cn_ledger_block *a = block_of_one(&w, NULL, &w.capture[0], 3), *b = block_of_one(&w, a, &w.capture[1], 3);
    cn_ledger_block *c = block_of_one(&w, b, &w.capture[2], 3);
    cn_ledger_block *other = peers_block(&w, NULL, NULL, 0), *next = block_of_one(&w, other, &w.capture[3], 3);
    cn_ledger_block *const final[] = {other, next};
    peers_propose(&w, 1, 0, a);
    peers_send_statement(&w, 0, CN_WIRE_STATEMENT, cn_ledger_block_statement(a, 0), false);
    cr_assert(peers_wait_executed(&w, a));
    peers_send_certificate(&w, 0, CN_NOTARIZE, 1, a);
    unsigned asked = records_asked(&w);
    peers_send_certificate(&w, 0, CN_NOTARIZE, 3, b);
    peers_send_block(&w, 0, b);
    for (unsigned i = 0; records_asked(&w) == asked; i++) {
        cr_assert_lt(i, 3000u, "the statement of the open block was not asked for");
        peers_pause(10);
    }
    peers_send_run(&w, 1, 6, final, 2, false);
    cr_assert(peers_wait_height(&w, 2));
    peers_send_statement(&w, 0, CN_WIRE_RECORDS, cn_ledger_block_statement(b, 0), false);
    peers_send_certificate(&w, 0, CN_NOTARIZE, 7, c);
    peers_send_block(&w, 0, c);
    cn_ledger_block *top = peers_block(&w, next, NULL, 0);
    peers_notarize(&w, 8, top);
    peers_send_certificate(&w, 1, CN_FINALIZE, 8, top);
    cr_assert(peers_wait_height(&w, 3));
    cn_digest tip = peers_tip(&w);
    cr_assert(cn_digest_eq(&tip, cn_ledger_block_digest(top)));
    cn_ledger_block *const all[] = {a, b, c, other, next, top};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        cn_ledger_block_unref(all[i]);
    peers_close(&w);
}

/* What was lost on the way is asked for again: an idle network gives no other hint. */
Test(daemon, an_idle_node_asks_each_peer_what_is_new)
{
    static peers w;
    peers_open(&w);
    for (unsigned i = 0; i < PEERS; i++)
        cr_assert(peers_wait_count(&w.peer[i].sync_requests, 2), "peer %u was asked only when its link came up", i);
    peers_close(&w);
}

/* ---- who submitted a statement is told what became of it ---- */

typedef struct submission {
    cn_node *node;
    const cn_stmt *stmt;
    cn_status status;
    cn_submit_result result;
    cn_err err;
} submission;

static void *submit(void *arg)
{
    submission *s = arg;
    cn_span bytes = CN_SPAN(s->stmt->s->whole.p, s->stmt->s->whole.n);
    s->status = cn_admit_submit(s->node, &bytes, 1, 600000, &s->result, &s->err); /* longer than the test may take */
    return NULL;
}

static bool wait_pending(submission *s)
{
    cn_err reason = {0};
    cn_statement_phase phase = CN_PHASE_UNKNOWN;
    for (unsigned i = 0; i < 3000 && phase != CN_PHASE_PENDING; i++) {
        peers_pause(10);
        phase = cn_admit_phase(s->node, &s->stmt->s->id, &reason);
    }
    return phase == CN_PHASE_PENDING;
}

Test(daemon, a_statement_whose_place_is_taken_is_answered)
{
    static peers w;
    pthread_t thread;
    peers_open(&w);
    signer twin = w.capture[0];
    cn_stmt *lost = peers_batch(&w, &twin, 1), *waits = peers_batch(&w, &twin, 1);
    submission s = {.node = w.node, .stmt = waits};
    cr_assert_eq(pthread_create(&thread, NULL, submit, &s), 0);
    cr_assert(wait_pending(&s));
    cn_ledger_block *blocks[2];
    blocks[0] = block_of_one(&w, NULL, &w.capture[0], 1);
    blocks[1] = block_of_one(&w, blocks[0], &w.capture[0], 1);
    peers_send_run(&w, 0, 2, blocks, 2, false);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(s.status, CN_BROKEN_CHAIN);
    cr_assert_eq(s.result.phase, CN_PHASE_REFUSED);
    cn_err reason = {0};
    cr_assert_eq(cn_admit_phase(w.node, &waits->s->id, &reason), CN_PHASE_REFUSED);
    cr_assert_eq(reason.code, CN_BROKEN_CHAIN);
    cn_stmt_unref(lost);
    cn_stmt_unref(waits);
    for (unsigned i = 0; i < 2; i++)
        cn_ledger_block_unref(blocks[i]);
    peers_close(&w);
}

Test(daemon, a_node_that_stops_does_not_wait_for_who_waits_for_it)
{
    static peers w;
    pthread_t thread;
    peers_open(&w);
    cn_stmt *stmt = peers_batch(&w, &w.capture[0], 1);
    submission s = {.node = w.node, .stmt = stmt};
    cr_assert_eq(pthread_create(&thread, NULL, submit, &s), 0);
    cr_assert(wait_pending(&s));
    cn_node_ask_stop(w.node);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(s.status, CN_OK);
    cr_assert_eq(s.result.phase, CN_PHASE_PENDING);
    cn_stmt_unref(stmt);
    peers_close(&w);
}

typedef struct drops {
    unsigned count;
    cn_digest id;
    cn_err why;
} drops;

static void on_drop(void *ctx, const cn_stmt *stmt, const cn_err *why)
{
    drops *d = ctx;
    d->count++;
    d->id = stmt->s->id;
    d->why = *why;
}

Test(daemon, a_statement_that_waits_in_vain_is_given_up_with_a_reason)
{
    static peers w;
    drops d = {0};
    bool final = false;
    peers_open(&w);
    cn_mempool *pool = cn_mempool_new(1 << 20);
    cn_stmt *lost = peers_batch(&w, &w.capture[0], 1), *waits = peers_batch(&w, &w.capture[0], 1);
    cn_mempool_on_drop(pool, on_drop, &d);
    cr_assert_eq(cn_mempool_add(pool, w.ledger, waits, 1000, &final, NULL), CN_OK);
    cn_mempool_expire(pool, 61000, 60000);
    cr_assert_eq(d.count, 0);
    cn_mempool_expire(pool, 61001, 60000);
    cr_assert_eq(d.count, 1);
    cr_assert(cn_digest_eq(&d.id, &waits->s->id));
    cr_assert_eq(d.why.code, CN_BROKEN_CHAIN);
    cr_assert_eq(cn_mempool_count(pool), 0);
    cn_mempool_free(pool);
    cn_stmt_unref(lost);
    cn_stmt_unref(waits);
    peers_close(&w);
}

/* Blocks that become final together, as when a node catches up: the statements of the later ones were recorded
 * themselves, and only one whose sequence another statement took is given up. */
Test(daemon, a_statement_of_the_second_of_two_final_blocks_is_not_given_up)
{
    static peers w;
    drops d = {0};
    bool final = false;
    peers_open(&w);
    cn_mempool *pool = cn_mempool_new(1 << 20);
    cn_mempool_on_drop(pool, on_drop, &d);
    signer twin = w.capture[1];
    cn_stmt *rival = peers_batch(&w, &twin, 1), *next[3];
    for (unsigned i = 0; i < 3; i++)
        next[i] = peers_batch(&w, &w.capture[0], 1);
    cn_stmt *winner = peers_batch(&w, &w.capture[1], 1), *first[] = {next[0], winner};
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(cn_mempool_add(pool, w.ledger, next[i], 1000, &final, NULL), CN_OK);
    cr_assert_eq(cn_mempool_add(pool, w.ledger, rival, 1000, &final, NULL), CN_OK);
    cn_ledger_block *block[2];
    block[0] = peers_block(&w, NULL, first, 2);
    block[1] = peers_block(&w, block[0], &next[1], 1);
    make_final(&w, block, 2);
    cn_mempool_final(pool, w.ledger, block, 2);
    cr_expect_eq(d.count, 1u, "%u were given up, the last for: %s", d.count, d.why.text);
    cr_expect(cn_digest_eq(&d.id, &rival->s->id));
    cn_mempool_cursor cursor;
    cn_mempool_start(pool, &cursor);
    cr_expect_eq(cn_mempool_next(&cursor), next[2], "what continues the key's chain can execute");
    cr_expect_eq(cn_mempool_count(pool), 1u);
    cn_mempool_free(pool);
    for (unsigned i = 0; i < 3; i++)
        cn_stmt_unref(next[i]);
    cn_stmt_unref(winner);
    cn_stmt_unref(rival);
    cn_ledger_block_unref(block[0]);
    cn_ledger_block_unref(block[1]);
    peers_close(&w);
}

/* ---- the wall clock is set ---- */

static atomic_llong set_back_s;
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

/* The linker puts it in the place of the real one in all that is linked here. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    int rc = __real_clock_gettime(clock, ret);
    if (clock == CLOCK_REALTIME)
        ret->tv_sec -= (time_t)atomic_load(&set_back_s);
    return rc;
}

Test(daemon, a_clock_set_back_by_an_hour_stops_no_timer)
{
    static peers w;
    peers_open(&w);
    cn_ledger_block *b = block_of_one(&w, NULL, &w.capture[0], 3);
    peers_send_statement(&w, 0, CN_WIRE_STATEMENT, cn_ledger_block_statement(b, 0), false);
    peers_propose(&w, 1, 0, b);
    cr_assert(peers_wait_executed(&w, b));
    atomic_store(&set_back_s, 3600);
    unsigned votes = atomic_load(&w.peer[0].votes), asked = atomic_load(&w.peer[0].sync_requests);
    cr_assert(peers_wait_count(&w.peer[0].votes, votes + 5), "what waits for others is not sent again (R7)");
    cr_assert(peers_wait_count(&w.peer[0].sync_requests, asked + 1));
    peers_send_certificate(&w, 1, CN_NOTARIZE, 1, b);
    peers_send_certificate(&w, 1, CN_FINALIZE, 1, b);
    cr_assert(peers_wait_height(&w, 1));
    atomic_store(&set_back_s, 0);
    cn_ledger_block_unref(b);
    peers_close(&w);
}

/* ---- a peer that floods ---- */

typedef struct flood {
    peers *w;
    atomic_bool stop;
    atomic_uint sent;
} flood;

/* Votes whose signature is nobody's: each costs its reader a verification. */
static void *send_flood(void *arg)
{
    flood *f = arg;
    cn_vote vote = {.kind = CN_NOTARIZE, .epoch = CN_FIRST_EPOCH, .view = 1, .signer = 1};
    memset(vote.signature.b, 0x11, sizeof vote.signature.b);
    for (uint32_t i = 0; !atomic_load(&f->stop); i++) {
        cn_buf bytes;
        cn_buf_init(&bytes, 256);
        cn_store_u32(vote.block.b, i);
        cn_vote_write(&vote, &bytes);
        if (cn_links_send(f->w->peer[0].links, NODE_ROW, CN_WIRE_CONSENSUS, bytes.p, bytes.n, false))
            atomic_fetch_add(&f->sent, 1);
        else
            peers_pause(1);
        cn_buf_free(&bytes);
    }
    return NULL;
}

static void count_bad(cn_node *node, void *arg)
{
    cn_consensus_info info;
    cn_consensus_info_get(node->core, &info);
    *(uint64_t *)arg = info.bad_messages;
}

Test(daemon, a_peer_that_floods_waits_for_itself_only)
{
    static peers w;
    static flood f;
    pthread_t thread;
    uint64_t bad = 0;
    peers_open(&w);
    f.w = &w;
    w.node->bad_allowed = UINT32_MAX; /* or the flood would end by itself: tests/network/evidence.sh */
    cr_assert_eq(pthread_create(&thread, NULL, send_flood, &f), 0);
    for (unsigned i = 0; cn_queue_bytes(w.node->queue) < (8u << 20); i++) {
        cr_assert_lt(i, 6000u, "the flood does not fill the queue");
        peers_pause(10);
    }
    /* a question of this node's own does not stand behind them; the least of some, for a machine that is busy */
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t before = bad;
        cr_assert_geq(cn_queue_bytes(w.node->queue), 4u << 20, "the flood is over");
        cr_assert(cn_node_call(w.node, count_bad, &bad, 30000));
        least = i && bad - before < least ? bad - before : least;
    }
    cr_expect_lt(least, (4u << 20) / 512, "%llu messages of the flood were served first", (unsigned long long)least);
    cn_ledger_block *b = block_of_one(&w, NULL, &w.capture[0], 3);
    peers_send_run(&w, 1, 1, &b, 1, false);
    cr_assert(peers_wait_height(&w, 1));
    atomic_store(&f.stop, true);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cn_ledger_block_unref(b);
    peers_close(&w);
}

static void count_cuts(cn_node *node, void *arg)
{
    unsigned *count = arg;
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++)
        count[i] = node->peer[i].set ? node->peer[i].cut_offs : 0;
}

/* Also with its final blocks, which the workers read; and nobody else is cut off for it. */
Test(daemon, who_serves_bad_final_blocks_again_and_again_is_cut_off)
{
    static peers w;
    unsigned cuts[CN_LINK_SLOTS] = {0}, all = 0;
    peers_open(&w);
    cn_ledger_block *b = block_of_one(&w, NULL, &w.capture[0], 3);
    uint64_t wanted = atomic_load(&w.node->bad_peer_bytes) + w.node->bad_allowed;
    for (uint64_t n = atomic_load(&w.node->bad_peer_bytes); n < wanted; n++) { /* one at a time is looked at */
        peers_send_run(&w, 0, 1, &b, 1, true);
        cr_assert(peers_wait_bad_bytes(&w, n + 1), "a bad run was not noticed");
    }
    cr_assert(cn_node_call(w.node, count_cuts, cuts, 30000));
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++)
        all += cuts[i];
    cr_expect_eq(all, 1u, "%u peers were cut off", all);
    peers_send_run(&w, 1, 1, &b, 1, false);
    cr_assert(peers_wait_height(&w, 1));
    cn_ledger_block_unref(b);
    peers_close(&w);
}

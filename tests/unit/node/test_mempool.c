/* The pool over a real ledger: order within a key, bounds, and what happens to statements when another key's statement
 * moves or ends their chain. */
#include "node/ledger/mempool.h"
#include "tests/unit/tools/fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"
#define ROOM (8u << 20)

static fixture fx;
static cn_mempool *pool;
static fx_signer device;

typedef struct dropped {
    unsigned count;
    cn_digest last;
    cn_err why;
} dropped;
static dropped gone;

static void on_drop(void *ctx, const cn_stmt *stmt, const cn_err *why)
{
    dropped *d = ctx;
    d->count++;
    d->last = stmt->s->id;
    d->why = *why;
}

static void set_up(void)
{
    fx_open(&fx);
    fx_key(&device, CN_KEY_ED25519);
    fx_register(&fx, &fx.member[0], &device);
    cr_assert(fx_commit(&fx));
    memset(&gone, 0, sizeof gone);
    pool = cn_mempool_new(ROOM);
    cn_mempool_on_drop(pool, on_drop, &gone);
}

static void tear_down(void)
{
    cn_mempool_free(pool);
    fx_close(&fx);
}

TestSuite(mempool, .init = set_up, .fini = tear_down);

/* ---- helpers ---- */

/* At this time; takes the statement. */
static cn_status add_at(cn_statement *s, uint64_t now_ms, cn_err *err)
{
    bool final = false;
    cn_stmt *stmt = cn_stmt_new(s);
    atomic_store(&stmt->verified, true);
    cn_status st = cn_mempool_add(pool, fx.ledger, stmt, now_ms, &final, err);
    cn_stmt_unref(stmt);
    return final ? CN_DUPLICATE : st;
}

static void add(cn_statement *s)
{
    cn_err err = {0};
    cr_assert_eq(add_at(s, 1, &err), CN_OK, "%s: %s", err.field, err.text);
}

static cn_statement *event(unsigned number)
{
    return fx_event(&fx, &device, BOX, number);
}

static size_t executable(void)
{
    cn_mempool_cursor cursor;
    size_t count = 0;
    cn_mempool_start(pool, &cursor);
    while (cn_mempool_next(&cursor))
        count++;
    return count;
}

/* A final block of what the pool offers. */
static cn_ledger_block *settle(size_t expected)
{
    cn_build_limits limits = {CN_MAX_BLOCK_BYTES, 100};
    static const unsigned signers[] = {0, 1, 2};
    cn_ledger_block *b = NULL;
    cn_mempool_cursor cursor;
    cn_certificate cert;
    cn_buf bytes;
    cn_err err = {0};
    uint64_t time = cn_ledger_block_header(cn_ledger_tip(fx.ledger))->time_ms + 1;
    cn_mempool_start(pool, &cursor);
    cr_assert_eq(
        cn_ledger_build(fx.ledger, cn_ledger_tip(fx.ledger), time, cn_mempool_next, &cursor, &limits, &b, &err), CN_OK,
        "%s", err.text);
    cr_expect_eq(cn_ledger_block_count(b), expected, "%zu statements", cn_ledger_block_count(b));
    fx_certify(&fx, cn_ledger_block_digest(b), signers, 3, &cert);
    cn_buf_init(&bytes, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&cert, &bytes);
    cr_assert_eq(cn_ledger_finalize(fx.ledger, &b, 1, CN_SPAN(bytes.p, bytes.n), &err), CN_OK, "%s", err.text);
    cn_mempool_final(pool, fx.ledger, &b, 1);
    cn_buf_free(&bytes);
    return b;
}

static void drop_block(cn_ledger_block *b)
{
    cn_ledger_block_unref(b);
}

static cn_statement *about(const cn_digest *key_id, cn_registry_op op, uint64_t sequence, const cn_digest *previous)
{
    cn_registry_change c;
    memset(&c, 0, sizeof c);
    c.op = op;
    c.key_id = *key_id;
    c.sequence = sequence;
    c.reason = 1;
    if (previous)
        c.previous = *previous;
    return fx_change(&fx, &fx.member[0], &c);
}

/* ---- order ---- */

Test(mempool, what_comes_early_waits_for_what_comes_before)
{
    cn_statement *first = event(1), *second = event(2), *third = event(3);
    add(third);
    add(second);
    cr_expect_eq(executable(), 0);
    cr_expect_eq(cn_mempool_oldest(pool), UINT64_MAX, "nothing to propose");
    add(first);
    cr_expect_eq(executable(), 3);
    cr_expect_eq(cn_mempool_oldest(pool), 1);
    for (int i = 0; i < 3; i++) /* offered in order of arrival: a block takes what continues the chain by then */
        drop_block(settle(1));
    cr_expect_eq(cn_mempool_count(pool), 0);
    cr_expect_eq(gone.count, 0);
}

Test(mempool, the_same_again_is_a_duplicate_also_when_it_is_final)
{
    cn_statement *s = event(1), *again = NULL, *later = NULL;
    cr_assert_eq(cn_statement_decode(s->whole.p, s->whole.n, &again, NULL), CN_OK);
    cr_assert_eq(cn_statement_decode(s->whole.p, s->whole.n, &later, NULL), CN_OK);
    add(s);
    cr_expect_eq(add_at(again, 1, NULL), CN_DUPLICATE);
    drop_block(settle(1));
    cr_expect_eq(add_at(later, 1, NULL), CN_DUPLICATE);
}

Test(mempool, one_place_in_a_chain_has_one_statement)
{
    cn_err err = {0};
    fx_signer before = device;
    add(event(1));
    fx_signer after = device;
    device = before;
    cr_expect_eq(add_at(event(2), 1, &err), CN_CONFLICT, "%s", err.text);
    device = after;
    drop_block(settle(1));
    device = before;
    cr_expect_eq(add_at(event(2), 1, &err), CN_BROKEN_CHAIN, "%s", err.text);
    device = before;
    device.sequence = 1; /* the next one, behind another first */
    cr_expect_eq(add_at(event(3), 1, &err), CN_BROKEN_CHAIN, "%s", err.text);
    device = after;
    device.sequence += 5000;
    cr_expect_eq(add_at(event(4), 1, &err), CN_BROKEN_CHAIN, "%s", err.text);
    cr_expect_eq(cn_mempool_count(pool), 0);
}

/* Another node's pool offered a rival, which became final. */
Test(mempool, what_others_took_is_given_up_with_the_reason)
{
    fx_signer before = device;
    cn_statement *ours = event(1);
    cn_digest id = ours->id;
    add(ours);
    cn_mempool *own = pool;
    pool = cn_mempool_new(ROOM);
    device = before;
    add(event(2));
    cn_ledger_block *b = settle(1);
    cn_mempool_free(pool);
    pool = own;
    cn_mempool_final(pool, fx.ledger, &b, 1);
    cn_ledger_block_unref(b);
    cr_expect_eq(cn_mempool_count(pool), 0);
    cr_expect_eq(gone.count, 1);
    cr_expect(cn_digest_eq(&gone.last, &id));
    cr_expect_eq(gone.why.code, CN_BROKEN_CHAIN);
}

/* ---- when another key's statement moves the chain ---- */

/* Seed 170 of simulate-whole: the gap came after what it made room for, which then waited for ever. */
Test(mempool, a_gap_wakes_what_waits_behind_it)
{
    static const cn_digest anew = {{0x5a}};
    add(about(&device.id, CN_REG_KEY_GAP, 4, &anew));
    device.sequence = 4;
    device.previous = anew;
    cn_statement *s = event(1);
    add(s);
    cr_expect_eq(executable(), 1, "the gap alone");
    drop_block(settle(1));
    cr_expect_eq(executable(), 1);
    drop_block(settle(1));
    cr_expect_eq(cn_mempool_count(pool), 0);
}

Test(mempool, what_a_gap_passes_over_is_given_up)
{
    static const cn_digest anew = {{0x5a}};
    cn_statement_free(event(1)); /* never sent */
    cn_statement *lost = event(2);
    cn_digest id = lost->id;
    add(lost);
    add(about(&device.id, CN_REG_KEY_GAP, 4, &anew));
    drop_block(settle(1));
    cr_expect_eq(cn_mempool_count(pool), 0);
    cr_expect_eq(gone.count, 1);
    cr_expect(cn_digest_eq(&gone.last, &id));
    cr_expect_eq(gone.why.code, CN_BROKEN_CHAIN);
}

Test(mempool, what_waits_of_a_revoked_key_is_given_up)
{
    cn_statement *first = event(1), *second = event(2);
    cn_digest waits = second->id;
    cn_statement_free(first); /* never sent */
    add(second);
    add(about(&device.id, CN_REG_KEY_REVOKE, 0, NULL));
    drop_block(settle(1));
    cr_expect_eq(cn_mempool_count(pool), 0);
    cr_expect_eq(gone.count, 1);
    cr_expect(cn_digest_eq(&gone.last, &waits));
    cr_expect_eq(gone.why.code, CN_KEY_NOT_ACTIVE, "%s", gone.why.text);
}

/* ---- bounds ---- */

Test(mempool, a_full_pool_refuses_and_a_key_has_no_more_than_half)
{
    cn_mempool_free(pool);
    cn_statement *probe = event(1);
    cn_stmt *stmt = cn_stmt_new(probe);
    size_t cost = cn_stmt_cost(stmt);
    pool = cn_mempool_new(10 * cost + cost / 2);
    bool final = false;
    cn_err err = {0};
    cr_assert_eq(cn_mempool_add(pool, fx.ledger, stmt, 1, &final, NULL), CN_OK);
    cn_stmt_unref(stmt);
    for (unsigned i = 2; i <= 5; i++)
        add(event(i));
    cr_expect_eq(add_at(event(6), 1, &err), CN_FULL, "%s", err.text);
    for (unsigned i = 1; i <= 5; i++)
        add(fx_event(&fx, &fx.member[1], BOX, i));
    cr_expect_eq(add_at(fx_event(&fx, &fx.member[2], BOX, 1), 1, &err), CN_FULL, "%s", err.text);
    cr_expect_leq(cn_mempool_bytes(pool), 10 * cost + cost / 2);
    drop_block(settle(10));
    cr_expect_eq(cn_mempool_bytes(pool), 0);
}

Test(mempool, waits_a_bounded_time_for_what_comes_before)
{
    cn_statement_free(event(1));
    cn_err err = {0};
    cr_assert_eq(add_at(event(2), 1000, &err), CN_OK, "%s", err.text);
    cr_assert_eq(add_at(fx_event(&fx, &fx.member[1], BOX, 1), 1000, &err), CN_OK, "%s", err.text);
    cn_mempool_expire(pool, 61000, 60000);
    cr_expect_eq(cn_mempool_count(pool), 2);
    cn_mempool_expire(pool, 61001, 60000);
    cr_expect_eq(cn_mempool_count(pool), 1, "what can be executed stays");
    cr_expect_eq(gone.why.code, CN_BROKEN_CHAIN);
}

/* A registry statement is tried against the rules when it is next, at the door or later. */
Test(mempool, a_statement_that_the_rules_refuse_does_not_wait)
{
    static const cn_digest unknown = {{0x77}};
    cn_err err = {0};
    fx_signer before = fx.member[0];
    cr_expect_neq(add_at(about(&unknown, CN_REG_KEY_REVOKE, 0, NULL), 1, &err), CN_OK, "nobody has that key");
    fx.member[0] = before;
    add(fx_event(&fx, &fx.member[0], BOX, 1));
    cn_statement *behind = about(&unknown, CN_REG_KEY_REVOKE, 0, NULL);
    cn_digest id = behind->id;
    add(behind);
    drop_block(settle(1));
    cr_expect_eq(cn_mempool_count(pool), 0);
    cr_expect(cn_digest_eq(&gone.last, &id), "it was given up when it became next");
}

/* Two members register one key: both may when they come, one of them is too late when the other is final. Its member's
 * later statements must not wait behind it for ever. */
Test(mempool, what_a_statement_of_another_key_made_impossible_is_given_up)
{
    fx_signer fresh;
    cn_registry_change c;
    cn_digest id[2];
    fx_key(&fresh, CN_KEY_ED25519);
    for (unsigned i = 0; i < 2; i++) {
        memset(&c, 0, sizeof c);
        c.op = CN_REG_KEY_REGISTER;
        c.new_key.key = fresh.key.public_key;
        c.new_key.purpose = CN_PURPOSE_DEVICE;
        cn_digest digest = cn_possession_digest(&fx.genesis.network, &fx.member[i].owner, &fresh.id);
        cr_assert_eq(cn_sign(&fresh.key, &digest, &c.new_key.possession, NULL), CN_OK);
        cn_statement *s = fx_change(&fx, &fx.member[i], &c);
        id[i] = s->id;
        add(s);
    }
    fx_signer before = fx.member[1];
    add(fx_event(&fx, &fx.member[1], BOX, 1)); /* behind the one that comes too late */
    cr_expect_eq(executable(), 3);
    drop_block(settle(1));
    cr_expect_eq(gone.count, 1);
    cr_expect(cn_digest_eq(&gone.last, &id[1]));
    cr_expect_eq(gone.why.code, CN_CONFLICT);
    cr_expect_eq(executable(), 0, "what names it as the one before waits for another, and expires");
    cr_expect_eq(cn_mempool_oldest(pool), UINT64_MAX, "no leader is asked for it again and again");
    fx.member[1] = before;
    fx.member[1].sequence--;
    fx.member[1].previous = cn_digest_zero;
    add(fx_event(&fx, &fx.member[1], BOX, 2));
    drop_block(settle(1));
}

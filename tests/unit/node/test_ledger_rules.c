/* The rules of one statement and of one block (docs/ledger-rules.md), on the real ledger: what a key's chain, ties,
 * limits, headers and time admit, and that a refusal leaves no trace. Rules of R11 are in test_ledger_governance.c. */
#include "tests/unit/tools/changes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"
#define INTERVAL 1000u /* checkpoint_interval_ms of the fixture */

static fixture fx;
static fx_signer device; /* of member 0 */
static const cn_build_limits limits = {CN_MAX_BLOCK_BYTES, 100};

static void set_up(void)
{
    fx_open(&fx);
    fx_key(&device, CN_KEY_P256);
    fx_register(&fx, &fx.member[0], &device);
    cr_assert(fx_commit(&fx));
}

static void tear_down(void)
{
    fx_close(&fx);
}

TestSuite(rules, .init = set_up, .fini = tear_down);
TestSuite(blocks, .init = set_up, .fini = tear_down);

/* ---- helpers ---- */

static cn_status attempt(cn_statement *s, cn_err *err)
{
    cn_stmt *stmt = cn_stmt_new(s);
    cn_status st = cn_ledger_try(fx.ledger, stmt, err);
    cn_stmt_unref(stmt);
    return st;
}

/* Refused with these words; the signer is as it was before it signed. */
static void refused(fx_signer *s, const fx_signer *before, cn_statement *statement, cn_status code, const char *words)
{
    cn_err err = {0};
    cn_status st = attempt(statement, &err);
    cr_expect_eq(st, code, "%s: %d (%s: %s)", words, st, err.field, err.text);
    cr_expect(strstr(err.text, words) != NULL, "\"%s\" does not say \"%s\"", err.text, words);
    *s = *before;
}

static void refused_change(fx_signer *s, cn_registry_change *c, cn_status code, const char *words)
{
    fx_signer before = *s;
    refused(s, &before, fx_change(&fx, s, c), code, words);
}

static void commit_change(fx_signer *s, cn_registry_change *c)
{
    fx_wait(&fx, fx_change(&fx, s, c));
    cr_assert(fx_commit(&fx));
}

static cn_digest commit_event(fx_signer *s, unsigned number)
{
    cn_statement *event = fx_event(&fx, s, BOX, number);
    cn_digest id = event->id;
    fx_wait(&fx, event);
    cr_assert(fx_commit(&fx));
    return id;
}

static cn_key_register new_key(fx_signer *fresh, const cn_digest *owner, uint32_t purpose)
{
    cn_key_register reg = {.purpose = purpose};
    fx_key(fresh, CN_KEY_P256);
    fresh->owner = *owner;
    reg.key = fresh->key.public_key;
    cn_digest digest = cn_possession_digest(&fx.genesis.network, owner, &fresh->id);
    cr_assert_eq(cn_sign(&fresh->key, &digest, &reg.possession, NULL), CN_OK);
    return reg;
}

static cn_digest tag_of(const char *uri)
{
    return cn_subject_tag(fx.genesis.subject_salt, uri);
}

static uint64_t rows_of(const cn_digest *tag)
{
    cn_snapshot *snap = NULL;
    uint64_t n = 0;
    cr_assert_eq(cn_snapshot_open(fx.store, &snap, NULL), CN_OK);
    if (cn_snapshot_subject_count(snap, tag, &n, NULL) != CN_OK)
        n = 0;
    cn_snapshot_close(snap);
    return n;
}

/* ---- the chain of a key ---- */

Test(rules, a_chain_has_no_gap_no_fork_and_no_replay)
{
    fx_signer before = device;
    commit_event(&device, 1);
    fx_signer good = device, wrong = good;

    wrong.sequence++;
    refused(&wrong, &good, fx_event(&fx, &wrong, BOX, 2), CN_BROKEN_CHAIN, "the key's next is 2");
    wrong.sequence = 0;
    refused(&wrong, &good, fx_event(&fx, &wrong, BOX, 2), CN_BROKEN_CHAIN, "the key's next is 2");
    wrong.previous.b[0] ^= 1;
    refused(&wrong, &good, fx_event(&fx, &wrong, BOX, 2), CN_BROKEN_CHAIN, "not the id of the key's statement 1");
    refused(&before, &before, fx_event(&fx, &before, BOX, 1), CN_BROKEN_CHAIN, "the key's next is 2");
    commit_event(&device, 2);
}

Test(rules, one_id_is_recorded_once_whatever_its_signature)
{
    cn_statement *event = fx_event(&fx, &device, BOX, 1), *twin = NULL;
    cn_signature other;
    cn_err err = {0};
    cn_digest digest = cn_statement_signing_digest(&fx.genesis.network, event->body_bytes.p, event->body_bytes.n);
    uint8_t *bytes = malloc(event->whole.n);
    memcpy(bytes, event->whole.p, event->whole.n);
    size_t at = (size_t)((const uint8_t *)event->signature.p - (const uint8_t *)event->whole.p);
    cr_assert_eq(cn_sign(&device.key, &digest, &other, NULL), CN_OK);
    memcpy(bytes + at, other.b, sizeof other.b);
    cr_assert_eq(cn_statement_decode(bytes, event->whole.n, &twin, &err), CN_OK, "%s", err.text);
    cr_assert(cn_digest_eq(&twin->id, &event->id));
    cn_stmt *both[] = {cn_stmt_new(event), cn_stmt_new(twin)};
    cn_ledger_block *b = NULL, *tip = cn_ledger_tip(fx.ledger);
    cn_header h = *cn_ledger_block_header(tip);
    h.kind = CN_BLOCK_NORMAL;
    h.height++;
    h.time_ms++;
    h.parent = *cn_ledger_block_digest(tip);
    cr_expect_eq(cn_ledger_execute(fx.ledger, tip, &h, both, 2, &b, &err), CN_BROKEN_CHAIN, "%s", err.text);
    cr_expect_null(b);
    fx.waiting[fx.waiting_count++] = both[0];
    cr_assert(fx_commit(&fx));
    cr_expect_eq(cn_ledger_try(fx.ledger, both[1], &err), CN_BROKEN_CHAIN, "%s", err.text);
    cn_stmt_unref(both[1]);
    free(bytes);
}

Test(rules, a_statement_belongs_to_one_network_and_a_registered_key)
{
    fx_signer stranger, before = device;
    cn_digest network = fx.genesis.network;
    fx_key(&stranger, CN_KEY_P256);
    fx_signer unknown = stranger;
    refused(&stranger, &unknown, fx_event(&fx, &stranger, BOX, 1), CN_UNKNOWN_KEY, "no member has registered");
    fx.genesis.network.b[0] ^= 1;
    cn_statement *foreign = fx_event(&fx, &device, BOX, 1);
    fx.genesis.network = network;
    refused(&device, &before, foreign, CN_WRONG_NETWORK, "belongs to network");
}

Test(rules, only_another_capture_key_or_a_registrar_declares_a_gap)
{
    fx_signer fifth, second;
    fx_wait(&fx, ch_admit(&fx, &fx.member[0], "member-5", &fifth)); /* no registrar */
    cr_assert(fx_commit(&fx));
    commit_event(&device, 1);
    cn_registry_change c = {.op = CN_REG_KEY_GAP, .key_id = device.id, .sequence = 7, .reason = 1};
    memset(c.previous.b, 9, CN_DIGEST_LEN);
    refused_change(&device, &c, CN_DENIED, "another key of the owner");
    refused_change(&fifth, &c, CN_DENIED, "no registrar");
    cn_registry_change reg = {.op = CN_REG_KEY_REGISTER};
    reg.new_key = new_key(&second, &fx.member[0].owner, CN_PURPOSE_DEVICE);
    commit_change(&fx.member[0], &reg);
    refused_change(&second, &c, CN_DENIED, "capture key");
    c.sequence = 1;
    refused_change(&fx.member[0], &c, CN_INVALID, "greater than the recorded 1");
    c.sequence = 7;
    commit_change(&fx.member[0], &c);
    fx_signer old = device;
    refused(&device, &old, fx_event(&fx, &device, BOX, 2), CN_BROKEN_CHAIN, "the key's next is 8");
    device.sequence = 7;
    old = device;
    refused(&device, &old, fx_event(&fx, &device, BOX, 2), CN_BROKEN_CHAIN, "not the id");
    device.previous = c.previous;
    commit_event(&device, 2);
    c.sequence = 9; /* of another member, by a registrar */
    commit_change(&fx.member[1], &c);
    cn_state_device_key key;
    cr_assert(cn_ledger_key(fx.ledger, NULL, &device.id, &key));
    cr_expect_eq(key.last_sequence, 9u);
}

/* ---- the end of a key ---- */

Test(rules, a_revocation_acts_at_its_index)
{
    cn_registry_change c = {.op = CN_REG_KEY_REVOKE, .key_id = device.id, .sequence = 1, .reason = 1};
    refused_change(&fx.member[0], &c, CN_INVALID, "last recorded statement is 0");
    fx_wait(&fx, fx_event(&fx, &device, BOX, 1));
    fx_wait(&fx, fx_change(&fx, &fx.member[0], &c)); /* the statement before it stands */
    cr_assert(fx_commit(&fx));
    fx_signer before = device;
    refused(&device, &before, fx_event(&fx, &device, BOX, 2), CN_KEY_NOT_ACTIVE, "was revoked at log index");
    refused_change(&fx.member[0], &c, CN_KEY_NOT_ACTIVE, "has ended already");

    fx_signer second;
    cn_registry_change reg = {.op = CN_REG_KEY_REGISTER};
    reg.new_key = new_key(&second, &fx.member[0].owner, CN_PURPOSE_DEVICE);
    commit_change(&fx.member[0], &reg);
    c = (cn_registry_change){.op = CN_REG_KEY_REVOKE, .key_id = second.id, .reason = 1};
    fx_wait(&fx, fx_change(&fx, &fx.member[0], &c));
    fx_wait(&fx, fx_event(&fx, &second, BOX, 3));
    cr_expect_not(fx_commit(&fx), "the statement behind it in the block is left out");
    cr_expect_eq(cn_ledger_block_header(cn_ledger_tip(fx.ledger))->log_size, 2u + 5u, "and nothing else");
}

Test(rules, the_owner_salvages_listed_statements_in_chain_order)
{
    cn_registry_change revoke = {.op = CN_REG_KEY_REVOKE, .key_id = device.id, .reason = 1};
    cn_statement *first = fx_event(&fx, &device, BOX, 1), *second = fx_event(&fx, &device, BOX, 2);
    cn_statement *third = fx_event(&fx, &device, BOX, 3);
    cn_digest listed[2] = {first->id, second->id};
    cn_registry_change c = {.op = CN_REG_KEY_SALVAGE, .key_id = device.id, .salvaged_count = 2, .salvaged = listed};
    refused_change(&fx.member[0], &c, CN_CONFLICT, "of a revoked key");
    commit_change(&fx.member[0], &revoke);
    refused_change(&fx.member[1], &c, CN_DENIED, "only the owner");
    commit_change(&fx.member[0], &c);
    cn_stmt *stmt[] = {cn_stmt_new(first), cn_stmt_new(second), cn_stmt_new(third)};
    cn_err err = {0};
    cr_expect_eq(cn_ledger_try(fx.ledger, stmt[1], &err), CN_BROKEN_CHAIN, "the first comes first: %s", err.text);
    fx.waiting[fx.waiting_count++] = stmt[0];
    fx.waiting[fx.waiting_count++] = stmt[1];
    cr_expect(fx_commit(&fx));
    cr_expect_eq(cn_ledger_try(fx.ledger, stmt[2], &err), CN_KEY_NOT_ACTIVE, "not listed: %s", err.text);
    cn_stmt_unref(stmt[2]);
}

Test(rules, a_rotated_key_ends_where_the_new_one_begins)
{
    fx_signer next, other;
    cn_registry_change c = {.op = CN_REG_KEY_ROTATE, .key_id = device.id};
    c.new_key = new_key(&next, &device.owner, CN_PURPOSE_CAPTURE);
    refused_change(&device, &c, CN_INVALID, "the purpose of the key it replaces");
    c.new_key = new_key(&next, &fx.member[1].owner, CN_PURPOSE_DEVICE);
    refused_change(&device, &c, CN_BAD_SIGNATURE, "carnet/possession");
    c.new_key = new_key(&next, &device.owner, CN_PURPOSE_DEVICE);
    refused_change(&fx.member[1], &c, CN_DENIED, "another member");
    fx_wait(&fx, fx_change(&fx, &device, &c));
    fx_wait(&fx, fx_event(&fx, &next, BOX, 1)); /* behind it in the same block */
    cr_assert(fx_commit(&fx));
    fx_signer before = device;
    refused(&device, &before, fx_event(&fx, &device, BOX, 2), CN_KEY_NOT_ACTIVE, "was replaced at log index");
    cn_registry_change again = {.op = CN_REG_KEY_REGISTER};
    again.new_key = c.new_key;
    refused_change(&fx.member[0], &again, CN_CONFLICT, "registered already");
    again.new_key = new_key(&other, &device.owner, CN_PURPOSE_DEVICE);
    refused_change(&next, &again, CN_DENIED, "capture key");
}

/* ---- ties ---- */

static cn_body *tie(unsigned consignment, uint64_t start_ms, uint64_t end_ms)
{
    char uri[64];
    cn_body *b = ch_body(CN_PAYLOAD_PAIRING);
    snprintf(uri, sizeof uri, "urn:epc:id:ginc:0614141.%u", consignment);
    b->pairing = (cn_pairing){tag_of(BOX), tag_of(uri), start_ms, end_ms};
    return b;
}

static void commit_claim(const char *const *uris, unsigned count, uint64_t first_ms, uint64_t last_ms, bool expected)
{
    static const uint8_t secret[32] = {7};
    static unsigned number;
    cn_batch_entry entry[CN_MAX_SUBJECTS + 1] = {0};
    cn_body *body = ch_body(CN_PAYLOAD_EVENT_BATCH);
    cn_buf item, bytes;
    cn_statement *s = NULL;
    cn_err err = {0};
    cr_assert_leq(count, CN_MAX_SUBJECTS + 1);
    for (unsigned i = 0; i < count; i++) {
        cn_digest tag = tag_of(uris[i]);
        unsigned at = i;
        for (; at > 0 && cn_digest_cmp(&entry[at - 1].subject, &tag) > 0; at--)
            entry[at] = entry[at - 1];
        entry[at] = (cn_batch_entry){.subject = tag, .count = 1, .first_ms = first_ms, .last_ms = last_ms};
    }
    cn_buf_init(&item, CN_MAX_ITEM_BYTES);
    cn_buf_init(&bytes, CN_MAX_STATEMENT_BYTES);
    number++;
    cn_item_write(&item, secret, CN_ITEM_EPCIS, &number, sizeof number);
    body->network = fx.genesis.network;
    body->key_id = device.id;
    body->sequence = device.sequence + 1;
    body->previous = device.previous;
    body->created_ms = 1;
    body->batch.entry_count = count;
    body->batch.entry = entry;
    cn_span span = CN_SPAN(item.p, item.n);
    cn_status st = cn_statement_sign(body, &span, 1, &device.key, &bytes, NULL, &err);
    if (st == CN_OK)
        st = cn_statement_decode(bytes.p, bytes.n, &s, &err);
    cr_assert_eq(st == CN_OK, expected, "%u subjects: %s: %s", count, err.field, err.text);
    if (st == CN_OK) {
        device.sequence++;
        device.previous = s->id;
        fx_wait(&fx, s);
        cr_assert(fx_commit(&fx));
    }
    cn_buf_free(&item);
    cn_buf_free(&bytes);
}

static void commit_times(uint64_t first_ms, uint64_t last_ms)
{
    static const char *const box = BOX;
    commit_claim(&box, 1, first_ms, last_ms, true);
}

Test(rules, an_entry_within_a_tie_enters_the_consignment_too)
{
    static const struct {
        uint64_t first_ms, last_ms;
        bool within;
    } claim[] = {{1, 99, false},   {1, 100, true}, {150, 150, true},  {200, 200, true},
                 {200, 900, true}, {1, 900, true}, {201, 201, false}, {201, 900, false}};
    cn_digest consignment = tie(1, 0, 0)->pairing.consignment, box = tag_of(BOX);
    commit_times(150, 150);
    cr_expect_eq(rows_of(&consignment), 0u);
    ch_commit(&fx, &device, tie(1, 100, 200));
    cr_expect_eq(rows_of(&consignment), 1u, "the tie itself; what was recorded before it does not enter");
    for (size_t i = 0; i < sizeof claim / sizeof claim[0]; i++) {
        uint64_t before = rows_of(&consignment), of_box = rows_of(&box);
        commit_times(claim[i].first_ms, claim[i].last_ms);
        cr_expect_eq(rows_of(&consignment) - before, claim[i].within, "%zu", i);
        cr_expect_eq(rows_of(&box) - of_box, 1u, "%zu", i);
    }
}

Test(rules, an_open_tie_has_no_end_until_it_is_named)
{
    cn_digest consignment = tie(1, 0, 0)->pairing.consignment;
    ch_commit(&fx, &device, tie(1, 100, 0));
    commit_times(UINT64_C(1) << 40, UINT64_C(1) << 40);
    cr_expect_eq(rows_of(&consignment), 2u);
    ch_commit(&fx, &device, tie(1, 300, 300)); /* start = end: the newest open one ends */
    commit_times(301, 400);
    cr_expect_eq(rows_of(&consignment), 3u, "the end, and no event after it");
    commit_times(250, 400);
    cr_expect_eq(rows_of(&consignment), 4u);
    fx_signer before = device;
    refused(&device, &before, fx_sign(&fx, &device, tie(1, 100, 500)), CN_CONFLICT, "has ended already");
    ch_commit(&fx, &device, tie(1, 500, 0));
    ch_commit(&fx, &device, tie(1, 500, 600)); /* named by its start */
    commit_times(601, 700);
    cr_expect_eq(rows_of(&consignment), 6u);
}

Test(rules, a_container_has_64_ties_and_the_65th_is_refused)
{
    for (unsigned i = 0; i < CN_MAX_PAIRINGS; i++) {
        fx_wait(&fx, fx_sign(&fx, &device, tie(i, 100, 0)));
        if (i % 32 == 31)
            cr_assert(fx_commit(&fx));
    }
    fx_signer before = device;
    refused(&device, &before, fx_sign(&fx, &device, tie(64, 100, 0)), CN_TOO_LARGE, "at most 64");
    refused(&device, &before, fx_sign(&fx, &device, tie(1, 101, 0)), CN_TOO_LARGE, "at most 64");
    ch_commit(&fx, &device, tie(63, 100, 200)); /* known ones still end */
    cn_digest last = tie(63, 0, 0)->pairing.consignment, first = tie(0, 0, 0)->pairing.consignment;
    uint64_t of_last = rows_of(&last), of_first = rows_of(&first);
    commit_times(300, 300);
    cr_expect_eq(rows_of(&last) - of_last, 0u);
    cr_expect_eq(rows_of(&first) - of_first, 1u);
}

Test(rules, a_statement_has_at_most_64_subjects_each_with_one_row)
{
    char text[CN_MAX_SUBJECTS + 1][64];
    const char *uris[CN_MAX_SUBJECTS + 1];
    for (unsigned i = 0; i <= CN_MAX_SUBJECTS; i++) {
        snprintf(text[i], sizeof text[i], "urn:epc:id:sscc:0614141.%010u", i);
        uris[i] = text[i];
    }
    commit_claim(uris, CN_MAX_SUBJECTS + 1, 1, 1, false);
    commit_claim(uris, CN_MAX_SUBJECTS, 1, 1, true);
    for (unsigned i = 0; i <= CN_MAX_SUBJECTS; i++) {
        cn_digest tag = tag_of(uris[i]);
        cr_expect_eq(rows_of(&tag), i < CN_MAX_SUBJECTS ? 1u : 0u, "%u", i);
    }
}

/* ---- blocks ---- */

static cn_stmt *given[8];
static size_t given_count, given_at;

static cn_stmt *give(void *ctx)
{
    (void)ctx;
    return given_at < given_count ? given[given_at++] : NULL;
}

/* Of these statements, or without; not final. */
static cn_ledger_block *build(cn_ledger_block *parent, uint64_t time_ms, size_t count, cn_status expected)
{
    cn_ledger_block *b = NULL;
    cn_err err = {0};
    given_at = 0;
    given_count = count;
    cn_status st = cn_ledger_build(fx.ledger, parent, time_ms, count ? give : NULL, NULL, &limits, &b, &err);
    cr_assert_eq(st, expected, "%d: %s: %s", st, err.field, err.text);
    return b;
}

static cn_status execute(cn_ledger_block *parent, const cn_header *h, size_t count, cn_err *err)
{
    cn_ledger_block *b = NULL;
    cn_status st = cn_ledger_execute(fx.ledger, parent, h, given, count, &b, err);
    cr_expect_eq(b != NULL, st == CN_OK);
    cn_ledger_block_unref(b);
    return st;
}

static void free_given(size_t count)
{
    for (size_t i = 0; i < count; i++)
        cn_stmt_unref(given[i]);
}

Test(blocks, one_bad_statement_makes_a_block_invalid_and_leaves_no_trace_in_a_built_one)
{
    cn_ledger_block *tip = cn_ledger_tip(fx.ledger);
    uint64_t time = cn_ledger_block_header(tip)->time_ms + 1;
    fx_signer fork = device;
    given[0] = cn_stmt_new(fx_event(&fx, &device, BOX, 1));
    given[1] = cn_stmt_new(fx_event(&fx, &fork, BOX, 2)); /* the same place in the chain */
    given[2] = cn_stmt_new(fx_event(&fx, &device, BOX, 3));
    cn_err err = {0};
    cn_ledger_block *built = build(tip, time, 3, CN_OK);
    cn_header h = *cn_ledger_block_header(built);
    cr_assert_eq(cn_ledger_block_count(built), 2u);
    cr_expect_eq(execute(tip, &h, 3, &err), CN_BROKEN_CHAIN, "%s", err.text);
    cn_stmt *bad = given[1];
    given[1] = given[2];
    given[2] = bad;
    cr_expect_eq(execute(tip, &h, 2, &err), CN_OK, "as if it had never been tried: %s", err.text);
    cr_expect_eq(execute(tip, &h, 1, &err), CN_INVALID);
    cn_ledger_block *over_built = build(built, time + 1, 0, CN_OK);
    cn_ledger_block *again = build(tip, time, 2, CN_OK), *over_again = build(again, time + 1, 0, CN_OK);
    cr_expect(cn_digest_eq(cn_ledger_block_digest(over_built), cn_ledger_block_digest(over_again)), "nor in the state");
    cn_ledger_block_unref(over_again);
    cn_ledger_block_unref(again);
    cn_ledger_block_unref(over_built);
    cn_ledger_block_unref(built);
    free_given(3);
}

Test(blocks, a_header_follows_its_parent_in_every_field)
{
    cn_ledger_block *tip = cn_ledger_tip(fx.ledger);
    uint64_t time = cn_ledger_block_header(tip)->time_ms;
    given[0] = cn_stmt_new(fx_event(&fx, &device, BOX, 1));
    cn_ledger_block *built = build(tip, time + 1, 1, CN_OK);
    cn_header good = *cn_ledger_block_header(built), h;
    cn_err err = {0};
    cr_expect(cn_digest_eq(&good.state_root, &cn_ledger_block_header(tip)->state_root), "checkpoints alone change it");
#define EXPECT_INVALID(edit)                                                                                           \
    do {                                                                                                               \
        h = good;                                                                                                      \
        edit;                                                                                                          \
        cr_expect_eq(execute(tip, &h, 1, &err), CN_INVALID, "%s", #edit);                                              \
    } while (0)
    EXPECT_INVALID(h.time_ms = time); /* R13 */
    EXPECT_INVALID(h.time_ms = time - 1);
    EXPECT_INVALID(h.time_ms = 0);
    EXPECT_INVALID(h.height++);
    EXPECT_INVALID(h.height--);
    EXPECT_INVALID(h.epoch++);
    EXPECT_INVALID(h.parent.b[0] ^= 1);
    EXPECT_INVALID(h.set.b[0] ^= 1);
    EXPECT_INVALID(h.next_set.b[0] ^= 1);
    EXPECT_INVALID(h.kind = CN_BLOCK_CHECKPOINT);
    EXPECT_INVALID(h.kind = CN_BLOCK_CLOSING);
    EXPECT_INVALID(h.log_size++);
    EXPECT_INVALID(h.log_root.b[0] ^= 1);
    EXPECT_INVALID(h.state_root.b[0] ^= 1);
    EXPECT_INVALID(h.body.b[0] ^= 1);
    EXPECT_INVALID(h.version++);
#undef EXPECT_INVALID
    cr_expect_eq(execute(tip, &good, 1, &err), CN_OK, "%s", err.text);
    h = good;
    h.kind = CN_BLOCK_NORMAL;
    cr_expect_eq(execute(tip, &h, 0, &err), CN_INVALID, "without statements it is a checkpoint");
    cn_ledger_block_unref(built);
    free_given(1);
}

/* time / I of the tip, plus some intervals. */
static uint64_t tick(unsigned later)
{
    return (cn_ledger_block_header(cn_ledger_tip(fx.ledger))->time_ms / INTERVAL + later) * INTERVAL;
}

Test(blocks, while_a_checkpoint_is_due_no_statement_comes_before_it)
{
    cn_ledger_block *tip = cn_ledger_tip(fx.ledger);
    cn_err err = {0};
    given[0] = cn_stmt_new(fx_event(&fx, &device, BOX, 1));
    cn_ledger_block *first = build(tip, tick(5), 1, CN_OK); /* nothing since the last one: none is due */
    free_given(1);
    given[0] = cn_stmt_new(fx_event(&fx, &device, BOX, 2));
    cr_expect_null(build(first, tick(5) + 1, 1, CN_NOT_FOUND));
    cn_ledger_block *checkpoint = build(first, tick(5) + 1, 0, CN_OK);
    cr_expect_eq(cn_ledger_block_header(checkpoint)->kind, CN_BLOCK_CHECKPOINT);
    cr_expect(
        !cn_digest_eq(&cn_ledger_block_header(checkpoint)->state_root, &cn_ledger_block_header(first)->state_root));
    cn_ledger_block *second = build(checkpoint, tick(5) + 2, 1, CN_OK), *third;
    cn_header h = *cn_ledger_block_header(second);
    free_given(1);
    given[0] = cn_stmt_new(fx_event(&fx, &device, BOX, 3));
    third = build(second, tick(6) - 1, 1, CN_OK); /* the same interval */
    cn_ledger_block_unref(third);
    cr_expect_null(build(second, tick(6), 1, CN_NOT_FOUND));
    h.height++;
    h.parent = *cn_ledger_block_digest(second);
    h.time_ms = tick(6);
    cr_expect_eq(execute(second, &h, 1, &err), CN_INVALID);
    cr_expect(strstr(err.text, "a checkpoint is due") != NULL, "%s", err.text);
    third = build(second, tick(6) - 1, 0, CN_OK); /* valid at any time */
    cn_ledger_block_unref(third);
    cn_ledger_block_unref(second);
    cn_ledger_block_unref(checkpoint);
    cn_ledger_block_unref(first);
    free_given(1);
}

/* A batch of four items of nearly 64 KiB. */
static cn_stmt *large(void)
{
    static const uint8_t secret[32] = {7};
    static char content[65000];
    cn_buf item, bytes;
    cn_statement *s = NULL;
    cn_err err = {0};
    cn_batch_entry entry = {.subject = tag_of(BOX), .count = 4, .first_ms = 1, .last_ms = 1};
    cn_body *body = ch_body(CN_PAYLOAD_EVENT_BATCH);
    cn_buf_init(&item, CN_MAX_ITEM_BYTES);
    cn_buf_init(&bytes, CN_MAX_STATEMENT_BYTES);
    cn_item_write(&item, secret, CN_ITEM_EPCIS, content, sizeof content);
    cn_span span[4];
    for (unsigned i = 0; i < 4; i++)
        span[i] = CN_SPAN(item.p, item.n);
    body->network = fx.genesis.network;
    body->key_id = device.id;
    body->sequence = device.sequence + 1;
    body->previous = device.previous;
    body->created_ms = 1;
    body->batch.entry_count = 1;
    body->batch.entry = &entry;
    cr_assert_eq(cn_statement_sign(body, span, 4, &device.key, &bytes, NULL, &err), CN_OK, "%s", err.text);
    cr_assert_eq(cn_statement_decode(bytes.p, bytes.n, &s, &err), CN_OK, "%s", err.text);
    device.sequence++;
    device.previous = s->id;
    cn_buf_free(&item);
    cn_buf_free(&bytes);
    return cn_stmt_new(s);
}

Test(blocks, a_block_is_bounded_in_bytes)
{
    cn_ledger_block *tip = cn_ledger_tip(fx.ledger);
    uint64_t time = cn_ledger_block_header(tip)->time_ms + 1;
    cn_err err = {0};
    for (unsigned i = 0; i < 5; i++)
        given[i] = large();
    cn_ledger_block *built = build(tip, time, 5, CN_OK);
    cn_header h = *cn_ledger_block_header(built);
    cr_expect_eq(cn_ledger_block_count(built), 4u);
    cr_expect_eq(execute(tip, &h, 4, &err), CN_OK, "%s", err.text);
    cr_expect_eq(execute(tip, &h, 5, &err), CN_INVALID);
    cr_expect(strstr(err.text, "bytes of statements") != NULL, "%s", err.text);
    cn_ledger_block_unref(built);
    free_given(5);
}

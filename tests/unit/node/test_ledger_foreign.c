/* Foreign networks on the real ledger: two of them, each with its own keys and store, and proofs by the node's own code
 * from one to the other. Each refusal has its reason, and what is admitted is verified again by the offline verifier.
 */
#include "node/api/foreign.h"
#include "proto/foreign.h"
#include "tests/unit/tools/changes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"
#define CARGO "https://id.gs1.org/00/340123451111111111"

static fixture here, bank; /* bank: the foreign one */
static cn_digest event;    /* a statement there */

static void set_up(void)
{
    fx_open(&here);
    fx_open(&bank);
    cn_statement *s = fx_event(&bank, &bank.member[1], BOX, 1);
    event = s->id;
    fx_wait(&bank, s);
    cr_assert(fx_commit(&bank));
}

static void tear_down(void)
{
    fx_close(&here);
    fx_close(&bank);
}

TestSuite(foreign, .init = set_up, .fini = tear_down);

/* ---- what the bank gives ---- */

static void export(const cn_digest *id, cn_buf *ret)
{
    cn_snapshot *snap = NULL;
    cn_err err = {0};
    cn_buf_init(ret, 2 * CN_MAX_FOREIGN_BYTES);
    cr_assert_eq(cn_snapshot_open(bank.store, &snap, NULL), CN_OK);
    cr_assert_eq(cn_foreign_export(snap, bank.genesis.subject_salt, id, ret, &err), CN_OK, "%s", err.text);
    cn_snapshot_close(snap);
}

static void export_advance(uint64_t epoch, cn_buf *ret)
{
    cn_snapshot *snap = NULL;
    cn_err err = {0};
    cn_buf_init(ret, 2 * CN_MAX_FOREIGN_BYTES);
    cr_assert_eq(cn_snapshot_open(bank.store, &snap, NULL), CN_OK);
    cr_assert_eq(cn_foreign_export_advance(snap, epoch, ret, &err), CN_OK, "%s", err.text);
    cn_snapshot_close(snap);
}

/* ---- what is made of it here ---- */

static cn_body *proposal(bool withdraw)
{
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_FOREIGN;
    b->proposal.member = bank.genesis.network;
    b->proposal.foreign = (cn_foreign_network){.withdraw = withdraw};
    if (!withdraw)
        b->proposal.foreign =
            (cn_foreign_network){.name = "bank-net", .epoch = 1, .set = bank.genesis.set_digest, .log_size = 2};
    return b;
}

static void decide(cn_body *b)
{
    cn_digest id = ch_commit(&here, &here.member[3], b);
    ch_approve(&here, &id, &bank.genesis.network, 0, 3);
}

static cn_body *relying(const cn_buf *proof, const char *uri)
{
    static cn_digest tag;
    cn_body *b = ch_body(CN_PAYLOAD_FOREIGN);
    b->foreign.proof = CN_SPAN(proof->p, proof->n);
    b->foreign.subject = &tag;
    if (uri) {
        tag = cn_subject_tag(here.genesis.subject_salt, uri);
        b->foreign.subject_count = 1;
    }
    return b;
}

/* Refused for this reason at this place; the signer's chain goes on as if the statement had not been made. */
static void refused(fx_signer *s, cn_body *body, cn_status code, const char *field, const char *words)
{
    fx_signer before = *s;
    cn_err err = {0};
    cn_stmt *stmt = cn_stmt_new(fx_sign(&here, s, body));
    cn_status st = cn_ledger_try(here.ledger, stmt, &err);
    cn_stmt_unref(stmt);
    cr_expect_eq(st, code, "%s: %d (%s: %s)", words, st, err.field, err.text);
    cr_expect_str_eq(err.field, field, "%s", err.text);
    cr_expect(strstr(err.text, words) != NULL, "\"%s\" does not say \"%s\"", err.text, words);
    *s = before;
}

static bool state(cn_state_foreign *ret)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    cn_snapshot *snap = NULL;
    size_t n = 0;
    cn_state_key key =
        cn_state_key_of(here.genesis.subject_salt, CN_STATE_FOREIGN, bank.genesis.network.b, CN_DIGEST_LEN);
    cr_assert_eq(cn_snapshot_open(here.store, &snap, NULL), CN_OK);
    bool known = cn_snapshot_state(snap, &key, value, &n, NULL) == CN_OK;
    cn_snapshot_close(snap);
    return known && cn_state_foreign_decode(value, n, ret);
}

static void audited(const char *uri, uint64_t statements)
{
    cn_buf zip;
    fx_audit(&here, uri, &zip);
    cn_verify_report *report = fx_verify(&here, &zip);
    for (int i = 0; i < CN_STEP_COUNT; i++)
        cr_expect_neq(report->step[i].verdict, CN_VERDICT_FAILED, "%s: %s: %s: %s", uri,
                      cn_verify_step_name((cn_verify_step)i), report->step[i].err.field, report->step[i].err.text);
    cr_expect(report->accepted, "%s", uri);
    cr_expect_eq(report->subject_statements, statements, "%s: %llu", uri,
                 (unsigned long long)report->subject_statements);
    free(report);
    cn_buf_free(&zip);
}

static void network_uri(char uri[128])
{
    snprintf(uri, 128, "urn:carnet:network:%s", cn_digest_hex(&bank.genesis.network).s);
}

/* The readable page of the audit says so in words. */
static void page_says(const char *uri, const char *words)
{
    cn_buf zip;
    cn_dossier d;
    bool said = false;
    fx_audit(&here, uri, &zip);
    cr_assert_eq(cn_dossier_read(zip.p, zip.n, &d, NULL), CN_OK);
    for (size_t i = 0; i < d.part_count; i++)
        said = said || (d.part[i].kind == CN_PART_REPORT &&
                        memmem(d.part[i].bytes.p, d.part[i].bytes.n, words, strlen(words)) != NULL);
    cr_expect(said, "the page does not say \"%s\"", words);
    cn_dossier_clear(&d);
    cn_buf_free(&zip);
}

/* ---- the way it goes ---- */

Test(foreign, a_statement_is_relied_on_and_both_audits_hold)
{
    cn_buf proof;
    char uri[128];
    cn_state_foreign known;
    decide(proposal(false));
    cr_assert(state(&known));
    cr_expect_str_eq(known.name, "bank-net");
    cr_expect_eq(known.status, CN_FOREIGN_ACTIVE);
    cr_expect_eq(known.epoch, 1u);
    export(&event, &proof);
    ch_commit(&here, &here.member[2], relying(&proof, CARGO));
    audited(CARGO, 1);
    network_uri(uri);
    audited(uri, 4); /* the proposal and three ballots; a proof is in the trees of its own subjects */
    audited("urn:carnet:governance", 4);
    page_says(CARGO, "relies on statement ");
    page_says(uri, "proposes to admit statements of network ");
    fx_reopen(&here);
    audited(CARGO, 1);
    refused(&here.member[1], relying(&proof, BOX), CN_CONFLICT, "foreign_proof.statement", "replay");
    cn_buf_free(&proof);
}

Test(foreign, two_proofs_of_one_statement_in_one_block_are_a_replay)
{
    cn_buf proof;
    decide(proposal(false));
    export(&event, &proof);
    fx_wait(&here, fx_sign(&here, &here.member[1], relying(&proof, CARGO)));
    fx_wait(&here, fx_sign(&here, &here.member[2], relying(&proof, BOX)));
    cr_expect_not(fx_commit(&here), "the second must not execute");
    audited(CARGO, 1);
    cn_buf_free(&proof);
}

Test(foreign, other_validators_decide_there)
{
    cn_buf old, steps, fresh;
    fx_signer fifth;
    char uri[128];
    cn_state_foreign known;
    decide(proposal(false));
    export(&event, &old);
    ch_register_fifth(&bank, &fifth);
    ch_join(&bank, &fifth);
    ch_rotate(&bank, 1, 5, &fifth);
    cr_assert_eq(cn_ledger_epoch_of(bank.ledger, NULL), 3u);
    cn_statement *later = fx_event(&bank, &bank.member[0], BOX, 2);
    fx_wait(&bank, later);
    cr_assert(fx_commit(&bank));
    export(&event, &fresh);
    refused(&here.member[1], relying(&fresh, CARGO), CN_CONFLICT, "foreign_proof.epoch", "only epoch 1");
    export_advance(1, &steps);
    ch_commit(&here, &here.member[1], relying(&steps, NULL));
    cr_assert(state(&known));
    cr_expect_eq(known.epoch, 3u);
    cr_expect_gt(known.height, 0u);
    refused(&here.member[1], relying(&old, CARGO), CN_CONFLICT, "foreign_proof.epoch", "retired");
    refused(&here.member[1], relying(&steps, NULL), CN_CONFLICT, "foreign_proof.epoch", "retired");
    ch_commit(&here, &here.member[1], relying(&fresh, CARGO));
    audited(CARGO, 1);
    network_uri(uri);
    audited(uri, 5);
    page_says(uri, "shows 2 changes of the validators of network ");
    cn_buf_free(&old);
    cn_buf_free(&steps);
    cn_buf_free(&fresh);
}

/* ---- refusals ---- */

Test(foreign, only_what_a_ballot_let_in)
{
    cn_buf proof;
    fx_signer device;
    export(&event, &proof);
    refused(&here.member[1], relying(&proof, CARGO), CN_NOT_FOUND, "foreign_proof.network", "no ballot has registered");
    cn_digest id = ch_commit(&here, &here.member[3], proposal(false));
    ch_approve(&here, &id, &bank.genesis.network, 0, 2);
    refused(&here.member[1], relying(&proof, CARGO), CN_NOT_FOUND, "foreign_proof.network", "no ballot has registered");
    ch_approve(&here, &id, &bank.genesis.network, 2, 3);
    fx_key(&device, CN_KEY_ED25519);
    fx_register(&here, &here.member[1], &device);
    cr_assert(fx_commit(&here));
    refused(&device, relying(&proof, CARGO), CN_DENIED, "body.key_id", "capture key");
    decide(proposal(true));
    refused(&here.member[1], relying(&proof, CARGO), CN_DENIED, "foreign_proof.network", "withdrawn");
    refused(&here.member[3], proposal(true), CN_CONFLICT, "proposal.foreign", "not registered");
    decide(proposal(false)); /* let in again */
    ch_commit(&here, &here.member[1], relying(&proof, CARGO));
    audited(CARGO, 1);
    cn_buf_free(&proof);
}

Test(foreign, a_network_in_force_only_moves_on)
{
    cn_body *b;
    decide(proposal(false));
    refused(&here.member[3], proposal(false), CN_CONFLICT, "proposal.foreign.epoch", "only moves on");
    b = proposal(false);
    b->proposal.member = here.genesis.network;
    refused(&here.member[3], b, CN_INVALID, "proposal.member", "this network itself");
    b = proposal(false);
    b->proposal.foreign.epoch = 2;
    b->proposal.foreign.height = 7;
    cn_digest slow = ch_commit(&here, &here.member[3], b);
    ch_approve(&here, &slow, &bank.genesis.network, 0, 2);
    b = proposal(false);
    b->proposal.foreign.epoch = 3;
    b->proposal.foreign.height = 9;
    decide(b);
    refused(&here.member[2], ch_ballot(&slow, &bank.genesis.network, true), CN_CONFLICT, "proposal.foreign.epoch",
            "only moves on");
}

/* What costs is checked once; what is known of the network, each time. */
Test(foreign, a_proof_that_was_checked_is_still_held_to_the_state)
{
    cn_buf proof;
    cn_err err = {0};
    decide(proposal(false));
    export(&event, &proof);
    cn_stmt *stmt = cn_stmt_new(fx_sign(&here, &here.member[3], relying(&proof, CARGO)));
    cr_assert_eq(cn_stmt_check_foreign(stmt, &err), CN_OK, "%s", err.text);
    cr_assert(atomic_load(&stmt->foreign));
    cr_assert_eq(cn_ledger_try(here.ledger, stmt, &err), CN_OK, "%s", err.text);
    cn_digest id = ch_commit(&here, &here.member[0], proposal(true));
    ch_approve(&here, &id, &bank.genesis.network, 0, 3);
    cr_expect_eq(cn_ledger_try(here.ledger, stmt, &err), CN_DENIED);
    cr_expect_str_eq(err.field, "foreign_proof.network");
    cn_stmt_unref(stmt);
    proof.p[proof.n - 1] ^= 1; /* the record's signature: not once more what is known to hold */
    stmt = cn_stmt_new(fx_sign(&here, &here.member[3], relying(&proof, CARGO)));
    cr_expect_eq(cn_stmt_check_foreign(stmt, &err), CN_BAD_SIGNATURE);
    cr_expect_not(atomic_load(&stmt->foreign));
    cn_stmt_unref(stmt);
    cn_buf_free(&proof);
}

/* The proof with one part changed, for the same subject. */
typedef struct spoilt {
    cn_buf bytes, written;
    cn_foreign_proof *p;
} spoilt;

static spoilt take(void)
{
    spoilt s = {.p = calloc(1, sizeof *s.p)};
    cr_assert_not_null(s.p);
    export(&event, &s.bytes);
    cr_assert_eq(cn_foreign_read(s.bytes.p, s.bytes.n, s.p, NULL), CN_OK);
    cn_buf_init(&s.written, 2 * CN_MAX_FOREIGN_BYTES);
    return s;
}

static void refuse_spoilt(spoilt *s, cn_status code, const char *field, const char *words)
{
    cr_assert_eq(cn_foreign_write(s->p, &s->written, NULL), CN_OK);
    refused(&here.member[1], relying(&s->written, CARGO), code, field, words);
    cn_buf_free(&s->written);
    cn_buf_free(&s->bytes);
    free(s->p);
}

Test(foreign, a_proof_with_another_part_is_refused)
{
    decide(proposal(false));
    spoilt s = take();
    s.p->rows = CN_SPAN(s.p->rows.p, s.p->rows.n - CN_SET_ROW_LEN);
    refuse_spoilt(&s, CN_CONFLICT, "foreign_proof.set", "not the set");

    s = take();
    s.p->log_index ^= 1;
    refuse_spoilt(&s, CN_INVALID, "foreign_proof.path", "does not lead");

    s = take();
    s.p->header[0].time_ms++; /* the votes are for another block */
    refuse_spoilt(&s, CN_INVALID, "foreign_proof.finalization", "not a finalization of this block");

    s = take();
    s.p->header[0].kind = CN_BLOCK_NORMAL;
    refuse_spoilt(&s, CN_INVALID, "foreign_proof.headers", "no checkpoint");

    s = take();
    s.p->header[s.p->header_count] = s.p->header[0];
    s.p->header_count++;
    refuse_spoilt(&s, CN_INVALID, "foreign_proof.headers", "does not follow");

    s = take();
    s.p->header[0].set.b[0] ^= 1;
    refuse_spoilt(&s, CN_INVALID, "foreign_proof.headers", "is not of epoch 1");

    s = take();
    s.p->header[0].height = 0;
    refuse_spoilt(&s, CN_CONFLICT, "foreign_proof.headers", "not above block 0");

    s = take();
    s.p->key = bank.member[2].key.public_key;
    refuse_spoilt(&s, CN_BAD_SIGNATURE, "foreign_proof.record", "not the id of the key");

    s = take();
    ((uint8_t *)(uintptr_t)s.p->record.p)[s.p->record.n - 1] ^= 1; /* its signature */
    refuse_spoilt(&s, CN_BAD_SIGNATURE, "foreign_proof.record", "does not verify");

    s = take();
    ((uint8_t *)(uintptr_t)s.p->finalization.p)[s.p->finalization.n - 1] ^= 1;
    refuse_spoilt(&s, CN_BAD_SIGNATURE, "foreign_proof.finalization", "validator 3");

    s = take();
    s.p->epoch = 2;
    refuse_spoilt(&s, CN_CONFLICT, "foreign_proof.epoch", "only epoch 1");
}

/* A statement of this network itself, in a block that the bank's quorum really finalized: not a statement there. */
Test(foreign, the_statement_must_be_of_that_network)
{
    decide(proposal(false));
    cn_statement *own = fx_event(&here, &here.member[0], CARGO, 7);
    spoilt s = take();
    s.p->record = own->record;
    s.p->key = here.member[0].key.public_key;
    refuse_spoilt(&s, CN_WRONG_NETWORK, "foreign_proof.record", "not of that network");
    cn_statement_free(own);
}

Test(foreign, fewer_votes_than_a_quorum_are_no_finalization)
{
    decide(proposal(false));
    spoilt s = take();
    cn_certificate c;
    cn_buf votes;
    const unsigned two[] = {0, 1};
    cn_digest block = cn_header_digest(&s.p->header[0]);
    fx_certify(&bank, &block, two, 2, &c);
    cn_buf_init(&votes, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&c, &votes);
    s.p->finalization = CN_SPAN(votes.p, votes.n);
    refuse_spoilt(&s, CN_INVALID, "foreign_proof.finalization", "a quorum of 4 is exactly 3");
    cn_buf_free(&votes);
}

/* The chain of closing blocks must be made final by the set that is known, step by step. */
Test(foreign, an_advance_by_others_is_refused)
{
    cn_buf steps, changed;
    fx_signer fifth;
    decide(proposal(false));
    ch_register_fifth(&bank, &fifth);
    ch_join(&bank, &fifth);
    export_advance(1, &steps);
    cn_foreign_proof *p = calloc(1, sizeof *p);
    cr_assert_not_null(p);
    cr_assert_eq(cn_foreign_read(steps.p, steps.n, p, NULL), CN_OK);
    cr_assert_eq(p->step_count, 1u);
    cn_foreign_step good = p->step[0];

    p->step[0].rows = p->rows;
    cn_buf_init(&changed, 2 * CN_MAX_FOREIGN_BYTES);
    cr_assert_eq(cn_foreign_write(p, &changed, NULL), CN_OK);
    refused(&here.member[1], relying(&changed, NULL), CN_INVALID, "foreign_proof.steps", "rows");
    cn_buf_clear(&changed);

    p->step[0] = good;
    p->step[0].closing.time_ms++;
    cr_assert_eq(cn_foreign_write(p, &changed, NULL), CN_OK);
    refused(&here.member[1], relying(&changed, NULL), CN_INVALID, "foreign_proof.steps", "not a finalization of this");
    cn_buf_clear(&changed);

    p->step[0] = good;
    p->step[1] = good;
    p->step_count = 2;
    cr_assert_eq(cn_foreign_write(p, &changed, NULL), CN_OK);
    refused(&here.member[1], relying(&changed, NULL), CN_INVALID, "foreign_proof.steps", "change 2");
    cn_buf_free(&changed);
    cn_buf_free(&steps);
    free(p);
}

/* ---- the layout ---- */

Test(foreign, every_shorter_and_every_changed_byte_reads_as_what_it_is_or_not_at_all)
{
    spoilt s = take();
    cn_foreign_proof *again = calloc(1, sizeof *again);
    cr_assert_not_null(again);
    for (size_t n = 0; n < s.bytes.n; n++)
        cr_assert_neq(cn_foreign_read(s.bytes.p, n, again, NULL), CN_OK, "%zu bytes", n);
    cn_put_u8(&s.bytes, 0);
    cr_assert_neq(cn_foreign_read(s.bytes.p, s.bytes.n, again, NULL), CN_OK, "a byte more");
    s.bytes.n--;
    cr_assert_eq(cn_foreign_check(s.p, NULL), CN_OK);
    for (size_t at = 0; at < s.bytes.n; at++) {
        s.bytes.p[at] ^= 0x10;
        if (cn_foreign_read(s.bytes.p, s.bytes.n, again, NULL) == CN_OK) {
            cr_assert_eq(cn_foreign_write(again, &s.written, NULL), CN_OK);
            cr_assert_arr_eq(s.written.p, s.bytes.p, s.bytes.n, "another encoding of the same");
            cn_buf_clear(&s.written);
            cr_assert_neq(cn_foreign_check(again, NULL), CN_OK, "byte %zu is not covered", at);
        }
        s.bytes.p[at] ^= 0x10;
    }
    cn_buf_free(&s.bytes);
    cn_buf_free(&s.written);
    free(again);
    free(s.p);
}

/* ---- any order ---- */

#define EPOCHS 3u
#define EVENTS 12u
#define PROPOSALS 64u

typedef struct saved { /* a proof as it could be had in some epoch of the bank's */
    cn_buf bytes;
    unsigned event;
    uint64_t epoch;
} saved;

typedef struct any_order {
    uint64_t random;
    saved proof[EVENTS * EPOCHS];
    size_t proofs;
    cn_digest event[EVENTS];
    unsigned events;
    cn_buf step[EPOCHS];              /* from epoch 1, 2, ... to the next */
    cn_foreign_network epoch[EPOCHS]; /* what a ballot may make known */
    cn_digest proposal[PROPOSALS];
    unsigned proposals;
    bool relied[EVENTS];
    unsigned taken, refused;
} any_order;

static uint64_t below(any_order *o, uint64_t n)
{
    o->random = o->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (o->random >> 33) % n;
}

static void save_epoch(any_order *o, uint64_t epoch)
{
    for (unsigned i = 0; i < 2; i++) {
        cn_statement *s = fx_event(&bank, &bank.member[0], BOX, 100 + o->events);
        o->event[o->events++] = s->id;
        fx_wait(&bank, s);
    }
    cr_assert(fx_commit(&bank));
    for (unsigned i = 0; i < o->events; i++) {
        saved *p = &o->proof[o->proofs++];
        *p = (saved){.event = i, .epoch = epoch};
        export(&o->event[i], &p->bytes);
    }
    cn_foreign_proof *p = calloc(1, sizeof *p);
    cr_assert_not_null(p);
    cr_assert_eq(cn_foreign_read(o->proof[o->proofs - 1].bytes.p, o->proof[o->proofs - 1].bytes.n, p, NULL), CN_OK);
    o->epoch[epoch - 1] = (cn_foreign_network){
        .name = "bank-net", .epoch = epoch, .set = p->header[0].set, .height = epoch == 1 ? 0 : 1, .log_size = 2};
    free(p);
}

/* The bank's history: three epochs, with proofs as they could be had in each. */
static void live(any_order *o)
{
    fx_signer fifth;
    save_epoch(o, 1);
    ch_register_fifth(&bank, &fifth);
    ch_join(&bank, &fifth);
    export_advance(1, &o->step[0]);
    save_epoch(o, 2);
    ch_rotate(&bank, 1, 5, &fifth);
    export_advance(2, &o->step[1]);
    save_epoch(o, 3);
}

/* Executes, or leaves no trace. */
static bool offer(any_order *o, fx_signer *s, cn_body *body, cn_digest *ret_id)
{
    fx_signer before = *s;
    cn_statement *statement = fx_sign(&here, s, body);
    cn_digest id = statement->id;
    cn_stmt *stmt = cn_stmt_new(statement);
    bool ok = cn_ledger_try(here.ledger, stmt, NULL) == CN_OK;
    if (ok) {
        here.waiting[here.waiting_count++] = cn_stmt_ref(stmt);
        cr_assert(fx_commit(&here));
        o->taken++;
    } else {
        *s = before;
        o->refused++;
    }
    cn_stmt_unref(stmt);
    if (ret_id)
        *ret_id = id;
    return ok;
}

static void propose_any(any_order *o, fx_signer *s)
{
    cn_body *b = proposal(below(o, 4) == 0);
    if (!b->proposal.foreign.withdraw)
        b->proposal.foreign = o->epoch[below(o, EPOCHS)];
    if (o->proposals < PROPOSALS && offer(o, s, b, &o->proposal[o->proposals]))
        o->proposals++;
}

/* The verdict must be the one that a reader of the state expects. */
static void rely_any(any_order *o, fx_signer *s)
{
    const saved *p = &o->proof[below(o, o->proofs)];
    cn_state_foreign known;
    bool expected =
        state(&known) && known.status == CN_FOREIGN_ACTIVE && known.epoch == p->epoch && !o->relied[p->event];
    bool ok = offer(o, s, relying(&p->bytes, below(o, 2) ? CARGO : BOX), NULL);
    cr_expect_eq(ok, expected, "event %u proved in epoch %llu", p->event, (unsigned long long)p->epoch);
    o->relied[p->event] = o->relied[p->event] || ok;
}

static void advance_any(any_order *o, fx_signer *s)
{
    uint64_t from = 1 + below(o, EPOCHS - 1);
    cn_state_foreign known, after;
    bool expected = state(&known) && known.status == CN_FOREIGN_ACTIVE && known.epoch == from;
    bool ok = offer(o, s, relying(&o->step[from - 1], NULL), NULL);
    cr_expect_eq(ok, expected, "from epoch %llu", (unsigned long long)from);
    cr_expect(!ok || (state(&after) && after.epoch == from + 1));
}

static void act(any_order *o)
{
    fx_signer *s = &here.member[below(o, 4)];
    uint64_t what = below(o, 100);
    if (what < 12)
        propose_any(o, s);
    else if (what < 55 && o->proposals)
        offer(o, s,
              ch_ballot(&o->proposal[o->proposals - 1 - below(o, o->proposals < 3 ? o->proposals : 3)],
                        &bank.genesis.network, below(o, 8) > 0),
              NULL);
    else if (what < 85)
        rely_any(o, s);
    else if (what < 97)
        advance_any(o, s);
    else
        fx_reopen(&here);
}

/* Whatever the ledger takes, in whatever order, the offline verifier takes too: two implementations of the same rules.
 */
Test(foreign, any_order_of_statements_is_judged_alike_by_ledger_and_verifier)
{
    any_order *o = calloc(1, sizeof *o);
    char uri[128];
    cr_assert_not_null(o);
    const char *seed = getenv("CARNET_TEST_SEED");
    o->random = seed ? strtoull(seed, NULL, 10) : 7;
    live(o);
    for (unsigned i = 0; i < 300; i++)
        act(o);
    unsigned relied = 0;
    for (unsigned i = 0; i < o->events; i++)
        relied += o->relied[i];
    cr_expect(o->taken > 30 && o->refused > 60 && relied > 2, "%u taken, %u refused, %u relied on", o->taken,
              o->refused, relied);
    network_uri(uri);
    const char *const subjects[] = {CARGO, BOX, uri, "urn:carnet:governance"};
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        cn_buf zip;
        fx_audit(&here, subjects[i], &zip);
        cn_verify_report *report = fx_verify(&here, &zip);
        for (int k = 0; k < CN_STEP_COUNT; k++)
            cr_expect_neq(report->step[k].verdict, CN_VERDICT_FAILED, "%s: %s: %s", subjects[i],
                          cn_verify_step_name((cn_verify_step)k), report->step[k].err.text);
        cr_expect(report->accepted);
        free(report);
        cn_buf_free(&zip);
    }
    for (size_t i = 0; i < o->proofs; i++)
        cn_buf_free(&o->proof[i].bytes);
    cn_buf_free(&o->step[0]);
    cn_buf_free(&o->step[1]);
    free(o);
}

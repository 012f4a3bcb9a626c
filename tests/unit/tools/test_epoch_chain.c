/* R11: dossiers carry the chain of closing blocks, and every link of it is needed. Where a test changes a block it has
 * it signed again by whom it likes, so that what fails is the rule it is about and not merely a signature. */
#include "changes.h"
#include "tests/unit/proto/authority.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"
#define NOTHING "urn:epc:id:bic:MSKU1234565"

static fixture fx;
static fx_signer fifth;
static cn_buf zip, forged[8];
static size_t forgeries;
static cn_dossier dossier;

/* Epochs 2 to 4: the fifth joins, the carrier leaves, the bank rotates all keys. */
static void set_up(void)
{
    fx_open(&fx);
    ch_register_fifth(&fx, &fifth);
    fx_wait(&fx, fx_event(&fx, &fx.member[2], BOX, 1));
    cr_assert(fx_commit(&fx));
    ch_join(&fx, &fifth);
    fx_wait(&fx, fx_event(&fx, &fx.member[2], BOX, 2));
    cr_assert(fx_commit(&fx));
    ch_leave(&fx, 2, 0, 4);
    ch_rotate(&fx, 1, 5, &fifth);
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 4u);
    fx_wait(&fx, fx_event(&fx, &fifth, BOX, 3));
    cr_assert(fx_commit(&fx));
}

static void tear_down(void)
{
    cn_dossier_clear(&dossier);
    cn_buf_free(&zip);
    while (forgeries)
        cn_buf_free(&forged[--forgeries]);
    fx_close(&fx);
}

TestSuite(epoch_chain, .init = set_up, .fini = tear_down);

static void audit(const char *uri)
{
    cn_dossier_clear(&dossier);
    cn_buf_free(&zip);
    fx_audit(&fx, uri, &zip);
    cr_assert_eq(cn_dossier_read(zip.p, zip.n, &dossier, NULL), CN_OK);
}

static cn_verify_report *verify_changed(void)
{
    cn_buf changed;
    cn_certificate c;
    cn_reader r = cn_reader_of(dossier.certificate.p, dossier.certificate.n);
    cr_assert_eq(cn_certificate_read(&r, &c, NULL), CN_OK);
    fx_rebuild(&dossier, &c, &changed);
    cn_verify_report *report = fx_verify(&fx, &changed);
    cn_buf_free(&changed);
    return report;
}

static void accepted(void)
{
    cn_verify_report *r = verify_changed();
    for (int i = 0; i < CN_VERIFY_REQUIRED; i++)
        cr_expect_eq(r->step[i].verdict, CN_VERDICT_OK, "%s: %s %s", cn_verify_step_name((cn_verify_step)i),
                     r->step[i].err.field, r->step[i].err.text);
    cr_expect(r->accepted);
    free(r);
}

/* This step fails, in this file, with these words. */
static void refused(cn_verify_step step, const char *where, const char *words)
{
    cn_verify_report *r = verify_changed();
    const cn_verify_result *result = &r->step[step];
    cr_expect_not(r->accepted, "%s", words);
    cr_expect_eq(result->verdict, CN_VERDICT_FAILED, "%s did not fail (%s)", cn_verify_step_name(step), words);
    cr_expect(strstr(result->err.field, where) != NULL, "%s, not %s", result->err.field, where);
    cr_expect(strstr(result->err.text, words) != NULL, "\"%s\" does not say \"%s\"", result->err.text, words);
    free(r);
}

/* ---- signing again ---- */

/* The set of an epoch, as the dossier tells it. */
static cn_validator_set set_of(uint64_t epoch)
{
    cn_validator_set set = fx.genesis.set;
    if (epoch > 1)
        cr_assert_eq(
            cn_validator_set_decode(dossier.epoch[epoch - 2].rows.p, dossier.epoch[epoch - 2].rows.n, &set, NULL),
            CN_OK);
    return set;
}

static const cn_secret_key *vote_key_of(const cn_set_row *row)
{
    for (size_t i = 0; i < sizeof fx.vote / sizeof fx.vote[0]; i++)
        if (memcmp(row->vote_key, fx.vote[i].public_key.b, 33) == 0)
            return &fx.vote[i];
    cr_assert_fail("no such vote key");
    return NULL;
}

typedef struct forgery {
    cn_digest network, block;
    uint64_t epoch; /* in the votes */
    const cn_validator_set *set;
    unsigned count;   /* the first of the set sign */
    bool one_for_all; /* each in its place, and all with the key of the first */
} forgery;

static cn_span sign_with(const forgery *f)
{
    cn_certificate c = {.kind = CN_FINALIZE, .epoch = f->epoch, .view = 5, .block = f->block, .n = (uint8_t)f->set->n};
    cn_digest vote = cn_vote_digest(&f->network, c.epoch, CN_FINALIZE, c.view, &c.block);
    for (unsigned i = 0; i < f->count; i++) {
        const cn_secret_key *key = vote_key_of(&f->set->row[f->one_for_all ? 0 : i]);
        c.bitmap[0] |= (uint8_t)(1u << i);
        cr_assert_eq(cn_sign(key, &vote, &c.signature[c.signature_count++], NULL), CN_OK);
    }
    cr_assert_lt(forgeries, sizeof forged / sizeof forged[0]);
    cn_buf *out = &forged[forgeries++];
    cn_buf_init(out, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&c, out);
    return CN_SPAN(out->p, out->n);
}

/* The closing block that began the epoch, as it stands now, by a quorum of the set before. */
static forgery honest(uint64_t epoch, const cn_validator_set *before)
{
    return (forgery){.network = fx.genesis.network,
                     .block = cn_header_digest(&dossier.epoch[epoch - 2].closing),
                     .epoch = epoch - 1,
                     .set = before,
                     .count = cn_quorum(before->n)};
}

static void sign_closing(uint64_t epoch)
{
    cn_validator_set before = set_of(epoch - 1);
    forgery f = honest(epoch, &before);
    dossier.epoch[epoch - 2].certificate = sign_with(&f);
}

/* ---- what holds ---- */

Test(epoch_chain, an_audit_across_a_join_a_leave_and_a_rotation_verifies_from_genesis)
{
    audit(BOX);
    cr_assert_eq(dossier.epoch_count, 3u);
    cn_verify_report *r = fx_verify(&fx, &zip);
    cr_expect(r->accepted);
    cr_expect_eq(r->subject_statements, 3u);
    free(r);
    accepted();
    cn_buf again;
    fx_audit(&fx, BOX, &again);
    cr_expect(again.n == zip.n && memcmp(again.p, zip.p, zip.n) == 0, "the same checkpoint, the same bytes");
    cn_buf_free(&again);
}

Test(epoch_chain, an_absence_is_proved_under_the_newest_set)
{
    audit(NOTHING);
    cr_assert_eq(dossier.epoch_count, 3u);
    accepted();
    cn_verify_report *r = fx_verify(&fx, &zip);
    cr_expect(r->absent);
    free(r);
    dossier.epoch_count = 2;
    refused(CN_STEP_EPOCH_CHAIN, "checkpoint.bin", "2 changes of the validators are here");
}

/* Then the checkpoint is the closing block itself, of the epoch that it ends. */
Test(epoch_chain, a_closing_block_is_a_checkpoint_of_the_epoch_it_ends)
{
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_JOIN;
    ch_fill_row(&fx, &b->proposal, &fx.member[2].owner, 6);
    cn_digest id = ch_commit(&fx, &fx.member[2], b);
    fx_signer *voters[] = {&fx.member[0], &fx.member[1], &fx.member[3], &fifth};
    ch_commit(&fx, voters[0], ch_ballot(&id, &fx.member[2].owner, true));
    ch_commit(&fx, voters[1], ch_ballot(&id, &fx.member[2].owner, true));
    ch_commit(&fx, voters[2], ch_ballot(&id, &fx.member[2].owner, true));
    ch_commit(&fx, &fx.member[2], ch_readiness(&fx, &id, &fx.member[2].owner, 6));
    cr_assert_eq(cn_ledger_epoch_of(fx.ledger, NULL), 5u);
    audit(BOX);
    cr_expect_eq(dossier.header[0].kind, CN_BLOCK_CLOSING);
    cr_expect_eq(dossier.header[0].epoch, 4u);
    cr_expect_eq(dossier.epoch_count, 3u);
    accepted();
    audit(NOTHING);
    accepted();
}

Test(epoch_chain, a_network_without_changes_has_no_epoch_files)
{
    fx_close(&fx);
    fx_open(&fx);
    fx_wait(&fx, fx_event(&fx, &fx.member[0], BOX, 1));
    cr_assert(fx_commit(&fx));
    audit(BOX);
    cr_expect_eq(dossier.epoch_count, 0u);
    accepted();
}

/* A check of the means: what these tests sign themselves is accepted when it is right. */
Test(epoch_chain, any_quorum_of_the_set_before_is_enough)
{
    audit(BOX);
    for (uint64_t e = 2; e <= 4; e++)
        sign_closing(e);
    accepted();
}

/* ---- links ---- */

Test(epoch_chain, every_link_must_be_there_in_its_place)
{
    audit(BOX);
    cn_dossier_epoch link[3];
    memcpy(link, dossier.epoch, sizeof link);
    dossier.epoch_count = 2;
    refused(CN_STEP_EPOCH_CHAIN, "checkpoint.bin", "2 changes of the validators are here");
    refused(CN_STEP_QUORUM, "checkpoint.bin", "");
    dossier.epoch[0] = link[1];
    dossier.epoch[1] = link[2];
    refused(CN_STEP_EPOCH_CHAIN, "checkpoint.bin", "2 changes of the validators are here");
    dossier.epoch_count = 3;
    dossier.epoch[2] = link[2];
    dossier.epoch[2].epoch = 5;
    refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000003.bin", "the change that began epoch 2 is missing");
    for (int i = 0; i < 3; i++) /* the files exchanged, under the names of their places */
        dossier.epoch[i] =
            (cn_dossier_epoch){(uint64_t)i + 2, link[2 - i].closing, link[2 - i].certificate, link[2 - i].rows};
    refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000002.bin", "not a closing block of epoch 1");
}

Test(epoch_chain, the_rows_are_those_that_the_closing_block_names)
{
    audit(BOX);
    uint8_t rows[CN_SET_ROW_LEN * 5];
    cn_span given = dossier.epoch[1].rows;
    cr_assert_leq(given.n, sizeof rows);
    for (size_t at = 0; at < given.n; at += 60) {
        memcpy(rows, given.p, given.n);
        rows[at] ^= 1;
        dossier.epoch[1].rows = CN_SPAN(rows, given.n);
        refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000003.bin", "not those that the closing block names");
    }
    dossier.epoch[1].rows = CN_SPAN(given.p, given.n - CN_SET_ROW_LEN);
    refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000003.bin", "not those that the closing block names");
    /* named by a block that its set signed, and still no set: the rows are out of order */
    memcpy(rows, (const uint8_t *)given.p + CN_SET_ROW_LEN, given.n - CN_SET_ROW_LEN);
    memcpy(rows + given.n - CN_SET_ROW_LEN, given.p, CN_SET_ROW_LEN);
    dossier.epoch[1].rows = CN_SPAN(rows, given.n);
    dossier.epoch[1].closing.next_set = cn_tagged("carnet/set", rows, given.n);
    sign_closing(3);
    refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000003.bin", "rows: ");
}

Test(epoch_chain, only_a_closing_block_without_statements_ends_an_epoch)
{
    audit(BOX);
    cn_header good = dossier.epoch[1].closing, *h = &dossier.epoch[1].closing;
    static const char file[] = "epochs/00000000000000000003.bin", words[] = "not a closing block of epoch 2";
    cn_digest statement = {{7}};
    h->kind = CN_BLOCK_CHECKPOINT;
    h->next_set = h->set;
    sign_closing(3);
    refused(CN_STEP_EPOCH_CHAIN, file, words);
    *h = good;
    h->body = cn_body_digest(&statement, 1);
    sign_closing(3);
    refused(CN_STEP_EPOCH_CHAIN, file, words);
    *h = good;
    h->epoch = 3;
    sign_closing(3);
    refused(CN_STEP_EPOCH_CHAIN, file, words);
    *h = good;
    h->set = fx.genesis.set_digest;
    sign_closing(3);
    refused(CN_STEP_EPOCH_CHAIN, file, words);
    *h = good;
    h->height = dossier.epoch[0].closing.height; /* two epochs that end in one place */
    sign_closing(3);
    refused(CN_STEP_EPOCH_CHAIN, file, words);
}

/* Another network's chain, made in the same way, does not attach to this genesis. */
Test(epoch_chain, another_networks_closing_block_is_refused)
{
    audit(BOX);
    static fixture other;
    static fx_signer its_fifth;
    cn_dossier foreign;
    cn_buf its_zip;
    fx_open(&other);
    ch_register_fifth(&other, &its_fifth);
    ch_join(&other, &its_fifth);
    fx_wait(&other, fx_event(&other, &its_fifth, BOX, 1));
    cr_assert(fx_commit(&other));
    fx_audit(&other, BOX, &its_zip);
    cr_assert_eq(cn_dossier_read(its_zip.p, its_zip.n, &foreign, NULL), CN_OK);
    cn_dossier_epoch own = dossier.epoch[0];
    dossier.epoch[0] = foreign.epoch[0];
    refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000002.bin", "not a closing block of epoch 1");
    dossier.epoch[0] = own;
    cn_validator_set before = set_of(1);
    forgery f = honest(2, &before);
    f.network = other.genesis.network; /* the right keys, for the other network */
    dossier.epoch[0].certificate = sign_with(&f);
    refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000002.bin", "signature");
    cn_dossier_clear(&foreign);
    cn_buf_free(&its_zip);
    fx_close(&other);
}

/* ---- who signed ---- */

static void refused_closing(const forgery *f, const char *words)
{
    dossier.epoch[1].certificate = sign_with(f);
    refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000003.bin", words);
    cn_buf_free(&forged[--forgeries]);
}

Test(epoch_chain, the_set_that_is_retired_must_have_signed)
{
    audit(BOX);
    cn_validator_set before = set_of(2), after = set_of(3), last = set_of(4);
    const forgery right = honest(3, &before);
    forgery f = right;
    char words[64];
    f.count = cn_quorum(before.n) - 1;
    refused_closing(&f, "a quorum of 5 is exactly 4");
    f.count = before.n; /* more than a quorum: not the one form that there is */
    refused_closing(&f, "a quorum of 5 is exactly 4");
    f = right;
    f.one_for_all = true;
    refused_closing(&f, "signature of validator 1 is not valid");
    f = right;
    f.set = &after;
    f.count = cn_quorum(after.n);
    refused_closing(&f, "the set has 5 validators");
    f = right;
    f.epoch = 3;
    refused_closing(&f, "not a finalization of this block");
    f = right;
    f.block = cn_header_digest(&dossier.epoch[0].closing);
    refused_closing(&f, "not a finalization of this block");

    /* sets of one size: the rotation's end, signed by the keys that it brought */
    cr_assert_eq(after.n, last.n);
    f = honest(4, &last);
    dossier.epoch[1].certificate = sign_with(&right);
    accepted();
    dossier.epoch[2].certificate = sign_with(&f);
    unsigned rotated = (unsigned)cn_validator_set_find(&last, &fx.member[1].owner);
    cr_assert_lt(rotated, f.count);
    snprintf(words, sizeof words, "signature of validator %u is not valid", rotated);
    refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000004.bin", words);
}

/* ---- the checkpoint ---- */

static void sign_checkpoint(const cn_validator_set *set, uint64_t epoch)
{
    forgery f = {.network = fx.genesis.network,
                 .block = cn_header_digest(&dossier.header[0]),
                 .epoch = epoch,
                 .set = set,
                 .count = cn_quorum(set->n)};
    dossier.certificate = sign_with(&f);
}

Test(epoch_chain, a_retired_members_signature_counts_no_more)
{
    audit(BOX);
    cr_assert_eq(dossier.header_count, 1u);
    cr_assert_eq(dossier.header[0].epoch, 4u);
    cn_validator_set five = set_of(2), before = set_of(3), now = set_of(4), with_retired = now;
    sign_checkpoint(&now, 4);
    accepted();
    sign_checkpoint(&five, 4); /* the carrier among them */
    refused(CN_STEP_QUORUM, "checkpoint.bin", "the set has 4 validators");
    cn_buf_free(&forged[--forgeries]);
    sign_checkpoint(&before, 4); /* as many, and the bank with the key it gave up */
    refused(CN_STEP_QUORUM, "checkpoint.bin", "is not valid");
    cn_buf_free(&forged[--forgeries]);
    memcpy(with_retired.row[1].vote_key, fx.vote[2].public_key.b, 33); /* the carrier in a place that is not its own */
    sign_checkpoint(&with_retired, 4);
    refused(CN_STEP_QUORUM, "checkpoint.bin", "signature of validator 1 is not valid");
}

Test(epoch_chain, a_checkpoint_is_of_its_epochs_set)
{
    audit(BOX);
    cn_validator_set before = set_of(3), now = set_of(4);
    cn_header good = dossier.header[0];
    dossier.header[0].set = dossier.header[0].next_set = dossier.epoch[2].closing.set;
    sign_checkpoint(&before, 4); /* the set that was retired goes on as if nothing had happened */
    refused(CN_STEP_EPOCH_CHAIN, "checkpoint.bin", "is not of epoch 4 and its validators");
    sign_checkpoint(&now, 4);
    refused(CN_STEP_EPOCH_CHAIN, "checkpoint.bin", "is not of epoch 4 and its validators");
    dossier.header[0] = good;
    dossier.header[0].epoch = 3;
    sign_checkpoint(&now, 3);
    refused(CN_STEP_EPOCH_CHAIN, "checkpoint.bin", "the checkpoint is of epoch 3, and 3 changes");
    refused(CN_STEP_QUORUM, "checkpoint.bin", "who may finalize epoch 3 is not proved");
    dossier.header[0] = good;
    dossier.header[0].height = dossier.checkpoint = dossier.epoch[2].closing.height;
    sign_checkpoint(&now, 4);
    refused(CN_STEP_EPOCH_CHAIN, "checkpoint.bin", "is not of epoch 4 and its validators");
}

/* ---- the files ---- */

Test(epoch_chain, malformed_epoch_files_are_no_dossier)
{
    audit(BOX);
    static uint8_t many[CN_SET_ROW_LEN * (CN_MAX_VALIDATORS + 1)];
    cn_dossier_epoch good = dossier.epoch[0];
    dossier.epoch[0].rows.n--;
    refused(CN_STEP_CONTAINER, "epochs/00000000000000000002.bin", "malformed");
    dossier.epoch[0].rows.n = 0;
    refused(CN_STEP_CONTAINER, "epochs/00000000000000000002.bin", "malformed");
    dossier.epoch[0].rows = CN_SPAN(many, sizeof many);
    refused(CN_STEP_CONTAINER, "epochs/00000000000000000002.bin", "malformed");
    dossier.epoch[0] = good;
    dossier.epoch[0].certificate.n--;
    refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000002.bin", "finalization");
    dossier.epoch[0].certificate.n = 0;
    refused(CN_STEP_EPOCH_CHAIN, "epochs/00000000000000000002.bin", "finalization");
}

/* ---- governance itself ---- */

/* Where an epoch began in the log decides whose ballots count: a closing block that says otherwise voids them. */
Test(epoch_chain, a_ballot_counts_in_the_epoch_of_its_place_in_the_log)
{
    audit("urn:carnet:governance");
    accepted();
    dossier.epoch[2].closing.log_size--; /* the readiness of the rotation, the last statement of epoch 3 */
    sign_closing(4);
    refused(CN_STEP_AUTHORITY, "statements/", "the proposal is of epoch 3 and void in epoch 4");
    dossier.epoch[2].closing.log_size += 2;
    sign_closing(4);
    cn_verify_report *r = verify_changed(); /* an event only: it asks for no epoch */
    cr_expect_eq(r->step[CN_STEP_AUTHORITY].verdict, CN_VERDICT_OK, "%s", r->step[CN_STEP_AUTHORITY].err.text);
    free(r);
    refused(CN_STEP_CONSISTENCY, "consistency/", "does not hold the checkpoint of its height");
    dossier.epoch[1].closing.log_size++;
    sign_closing(3); /* the proposal to rotate falls into epoch 2, its ballots do not */
    refused(CN_STEP_AUTHORITY, "statements/", "the proposal is of epoch 2 and void in epoch 3");
}

/* A set that lies about where its epoch ended cannot make the log continue it. */
Test(epoch_chain, the_log_continues_the_one_of_each_closing_block)
{
    uint8_t header[CN_HEADER_LEN];
    audit(BOX);
    cr_assert_geq(dossier.part_count, 3u);
    cn_dossier_part *last = NULL;
    for (size_t i = 0; i < dossier.part_count; i++)
        if (dossier.part[i].kind == CN_PART_CONSISTENCY && dossier.part[i].number == dossier.epoch[2].closing.height)
            last = &dossier.part[i];
    cr_assert_not_null(last);
    cn_span whole = last->bytes;
    uint8_t *changed = malloc(whole.n);
    memcpy(changed, whole.p, whole.n);
    dossier.epoch[2].closing.log_root.b[0] ^= 1;
    sign_closing(4);
    cn_header_encode(&dossier.epoch[2].closing, header);
    memcpy(changed + 1, header, sizeof header);
    last->bytes.p = changed;
    refused(CN_STEP_CONSISTENCY, "consistency/", "does not continue the log of height");
    dossier.epoch[2].closing.log_root.b[0] ^= 1;
    sign_closing(4);
    last->bytes = whole;
    accepted();
    *last = dossier.part[--dossier.part_count];
    refused(CN_STEP_CONSISTENCY, "consistency", "epoch 4 began with is not shown");
    free(changed);
}

Test(epoch_chain, what_members_decided_is_a_subject_like_any_other)
{
    char uri[128];
    snprintf(uri, sizeof uri, "urn:carnet:member:%s", cn_digest_hex(&fifth.owner).s);
    audit(uri);
    cn_verify_report *r = fx_verify(&fx, &zip);
    cr_expect(r->accepted);
    /* admitted, channel key; its proposal, three ballots, readiness; its ballot on the rotation */
    cr_expect_eq(r->subject_statements, 8u);
    free(r);
    for (size_t i = 0; i < dossier.statement_count; i++) {
        cn_statement *s = NULL;
        cn_dossier_statement dropped = dossier.statement[i];
        cr_assert_eq(cn_statement_decode(dropped.whole.p, dropped.whole.n, &s, NULL), CN_OK);
        bool is_ballot = s->body.kind == CN_PAYLOAD_BALLOT;
        cn_statement_free(s);
        if (!is_ballot)
            continue;
        memmove(&dossier.statement[i], &dossier.statement[i + 1],
                (--dossier.statement_count - i) * sizeof dossier.statement[0]);
        refused(CN_STEP_COMPLETENESS, "subjects/", "is missing from the dossier");
        return;
    }
    cr_assert_fail("no ballot in the dossier");
}

/* ---- time tokens ---- */

/* The closing block claims another time, in the chain and in the consistency that begins with it. */
static void claim(uint64_t epoch, uint64_t time_ms)
{
    cn_header *closing = &dossier.epoch[epoch - 2].closing;
    const cn_dossier_part *part = cn_dossier_find_part(&dossier, CN_PART_CONSISTENCY, closing->height, 0);
    cr_assert_not_null(part);
    closing->time_ms = time_ms;
    cn_header_encode(closing, (uint8_t *)(uintptr_t)part->bytes.p + 1); /* behind the version */
    sign_closing(epoch);
}

/* Whoever stole the keys of a set that was retired long ago ends its epoch a second time, today, and asks the time
 * authority today: a token dates a chain of changes, and does not make it the true one. */
Test(epoch_chain, tokens_over_closing_blocks_are_no_anchor)
{
    enum { LATER_S = 400 * 24 * 3600, TOKENS = 3 };
    audit(BOX);
    int64_t today = (int64_t)(dossier.epoch[2].closing.time_ms / 1000) + LATER_S;
    authority a;
    cn_buf token[TOKENS];
    cn_dossier_part part[64];
    authority_begin(&a, "Port Time", &(authority_traits){.valid_from = today - 1000000, .valid_to = today + 1000000});
    cr_assert_leq(dossier.part_count + TOKENS, sizeof part / sizeof part[0]);
    for (uint64_t e = 2; e <= 4; e++)
        claim(e, (uint64_t)today * 1000u);
    memcpy(part, dossier.part, dossier.part_count * sizeof part[0]);
    cn_dossier_part *own = dossier.part;
    dossier.part = part;
    for (size_t i = 0; i < TOKENS; i++) {
        uint8_t header[CN_HEADER_LEN];
        cn_header_encode(&dossier.epoch[i].closing, header);
        cn_digest imprint = cn_sha256(header, sizeof header);
        authority_token(&a, &imprint, 1, today + 60, &token[i]);
        part[dossier.part_count++] = (cn_dossier_part){.kind = CN_PART_TOKEN,
                                                       .number = dossier.epoch[i].closing.height,
                                                       .rank = 1,
                                                       .bytes = CN_SPAN(token[i].p, token[i].n)};
    }
    cn_buf changed;
    cn_certificate c;
    cn_reader r = cn_reader_of(dossier.certificate.p, dossier.certificate.n);
    cn_verify_report *report = calloc(1, sizeof *report);
    const cn_verify_options trusting = {.tsa_ca = CN_SPAN(a.pem.p, a.pem.n)};
    cr_assert(report && cn_certificate_read(&r, &c, NULL) == CN_OK);
    fx_rebuild(&dossier, &c, &changed);
    (void)cn_verify_dossier(changed.p, changed.n, &fx.genesis.network, &trusting, report);
    cr_expect_eq(report->step[CN_STEP_EPOCH_CHAIN].verdict, CN_VERDICT_OK, "the forgery is well made");
    cr_expect_neq(report->step[CN_STEP_TIME].verdict, CN_VERDICT_FAILED, "%s", report->step[CN_STEP_TIME].err.text);
    const cn_verify_result *anchor = &report->step[CN_STEP_EPOCH_ANCHOR];
    cr_expect_eq(anchor->verdict, CN_VERDICT_NOT_CHECKED);
    cr_expect(strstr(anchor->err.text, "time authorities saw"), "%s", anchor->err.text);
    dossier.part = own;
    dossier.part_count -= TOKENS;
    for (size_t i = 0; i < TOKENS; i++)
        cn_buf_free(&token[i]);
    cn_buf_free(&changed);
    authority_end(&a);
    free(report);
}

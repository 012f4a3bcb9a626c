/* What the dossier holds for verifiers other than this one, and what ties it to the world outside the network:
 * receipts, tlog-proofs and the signed note of the checkpoint, earlier checkpoints, anchors. */
#include "proto/cbor.h"
#include "proto/policy.h"
#include "proto/receipt.h"
#include "tools/verify/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_FILE "checkpoint.note"

/* ---- consistency ---- */

static const cn_header *closing_at(const cn_dossier *d, uint64_t height)
{
    for (size_t i = 0; i < d->epoch_count; i++)
        if (d->epoch[i].closing.height == height)
            return &d->epoch[i].closing;
    return NULL;
}

/* The header of a closing block is proved by its finalization; another one is a claim, but that its log is a beginning
 * of the checkpoint's is proved. */
static void check_consistent(verifier *v, const cn_dossier_part *part)
{
    const cn_header *now = &v->dossier.header[0], *closing;
    const cn_digest *path;
    size_t len;
    cn_header older;
    cn_err err = {0};
    if (cn_dossier_read_consistency(part, &older, &path, &len, &err) != CN_OK) {
        verify_fault(v, CN_STEP_CONSISTENCY, err.code, part->name, "%s", err.text);
        return;
    }
    cn_digest digest = cn_header_digest(&older);
    closing = closing_at(&v->dossier, part->number);
    cn_digest proved = closing ? cn_header_digest(closing) : digest;
    if (older.height != part->number || older.kind == CN_BLOCK_NORMAL || !cn_digest_eq(&digest, &proved))
        verify_fault(v, CN_STEP_CONSISTENCY, CN_CONFLICT, part->name, "does not hold the checkpoint of its height");
    else if (!cn_verify_consistency(older.log_size, &older.log_root, now->log_size, &now->log_root, path, len))
        verify_fault(v, CN_STEP_CONSISTENCY, CN_INVALID, part->name,
                     "the log of the checkpoint does not continue the log of height %llu",
                     (unsigned long long)older.height);
}

void verify_consistency(verifier *v)
{
    const cn_dossier *d = &v->dossier;
    for (size_t i = 0; i < d->part_count; i++)
        if (d->part[i].kind == CN_PART_CONSISTENCY)
            check_consistent(v, &d->part[i]);
    for (size_t i = 0; i < d->epoch_count && d->version > 1; i++)
        if (!cn_dossier_find_part(d, CN_PART_CONSISTENCY, d->epoch[i].closing.height, 0))
            verify_fault(v, CN_STEP_CONSISTENCY, CN_NOT_FOUND, "consistency",
                         "that the log continues the one that epoch %llu began with is not shown",
                         (unsigned long long)d->epoch[i].epoch);
}

/* ---- the signed note ---- */

typedef struct outside {
    verifier *v;
    cn_checkpoint checkpoint;
    cn_span note;
    unsigned wanted; /* validators */
} outside;

static void fault(outside *o, const char *where, const char *what)
{
    verify_fault(o->v, CN_STEP_RECEIPTS, CN_INVALID, where, "%s", what);
}

/* Row of the validator whose signer name this is; NULL: none. ret_member: view of its name. */
static const cn_set_row *row_of_signer(const outside *o, const char *signer, const char **ret_member)
{
    size_t n = strlen(o->checkpoint.log_origin);
    if (strncmp(signer, o->checkpoint.log_origin, n) != 0 || signer[n] != '/')
        return NULL;
    *ret_member = signer + n + 1;
    cn_digest member = cn_member_id(*ret_member);
    int place = cn_validator_set_find(&o->v->epoch.set, &member);
    return place < 0 ? NULL : &o->v->epoch.set.row[place];
}

static bool copy_name(cn_span name, char out[CN_SIGNER_NAME_MAX + 1])
{
    if (name.n > CN_SIGNER_NAME_MAX || memchr(name.p, 0, name.n))
        return false;
    memcpy(out, name.p, name.n);
    out[name.n] = 0;
    return true;
}

/* Cosignatures by validators are counted, each must verify and name each once; lines of others are for policies. */
static void check_note(outside *o)
{
    char body[CN_CHECKPOINT_BODY_MAX + 1], name[CN_SIGNER_NAME_MAX + 1];
    const char *member;
    cn_note *note = calloc(1, sizeof *note);
    cn_err err = {0};
    uint32_t seen = 0;
    unsigned signers = 0;
    size_t n = cn_checkpoint_body(&o->checkpoint, body);
    if (!note || cn_note_parse(o->note.p, o->note.n, note, &err) != CN_OK) {
        fault(o, NOTE_FILE, note ? err.text : "out of memory");
        free(note);
        return;
    }
    if (note->body.n != n || memcmp(note->body.p, body, n) != 0)
        fault(o, NOTE_FILE, "it is the note of another checkpoint: origin, size or root differ");
    for (unsigned i = 0; i < note->line_count; i++) {
        const cn_set_row *row = copy_name(note->line[i].name, name) ? row_of_signer(o, name, &member) : NULL;
        if (!row)
            continue;
        uint32_t bit = 1u << (unsigned)(row - o->v->epoch.set.row);
        uint64_t seconds = 0;
        if (seen & bit)
            fault(o, NOTE_FILE, "a validator signed twice");
        else if (!cn_note_signed_by(note, name, CN_NOTE_COSIGNATURE_V1, row->cosignature_key, &seconds) ||
                 seconds != o->checkpoint.time_ms / 1000)
            fault(o, NOTE_FILE, "a validator's cosignature does not verify, or is not of the block's time");
        else
            signers++;
        seen |= bit;
    }
    if (signers < o->wanted)
        verify_fault(o->v, CN_STEP_RECEIPTS, CN_NOT_FOUND, NOTE_FILE, "%u validators signed it, %u are wanted", signers,
                     o->wanted);
    free(note);
}

/* ---- receipts and tlog-proofs of single statements ---- */

static void check_receipts(outside *o, const cn_dossier_part *part, size_t place)
{
    const cn_digest *entry = &o->v->statement[place]->record_digest;
    cn_reader r = cn_reader_of(part->bytes.p, part->bytes.n);
    uint64_t count = cn_cbor_read_head(&r, CN_CBOR_ARRAY);
    uint32_t seen = 0;
    unsigned signers = 0;
    const char *member;
    cn_err err = {0};
    cn_receipt *receipt = malloc(sizeof *receipt);
    if (!receipt || r.fault || count > CN_MAX_VALIDATORS) {
        fault(o, part->name, "is not an array of receipts");
        free(receipt);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (cn_receipt_read(&r, receipt, &err) != CN_OK) {
            verify_fault(o->v, CN_STEP_RECEIPTS, err.code, part->name, "receipt %llu: %s: %s", (unsigned long long)i,
                         err.field, err.text);
            break;
        }
        const cn_set_row *row = row_of_signer(o, receipt->signer_name, &member);
        uint32_t bit = row ? 1u << (unsigned)(row - o->v->epoch.set.row) : 0;
        if (!row)
            fault(o, part->name, "a receipt is not by a validator of the checkpoint's epoch");
        else if (seen & bit)
            fault(o, part->name, "a validator signed twice");
        else if (receipt->proof.consistency || receipt->proof.index != part->number)
            fault(o, part->name, "a receipt does not prove inclusion at this log index");
        else if (cn_receipt_verify(receipt, &o->checkpoint, member, row, entry, &err) != CN_OK)
            verify_fault(o->v, CN_STEP_RECEIPTS, err.code, part->name, "%s: %s", err.field, err.text);
        else
            signers++;
        seen |= bit;
    }
    if (!cn_reader_done(&r))
        fault(o, part->name, "bytes follow the last receipt");
    if (signers < o->wanted)
        verify_fault(o->v, CN_STEP_RECEIPTS, CN_NOT_FOUND, part->name, "receipts of %u validators, %u are wanted",
                     signers, o->wanted);
    free(receipt);
}

/* It is the statement's own path, which is verified, before the note of this dossier: one text. */
static void check_tlog(outside *o, const cn_dossier_part *part, size_t place)
{
    const cn_dossier_statement *s = &o->v->dossier.statement[place];
    cn_buf expected;
    cn_buf_init(&expected, CN_MAX_NOTE_BYTES + 8192u);
    cn_tlog_proof_begin(&expected, s->log_index, s->path, s->path_len);
    cn_put_bytes(&expected, o->note.p, o->note.n);
    if (expected.fault || expected.n != part->bytes.n || memcmp(expected.p, part->bytes.p, expected.n) != 0)
        fault(o, part->name, "is not the statement's path followed by the checkpoint's note");
    cn_buf_free(&expected);
}

static size_t place_of_index(const cn_dossier *d, uint64_t log_index)
{
    size_t low = 0, high = d->statement_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (d->statement[middle].log_index == log_index)
            return middle;
        if (d->statement[middle].log_index < log_index)
            low = middle + 1;
        else
            high = middle;
    }
    return d->statement_count;
}

static void check_part(outside *o, const cn_dossier_part *part)
{
    if (part->kind != CN_PART_RECEIPTS && part->kind != CN_PART_TLOG)
        return;
    size_t place = place_of_index(&o->v->dossier, part->number);
    if (place == o->v->dossier.statement_count || !o->v->statement[place])
        fault(o, part->name, "there is no statement of this log index here");
    else if (part->kind == CN_PART_RECEIPTS)
        check_receipts(o, part, place);
    else
        check_tlog(o, part, place);
}

/* The statements that the dossier is about: each has its receipts and its tlog-proof, up to the limit. */
static void check_all_there(outside *o)
{
    const cn_dossier *d = &o->v->dossier;
    size_t found = 0;
    for (size_t i = 0; i < d->statement_count && found < CN_DOSSIER_MAX_RECEIPTS; i++) {
        char where[96];
        if (!o->v->statement[i] || !verify_in_scope(o->v, i))
            continue;
        found++;
        verify_where(o->v, i, where);
        if (!cn_dossier_find_part(d, CN_PART_RECEIPTS, d->statement[i].log_index, 0) ||
            !cn_dossier_find_part(d, CN_PART_TLOG, d->statement[i].log_index, 0))
            verify_fault(o->v, CN_STEP_RECEIPTS, CN_NOT_FOUND, where, "it has no receipts or no tlog-proof");
    }
}

bool verify_receipts(verifier *v, const cn_verify_options *options)
{
    const cn_dossier *d = &v->dossier;
    const cn_dossier_part *note = cn_dossier_find_part(d, CN_PART_NOTE, 0, 0);
    outside o = {.v = v, .note = note ? note->bytes : CN_SPAN(NULL, 0)};
    cn_err err = {0};
    o.wanted = options->signatures ? options->signatures : cn_max_faults(v->epoch.set.n) + 1;
    if (!note) {
        for (size_t i = 0; i < d->part_count; i++)
            if (d->part[i].kind == CN_PART_RECEIPTS || d->part[i].kind == CN_PART_TLOG)
                fault(&o, d->part[i].name, "belongs to a note of the checkpoint, which is not here");
        verify_not_checked(v, CN_STEP_RECEIPTS, "no validator's signature over the checkpoint is in it");
        return false;
    }
    if (cn_checkpoint_of(&d->header[0], &v->genesis.network, v->genesis.origin, &o.checkpoint, &err) != CN_OK) {
        fault(&o, "checkpoint.bin", err.text);
        return true;
    }
    check_note(&o);
    for (size_t i = 0; i < d->part_count; i++)
        check_part(&o, &d->part[i]);
    check_all_there(&o);
    return true;
}

/* ---- policies ---- */

static void check_policy(verifier *v, cn_span policy_text, cn_span note, const char *where)
{
    cn_policy *policy = NULL;
    cn_err err = {0};
    if (cn_policy_parse(policy_text.p, policy_text.n, &policy, &err) != CN_OK)
        verify_fault(v, CN_STEP_WITNESS_POLICY, err.code, err.field, "%s", err.text);
    else if (cn_policy_check(policy, note, &err) != CN_OK)
        verify_fault(v, CN_STEP_WITNESS_POLICY, err.code, where, "%s", err.text);
    cn_policy_free(policy);
}

/* The checkpoint's own body, which both notes must have. */
static bool is_of_checkpoint(const verifier *v, cn_span note)
{
    cn_checkpoint c;
    char body[CN_CHECKPOINT_BODY_MAX + 1];
    if (cn_checkpoint_of(&v->dossier.header[0], &v->genesis.network, v->genesis.origin, &c, NULL) != CN_OK)
        return false;
    size_t n = cn_checkpoint_body(&c, body);
    return note.n > n && memcmp(note.p, body, n) == 0 && ((const char *)note.p)[n] == '\n';
}

bool verify_policy(verifier *v, const cn_verify_options *options)
{
    const cn_dossier_part *part = cn_dossier_find_part(&v->dossier, CN_PART_NOTE, 0, 0);
    cn_span note = options->note.n ? options->note : part ? part->bytes : CN_SPAN(NULL, 0);
    const char *where = options->note.n ? "the note given" : NOTE_FILE;
    if (options->policy.n == 0) {
        verify_not_checked(v, CN_STEP_WITNESS_POLICY, "no policy was given");
        return false;
    }
    if (note.n == 0) {
        verify_not_checked(v, CN_STEP_WITNESS_POLICY,
                           "no signature over the checkpoint is in it that a policy could ask for");
        return false;
    }
    if (is_of_checkpoint(v, note))
        check_policy(v, options->policy, note, where);
    else
        verify_fault(v, CN_STEP_WITNESS_POLICY, CN_CONFLICT, where, "it is the note of another checkpoint");
    return true;
}

/* ---- anchors ---- */

/* A header that the chain proves: the checkpoint, one that leads to its finalization, or the end of an epoch. */
static const cn_header *proved_header(const cn_dossier *d, uint64_t height)
{
    for (size_t i = 0; i < d->header_count; i++)
        if (d->header[i].height == height)
            return &d->header[i];
    return closing_at(d, height);
}

/* Tokens over closing blocks are no anchor: they date this chain of changes, and whoever holds keys that were retired
 * can make another one today and have it dated today. */
bool verify_anchors(verifier *v, const cn_verify_options *options)
{
    size_t met = 0;
    for (size_t i = 0; i < options->anchor_count; i++) {
        const cn_header *h = proved_header(&v->dossier, options->anchor[i].height);
        cn_digest digest = h ? cn_header_digest(h) : (cn_digest){{0}};
        if (h && !cn_digest_eq(&digest, &options->anchor[i].block))
            verify_fault(v, CN_STEP_EPOCH_ANCHOR, CN_CONFLICT, "checkpoint.bin",
                         "the block of height %llu is %s here, not the one given: this is another chain",
                         (unsigned long long)h->height, cn_digest_hex(&digest).s);
        met += h != NULL;
    }
    if (met == 0 && options->anchor_count)
        verify_not_checked(v, CN_STEP_EPOCH_ANCHOR, "none of the blocks given as anchors is in it");
    else if (met == 0 && v->ends_witnessed)
        verify_not_checked(v, CN_STEP_EPOCH_ANCHOR,
                           "from genesis; time authorities saw each change of its validators within 24 h of the time "
                           "it claims, but that it is the network's own only a block that you know from elsewhere "
                           "shows");
    else if (met == 0)
        verify_not_checked(v, CN_STEP_EPOCH_ANCHOR,
                           "from genesis only: nobody outside the network vouches for its changes of validators; "
                           "anchor it to a block that you know from elsewhere");
    return met > 0;
}

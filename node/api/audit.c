/* Building of dossiers. The closure: the scope's subjects, the containers paired with it, every statement in their
 * trees, and for each key that signed one of them the tree about that key, back to the keys of genesis; and what
 * members decided by ballot, where somebody's authority rests on it; and what is recorded about a foreign network,
 * where a statement of it is relied on. */
#include "node/api/audit.h"

#include "node/api/erasures.h"
#include "node/formats/dossier.h"
#include "node/formats/genesis.h"
#include "node/formats/report.h"
#include "proto/cbor.h"
#include "proto/statement.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define ROWS_PAGE 256u

typedef struct seen {
    cn_digest key; /* a tag, or a log index in its first bytes */
    UT_hash_handle hh;
} seen;

typedef struct naming { /* a statement by what it is about: an order by its batch, an attestation by its order */
    cn_digest id;
    uint64_t index;
} naming;

typedef struct audit {
    const cn_audit_order *order;
    cn_snapshot *snap;   /* of the order */
    const uint8_t *salt; /* of the order */
    cn_span note;        /* of the checkpoint; empty: no signatures */
    cn_buf note_bytes;
    size_t receipts;        /* statements that have them */
    uint64_t newest_height; /* of a statement in scope; 0: none */
    cn_tip tip;
    cn_header checkpoint;
    cn_dossier_writer *w;
    seen *tags, *indexes;
    naming *about; /* orders to erase and attestations, ascending; once they are needed */
    size_t about_count, about_cap;
    bool about_read;
    uint64_t
        *later; /* log indexes of those to add when the subjects are through: a statement in scope has more to it */
    size_t later_count, later_cap;
    cn_digest *todo; /* tags to visit */
    size_t todo_count, todo_cap;
} audit;

static bool first_time(seen **set, const cn_digest *key)
{
    seen *s = NULL;
    HASH_FIND(hh, *set, key->b, CN_DIGEST_LEN, s);
    if (s)
        return false;
    s = calloc(1, sizeof *s);
    CN_ASSERT(s);
    s->key = *key;
    HASH_ADD(hh, *set, key.b, CN_DIGEST_LEN, s);
    return true;
}

static void seen_free(seen **set)
{
    seen *s, *next;
    HASH_ITER(hh, *set, s, next)
    {
        HASH_DEL(*set, s);
        free(s);
    }
}

static void want(audit *a, const cn_digest *tag)
{
    if (!first_time(&a->tags, tag))
        return;
    if (a->todo_count == a->todo_cap) {
        a->todo_cap = a->todo_cap ? 2 * a->todo_cap : 64;
        a->todo = realloc(a->todo, a->todo_cap * sizeof *a->todo);
        CN_ASSERT(a->todo);
    }
    a->todo[a->todo_count++] = *tag;
}

/* ---- statements ---- */

static cn_status decode(const cn_stored_statement *stored, cn_statement **ret, cn_err *err)
{
    size_t n = stored->record.n + stored->items.n;
    uint8_t *whole = malloc(n);
    if (!whole)
        return cn_fail(err, CN_NO_MEMORY, "audit", "out of memory");
    memcpy(whole, stored->record.p, stored->record.n);
    if (stored->items.n)
        memcpy(whole + stored->record.n, stored->items.p, stored->items.n);
    cn_status st = cn_statement_decode(whole, n, ret, err);
    free(whole);
    return st;
}

static bool owner_of(const audit *a, const cn_digest *key_id, cn_digest *ret)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_device_key row;
    cn_state_key key = cn_state_key_of(a->salt, CN_STATE_KEY, key_id->b, CN_DIGEST_LEN);
    if (cn_snapshot_state(a->snap, &key, value, &n, NULL) != CN_OK || !cn_state_key_decode(value, n, &row))
        return false;
    *ret = row.owner;
    return true;
}

/* Authority that rests on ballots: of who votes, and of registrars. */
static bool leans_on_governance(const audit *a, const cn_body *b)
{
    cn_digest signer, target;
    if (b->kind == CN_PAYLOAD_PROPOSAL || b->kind == CN_PAYLOAD_BALLOT || b->kind == CN_PAYLOAD_READINESS)
        return true;
    if (b->kind != CN_PAYLOAD_REGISTRY)
        return false;
    if (b->registry.op != CN_REG_KEY_REVOKE && b->registry.op != CN_REG_KEY_GAP)
        return b->registry.op == CN_REG_MEMBER_REGISTER;
    return !owner_of(a, &b->key_id, &signer) || !owner_of(a, &b->registry.key_id, &target) ||
           !cn_digest_eq(&signer, &target);
}

/* What verifiers of others take: the statement's receipts and tlog-proof. */
static void add_receipts(audit *a, uint64_t index, const cn_digest *path, size_t len)
{
    const cn_signed *by = a->order->signatures;
    cn_receipt_proof *proof = calloc(1, sizeof *proof);
    cn_buf bytes;
    CN_ASSERT(proof);
    if (a->note.n == 0 || a->receipts++ >= CN_DOSSIER_MAX_RECEIPTS) {
        free(proof);
        return;
    }
    *proof = (cn_receipt_proof){.size = a->checkpoint.log_size, .index = index, .path_len = len};
    memcpy(proof->path, path, len * sizeof *path);
    cn_buf_init(&bytes, CN_RECEIPT_MAX * CN_MAX_VALIDATORS);
    cn_cbor_head(&bytes, CN_CBOR_ARRAY, by->count);
    for (size_t i = 0; i < by->count; i++)
        cn_signed_receipt(by, i, proof, &bytes);
    cn_dossier_add_part(a->w, CN_PART_RECEIPTS, index, 0, CN_SPAN(bytes.p, bytes.n));
    cn_buf_free(&bytes);
    cn_buf_init(&bytes, CN_MAX_NOTE_BYTES + CN_RECEIPT_MAX);
    cn_tlog_proof_begin(&bytes, index, path, len);
    cn_put_bytes(&bytes, a->note.p, a->note.n);
    cn_dossier_add_part(a->w, CN_PART_TLOG, index, 0, CN_SPAN(bytes.p, bytes.n));
    cn_buf_free(&bytes);
    free(proof);
}

/* ---- what was erased ---- */

static int by_id(const void *a, const void *b)
{
    const naming *x = a, *y = b;
    int order = cn_digest_cmp(&x->id, &y->id);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static bool note_about(void *ctx, const cn_statement *s, uint64_t index)
{
    audit *a = ctx;
    if (a->about_count == a->about_cap) {
        a->about_cap = a->about_cap ? 2 * a->about_cap : 64;
        a->about = realloc(a->about, a->about_cap * sizeof *a->about);
        CN_ASSERT(a->about);
    }
    a->about[a->about_count++] =
        (naming){s->body.kind == CN_PAYLOAD_ERASURE ? s->body.erasure.target : s->body.purge.erasure, index};
    return true;
}

/* All orders and attestations up to the checkpoint. */
static cn_status read_about(audit *a, cn_err *err)
{
    a->about_read = true;
    cn_status st = cn_erasures_each(a->snap, a->salt, a->checkpoint.log_size, note_about, a, err);
    if (st == CN_OK && a->about_count)
        qsort(a->about, a->about_count, sizeof *a->about, by_id);
    return st;
}

static void want_later(audit *a, uint64_t index)
{
    if (a->later_count == a->later_cap) {
        a->later_cap = a->later_cap ? 2 * a->later_cap : 16;
        a->later = realloc(a->later, a->later_cap * sizeof *a->later);
        CN_ASSERT(a->later);
    }
    a->later[a->later_count++] = index;
}

/* With a batch that has lost items come the orders, and with an order who has attested it, also where the audit is
 * about another subject of the batch, or about the batch alone, and the trees that they lie in are not here. */
static cn_status want_about(audit *a, const cn_statement *s, bool erased, cn_err *err)
{
    size_t low = 0;
    cn_status st = CN_OK;
    if (!erased && s->body.kind != CN_PAYLOAD_ERASURE)
        return CN_OK;
    if (!a->about_read)
        st = read_about(a, err);
    for (size_t high = a->about_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (cn_digest_cmp(&a->about[middle].id, &s->id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; st == CN_OK && low < a->about_count && cn_digest_eq(&a->about[low].id, &s->id); low++)
        want_later(a, a->about[low].index);
    return st;
}

/* The statement and its path, without the items that the caller wants left out. */
static cn_status put_statement(audit *a, uint64_t index, const cn_stored_statement *stored, const cn_statement *s,
                               bool in_scope, cn_err *err)
{
    cn_digest path[CN_PROOF_MAX];
    size_t len = 0;
    cn_buf left;
    cn_buf_init(&left, CN_MAX_STATEMENT_BYTES);
    cn_status st = cn_snapshot_inclusion(a->snap, index, a->checkpoint.log_size, path, &len, err);
    if (st == CN_OK && a->order->redact)
        st = cn_redact_items(a->order->redact, index, s, stored->items, &left, a->w, err);
    if (st == CN_OK)
        cn_dossier_add_statement(a->w, index, stored->record, left.n ? CN_SPAN(left.p, left.n) : stored->items, path,
                                 len);
    if (st == CN_OK && in_scope)
        add_receipts(a, index, path, len);
    cn_buf_free(&left);
    return st;
}

/* main_tag: where pairings name the containers to follow; NULL elsewhere. */
static cn_status add_statement(audit *a, uint64_t index, bool in_scope, const cn_digest *main_tag, cn_err *err)
{
    cn_digest number = {{0}};
    cn_stored_statement stored;
    cn_statement *s = NULL;
    cn_store_u64(number.b, index);
    bool fresh = first_time(&a->indexes, &number);
    cn_status st = cn_snapshot_statement(a->snap, index, &stored, err);
    if (st == CN_OK && in_scope)
        a->newest_height = stored.height;
    if (st == CN_OK)
        st = decode(&stored, &s, err);
    if (st == CN_OK && fresh)
        st = put_statement(a, index, &stored, s, in_scope, err);
    if (st != CN_OK) {
        cn_statement_free(s);
        return st;
    }
    cn_digest about = cn_key_subject(a->salt, &s->body.key_id);
    want(a, &about);
    cn_digest decided = cn_governance_subject(a->salt);
    if (leans_on_governance(a, &s->body))
        want(a, &decided);
    cn_digest network = cn_network_subject(a->salt, &s->body.foreign.network);
    if (s->body.kind == CN_PAYLOAD_FOREIGN)
        want(a, &network); /* who let it in, and how it moved on */
    if (main_tag && s->body.kind == CN_PAYLOAD_PAIRING && cn_digest_eq(&s->body.pairing.consignment, main_tag))
        want(a, &s->body.pairing.container);
    cn_digest batch_key = cn_key_subject(a->salt, &s->body.erasure.key_id);
    if (s->body.kind == CN_PAYLOAD_ERASURE)
        want(a, &batch_key); /* who owns it decides whether the order counts */
    if (fresh)
        st = want_about(a, s, stored.erased, err);
    cn_statement_free(s);
    return st;
}

/* ---- subjects ---- */

static cn_status add_absence(audit *a, const cn_digest *tag, const cn_state_key *key, cn_err *err)
{
    cn_ics23_absence *proof = calloc(1, sizeof *proof);
    cn_buf bytes;
    cn_buf_init(&bytes, 1u << 20);
    cn_status st = proof ? cn_snapshot_prove_absent(a->snap, key, proof, err)
                         : cn_fail(err, CN_NO_MEMORY, "audit", "out of memory");
    if (st == CN_OK)
        st = cn_ics23_encode_absence(proof, &bytes);
    if (st == CN_OK)
        cn_dossier_add_absence(a->w, tag, CN_SPAN(bytes.p, bytes.n));
    cn_buf_free(&bytes);
    free(proof);
    return st;
}

/* The leaves up to the checkpoint; rows of later blocks are not proved yet. */
static cn_status read_leaves(audit *a, const cn_digest *tag, cn_subject_leaf *leaves, uint64_t count, cn_err *err)
{
    cn_subject_row *row = calloc(ROWS_PAGE, sizeof *row);
    cn_status st = row ? CN_OK : cn_fail(err, CN_NO_MEMORY, "audit", "out of memory");
    for (uint64_t at = 0; at < count && st == CN_OK;) {
        size_t got = 0, ask = count - at < ROWS_PAGE ? (size_t)(count - at) : ROWS_PAGE;
        st = cn_snapshot_subject_rows(a->snap, tag, at, row, ask, &got, err);
        if (st == CN_OK && got == 0)
            st = cn_fail(err, CN_CORRUPT, "rows",
                         "a subject has fewer rows than its completeness record; run carnet fsck");
        for (size_t i = 0; st == CN_OK && i < got; i++)
            leaves[at + i] = row[i].leaf;
        at += got;
    }
    free(row);
    return st;
}

static cn_status add_present(audit *a, const cn_digest *tag, const cn_ics23_existence *proof, bool is_main, cn_err *err)
{
    cn_state_subject record;
    cn_buf bytes;
    if (!cn_state_subject_decode(proof->value, proof->value_len, &record))
        return cn_fail(err, CN_CORRUPT, "state", "a completeness record does not decode; run carnet fsck");
    if (record.count > CN_DOSSIER_MAX_BYTES / CN_SUBJECT_LEAF_LEN)
        return cn_fail(err, CN_TOO_LARGE, "audit", "the subject has %llu statements, too many for one dossier",
                       (unsigned long long)record.count);
    cn_subject_leaf *leaves = calloc((size_t)record.count, sizeof *leaves);
    if (!leaves)
        return cn_fail(err, CN_NO_MEMORY, "audit", "out of memory");
    cn_buf_init(&bytes, 1u << 20);
    cn_status st = read_leaves(a, tag, leaves, record.count, err);
    if (st == CN_OK)
        st = cn_ics23_encode_existence(proof, &bytes);
    if (st == CN_OK)
        cn_dossier_add_subject(a->w, tag, CN_SPAN(bytes.p, bytes.n), leaves, record.count);
    for (uint64_t i = 0; st == CN_OK && i < record.count; i++)
        st = add_statement(a, leaves[i].log_index, is_main, is_main ? tag : NULL, err);
    cn_buf_free(&bytes);
    free(leaves);
    return st;
}

static cn_status add_subject(audit *a, const cn_digest *tag, bool is_main, cn_err *err)
{
    cn_state_key key = cn_state_key_of(a->salt, CN_STATE_SUBJECT, tag->b, CN_DIGEST_LEN);
    cn_ics23_existence *proof = calloc(1, sizeof *proof);
    cn_status st =
        proof ? cn_snapshot_prove(a->snap, &key, proof, err) : cn_fail(err, CN_NO_MEMORY, "audit", "out of memory");
    if (st == CN_OK)
        st = add_present(a, tag, proof, is_main, err);
    else if (st == CN_NOT_FOUND)
        st = add_absence(a, tag, &key, err);
    free(proof);
    return st;
}

/* ---- the checkpoint and who made it final ---- */

static cn_status add_tokens(audit *a, uint64_t height, cn_err *err)
{
    cn_span token[CN_TOKENS_KEPT];
    size_t count = 0;
    cn_status st = cn_snapshot_tokens(a->snap, height, token, &count, err);
    for (size_t i = 0; st == CN_OK && i < count; i++)
        cn_dossier_add_part(a->w, CN_PART_TOKEN, height, (unsigned)i + 1, token[i]);
    return st;
}

/* R11: the chain of closing blocks, from the set of genesis to the one that finalized the checkpoint. */
static cn_status add_epochs(audit *a, uint64_t newest, cn_err *err)
{
    cn_status st = CN_OK;
    for (uint64_t epoch = 2; epoch <= newest && st == CN_OK; epoch++) {
        uint64_t height = 0;
        cn_span rows, certificate;
        cn_header closing;
        st = cn_snapshot_epoch(a->snap, epoch, &height, &rows, err);
        if (st == CN_OK)
            st = cn_snapshot_header(a->snap, height, &closing, err);
        if (st == CN_OK)
            st = cn_snapshot_certificate(a->snap, height, &certificate, err);
        if (st == CN_OK)
            cn_dossier_add_epoch(a->w, epoch, &closing, certificate, rows);
        if (st == CN_OK)
            st = add_tokens(a, height, err);
    }
    return st;
}

static cn_status add_checkpoint(audit *a, cn_err *err)
{
    cn_header *headers = NULL;
    size_t count = 0;
    cn_span certificate = {0};
    cn_status st = cn_snapshot_newest_checkpoint(a->snap, &headers, &count, &certificate, err);
    if (st == CN_OK) {
        cn_dossier_add_checkpoint(a->w, headers, count, certificate);
        st = add_epochs(a, headers[0].epoch, err);
        if (st == CN_OK)
            st = add_tokens(a, headers[0].height, err);
    }
    free(headers);
    return st;
}

/* ---- earlier checkpoints ---- */

static cn_status add_consistency(audit *a, const cn_header *older, cn_err *err)
{
    cn_digest path[CN_PROOF_MAX + 1];
    size_t len = 0;
    cn_status st = cn_snapshot_consistency(a->snap, older->log_size, a->checkpoint.log_size, path, &len, err);
    if (st == CN_OK)
        cn_dossier_add_consistency(a->w, older, path, len);
    return st;
}

/* The logs that epochs ended with, and the one of the checkpoint that first covered the newest statement in scope. */
static cn_status add_history(audit *a, cn_err *err)
{
    uint64_t height = 0, covering = a->newest_height;
    cn_header h;
    cn_span rows;
    cn_status st = CN_OK;
    for (uint64_t epoch = 2; epoch <= a->checkpoint.epoch && st == CN_OK; epoch++) {
        st = cn_snapshot_epoch(a->snap, epoch, &height, &rows, err);
        if (st == CN_OK)
            st = cn_snapshot_header(a->snap, height, &h, err);
        if (st == CN_OK)
            st = add_consistency(a, &h, err);
    }
    while (st == CN_OK && covering && covering < a->checkpoint.height) {
        st = cn_snapshot_header(a->snap, covering, &h, err);
        if (st == CN_OK && h.kind != CN_BLOCK_NORMAL)
            return h.kind == CN_BLOCK_CLOSING ? CN_OK : add_consistency(a, &h, err); /* closing: it is there already */
        covering++;
    }
    return st;
}

/* ---- the whole ---- */

static cn_status begin(audit *a, cn_err *err)
{
    cn_span genesis;
    const cn_audit_order *order = a->order;
    a->snap = order->snap;
    a->salt = order->salt;
    cn_buf_init(&a->note_bytes, CN_MAX_NOTE_BYTES);
    a->w = cn_dossier_writer_new();
    cn_status st = a->w ? cn_snapshot_tip(a->snap, &a->tip, err) : cn_fail(err, CN_NO_MEMORY, "audit", "out of memory");
    if (st == CN_OK && a->tip.checkpoint == 0)
        st = cn_fail(err, CN_TIMEOUT, "audit", "the network has made no checkpoint yet; submit something first");
    if (st == CN_OK)
        st = cn_snapshot_header(a->snap, a->tip.checkpoint, &a->checkpoint, err);
    if (st == CN_OK)
        st = cn_snapshot_genesis(a->snap, &genesis, err);
    if (st != CN_OK)
        return st;
    cn_dossier_add_genesis(a->w, genesis);
    if (order->redact)
        st = cn_redact_locate(order->redact, a->snap, a->checkpoint.log_size, err);
    if (st != CN_OK)
        return st;
    cn_dossier_set_purpose(a->w, order->legal_basis ? order->legal_basis : "",
                           order->case_number ? order->case_number : "");
    if (order->signatures && order->signatures->count) {
        CN_ASSERT(order->signatures->header.height == a->checkpoint.height);
        cn_signed_note(order->signatures, &a->note_bytes);
        a->note = CN_SPAN(a->note_bytes.p, a->note_bytes.n);
        cn_dossier_add_part(a->w, CN_PART_NOTE, 0, 0, a->note);
    }
    return add_checkpoint(a, err);
}

static cn_status close_over(audit *a, const cn_digest *main_tag, cn_err *err)
{
    cn_status st = CN_OK;
    size_t subjects = 0, statements = 0;
    while (st == CN_OK && (subjects < a->todo_count || statements < a->later_count)) {
        if (subjects < a->todo_count) {
            cn_digest tag = a->todo[subjects++];
            st = add_subject(a, &tag, main_tag && cn_digest_eq(&tag, main_tag), err);
        } else {
            st = add_statement(a, a->later[statements++], false, NULL, err);
        }
    }
    if (st == CN_OK && a->order->redact)
        st = cn_redact_all_met(a->order->redact, err);
    return st == CN_OK ? add_history(a, err) : st;
}

/* For people: the page is made from all that was added before it. */
static cn_status add_report(audit *a, cn_err *err)
{
    const char *readme = cn_report_readme();
    cn_dossier *view = calloc(1, sizeof *view);
    cn_buf page;
    cn_buf_init(&page, CN_REPORT_MAX_BYTES);
    cn_status st = view ? cn_dossier_view(a->w, view, err) : cn_fail(err, CN_NO_MEMORY, "audit", "out of memory");
    if (st == CN_OK) {
        st = cn_report_render(view, &page, err);
        cn_dossier_clear(view);
    }
    if (st == CN_OK) {
        cn_dossier_add_part(a->w, CN_PART_REPORT, 0, 0, CN_SPAN(page.p, page.n));
        cn_dossier_add_part(a->w, CN_PART_README, 0, 0, CN_SPAN(readme, strlen(readme)));
        if (a->order->page.n)
            cn_dossier_add_part(a->w, CN_PART_PAGE, 0, 0, a->order->page);
    }
    cn_buf_free(&page);
    free(view);
    return st;
}

static cn_status end(audit *a, cn_status st, cn_buf *out, cn_err *err)
{
    if (st == CN_OK)
        st = add_report(a, err);
    if (st == CN_OK)
        st = cn_dossier_finish(a->w, out, err);
    cn_dossier_writer_free(a->w);
    cn_buf_free(&a->note_bytes);
    seen_free(&a->tags);
    seen_free(&a->indexes);
    free(a->todo);
    free(a->about);
    free(a->later);
    return st;
}

cn_status cn_audit_subject(const cn_audit_order *order, const char *uri, cn_buf *out, cn_err *err)
{
    audit a = {.order = order};
    cn_digest tag = cn_subject_tag(order->salt, uri);
    cn_status st = begin(&a, err);
    if (st == CN_OK) {
        cn_dossier_set_scope(a.w, CN_DOSSIER_SUBJECT, uri, &tag, a.tip.checkpoint);
        want(&a, &tag);
        st = close_over(&a, &tag, err);
    }
    return end(&a, st, out, err);
}

cn_status cn_audit_statement(const cn_audit_order *order, const cn_digest *id, cn_buf *out, cn_err *err)
{
    audit a = {.order = order};
    uint64_t index = 0;
    cn_status st = begin(&a, err);
    if (st == CN_OK)
        st = cn_snapshot_find_id(a.snap, id, &index, err);
    if (st == CN_NOT_FOUND || (st == CN_OK && index >= a.checkpoint.log_size))
        st = cn_fail(err, CN_NOT_FOUND, "statement", "%s is not final on this node", cn_digest_hex(id).s);
    if (st == CN_OK) {
        cn_dossier_set_scope(a.w, CN_DOSSIER_STATEMENT, cn_digest_hex(id).s, id, a.tip.checkpoint);
        st = add_statement(&a, index, true, NULL, err);
    }
    if (st == CN_OK)
        st = close_over(&a, NULL, err);
    return end(&a, st, out, err);
}

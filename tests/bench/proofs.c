/* How proofs grow with the ledger: makes ledgers of so many statements through the node's own ledger and store, and
 * prints for each the bytes of every proof and the mean time to verify it. usage: bench_proofs STATEMENTS... */
#include "tests/unit/tools/fixture.h"

#include "node/api/audit.h"
#include "proto/receipt.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PER_SUBJECT 10u /* statements */
#define PER_BLOCK 64u
#define SAMPLES 200u

typedef struct row {
    const char *name;
    size_t bytes;
    double seconds;
    unsigned count;
} row;

enum { RECEIPT, TLOG, PRESENT, ABSENT, DOSSIER, ROWS };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_proofs: %s\n", what);
    exit(1);
}

static void uri_of(uint64_t i, char out[64])
{
    snprintf(out, 64, "urn:carnet:ucr:6KEP%08llu-BENCH", (unsigned long long)i);
}

static double build(fixture *fx, uint64_t statements)
{
    double began = now();
    for (uint64_t i = 0; i < statements;) {
        for (unsigned k = 0; k < PER_BLOCK && i < statements; k++, i++) {
            char uri[64];
            uri_of(i % (statements / PER_SUBJECT), uri);
            fx_wait(fx, fx_event(fx, &fx->member[i % 4], uri, (unsigned)(i % 60)));
        }
        need(fx_commit(fx), "a statement did not execute");
    }
    return now() - began;
}

/* A validator's keys, and what it signed about the newest checkpoint. */
typedef struct signer {
    cn_checkpoint_keys keys;
    cn_set_row row;
    cn_checkpoint checkpoint;
    cn_checkpoint_signatures signature;
    cn_digest kid;
    char name[CN_SIGNER_NAME_MAX + 1];
} signer;

static void sign_checkpoint(fixture *fx, cn_snapshot *snap, signer *s, cn_header *ret_header)
{
    cn_tip tip;
    cn_digest member = cn_member_id("exporter");
    need(cn_secret_key_generate(CN_KEY_P256, &s->keys.receipt, NULL) == CN_OK &&
             cn_secret_key_generate(CN_KEY_ED25519, &s->keys.cosignature, NULL) == CN_OK &&
             cn_secret_key_generate(CN_KEY_ED25519, &s->keys.log, NULL) == CN_OK,
         "keys");
    memcpy(s->row.receipt_key, s->keys.receipt.public_key.b, 33);
    memcpy(s->row.cosignature_key, s->keys.cosignature.public_key.b, 32);
    memcpy(s->row.log_key, s->keys.log.public_key.b, 32);
    need(cn_snapshot_tip(snap, &tip, NULL) == CN_OK &&
             cn_snapshot_header(snap, tip.checkpoint, ret_header, NULL) == CN_OK &&
             cn_checkpoint_of(ret_header, &fx->genesis.network, fx->genesis.origin, &s->checkpoint, NULL) == CN_OK &&
             cn_checkpoint_sign(&s->checkpoint, &member, "exporter", &s->keys, &s->signature, NULL) == CN_OK,
         "checkpoint");
    s->kid = cn_receipt_kid(s->row.receipt_key);
    cn_signer_name(&s->checkpoint, "exporter", s->name);
}

static void add(row *r, size_t bytes, double seconds)
{
    r->bytes = bytes > r->bytes ? bytes : r->bytes;
    r->seconds += seconds;
    r->count++;
}

static void measure_log(cn_snapshot *snap, const signer *s, uint64_t index, row *rows)
{
    static cn_receipt_proof proof;
    static cn_receipt receipt;
    static cn_note note;
    cn_digest entry;
    cn_buf bytes;
    proof = (cn_receipt_proof){.size = s->checkpoint.size, .index = index};
    need(cn_snapshot_inclusion(snap, index, proof.size, proof.path, &proof.path_len, NULL) == CN_OK &&
             cn_snapshot_log_entry(snap, index, &entry, NULL) == CN_OK,
         "inclusion");
    cn_buf_init(&bytes, CN_MAX_NOTE_BYTES);
    cn_receipt_write(&bytes, &s->checkpoint, s->name, &s->kid, &proof, &s->signature.receipt);
    double began = now();
    cn_reader r = cn_reader_of(bytes.p, bytes.n);
    need(cn_receipt_read(&r, &receipt, NULL) == CN_OK &&
             cn_receipt_verify(&receipt, &s->checkpoint, "exporter", &s->row, &entry, NULL) == CN_OK,
         "receipt");
    add(&rows[RECEIPT], bytes.n, now() - began);
    bytes.n = 0;
    cn_tlog_proof_begin(&bytes, index, proof.path, proof.path_len);
    size_t head = bytes.n;
    cn_note_begin(&bytes, &s->checkpoint);
    cn_note_add(&bytes, &s->checkpoint, "exporter", &s->row, &s->signature);
    began = now();
    cn_digest leaf = cn_leaf_hash(entry.b, CN_DIGEST_LEN);
    need(cn_note_parse(bytes.p + head, bytes.n - head, &note, NULL) == CN_OK &&
             cn_note_signed_by(&note, s->name, CN_NOTE_COSIGNATURE_V1, s->row.cosignature_key, NULL) &&
             cn_verify_inclusion(&leaf, index, note.size, proof.path, proof.path_len, &note.root),
         "tlog-proof");
    add(&rows[TLOG], bytes.n, now() - began);
    cn_buf_free(&bytes);
}

static void measure_state(fixture *fx, cn_snapshot *snap, const cn_header *h, uint64_t subject, uint64_t absent_one,
                          row *rows)
{
    static cn_ics23_existence there, again;
    static cn_ics23_absence absent, gone;
    char uri[64];
    cn_buf bytes;
    cn_buf_init(&bytes, 1u << 20);
    uri_of(subject, uri);
    cn_digest tag = cn_subject_tag(fx->genesis.subject_salt, uri);
    cn_state_key key = cn_state_key_of(fx->genesis.subject_salt, CN_STATE_SUBJECT, tag.b, CN_DIGEST_LEN);
    need(cn_snapshot_prove(snap, &key, &there, NULL) == CN_OK && cn_ics23_encode_existence(&there, &bytes) == CN_OK,
         "state");
    double began = now();
    need(cn_ics23_decode_existence(bytes.p, bytes.n, &again, NULL) == CN_OK &&
             cn_ics23_verify_existence(&again, &h->state_root, &key, again.value, again.value_len),
         "existence");
    add(&rows[PRESENT], bytes.n, now() - began);
    bytes.n = 0;
    uri_of(absent_one, uri);
    tag = cn_subject_tag(fx->genesis.subject_salt, uri);
    key = cn_state_key_of(fx->genesis.subject_salt, CN_STATE_SUBJECT, tag.b, CN_DIGEST_LEN);
    need(cn_snapshot_prove_absent(snap, &key, &absent, NULL) == CN_OK &&
             cn_ics23_encode_absence(&absent, &bytes) == CN_OK,
         "state");
    began = now();
    need(cn_ics23_decode_absence(bytes.p, bytes.n, &gone, NULL) == CN_OK &&
             cn_ics23_verify_absence(&gone, &h->state_root, &key),
         "absence");
    add(&rows[ABSENT], bytes.n, now() - began);
    cn_buf_free(&bytes);
}

/* One statement with the authority of its key: what does not grow with the subject. */
static void measure_dossier(fixture *fx, cn_snapshot *snap, uint64_t index, row *rows)
{
    static cn_verify_report report;
    cn_stored_statement stored;
    cn_statement *s = NULL;
    cn_buf zip;
    cn_audit_order order = {.snap = snap, .salt = fx->genesis.subject_salt};
    cn_buf_init(&zip, CN_AUDIT_MAX_BYTES);
    need(cn_snapshot_statement(snap, index, &stored, NULL) == CN_OK &&
             cn_statement_decode(stored.record.p, stored.record.n, &s, NULL) == CN_OK &&
             cn_audit_statement(&order, &s->id, &zip, NULL) == CN_OK,
         "dossier");
    double began = now();
    need(cn_verify_dossier(zip.p, zip.n, &fx->genesis.network, NULL, &report) == CN_OK, "the dossier is refused");
    add(&rows[DOSSIER], zip.n, now() - began);
    cn_statement_free(s);
    cn_buf_free(&zip);
}

static void measure(uint64_t statements)
{
    static fixture fx;
    static signer s;
    row rows[ROWS] = {{"COSE receipt", 0, 0, 0},
                      {"tlog-proof, one cosigner", 0, 0, 0},
                      {"ICS-23 existence", 0, 0, 0},
                      {"ICS-23 absence", 0, 0, 0},
                      {"dossier of one statement", 0, 0, 0}};
    cn_snapshot *snap = NULL;
    cn_header h;
    uint64_t random = 88172645463325252u;
    fx_open(&fx);
    double seconds = build(&fx, statements);
    fprintf(stderr, "%llu statements recorded in %.0f s\n", (unsigned long long)statements, seconds);
    need(cn_snapshot_open(fx.store, &snap, NULL) == CN_OK, "snapshot");
    sign_checkpoint(&fx, snap, &s, &h);
    for (unsigned i = 0; i < SAMPLES; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t index = 2 + random % statements;
        measure_log(snap, &s, index, rows);
        measure_state(&fx, snap, &h, random % (statements / PER_SUBJECT), statements + random % 1000000, rows);
        if (i < SAMPLES / 10)
            measure_dossier(&fx, snap, index, rows);
    }
    for (unsigned i = 0; i < ROWS; i++)
        printf("| %llu | %s | %zu | %.0f |\n", (unsigned long long)statements, rows[i].name, rows[i].bytes,
               1e6 * rows[i].seconds / rows[i].count);
    cn_snapshot_close(snap);
    fx_close(&fx);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_proofs STATEMENTS...\n");
        return 2;
    }
    printf("| statements | proof | bytes, at most | microseconds to verify |\n|---|---|---|---|\n");
    for (int i = 1; i < argc; i++) {
        uint64_t n = strtoull(argv[i], NULL, 10);
        need(n >= 100 && n <= 100000000, "a ledger has 100 to 100,000,000 statements here");
        measure(n);
    }
    return 0;
}

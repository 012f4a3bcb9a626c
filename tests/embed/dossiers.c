/* Writes dossiers for programs that stand outside the build: one as a node exports it, and changed ones.
 *
 *   embed_dossiers DIR      DIR/genesis.digest, DIR/dossiers (lines: file, then `accepted` or the step that fails) */
#include "node/formats/plan.h"
#include "proto/limits.h"
#include "tests/unit/tools/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX "urn:epc:id:bic:CSQU3054383"

static const char *dir;

static void write_file(const char *name, const void *p, size_t n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static void list(cn_buf *index, const char *name, const cn_buf *zip, const char *outcome)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s.zip %s\n", name, outcome);
    char file[128];
    snprintf(file, sizeof file, "%s.zip", name);
    write_file(file, zip->p, zip->n);
    cn_put_bytes(index, line, (size_t)n);
}

static cn_certificate certificate_of(const cn_dossier *d)
{
    cn_certificate c;
    cn_reader r = cn_reader_of(d->certificate.p, d->certificate.n);
    cr_assert_eq(cn_certificate_read(&r, &c, NULL), CN_OK);
    return c;
}

static void rebuilt(cn_buf *index, const char *name, const cn_dossier *d, const cn_certificate *c, const char *outcome)
{
    cn_buf zip;
    fx_rebuild(d, c, &zip);
    list(index, name, &zip, outcome);
    cn_buf_free(&zip);
}

static void changed(cn_buf *index, const cn_buf *zip)
{
    cn_dossier d;
    cr_assert_eq(cn_dossier_read(zip->p, zip->n, &d, NULL), CN_OK);
    cn_certificate c = certificate_of(&d), other = c;
    cn_digest path[CN_PROOF_MAX];
    rebuilt(index, "again", &d, &c, "accepted");
    other.signature[1].b[7] ^= 1;
    rebuilt(index, "certificate", &d, &other, "quorum");
    d.statement_count--;
    rebuilt(index, "withheld", &d, &c, "completeness");
    d.statement_count++;
    cr_assert_gt(d.statement[0].path_len, 0u);
    memcpy(path, d.statement[0].path, d.statement[0].path_len * sizeof path[0]);
    path[0].b[0] ^= 1;
    d.statement[0].path = path;
    rebuilt(index, "path", &d, &c, "inclusion");
    cn_dossier_clear(&d);
    cn_buf flipped;
    cn_buf_init(&flipped, zip->max);
    cn_put_bytes(&flipped, zip->p, zip->n);
    flipped.p[zip->n / 2] ^= 1;
    list(index, "flipped", &flipped, "container");
    flipped.n = zip->n - 9;
    list(index, "cut", &flipped, "container");
    flipped.n = 0;
    list(index, "empty", &flipped, "container");
    cn_buf_free(&flipped);
}

/* A reading of 4.25 degrees, so that the page in the dossier has a chart. */
static cn_statement *reading(fixture *fx, fx_signer *s, unsigned minute)
{
    static const uint8_t secret[32] = {7};
    char content[1024];
    cn_body *body = calloc(1, sizeof *body);
    cn_statement *statement = NULL;
    cn_buf item, whole;
    int n = snprintf(content, sizeof content,
                     "{\"@context\":\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\",\"type\":"
                     "\"ObjectEvent\",\"eventTime\":\"2026-01-01T00:%02u:00Z\",\"eventTimeZoneOffset\":\"+00:00\","
                     "\"epcList\":[\"" BOX "\"],\"action\":\"OBSERVE\",\"bizStep\":\"sensor_reporting\","
                     "\"sensorElementList\":[{\"sensorReport\":[{\"type\":\"Temperature\",\"value\":%u.25,"
                     "\"uom\":\"CEL\"}]}]}",
                     minute, 4 + minute % 3);
    cn_buf_init(&item, CN_MAX_ITEM_BYTES);
    cn_buf_init(&whole, CN_MAX_STATEMENT_BYTES);
    cn_item_write(&item, secret, CN_ITEM_EPCIS, content, (size_t)n);
    cn_batch_entry entry = {
        .subject = cn_subject_tag(fx->genesis.subject_salt, BOX), .count = 1, .first_ms = 1, .last_ms = 1};
    *body = (cn_body){.network = fx->genesis.network,
                      .key_id = s->id,
                      .sequence = ++s->sequence,
                      .previous = s->previous,
                      .created_ms = UINT64_C(1790000000000),
                      .kind = CN_PAYLOAD_EVENT_BATCH};
    body->batch.entry_count = 1;
    body->batch.entry = &entry;
    cn_span span = CN_SPAN(item.p, item.n);
    cr_assert_eq(cn_statement_sign(body, &span, 1, &s->key, &whole, NULL, NULL), CN_OK);
    cr_assert_eq(cn_statement_decode(whole.p, whole.n, &statement, NULL), CN_OK);
    s->previous = statement->id;
    cn_buf_free(&item);
    cn_buf_free(&whole);
    free(body);
    return statement;
}

int main(int argc, char **argv)
{
    static fixture fx;
    cn_buf index, zip;
    if (argc != 2)
        return 2;
    dir = argv[1];
    fx_open(&fx);
    for (unsigned i = 0; i < 3; i++)
        fx_wait(&fx, fx_event(&fx, &fx.member[i], BOX, i));
    for (unsigned i = 0; i < 5; i++)
        fx_wait(&fx, reading(&fx, &fx.member[0], i));
    cr_assert(fx_commit(&fx));
    cn_buf_init(&index, 1u << 16);
    fx_audit(&fx, BOX, &zip);
    list(&index, "exported", &zip, "accepted");
    changed(&index, &zip);
    cn_buf_free(&zip);
    fx_audit(&fx, "urn:carnet:ucr:4KE5-NEVER", &zip);
    list(&index, "absent", &zip, "accepted");
    cn_buf_free(&zip);
    write_file("dossiers", index.p, index.n);
    write_file("genesis.digest", cn_digest_hex(&fx.genesis.network).s, 64);
    cn_buf_free(&index);
    fx_close(&fx);
    return 0;
}

/* Writing dossiers. */
#include "node/formats/dossier_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

/* 1980-01-01T00:00:00, the first instant that a ZIP can name */
#define FIXED_TIME 315532800

typedef struct file {
    char name[DOSSIER_NAME_MAX];
    cn_buf content;
} file;

struct cn_dossier_writer {
    file *file;
    size_t count, cap;
    cn_dossier_kind kind;
    char subject[2048];
    cn_digest tag;
    uint64_t checkpoint;
    char legal_basis[CN_DOSSIER_MAX_PURPOSE + 1], case_number[CN_DOSSIER_MAX_PURPOSE + 1];
    cn_dossier_redaction *redaction;
    size_t redaction_count;
    bool fault;
};

cn_dossier_writer *cn_dossier_writer_new(void)
{
    return calloc(1, sizeof(cn_dossier_writer));
}

void cn_dossier_writer_free(cn_dossier_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->count; i++)
        cn_buf_free(&w->file[i].content);
    free(w->file);
    free(w->redaction);
    free(w);
}

static cn_buf *add(cn_dossier_writer *w, const char *name)
{
    if (w->count == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 64;
        file *grown = realloc(w->file, cap * sizeof *grown);
        if (!grown) {
            w->fault = true;
            return NULL;
        }
        w->file = grown;
        w->cap = cap;
    }
    file *f = &w->file[w->count++];
    snprintf(f->name, sizeof f->name, "%s", name);
    cn_buf_init(&f->content, CN_DOSSIER_MAX_BYTES);
    return &f->content;
}

void cn_dossier_set_scope(cn_dossier_writer *w, cn_dossier_kind kind, const char *subject, const cn_digest *tag,
                          uint64_t checkpoint)
{
    w->kind = kind;
    snprintf(w->subject, sizeof w->subject, "%s", subject);
    w->tag = *tag;
    w->checkpoint = checkpoint;
}

void cn_dossier_set_purpose(cn_dossier_writer *w, const char *legal_basis, const char *case_number)
{
    CN_ASSERT(cn_dossier_purpose_valid(legal_basis) && cn_dossier_purpose_valid(case_number));
    snprintf(w->legal_basis, sizeof w->legal_basis, "%s", legal_basis);
    snprintf(w->case_number, sizeof w->case_number, "%s", case_number);
}

void cn_dossier_add_redaction(cn_dossier_writer *w, uint64_t log_index, uint32_t item)
{
    cn_dossier_redaction *grown = realloc(w->redaction, (w->redaction_count + 1) * sizeof *grown);
    w->fault = w->fault || !grown;
    if (!grown)
        return;
    w->redaction = grown;
    w->redaction[w->redaction_count++] = (cn_dossier_redaction){log_index, item};
}

void cn_dossier_add_part(cn_dossier_writer *w, cn_dossier_part_kind kind, uint64_t number, unsigned rank, cn_span bytes)
{
    char name[DOSSIER_NAME_MAX];
    dossier_part_name(kind, number, rank, name);
    cn_buf *out = add(w, name);
    if (out)
        cn_put_bytes(out, bytes.p, bytes.n);
}

void cn_dossier_add_consistency(cn_dossier_writer *w, const cn_header *older, const cn_digest *path, size_t path_len)
{
    char name[DOSSIER_NAME_MAX];
    uint8_t bytes[CN_HEADER_LEN];
    dossier_part_name(CN_PART_CONSISTENCY, older->height, 0, name);
    cn_buf *out = add(w, name);
    if (!out)
        return;
    cn_header_encode(older, bytes);
    cn_put_u8(out, 1);
    cn_put_bytes(out, bytes, sizeof bytes);
    cn_put_u8(out, (uint8_t)path_len);
    for (size_t i = 0; i < path_len; i++)
        cn_put_digest(out, &path[i]);
}

void cn_dossier_add_genesis(cn_dossier_writer *w, cn_span bytes)
{
    cn_buf *out = add(w, "genesis.json");
    if (out)
        cn_put_bytes(out, bytes.p, bytes.n);
}

void cn_dossier_add_checkpoint(cn_dossier_writer *w, const cn_header *headers, size_t count, cn_span certificate)
{
    cn_buf *out = add(w, "checkpoint.bin");
    if (!out)
        return;
    cn_put_u8(out, 1);
    cn_put_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[CN_HEADER_LEN];
        cn_header_encode(&headers[i], bytes);
        cn_put_bytes(out, bytes, sizeof bytes);
    }
    cn_put_bytes(out, certificate.p, certificate.n);
}

void cn_dossier_add_epoch(cn_dossier_writer *w, uint64_t epoch, const cn_header *closing, cn_span certificate,
                          cn_span rows)
{
    char name[DOSSIER_NAME_MAX];
    uint8_t bytes[CN_HEADER_LEN];
    snprintf(name, sizeof name, "epochs/%020llu.bin", (unsigned long long)epoch);
    cn_buf *out = add(w, name);
    if (!out)
        return;
    cn_header_encode(closing, bytes);
    cn_put_u8(out, 1);
    cn_put_bytes(out, bytes, sizeof bytes);
    cn_put_u32(out, (uint32_t)certificate.n);
    cn_put_bytes(out, certificate.p, certificate.n);
    cn_put_bytes(out, rows.p, rows.n);
}

static cn_buf *add_subject(cn_dossier_writer *w, const cn_digest *tag, bool present, cn_span proof)
{
    char name[DOSSIER_NAME_MAX];
    snprintf(name, sizeof name, "subjects/%s.bin", cn_digest_hex(tag).s);
    cn_buf *out = add(w, name);
    if (!out)
        return NULL;
    cn_put_u8(out, 1);
    cn_put_u8(out, present);
    cn_put_u32(out, (uint32_t)proof.n);
    cn_put_bytes(out, proof.p, proof.n);
    return out;
}

void cn_dossier_add_subject(cn_dossier_writer *w, const cn_digest *tag, cn_span ics23_existence,
                            const cn_subject_leaf *leaves, uint64_t count)
{
    cn_buf *out = add_subject(w, tag, true, ics23_existence);
    if (!out)
        return;
    cn_put_u64(out, count);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t bytes[CN_SUBJECT_LEAF_LEN];
        cn_subject_leaf_encode(&leaves[i], bytes);
        cn_put_bytes(out, bytes, sizeof bytes);
    }
}

void cn_dossier_add_absence(cn_dossier_writer *w, const cn_digest *tag, cn_span ics23_absence)
{
    (void)add_subject(w, tag, false, ics23_absence);
}

void cn_dossier_add_statement(cn_dossier_writer *w, uint64_t log_index, cn_span record, cn_span items,
                              const cn_digest *path, size_t path_len)
{
    char name[DOSSIER_NAME_MAX];
    snprintf(name, sizeof name, "statements/%020llu.bin", (unsigned long long)log_index);
    cn_buf *out = add(w, name);
    if (!out)
        return;
    cn_put_u8(out, 1);
    cn_put_u8(out, (uint8_t)path_len);
    for (size_t i = 0; i < path_len; i++)
        cn_put_digest(out, &path[i]);
    cn_put_bytes(out, record.p, record.n);
    cn_put_bytes(out, items.p, items.n);
}

/* ---- the ZIP ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const file *)a)->name, ((const file *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    const cn_dossier_redaction *x = a, *y = b;
    int order = (x->log_index > y->log_index) - (x->log_index < y->log_index);
    return order ? order : (x->item > y->item) - (x->item < y->item);
}

static void sort(cn_dossier_writer *w)
{
    if (w->count)
        qsort(w->file, w->count, sizeof *w->file, by_name);
    if (w->redaction_count)
        qsort(w->redaction, w->redaction_count, sizeof *w->redaction, by_place);
}

static void add_manifest(cn_dossier_writer *w)
{
    json_t *files = json_array(), *redactions = json_array();
    for (size_t i = 0; i < w->redaction_count; i++)
        json_array_append_new(redactions, json_pack("{s:I, s:I}", "log_index", (json_int_t)w->redaction[i].log_index,
                                                    "item", (json_int_t)w->redaction[i].item));
    for (size_t i = 0; i < w->count; i++) {
        cn_digest d = cn_sha256(w->file[i].content.p, w->file[i].content.n);
        json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "name", w->file[i].name, "size",
                                               (json_int_t)w->file[i].content.n, "sha256", cn_digest_hex(&d).s));
    }
    json_t *manifest =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:o, s:o}", "format", CN_DOSSIER_FORMAT, "kind",
                  w->kind == CN_DOSSIER_SUBJECT ? "subject" : "statement", "subject", w->subject, "tag",
                  cn_digest_hex(&w->tag).s, "checkpoint", (json_int_t)w->checkpoint, "legal_basis", w->legal_basis,
                  "case_number", w->case_number, "redactions", redactions, "files", files);
    char *text = manifest ? json_dumps(manifest, JSON_INDENT(1)) : NULL;
    cn_buf *out = text ? add(w, "manifest.json") : NULL;
    if (out)
        cn_put_bytes(out, text, strlen(text));
    else
        w->fault = true;
    free(text);
    json_decref(manifest);
}

/* ---- as a reader sees it ---- */

cn_status cn_dossier_view(cn_dossier_writer *w, cn_dossier *ret, cn_err *err)
{
    dossier_entry *entry = calloc(w->count + 1, sizeof *entry);
    bool whole = entry && !w->fault;
    memset(ret, 0, sizeof *ret);
    sort(w);
    for (size_t i = 0; whole && i < w->count; i++) {
        memcpy(entry[i].name, w->file[i].name, sizeof entry[i].name);
        entry[i].p = w->file[i].content.p;
        entry[i].n = w->file[i].content.n;
        whole = !w->file[i].content.fault;
    }
    cn_status st = whole ? dossier_read_entries(entry, w->count, ret, err)
                         : cn_fail(err, CN_NO_MEMORY, "dossier", "out of memory");
    ret->version = 2;
    ret->kind = w->kind;
    ret->tag = w->tag;
    ret->checkpoint = w->checkpoint;
    memcpy(ret->subject, w->subject, sizeof ret->subject);
    memcpy(ret->legal_basis, w->legal_basis, sizeof ret->legal_basis);
    memcpy(ret->case_number, w->case_number, sizeof ret->case_number);
    for (size_t i = 0; i < ret->part_count; i++) /* the entries go, the writer's names stay */
        ret->part[i].name = w->file[(size_t)(ret->part[i].name - entry[0].name) / sizeof *entry].name;
    if (st == CN_OK && w->redaction_count) {
        ret->redaction = calloc(w->redaction_count, sizeof *ret->redaction);
        if (ret->redaction) {
            memcpy(ret->redaction, w->redaction, w->redaction_count * sizeof *ret->redaction);
            ret->redaction_count = w->redaction_count;
        } else {
            st = cn_fail(err, CN_NO_MEMORY, "dossier", "out of memory");
        }
    }
    free(entry);
    if (st != CN_OK)
        cn_dossier_clear(ret);
    return st;
}

static bool add_to_zip(zip_t *zip, const file *f)
{
    zip_source_t *source = zip_source_buffer(zip, f->content.p, f->content.n, 0);
    zip_int64_t index = source ? zip_file_add(zip, f->name, source, ZIP_FL_ENC_UTF_8) : -1;
    if (index < 0) {
        zip_source_free(source);
        return false;
    }
    /* mode and host are fixed too, so that the bytes are the same everywhere */
    return zip_file_set_mtime(zip, (zip_uint64_t)index, FIXED_TIME, 0) == 0 &&
           zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_DEFLATE, 6) == 0 &&
           zip_file_set_external_attributes(zip, (zip_uint64_t)index, 0, ZIP_OPSYS_UNIX, (0100644u << 16)) == 0;
}

static bool read_source(zip_source_t *source, cn_buf *out)
{
    uint8_t chunk[65536];
    zip_int64_t n = -1;
    if (zip_source_open(source) != 0)
        return false;
    while ((n = zip_source_read(source, chunk, sizeof chunk)) > 0)
        cn_put_bytes(out, chunk, (size_t)n);
    zip_source_close(source);
    return n == 0 && !out->fault;
}

cn_status cn_dossier_finish(cn_dossier_writer *w, cn_buf *out, cn_err *err)
{
    zip_error_t error;
    zip_error_init(&error);
    sort(w);
    add_manifest(w);
    sort(w);
    bool ok = !w->fault;
    for (size_t i = 0; i < w->count; i++)
        ok = ok && !w->file[i].content.fault;
    zip_source_t *source = ok ? zip_source_buffer_create(NULL, 0, 0, &error) : NULL;
    zip_t *zip = source ? zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, &error) : NULL;
    if (zip)
        zip_source_keep(source);
    ok = zip != NULL;
    for (size_t i = 0; ok && i < w->count; i++)
        ok = add_to_zip(zip, &w->file[i]);
    if (zip && !ok)
        zip_discard(zip);
    else if (zip)
        ok = zip_close(zip) == 0;
    ok = ok && read_source(source, out);
    if (source)
        zip_source_free(source);
    zip_error_fini(&error);
    return ok ? CN_OK : cn_fail(err, CN_NO_MEMORY, "dossier", "the ZIP could not be made: out of memory");
}

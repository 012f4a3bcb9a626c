/* Writing dossiers. */
#include "node/formats/dossier.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

/* 1980-01-01T00:00:00, the first instant that a ZIP can name */
#define FIXED_TIME 315532800

typedef struct file {
    char name[96];
    cn_buf content;
} file;

struct cn_dossier_writer {
    file *file;
    size_t count, cap;
    cn_dossier_kind kind;
    char subject[2048];
    cn_digest tag;
    uint64_t checkpoint;
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
    char name[96];
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
    char name[96];
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
    char name[96];
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

static void add_manifest(cn_dossier_writer *w)
{
    json_t *files = json_array();
    for (size_t i = 0; i < w->count; i++) {
        cn_digest d = cn_sha256(w->file[i].content.p, w->file[i].content.n);
        json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "name", w->file[i].name, "size",
                                               (json_int_t)w->file[i].content.n, "sha256", cn_digest_hex(&d).s));
    }
    json_t *manifest = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "format", CN_DOSSIER_FORMAT, "kind",
                                 w->kind == CN_DOSSIER_SUBJECT ? "subject" : "statement", "subject", w->subject, "tag",
                                 cn_digest_hex(&w->tag).s, "checkpoint", (json_int_t)w->checkpoint, "files", files);
    char *text = manifest ? json_dumps(manifest, JSON_INDENT(1)) : NULL;
    cn_buf *out = text ? add(w, "manifest.json") : NULL;
    if (out)
        cn_put_bytes(out, text, strlen(text));
    else
        w->fault = true;
    free(text);
    json_decref(manifest);
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
    if (w->count)
        qsort(w->file, w->count, sizeof *w->file, by_name);
    add_manifest(w);
    qsort(w->file, w->count, sizeof *w->file, by_name);
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

/* Reading dossiers: nothing is taken on trust, not even sizes. */
#include "node/formats/dossier.h"

#include "proto/limits.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

typedef struct entry {
    char name[96];
    uint8_t *p;
    size_t n;
} entry;

typedef struct contents {
    entry *entry;
    size_t count;
} contents;

static void contents_free(contents *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->entry[i].p);
    free(c->entry);
    free(c);
}

/* prefix, exactly `digits` of `alphabet`, ".bin". */
static bool numbered_name(const char *name, const char *prefix, const char *alphabet, size_t digits)
{
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 && strspn(name + n, alphabet) == digits &&
           strcmp(name + n + digits, ".bin") == 0;
}

/* Only the names that the format knows. */
static bool known_name(const char *name)
{
    return strcmp(name, "manifest.json") == 0 || strcmp(name, "genesis.json") == 0 ||
           strcmp(name, "checkpoint.bin") == 0 || numbered_name(name, "subjects/", "0123456789abcdef", 64) ||
           numbered_name(name, "statements/", "0123456789", 20) || numbered_name(name, "epochs/", "0123456789", 20);
}

static cn_status read_entry(zip_t *zip, zip_uint64_t i, size_t *budget, entry *out, cn_err *err)
{
    zip_stat_t info;
    if (zip_stat_index(zip, i, 0, &info) != 0 || !(info.valid & ZIP_STAT_NAME) || !(info.valid & ZIP_STAT_SIZE))
        return cn_fail(err, CN_INVALID, "zip", "entry %llu cannot be read", (unsigned long long)i);
    if (strlen(info.name) >= sizeof out->name || !known_name(info.name))
        return cn_fail(err, CN_INVALID, "zip", "the entry \"%.60s\" does not belong into a dossier", info.name);
    if (info.size > *budget)
        return cn_fail(err, CN_TOO_LARGE, info.name, "the files exceed %zu bytes unpacked",
                       (size_t)CN_DOSSIER_MAX_BYTES);
    *budget -= (size_t)info.size;
    snprintf(out->name, sizeof out->name, "%s", info.name);
    out->n = (size_t)info.size;
    out->p = malloc(out->n + 1);
    zip_file_t *f = out->p ? zip_fopen_index(zip, i, 0) : NULL;
    bool ok = f && zip_fread(f, out->p, out->n) == (zip_int64_t)out->n && zip_fread(f, out->p + out->n, 1) == 0;
    if (f)
        ok = zip_fclose(f) == 0 && ok;
    return ok ? CN_OK : cn_fail(err, CN_INVALID, info.name, "does not unpack to the size it claims");
}

static cn_status unpack(const void *p, size_t n, contents *c, cn_err *err)
{
    zip_error_t error;
    zip_error_init(&error);
    size_t budget = CN_DOSSIER_MAX_BYTES;
    zip_source_t *source = zip_source_buffer_create(p, n, 0, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error) : NULL;
    if (!zip) {
        if (source)
            zip_source_free(source);
        cn_status st = cn_fail(err, CN_INVALID, "zip", "not a ZIP: %s", zip_error_strerror(&error));
        zip_error_fini(&error);
        return st;
    }
    zip_int64_t count = zip_get_num_entries(zip, 0);
    cn_status st = count > 0 && (uint64_t)count <= CN_DOSSIER_MAX_FILES
                       ? CN_OK
                       : cn_fail(err, CN_INVALID, "zip", "an impossible number of files");
    if (st == CN_OK && !(c->entry = calloc((size_t)count, sizeof *c->entry)))
        st = cn_fail(err, CN_NO_MEMORY, "zip", "out of memory");
    for (zip_int64_t i = 0; i < count && st == CN_OK; i++) {
        st = read_entry(zip, (zip_uint64_t)i, &budget, &c->entry[i], err);
        c->count = (size_t)i + 1;
        if (st == CN_OK && i > 0 && strcmp(c->entry[i - 1].name, c->entry[i].name) >= 0)
            st = cn_fail(err, CN_NOT_CANONICAL, c->entry[i].name, "the files are not in ascending order, each once");
    }
    zip_discard(zip);
    zip_error_fini(&error);
    return st;
}

static const entry *find(const contents *c, const char *name)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(c->entry[middle].name, name);
        if (order == 0)
            return &c->entry[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- the manifest ---- */

/* One row a file, in the order of the ZIP and with nothing else: a file that no row vouches for is refused. */
static cn_status check_row(json_t *row, const entry *e, cn_err *err)
{
    const char *name, *sha;
    json_int_t size;
    if (json_unpack_ex(row, NULL, JSON_STRICT, "{s:s, s:I, s:s}", "name", &name, "size", &size, "sha256", &sha) != 0)
        return cn_fail(err, CN_INVALID, "manifest.json", "a row has other members than name, size and sha256");
    if (strcmp(name, e->name) != 0)
        return cn_fail(err, CN_NOT_FOUND, e->name, "is not listed in the manifest, which names \"%.60s\" here", name);
    cn_digest d = cn_sha256(e->p, e->n);
    if (size < 0 || (uint64_t)size != e->n || strcmp(cn_digest_hex(&d).s, sha) != 0)
        return cn_fail(err, CN_INVALID, name, "has SHA-256 %s, the manifest says %.64s: the file was changed",
                       cn_digest_hex(&d).s, sha);
    return CN_OK;
}

static cn_status check_files(const json_t *files, const contents *c, cn_err *err)
{
    if (!json_is_array(files) || json_array_size(files) + 1 != c->count)
        return cn_fail(err, CN_INVALID, "manifest.json", "it lists %zu files, the ZIP holds %zu besides it",
                       json_array_size(files), c->count - 1);
    cn_status st = CN_OK;
    for (size_t i = 0, row = 0; i < c->count && st == CN_OK; i++)
        if (strcmp(c->entry[i].name, "manifest.json") != 0)
            st = check_row(json_array_get(files, row++), &c->entry[i], err);
    return st;
}

static cn_status read_manifest(const contents *c, cn_dossier *d, cn_err *err)
{
    const entry *e = find(c, "manifest.json");
    json_t *m = e ? json_loadb((const char *)e->p, e->n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *format = NULL, *kind = NULL, *subject = NULL, *tag = NULL;
    json_int_t checkpoint = -1;
    json_t *files = NULL;
    cn_status st = CN_OK;
    if (!m || json_unpack_ex(m, NULL, JSON_STRICT, "{s:s, s:s, s:s, s:s, s:I, s:o}", "format", &format, "kind", &kind,
                             "subject", &subject, "tag", &tag, "checkpoint", &checkpoint, "files", &files) != 0)
        st = cn_fail(err, CN_INVALID, "manifest.json",
                     "is missing, or has other members than format, kind, subject, tag, checkpoint and files");
    else if (checkpoint < 0 || strlen(subject) >= sizeof d->subject ||
             !cn_unhex(tag, strlen(tag), d->tag.b, CN_DIGEST_LEN))
        st = cn_fail(err, CN_INVALID, "manifest.json", "its subject, tag or checkpoint is out of range");
    else if (strcmp(format, CN_DOSSIER_FORMAT) != 0)
        st = cn_fail(err, CN_INVALID, "manifest.json",
                     "the format is \"%.40s\", this verifier reads " CN_DOSSIER_FORMAT, format);
    else if (strcmp(kind, "subject") != 0 && strcmp(kind, "statement") != 0)
        st = cn_fail(err, CN_INVALID, "manifest.json", "the kind \"%.40s\" is not known", kind);
    if (st == CN_OK) {
        d->kind = kind[1] == 'u' ? CN_DOSSIER_SUBJECT : CN_DOSSIER_STATEMENT;
        memcpy(d->subject, subject, strlen(subject) + 1);
        d->checkpoint = (uint64_t)checkpoint;
        st = check_files(files, c, err);
    }
    json_decref(m);
    return st;
}

/* ---- the rest ---- */

static cn_status read_checkpoint(const contents *c, cn_dossier *d, cn_err *err)
{
    const entry *e = find(c, "checkpoint.bin");
    cn_reader r = cn_reader_of(e ? e->p : NULL, e ? e->n : 0);
    uint8_t version = cn_read_u8(&r);
    size_t count = cn_read_u32(&r);
    if (!cn_reader_ok(&r) || version != 1 || count == 0 || count > r.n / CN_HEADER_LEN)
        return cn_fail(err, CN_INVALID, "checkpoint.bin", "is missing or malformed");
    d->header = calloc(count, sizeof *d->header);
    if (!d->header)
        return cn_fail(err, CN_NO_MEMORY, "checkpoint.bin", "out of memory");
    for (size_t i = 0; i < count; i++) {
        cn_err own = {0};
        cn_status st = cn_header_decode(cn_read_view(&r, CN_HEADER_LEN), CN_HEADER_LEN, &d->header[i], &own);
        if (st != CN_OK)
            return cn_fail(err, st, "checkpoint.bin", "header %zu: %s: %s", i, own.field, own.text);
    }
    d->header_count = count;
    d->certificate = CN_SPAN(r.p, r.n);
    return CN_OK;
}

static cn_status read_epoch(const entry *e, cn_dossier_epoch *out, cn_err *err)
{
    cn_reader r = cn_reader_of(e->p, e->n);
    cn_err own = {0};
    errno = 0;
    out->epoch = strtoull(e->name + strlen("epochs/"), NULL, 10);
    uint8_t version = cn_read_u8(&r);
    const uint8_t *header = cn_read_view(&r, CN_HEADER_LEN);
    size_t n = cn_read_u32(&r);
    out->certificate = CN_SPAN(cn_read_view(&r, n), n);
    if (version != 1 || !cn_reader_ok(&r) || errno != 0 || r.n == 0 || r.n % CN_SET_ROW_LEN ||
        r.n > (size_t)CN_SET_ROW_LEN * CN_MAX_VALIDATORS)
        return cn_fail(err, CN_INVALID, e->name, "is malformed");
    out->rows = CN_SPAN(r.p, r.n);
    cn_status st = cn_header_decode(header, CN_HEADER_LEN, &out->closing, &own);
    return st == CN_OK ? CN_OK : cn_fail(err, st, e->name, "%s: %s", own.field, own.text);
}

static cn_status read_subject(const entry *e, cn_dossier_subject *s, cn_err *err)
{
    cn_reader r = cn_reader_of(e->p, e->n);
    CN_ASSERT(cn_unhex(e->name + strlen("subjects/"), 64, s->tag.b, CN_DIGEST_LEN));
    uint8_t version = cn_read_u8(&r), present = cn_read_u8(&r);
    size_t proof = cn_read_u32(&r);
    s->proof = CN_SPAN(cn_read_view(&r, proof), proof);
    s->present = present == 1;
    if (s->present) {
        s->count = cn_read_u64(&r);
        if (cn_reader_ok(&r) && s->count <= r.n / CN_SUBJECT_LEAF_LEN)
            s->leaves = cn_read_view(&r, (size_t)s->count * CN_SUBJECT_LEAF_LEN);
        else
            r.fault = true;
    }
    if (version != 1 || present > 1 || !cn_reader_done(&r))
        return cn_fail(err, CN_INVALID, e->name, "is malformed");
    return CN_OK;
}

static cn_status read_statement(const entry *e, cn_dossier_statement *s, cn_err *err)
{
    cn_reader r = cn_reader_of(e->p, e->n);
    errno = 0;
    s->log_index = strtoull(e->name + strlen("statements/"), NULL, 10);
    uint8_t version = cn_read_u8(&r);
    s->path_len = cn_read_u8(&r);
    if (version != 1 || s->path_len > CN_PROOF_MAX || errno != 0)
        return cn_fail(err, CN_INVALID, e->name, "is malformed");
    s->path = (const cn_digest *)(const void *)cn_read_view(&r, s->path_len * CN_DIGEST_LEN);
    if (!cn_reader_ok(&r) || r.n == 0 || r.n > CN_MAX_STATEMENT_BYTES)
        return cn_fail(err, CN_INVALID, e->name, "is malformed");
    s->whole = CN_SPAN(r.p, r.n);
    return CN_OK;
}

static cn_status read_parts(const contents *c, cn_dossier *d, cn_err *err)
{
    cn_status st = CN_OK;
    d->subjects = calloc(c->count, sizeof *d->subjects);
    d->statement = calloc(c->count, sizeof *d->statement);
    d->epoch = calloc(c->count, sizeof *d->epoch);
    if (!d->subjects || !d->statement || !d->epoch)
        return cn_fail(err, CN_NO_MEMORY, "dossier", "out of memory");
    for (size_t i = 0; i < c->count && st == CN_OK; i++) {
        const entry *e = &c->entry[i];
        if (strncmp(e->name, "subjects/", 9) == 0)
            st = read_subject(e, &d->subjects[d->subject_count++], err);
        else if (strncmp(e->name, "epochs/", 7) == 0)
            st = read_epoch(e, &d->epoch[d->epoch_count++], err);
        else if (strncmp(e->name, "statements/", 11) == 0)
            st = read_statement(e, &d->statement[d->statement_count++], err);
        else if (strcmp(e->name, "genesis.json") == 0)
            d->genesis = CN_SPAN(e->p, e->n);
    }
    return st;
}

cn_status cn_dossier_read(const void *zip, size_t n, cn_dossier *ret, cn_err *err)
{
    cn_dossier *d = calloc(1, sizeof *d);
    contents *c = calloc(1, sizeof *c);
    if (!d || !c) {
        free(d);
        free(c);
        return cn_fail(err, CN_NO_MEMORY, "dossier", "out of memory");
    }
    d->owned = c;
    cn_status st = unpack(zip, n, c, err);
    if (st == CN_OK)
        st = read_manifest(c, d, err);
    if (st == CN_OK)
        st = read_checkpoint(c, d, err);
    if (st == CN_OK)
        st = read_parts(c, d, err);
    if (st == CN_OK && !d->genesis.p)
        st = cn_fail(err, CN_NOT_FOUND, "genesis.json", "is missing");
    if (st == CN_OK)
        *ret = *d;
    else
        cn_dossier_clear(d);
    free(d);
    return st;
}

void cn_dossier_clear(cn_dossier *d)
{
    free(d->header);
    free(d->epoch);
    free(d->subjects);
    free(d->statement);
    if (d->owned)
        contents_free(d->owned);
    memset(d, 0, sizeof *d);
}

/* Reading dossiers: nothing is taken on trust, not even sizes. */
#include "node/formats/dossier_internal.h"

#include "proto/limits.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#define NEWEST 2u /* version of the format */

/* A manifest becomes a tree many times its size. Its own members, and a row or a redaction a KiB, are enough. */
#define MANIFEST_MAX(files) (((size_t)4 << 20) + ((size_t)1 << 10) * (files))

typedef struct contents {
    dossier_entry *entry; /* their bytes are allocated here */
    size_t count;
} contents;

static void contents_free(contents *c)
{
    for (size_t i = 0; i < c->count; i++)
        free((void *)(uintptr_t)c->entry[i].p);
    free(c->entry);
    free(c);
}

static bool plainly_packed(const zip_stat_t *info)
{
    return (info->valid & ZIP_STAT_COMP_METHOD) &&
           (info->comp_method == ZIP_CM_DEFLATE || info->comp_method == ZIP_CM_STORE);
}

static cn_status read_entry(zip_t *zip, zip_uint64_t i, size_t *budget, dossier_entry *out, cn_err *err)
{
    zip_stat_t info;
    size_t files = (size_t)zip_get_num_entries(zip, 0);
    if (zip_stat_index(zip, i, 0, &info) != 0 || !(info.valid & ZIP_STAT_NAME) || !(info.valid & ZIP_STAT_SIZE))
        return cn_fail(err, CN_INVALID, "zip", "entry %llu cannot be read", (unsigned long long)i);
    if (strlen(info.name) >= sizeof out->name || !dossier_known_name(info.name, NEWEST))
        return cn_fail(err, CN_INVALID, "zip", "the entry \"%.60s\" does not belong into a dossier", info.name);
    if (!plainly_packed(&info))
        return cn_fail(err, CN_INVALID, info.name, "is neither stored nor deflated");
    if (strcmp(info.name, "manifest.json") == 0 && info.size > MANIFEST_MAX(files))
        return cn_fail(err, CN_TOO_LARGE, info.name, "is too large for a dossier of %zu files", files);
    if (info.size > *budget)
        return cn_fail(err, CN_TOO_LARGE, info.name, "the files exceed %zu bytes unpacked",
                       (size_t)CN_DOSSIER_MAX_BYTES);
    *budget -= (size_t)info.size;
    snprintf(out->name, sizeof out->name, "%s", info.name);
    out->n = (size_t)info.size;
    uint8_t *bytes = malloc(out->n + 1);
    out->p = bytes;
    zip_file_t *f = bytes ? zip_fopen_index(zip, i, 0) : NULL;
    bool ok = f && zip_fread(f, bytes, out->n) == (zip_int64_t)out->n && zip_fread(f, bytes + out->n, 1) == 0;
    if (f)
        ok = zip_fclose(f) == 0 && ok;
    return ok ? CN_OK : cn_fail(err, CN_INVALID, info.name, "does not unpack to the size it claims");
}

/* How many places libzip would take for the end of the archive: it reads the whole directory for each of them, so that
 * more than one is a lever and never an accident (APPNOTE 4.3.16: the comment reaches to the end of the file). */
static unsigned ends_of(const uint8_t *p, size_t n)
{
    static const size_t record = 22, comment_max = UINT16_MAX;
    unsigned ends = 0;
    for (size_t tail = 0; tail <= comment_max && tail + record <= n; tail++) {
        const uint8_t *end = p + n - record - tail;
        if (memcmp(end, "PK\5\6", 4) == 0 && (size_t)(end[20] | end[21] << 8) == tail)
            ends++;
    }
    return ends;
}

static cn_status unpack(const void *p, size_t n, contents *c, cn_err *err)
{
    zip_error_t error;
    if (ends_of(p, n) > 1)
        return cn_fail(err, CN_NOT_CANONICAL, "zip", "it has more than one end");
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

static const dossier_entry *find(const contents *c, const char *name)
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
static cn_status check_row(json_t *row, const dossier_entry *e, cn_err *err)
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

bool cn_dossier_purpose_valid(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    json_t *utf8 = n <= CN_DOSSIER_MAX_PURPOSE ? json_stringn(text, n) : NULL;
    json_decref(utf8);
    return utf8 != NULL;
}

static cn_status read_purpose(const char *text, const char *field, char out[CN_DOSSIER_MAX_PURPOSE + 1], cn_err *err)
{
    if (!cn_dossier_purpose_valid(text))
        return cn_fail(err, CN_INVALID, "manifest.json", "%s is longer than %u bytes, or not plain text", field,
                       CN_DOSSIER_MAX_PURPOSE);
    memcpy(out, text, strlen(text) + 1);
    return CN_OK;
}

static bool ascending(const cn_dossier_redaction *a, const cn_dossier_redaction *b)
{
    return a->log_index < b->log_index || (a->log_index == b->log_index && a->item < b->item);
}

static cn_status read_redactions(const json_t *list, cn_dossier *d, cn_err *err)
{
    size_t n = json_array_size(list);
    d->redaction = calloc(n + 1, sizeof *d->redaction);
    if (!d->redaction)
        return cn_fail(err, CN_NO_MEMORY, "manifest.json", "out of memory");
    for (size_t i = 0; i < n; i++) {
        json_int_t index = -1, item = -1;
        if (json_unpack_ex(json_array_get(list, i), NULL, JSON_STRICT, "{s:I, s:I}", "log_index", &index, "item",
                           &item) != 0 ||
            index < 0 || item < 0 || item >= CN_MAX_ITEMS)
            return cn_fail(err, CN_INVALID, "manifest.json", "redaction %zu does not name an item", i);
        d->redaction[i] = (cn_dossier_redaction){(uint64_t)index, (uint32_t)item};
        if (i > 0 && !ascending(&d->redaction[i - 1], &d->redaction[i]))
            return cn_fail(err, CN_NOT_CANONICAL, "manifest.json", "the redactions do not ascend");
        d->redaction_count = i + 1;
    }
    return CN_OK;
}

typedef struct manifest {
    const char *format, *kind, *subject, *tag, *legal_basis, *case_number;
    json_int_t checkpoint;
    json_t *redactions, *files;
} manifest;

/* The members of its version, and no others. */
static cn_status unpack_manifest(json_t *root, cn_dossier *d, manifest *m, cn_err *err)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    *m = (manifest){.legal_basis = "", .case_number = "", .checkpoint = -1};
    if (format && strcmp(format, CN_DOSSIER_FORMAT) != 0 && strcmp(format, CN_DOSSIER_FORMAT_1) != 0)
        return cn_fail(err, CN_INVALID, "manifest.json",
                       "the format is \"%.40s\", this verifier reads " CN_DOSSIER_FORMAT_1 " and " CN_DOSSIER_FORMAT,
                       format);
    d->version = format && strcmp(format, CN_DOSSIER_FORMAT_1) == 0 ? 1 : 2;
    int bad = d->version == 1
                  ? json_unpack_ex(root, NULL, JSON_STRICT, "{s:s, s:s, s:s, s:s, s:I, s:o}", "format", &m->format,
                                   "kind", &m->kind, "subject", &m->subject, "tag", &m->tag, "checkpoint",
                                   &m->checkpoint, "files", &m->files)
                  : json_unpack_ex(root, NULL, JSON_STRICT, "{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:o, s:o}", "format",
                                   &m->format, "kind", &m->kind, "subject", &m->subject, "tag", &m->tag, "checkpoint",
                                   &m->checkpoint, "legal_basis", &m->legal_basis, "case_number", &m->case_number,
                                   "redactions", &m->redactions, "files", &m->files);
    if (bad || (d->version > 1 && !json_is_array(m->redactions)))
        return cn_fail(err, CN_INVALID, "manifest.json",
                       "is missing, or has other members than format, kind, subject, tag, checkpoint, %sfiles",
                       d->version == 1 ? "" : "legal_basis, case_number, redactions, ");
    return CN_OK;
}

static cn_status check_manifest(const manifest *m, cn_dossier *d, cn_err *err)
{
    if (m->checkpoint < 0 || strlen(m->subject) >= sizeof d->subject ||
        !cn_unhex(m->tag, strlen(m->tag), d->tag.b, CN_DIGEST_LEN))
        return cn_fail(err, CN_INVALID, "manifest.json", "its subject, tag or checkpoint is out of range");
    if (strcmp(m->kind, "subject") != 0 && strcmp(m->kind, "statement") != 0)
        return cn_fail(err, CN_INVALID, "manifest.json", "the kind \"%.40s\" is not known", m->kind);
    d->kind = m->kind[1] == 'u' ? CN_DOSSIER_SUBJECT : CN_DOSSIER_STATEMENT;
    memcpy(d->subject, m->subject, strlen(m->subject) + 1);
    d->checkpoint = (uint64_t)m->checkpoint;
    cn_status st = read_purpose(m->legal_basis, "legal_basis", d->legal_basis, err);
    if (st == CN_OK)
        st = read_purpose(m->case_number, "case_number", d->case_number, err);
    return st == CN_OK ? read_redactions(m->redactions, d, err) : st;
}

static cn_status read_manifest(const contents *c, cn_dossier *d, cn_err *err)
{
    const dossier_entry *e = find(c, "manifest.json");
    json_t *root = e ? json_loadb((const char *)e->p, e->n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    manifest m;
    cn_status st = unpack_manifest(root, d, &m, err);
    if (st == CN_OK)
        st = check_manifest(&m, d, err);
    for (size_t i = 0; st == CN_OK && i < c->count; i++)
        if (!dossier_known_name(c->entry[i].name, d->version))
            st = cn_fail(err, CN_INVALID, c->entry[i].name, "does not belong into a dossier of version %u", d->version);
    if (st == CN_OK)
        st = check_files(m.files, c, err);
    json_decref(root);
    return st;
}

/* ---- the whole ---- */

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
        st = dossier_read_entries(c->entry, c->count, d, err);
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
    free(d->part);
    free(d->redaction);
    if (d->owned)
        contents_free(d->owned);
    memset(d, 0, sizeof *d);
}

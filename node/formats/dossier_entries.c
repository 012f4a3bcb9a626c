/* The single files of a dossier: their names, and what lies in them. */
#include "node/formats/dossier_internal.h"

#include "proto/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

typedef struct part_name {
    const char *prefix, *suffix;
    bool numbered, ranked;
} part_name;

static const part_name part_names[] = {
    [CN_PART_NOTE] = {"checkpoint.note", "", false, false},
    [CN_PART_RECEIPTS] = {"receipts/", ".cbor", true, false},
    [CN_PART_TLOG] = {"tlog/", ".txt", true, false},
    [CN_PART_CONSISTENCY] = {"consistency/", ".bin", true, false},
    [CN_PART_TOKEN] = {"tokens/", ".tst", true, true},
    [CN_PART_REPORT] = {"report.html", "", false, false},
    [CN_PART_README] = {"README.txt", "", false, false},
    [CN_PART_PAGE] = {"verify.html", "", false, false},
};
#define PART_KINDS (sizeof part_names / sizeof part_names[0])
#define NUMBER_DIGITS 20u
#define DECIMAL "0123456789"

void dossier_part_name(cn_dossier_part_kind kind, uint64_t number, unsigned rank, char out[DOSSIER_NAME_MAX])
{
    const part_name *n = &part_names[kind];
    if (!n->numbered)
        snprintf(out, DOSSIER_NAME_MAX, "%s%s", n->prefix, n->suffix);
    else if (!n->ranked)
        snprintf(out, DOSSIER_NAME_MAX, "%s%020llu%s", n->prefix, (unsigned long long)number, n->suffix);
    else
        snprintf(out, DOSSIER_NAME_MAX, "%s%020llu-%u%s", n->prefix, (unsigned long long)number, rank, n->suffix);
}

/* Reads a name back; only the one spelling that dossier_part_name has. */
static bool part_of_name(const char *name, cn_dossier_part *ret)
{
    for (size_t k = 0; k < PART_KINDS; k++) {
        char again[DOSSIER_NAME_MAX];
        size_t prefix = strlen(part_names[k].prefix);
        if (strncmp(name, part_names[k].prefix, prefix) != 0)
            continue;
        *ret = (cn_dossier_part){.kind = (cn_dossier_part_kind)k, .name = name};
        if (part_names[k].numbered) {
            if (strspn(name + prefix, DECIMAL) != NUMBER_DIGITS)
                return false;
            errno = 0;
            ret->number = strtoull(name + prefix, NULL, 10);
            if (errno != 0)
                return false;
        }
        if (part_names[k].ranked && name[prefix + NUMBER_DIGITS] == '-')
            ret->rank = (unsigned)(name[prefix + NUMBER_DIGITS + 1] - '0');
        dossier_part_name(ret->kind, ret->number, ret->rank, again);
        return ret->rank <= 9 && strcmp(again, name) == 0;
    }
    return false;
}

/* prefix, exactly `digits` of `alphabet`, ".bin". */
static bool numbered_name(const char *name, const char *prefix, const char *alphabet, size_t digits)
{
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 && strspn(name + n, alphabet) == digits &&
           strcmp(name + n + digits, ".bin") == 0;
}

bool dossier_known_name(const char *name, unsigned version)
{
    cn_dossier_part part;
    if (strcmp(name, "manifest.json") == 0 || strcmp(name, "genesis.json") == 0 ||
        strcmp(name, "checkpoint.bin") == 0 || numbered_name(name, "subjects/", DECIMAL "abcdef", 64) ||
        numbered_name(name, "statements/", DECIMAL, NUMBER_DIGITS) ||
        numbered_name(name, "epochs/", DECIMAL, NUMBER_DIGITS))
        return true;
    return version >= 2 && part_of_name(name, &part);
}

/* ---- contents ---- */

static cn_status read_checkpoint(const dossier_entry *e, cn_dossier *d, cn_err *err)
{
    cn_reader r = cn_reader_of(e->p, e->n);
    uint8_t version = cn_read_u8(&r);
    size_t count = cn_read_u32(&r);
    if (!cn_reader_ok(&r) || version != 1 || count == 0 || count > r.n / CN_HEADER_LEN)
        return cn_fail(err, CN_INVALID, "checkpoint.bin", "is malformed");
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

static cn_status read_epoch(const dossier_entry *e, cn_dossier_epoch *out, cn_err *err)
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

static cn_status read_subject(const dossier_entry *e, cn_dossier_subject *s, cn_err *err)
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

static cn_status read_statement(const dossier_entry *e, cn_dossier_statement *s, cn_err *err)
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

static cn_status read_entry(const dossier_entry *e, cn_dossier *d, cn_err *err)
{
    if (strncmp(e->name, "subjects/", 9) == 0)
        return read_subject(e, &d->subjects[d->subject_count++], err);
    if (strncmp(e->name, "epochs/", 7) == 0)
        return read_epoch(e, &d->epoch[d->epoch_count++], err);
    if (strncmp(e->name, "statements/", 11) == 0)
        return read_statement(e, &d->statement[d->statement_count++], err);
    if (strcmp(e->name, "checkpoint.bin") == 0)
        return read_checkpoint(e, d, err);
    if (strcmp(e->name, "genesis.json") == 0) {
        d->genesis = CN_SPAN(e->p, e->n);
    } else if (part_of_name(e->name, &d->part[d->part_count])) {
        d->part[d->part_count++].bytes = CN_SPAN(e->p, e->n);
    }
    return CN_OK;
}

cn_status dossier_read_entries(const dossier_entry *entry, size_t count, cn_dossier *d, cn_err *err)
{
    cn_status st = CN_OK;
    d->subjects = calloc(count, sizeof *d->subjects);
    d->statement = calloc(count, sizeof *d->statement);
    d->epoch = calloc(count, sizeof *d->epoch);
    d->part = calloc(count, sizeof *d->part);
    if (!d->subjects || !d->statement || !d->epoch || !d->part)
        return cn_fail(err, CN_NO_MEMORY, "dossier", "out of memory");
    for (size_t i = 0; i < count && st == CN_OK; i++)
        st = read_entry(&entry[i], d, err);
    if (st == CN_OK && !d->header)
        st = cn_fail(err, CN_NOT_FOUND, "checkpoint.bin", "is missing");
    if (st == CN_OK && !d->genesis.p)
        st = cn_fail(err, CN_NOT_FOUND, "genesis.json", "is missing");
    return st;
}

const cn_dossier_part *cn_dossier_find_part(const cn_dossier *d, cn_dossier_part_kind kind, uint64_t number,
                                            unsigned rank)
{
    char name[DOSSIER_NAME_MAX];
    size_t low = 0, high = d->part_count;
    dossier_part_name(kind, number, rank, name);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(d->part[middle].name, name);
        if (order == 0)
            return &d->part[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- integrity of what a part says ---- */

cn_status cn_dossier_read_consistency(const cn_dossier_part *part, cn_header *ret_older, const cn_digest **ret_path,
                                      size_t *ret_len, cn_err *err)
{
    cn_reader r = cn_reader_of(part->bytes.p, part->bytes.n);
    cn_err own = {0};
    uint8_t version = cn_read_u8(&r);
    const uint8_t *header = cn_read_view(&r, CN_HEADER_LEN);
    size_t len = cn_read_u8(&r);
    const uint8_t *path = cn_read_view(&r, len * CN_DIGEST_LEN);
    if (version != 1 || !cn_reader_done(&r) || len > CN_PROOF_MAX + 1)
        return cn_fail(err, CN_INVALID, part->name, "is malformed");
    cn_status st = cn_header_decode(header, CN_HEADER_LEN, ret_older, &own);
    if (st != CN_OK)
        return cn_fail(err, st, part->name, "%s: %s", own.field, own.text);
    *ret_path = (const cn_digest *)(const void *)path;
    *ret_len = len;
    return CN_OK;
}

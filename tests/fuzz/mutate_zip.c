/* For decoders of a ZIP whose manifest vouches for every file: a change of any byte ends at the first digest. So most
 * inputs are changed inside: the ZIP is opened, a file edited, left out, renamed or taken from another seed, the
 * manifest made to fit, and all of it packed again. */
#include "fuzz.h"

#include "proto/digest.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <zip.h>

#define FILES_MAX 96
#define ROOM 256u /* bytes that a file may grow by at once */

size_t LLVMFuzzerMutate(uint8_t *p, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *p, size_t n, size_t max, unsigned random);

typedef struct member {
    char name[128];
    uint8_t *p;
    size_t n, cap;
} member;

typedef struct archive {
    member member[FILES_MAX];
    size_t count;
} archive;

static unsigned next(unsigned *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

/* ---- ZIP ---- */

static void close_archive(archive *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->member[i].p);
    a->count = 0;
}

static bool open_archive(const uint8_t *p, size_t n, size_t max, archive *a)
{
    zip_source_t *source = zip_source_buffer_create(p, n, 0, NULL);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, NULL) : NULL;
    a->count = 0;
    if (!zip) {
        zip_source_free(source);
        return false;
    }
    zip_int64_t count = zip_get_num_entries(zip, 0);
    bool ok = count > 0 && count <= FILES_MAX;
    for (zip_int64_t i = 0; ok && i < count; i++) {
        zip_stat_t info;
        ok = zip_stat_index(zip, (zip_uint64_t)i, 0, &info) == 0 && info.size < max &&
             strlen(info.name) < sizeof a->member[0].name;
        zip_file_t *f = ok ? zip_fopen_index(zip, (zip_uint64_t)i, 0) : NULL;
        if (!f)
            ok = false;
        else {
            member *m = &a->member[a->count++];
            snprintf(m->name, sizeof m->name, "%s", info.name);
            m->n = (size_t)info.size;
            m->cap = m->n + ROOM;
            m->p = malloc(m->cap);
            ok = m->p && zip_fread(f, m->p, m->n) == (zip_int64_t)m->n;
            zip_fclose(f);
        }
    }
    zip_discard(zip);
    if (!ok)
        close_archive(a);
    return ok;
}

/* Stored, not deflated: what the search recombines stays readable. 0: it does not fit. */
static size_t pack(const archive *a, uint8_t *out, size_t max)
{
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, NULL);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, NULL) : NULL;
    zip_int64_t n = -1;
    bool ok = zip != NULL;
    if (zip)
        zip_source_keep(source);
    for (size_t i = 0; ok && i < a->count; i++) {
        zip_source_t *content = zip_source_buffer(zip, a->member[i].p, a->member[i].n, 0);
        zip_int64_t at = zip_file_add(zip, a->member[i].name, content, ZIP_FL_ENC_UTF_8);
        if (at < 0)
            zip_source_free(content);
        ok = at >= 0 && zip_set_file_compression(zip, (zip_uint64_t)at, ZIP_CM_STORE, 0) == 0 &&
             zip_file_set_mtime(zip, (zip_uint64_t)at, 315532800, 0) == 0;
    }
    if (zip && !(ok && zip_close(zip) == 0)) {
        zip_discard(zip);
        ok = false;
    }
    if (ok && zip_source_open(source) == 0) {
        uint8_t beyond;
        n = zip_source_read(source, out, max);
        if (zip_source_read(source, &beyond, 1) != 0)
            n = -1;
        zip_source_close(source);
    }
    zip_source_free(source);
    return n > 0 ? (size_t)n : 0;
}

/* ---- the manifest ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const member *)a)->name, ((const member *)b)->name);
}

static member *manifest_of(archive *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->member[i].name, "manifest.json") == 0)
            return &a->member[i];
    return NULL;
}

/* Rows for the files as they are now, in their order; the other members stay. */
static void fit(archive *a)
{
    qsort(a->member, a->count, sizeof a->member[0], by_name);
    member *m = manifest_of(a);
    json_t *root = m ? json_loadb((const char *)m->p, m->n, 0, NULL) : NULL, *files = json_array();
    for (size_t i = 0; i < a->count; i++) {
        const member *f = &a->member[i];
        cn_digest d = cn_sha256(f->p, f->n);
        if (f != m)
            json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "name", f->name, "size", (json_int_t)f->n,
                                                   "sha256", cn_digest_hex(&d).s));
    }
    char *text = NULL;
    if (json_object_set_new(root, "files", files) == 0)
        text = json_dumps(root, JSON_INDENT(1));
    if (text) {
        free(m->p);
        m->n = strlen(text);
        m->cap = m->n + ROOM;
        m->p = malloc(m->cap);
        if (m->p)
            memcpy(m->p, text, m->n);
        else
            m->n = m->cap = 0;
    }
    free(text);
    json_decref(root);
}

/* ---- changes ---- */

static void edit_bytes(member *m)
{
    if (m->cap)
        m->n = LLVMFuzzerMutate(m->p, m->n, m->cap);
}

static void drop(archive *a, size_t i)
{
    free(a->member[i].p);
    memmove(&a->member[i], &a->member[i + 1], (a->count - i - 1) * sizeof a->member[0]);
    a->count--;
}

static void swap_contents(member *a, member *b)
{
    member kept = *a;
    a->p = b->p;
    a->n = b->n;
    a->cap = b->cap;
    b->p = kept.p;
    b->n = kept.n;
    b->cap = kept.cap;
}

/* Another digit in the name: another log index, height, epoch or tag. */
static void rename_member(member *m, unsigned with)
{
    char *digits = strpbrk(m->name, "0123456789");
    if (digits) {
        size_t n = strspn(digits, "0123456789abcdef");
        digits[n - 1 - with % (n < 4 ? n : 4)] = (char)('0' + with / 4 % 10);
    }
}

/* A file of a seed comes in, in the place of that name or as one more. */
static void take(archive *a, unsigned *random)
{
    static archive other;
    const fuzz_input *seed;
    size_t count = fuzz_seeds_all(&seed);
    const fuzz_input *from = &seed[next(random) % count];
    if (!open_archive(from->p, from->n, (size_t)1 << 20, &other))
        return;
    member *m = &other.member[next(random) % other.count], *at = NULL;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->member[i].name, m->name) == 0)
            at = &a->member[i];
    if (at) {
        swap_contents(at, m);
    } else if (a->count < FILES_MAX) {
        a->member[a->count++] = *m;
        m->p = NULL;
    }
    close_archive(&other);
}

static void change(archive *a, unsigned *random)
{
    size_t i = next(random) % a->count, k = next(random) % a->count;
    switch (next(random) % 10) {
    case 0:
        if (a->count > 1)
            drop(a, i);
        break;
    case 1:
        swap_contents(&a->member[i], &a->member[k]);
        break;
    case 2:
        rename_member(&a->member[i], next(random));
        break;
    case 3:
    case 4:
        take(a, random);
        break;
    default:
        edit_bytes(&a->member[i]);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *p, size_t n, size_t max, unsigned random)
{
    static archive a;
    const fuzz_input *seed;
    size_t count = fuzz_seeds_all(&seed);
    if (next(&random) % 16 == 0)
        return LLVMFuzzerMutate(p, n, max);
    bool opened = next(&random) % 3 != 0 && open_archive(p, n, max, &a);
    if (!opened && count) {
        const fuzz_input *from = &seed[next(&random) % count];
        opened = open_archive(from->p, from->n, (size_t)1 << 20, &a);
    }
    if (!opened)
        return LLVMFuzzerMutate(p, n, max);
    for (unsigned i = next(&random) % 3 + 1; i > 0; i--)
        change(&a, &random);
    if (next(&random) % 16 != 0)
        fit(&a);
    size_t packed = pack(&a, p, max);
    close_archive(&a);
    return packed ? packed : LLVMFuzzerMutate(p, n, max);
}

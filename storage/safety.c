/* The safety journal. Layout (docs/storage.md):
 *   "CNSAFE01" | T("carnet/safety", vote key) 32 | nonce 16 | first 8 bytes of SHA256 of what precedes, then records:
 *   u32 length of payload | batch u64 | index u32 | kind u8 | payload | checksum 8
 * checksum = first 8 bytes of SHA256(nonce | batch | index | kind | payload). A batch is what one sync made durable, so
 * only the last batch can be torn: its first records may count (they were written, no vote relied on them yet), a fault
 * before it is damage. The nonce keeps bodies, which strangers write, from imitating records. */
#include "storage/safety.h"

#include "proto/bytes.h"
#include "storage/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "CNSAFE01"
#define HEAD_LEN (8 + 32 + 16 + 8)
#define HEAD_CHECKED (HEAD_LEN - 8) /* a damaged nonce would make every record look torn */
#define RECORD_HEAD 17u
#define RECORD_TAIL 8u
#define PAYLOAD_MAX (4u * 1024u * 1024u)
#ifndef CN_SAFETY_GROW_BYTES /* the power-loss test makes both small */
#define CN_SAFETY_GROW_BYTES (4 * 1024 * 1024)
#define CN_SAFETY_REWRITE_BYTES (64u * 1024u * 1024u)
#endif

enum { REC_ROW = 1, REC_BODY = 2, REC_FLOOR = 3, REC_DROP = 4, REC_CERTIFICATE = 5 };

typedef struct body_ref {
    cn_digest block;
    off_t at; /* of the body in the file, once flushed */
    size_t n;
} body_ref;

typedef struct certificate {
    uint64_t epoch, view;
    size_t n;
    uint8_t bytes[CN_SAFETY_CERTIFICATE_MAX];
} certificate;

struct cn_safety {
    int fd;
    char path[4096];
    uint8_t head[HEAD_LEN];
    uint64_t batch;
    uint32_t index;
    off_t end, allocated;
    cn_buf pending;
    bool poisoned;
    uint64_t floor_epoch, floor_view;
    cn_safety_row *row;
    size_t row_count, row_cap;
    body_ref *body;
    size_t body_count, body_cap;
    certificate **cert; /* owned, one a view above the floor */
    size_t cert_count, cert_cap;
    off_t rewrite_at; /* the length from which the next sync rewrites */
    /* what open found, unchanged until close */
    cn_safety_row *opened_row;
    size_t opened_row_count;
    cn_safety_body *opened_body;
    size_t opened_body_count;
    cn_safety_certificate *opened_cert;
    size_t opened_cert_count;
};

static cn_status io_error(cn_err *err, const char *path, const char *what)
{
    return cn_fail(err, CN_IO, path, "%s: %s; the node must not vote until this is mended", what, strerror(errno));
}

static void checksum(const cn_safety *s, const uint8_t *record_head, const cn_span *parts, size_t count, uint8_t out[8])
{
    cn_span spans[2 + 4];
    CN_ASSERT(count <= 4);
    spans[0] = CN_SPAN(s->head + 40, 16);
    spans[1] = CN_SPAN(record_head + 4, RECORD_HEAD - 4);
    for (size_t i = 0; i < count; i++)
        spans[2 + i] = parts[i];
    cn_digest d = cn_sha256v(spans, 2 + count);
    memcpy(out, d.b, 8);
}

static cn_digest binding(const uint8_t vote_key[33])
{
    return cn_tagged("carnet/safety", vote_key, 33);
}

static cn_status sync_directory(const char *path, cn_err *err)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = '\0';
    else
        snprintf(dir, sizeof dir, ".");
    return cn_sync_folder(dir) ? CN_OK : io_error(err, dir, "cannot sync the directory");
}

static bool write_all(int fd, const uint8_t *p, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t done = pwrite(fd, p, n, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        p += done;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

cn_status cn_safety_create(const char *path, const uint8_t vote_key[33], cn_err *err)
{
    uint8_t head[HEAD_LEN];
    cn_digest bound = binding(vote_key);
    memcpy(head, MAGIC, 8);
    memcpy(head + 8, bound.b, 32);
    if (getrandom(head + 40, 16, 0) != 16)
        return io_error(err, path, "no random bytes");
    cn_digest sum = cn_sha256(head, HEAD_CHECKED);
    memcpy(head + HEAD_CHECKED, sum.b, 8);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return cn_fail(err, CN_CONFLICT, path,
                       "the safety table exists already; it belongs to one vote key and is never made again");
    if (fd < 0)
        return io_error(err, path, "cannot create the safety table");
    cn_status st = write_all(fd, head, sizeof head, 0) && fsync(fd) == 0 ? CN_OK : io_error(err, path, "cannot write");
    close(fd);
    if (st != CN_OK)
        (void)unlink(path); /* no vote depends on it yet */
    return st == CN_OK ? sync_directory(path, err) : st;
}

/* ---- in memory ---- */

static bool above_floor(const cn_safety *s, uint64_t epoch, uint64_t view)
{
    return epoch > s->floor_epoch || (epoch == s->floor_epoch && view > s->floor_view);
}

static void drop_below(cn_safety *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->row_count; i++)
        if (above_floor(s, s->row[i].epoch, s->row[i].view))
            s->row[kept++] = s->row[i];
    s->row_count = kept;
    kept = 0;
    for (size_t i = 0; i < s->cert_count; i++)
        if (above_floor(s, s->cert[i]->epoch, s->cert[i]->view))
            s->cert[kept++] = s->cert[i];
        else
            free(s->cert[i]);
    s->cert_count = kept;
}

static cn_status remember_row(cn_safety *s, const cn_safety_row *row, cn_err *err)
{
    for (size_t i = 0; i < s->row_count; i++)
        if (s->row[i].epoch == row->epoch && s->row[i].view == row->view) {
            s->row[i] = *row;
            return CN_OK;
        }
    if (s->row_count == s->row_cap) {
        size_t cap = s->row_cap ? 2 * s->row_cap : 128;
        cn_safety_row *grown = realloc(s->row, cap * sizeof *grown);
        if (!grown)
            return cn_fail(err, CN_NO_MEMORY, "safety", "out of memory");
        s->row = grown;
        s->row_cap = cap;
    }
    s->row[s->row_count++] = *row;
    return CN_OK;
}

static cn_status remember_certificate(cn_safety *s, uint64_t epoch, uint64_t view, cn_span bytes, cn_err *err)
{
    size_t at = 0;
    while (at < s->cert_count && (s->cert[at]->epoch != epoch || s->cert[at]->view != view))
        at++;
    if (at == s->cert_cap) {
        size_t cap = s->cert_cap ? 2 * s->cert_cap : 16;
        certificate **grown = realloc(s->cert, cap * sizeof *grown);
        if (!grown)
            return cn_fail(err, CN_NO_MEMORY, "safety", "out of memory");
        s->cert = grown;
        s->cert_cap = cap;
    }
    if (at == s->cert_count) {
        if (!(s->cert[at] = malloc(sizeof **s->cert)))
            return cn_fail(err, CN_NO_MEMORY, "safety", "out of memory");
        s->cert_count++;
    }
    s->cert[at]->epoch = epoch;
    s->cert[at]->view = view;
    s->cert[at]->n = bytes.n;
    memcpy(s->cert[at]->bytes, bytes.p, bytes.n);
    return CN_OK;
}

static cn_status remember_body(cn_safety *s, const cn_digest *block, off_t at, size_t n, cn_err *err)
{
    if (s->body_count == s->body_cap) {
        size_t cap = s->body_cap ? 2 * s->body_cap : 64;
        body_ref *grown = realloc(s->body, cap * sizeof *grown);
        if (!grown)
            return cn_fail(err, CN_NO_MEMORY, "safety", "out of memory");
        s->body = grown;
        s->body_cap = cap;
    }
    s->body[s->body_count++] = (body_ref){.block = *block, .at = at, .n = n};
    return CN_OK;
}

static void forget_body(cn_safety *s, const cn_digest *block)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->body_count; i++)
        if (!cn_digest_eq(&s->body[i].block, block))
            s->body[kept++] = s->body[i];
    s->body_count = kept;
}

/* ---- reading ---- */

static size_t row_bytes(const cn_safety_row *row, uint8_t out[49])
{
    uint8_t *p = cn_store_u64(cn_store_u64(out, row->epoch), row->view);
    *p++ = (uint8_t)(row->notarized | row->nullified << 1 | row->finalized << 2);
    memcpy(p, row->block.b, CN_DIGEST_LEN);
    return 49;
}

static cn_status apply_record(cn_safety *s, uint8_t kind, const uint8_t *p, size_t n, off_t at, cn_err *err)
{
    cn_reader r = cn_reader_of(p, n);
    if (kind == REC_ROW) {
        cn_safety_row row = {.epoch = cn_read_u64(&r), .view = cn_read_u64(&r)};
        uint8_t flags = cn_read_u8(&r);
        row.notarized = flags & 1;
        row.nullified = flags & 2;
        row.finalized = flags & 4;
        row.block = cn_read_digest(&r);
        if (cn_reader_done(&r) && flags < 8)
            return above_floor(s, row.epoch, row.view) ? remember_row(s, &row, err) : CN_OK;
    } else if (kind == REC_FLOOR) {
        uint64_t epoch = cn_read_u64(&r), view = cn_read_u64(&r);
        bool rises = above_floor(s, epoch, view) || (epoch == s->floor_epoch && view == s->floor_view);
        if (cn_reader_done(&r) && rises) {
            s->floor_epoch = epoch;
            s->floor_view = view;
            drop_below(s);
            return CN_OK;
        }
    } else if (kind == REC_CERTIFICATE && n > 16 && n <= 16 + CN_SAFETY_CERTIFICATE_MAX) {
        uint64_t epoch = cn_read_u64(&r), view = cn_read_u64(&r);
        return above_floor(s, epoch, view) ? remember_certificate(s, epoch, view, CN_SPAN(r.p, r.n), err) : CN_OK;
    } else if (kind == REC_BODY && n > CN_DIGEST_LEN) {
        cn_digest block = cn_read_digest(&r);
        return remember_body(s, &block, at + CN_DIGEST_LEN, n - CN_DIGEST_LEN, err);
    } else if (kind == REC_DROP && n == CN_DIGEST_LEN) {
        cn_digest block = cn_read_digest(&r);
        forget_body(s, &block);
        return CN_OK;
    }
    return cn_fail(err, CN_CORRUPT, s->path, "a record of kind %u does not decode; this vote key must not vote again",
                   kind);
}

typedef struct record {
    uint64_t batch;
    uint32_t index;
    uint8_t kind;
    const uint8_t *payload;
    size_t n;
} record;

/* A valid record at p, or false. */
static bool record_at(const cn_safety *s, const uint8_t *p, size_t left, record *ret)
{
    if (left < RECORD_HEAD + RECORD_TAIL)
        return false;
    size_t n = cn_load_u32(p);
    if (n == 0 || n > PAYLOAD_MAX || left < RECORD_HEAD + n + RECORD_TAIL)
        return false;
    uint8_t sum[8];
    cn_span part = CN_SPAN(p + RECORD_HEAD, n);
    checksum(s, p, &part, 1, sum);
    *ret = (record){cn_load_u64(p + 4), cn_load_u32(p + 12), p[16], p + RECORD_HEAD, n};
    return memcmp(sum, p + RECORD_HEAD + n, RECORD_TAIL) == 0;
}

/* Behind a fault only the rest of the torn batch may follow: a record of a later batch shows that synced bytes are
 * gone. */
static bool fault_is_tail(const cn_safety *s, const uint8_t *p, size_t left)
{
    record r;
    size_t end = left;
    while (end > 0 && p[end - 1] == 0) /* preallocated and never written */
        end--;
    left = end + RECORD_TAIL < left ? end + RECORD_TAIL : left;
    for (size_t i = 1; i + RECORD_HEAD + RECORD_TAIL <= left; i++) {
        uint64_t batch = cn_load_u64(p + i + 4);
        if (batch <= s->batch || batch > s->batch + (1u << 30))
            continue;
        if (record_at(s, p + i, left - i, &r) && (r.batch > s->batch + 1 || r.index == 0))
            return false;
    }
    return true;
}

static cn_status replay(cn_safety *s, const uint8_t *p, size_t n, cn_err *err)
{
    size_t at = HEAD_LEN;
    record r;
    while (record_at(s, p + at, n - at, &r)) {
        bool next = (r.batch == s->batch && r.index == s->index + 1) || (r.batch == s->batch + 1 && r.index == 0);
        if (!next)
            return cn_fail(err, CN_CORRUPT, s->path,
                           "records are missing at byte %zu; this vote key must not vote again", at);
        cn_status st = apply_record(s, r.kind, r.payload, r.n, (off_t)(at + RECORD_HEAD), err);
        if (st != CN_OK)
            return st;
        s->batch = r.batch;
        s->index = r.index;
        at += RECORD_HEAD + r.n + RECORD_TAIL;
    }
    if (at < n && !fault_is_tail(s, p + at, n - at))
        return cn_fail(err, CN_CORRUPT, s->path,
                       "byte %zu is damaged and synced records follow; this vote key must not vote again", at);
    s->end = (off_t)at;
    return CN_OK;
}

/* Copies what open found, so that it stays valid whatever is appended later. */
static cn_status keep_opened(cn_safety *s, const uint8_t *file, cn_err *err)
{
    s->opened_row = calloc(s->row_count + 1, sizeof *s->opened_row);
    s->opened_body = calloc(s->body_count + 1, sizeof *s->opened_body);
    s->opened_cert = calloc(s->cert_count + 1, sizeof *s->opened_cert);
    if (!s->opened_row || !s->opened_body || !s->opened_cert)
        return cn_fail(err, CN_NO_MEMORY, s->path, "out of memory");
    if (s->row_count)
        memcpy(s->opened_row, s->row, s->row_count * sizeof *s->row);
    s->opened_row_count = s->row_count;
    for (size_t i = 0; i < s->cert_count; i++) {
        const certificate *c = s->cert[i];
        uint8_t *copy = malloc(c->n);
        if (!copy)
            return cn_fail(err, CN_NO_MEMORY, s->path, "out of memory");
        memcpy(copy, c->bytes, c->n);
        s->opened_cert[s->opened_cert_count++] = (cn_safety_certificate){c->epoch, c->view, CN_SPAN(copy, c->n)};
    }
    for (size_t i = 0; i < s->body_count; i++) {
        uint8_t *copy = malloc(s->body[i].n);
        if (!copy)
            return cn_fail(err, CN_NO_MEMORY, s->path, "out of memory");
        memcpy(copy, file + s->body[i].at, s->body[i].n);
        s->opened_body[i] = (cn_safety_body){s->body[i].block, CN_SPAN(copy, s->body[i].n)};
        s->opened_body_count++;
    }
    return CN_OK;
}

/* Cuts behind the last good record, so that what was torn is never read again. What was read may lie in the kernel's
 * memory only, when a process was killed before its sync or between the rename and the sync of a rewrite: rows found
 * here release votes without another sync, so the file and its name are synced first, whether cut or not (R5). */
static cn_status cut_tail(cn_safety *s, size_t size, cn_err *err)
{
    if (((size_t)s->end < size && ftruncate(s->fd, s->end) != 0) || fsync(s->fd) != 0)
        return io_error(err, s->path, "cannot cut the tail");
    cn_status st = sync_directory(s->path, err);
    if (st != CN_OK)
        return st;
    s->allocated = s->end;
    s->index = UINT32_MAX; /* the next record begins a new batch */
    return CN_OK;
}

static cn_status read_file(cn_safety *s, const uint8_t vote_key[33], cn_err *err)
{
    struct stat info;
    cn_digest bound = binding(vote_key);
    if (fstat(s->fd, &info) != 0)
        return io_error(err, s->path, "cannot stat");
    size_t n = (size_t)info.st_size;
    uint8_t *p = n >= HEAD_LEN ? malloc(n) : NULL;
    if (!p)
        return cn_fail(err, CN_CORRUPT, s->path, "the safety table has no header; this vote key must not vote again");
    size_t have = 0;
    while (have < n) {
        ssize_t got = pread(s->fd, p + have, n - have, (off_t)have);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    cn_status st = CN_OK;
    memcpy(s->head, p, HEAD_LEN);
    cn_digest sum = cn_sha256(p, HEAD_CHECKED);
    if (have != n)
        st = io_error(err, s->path, "cannot read");
    else if (memcmp(p, MAGIC, 8) != 0)
        st = cn_fail(err, CN_CORRUPT, s->path, "this is not a safety table");
    else if (memcmp(p + HEAD_CHECKED, sum.b, 8) != 0)
        st = cn_fail(err, CN_CORRUPT, s->path, "the header is damaged; this vote key must not vote again");
    else if (memcmp(p + 8, bound.b, 32) != 0)
        st = cn_fail(err, CN_CONFLICT, s->path, "the safety table belongs to another vote key");
    if (st == CN_OK)
        st = replay(s, p, n, err);
    if (st == CN_OK)
        st = keep_opened(s, p, err);
    if (st == CN_OK)
        st = cut_tail(s, n, err);
    free(p);
    return st;
}

/* A rewrite by another process may have replaced the file between open and lock. */
static bool still_named(const cn_safety *s)
{
    struct stat ours, named;
    return fstat(s->fd, &ours) == 0 && stat(s->path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

cn_status cn_safety_open(const char *path, const uint8_t vote_key[33], cn_safety **ret, cn_err *err)
{
    cn_safety *s = calloc(1, sizeof *s);
    if (!s)
        return cn_fail(err, CN_NO_MEMORY, path, "out of memory");
    snprintf(s->path, sizeof s->path, "%s", path);
    cn_buf_init(&s->pending, 64u * 1024u * 1024u);
    s->index = UINT32_MAX;
    s->rewrite_at = CN_SAFETY_REWRITE_BYTES;
    s->fd = open(path, O_RDWR | O_CLOEXEC);
    cn_status st = CN_OK;
    if (s->fd < 0 && errno == ENOENT)
        st = cn_fail(
            err, CN_NOT_FOUND, path,
            "the safety table is gone: this node must not vote with its old key; rejoin with a new key by ballot");
    else if (s->fd < 0)
        st = io_error(err, path, "cannot open");
    else if (flock(s->fd, LOCK_EX | LOCK_NB) != 0 || !still_named(s))
        st = cn_fail(err, CN_CONFLICT, path, "another process uses this safety table; stop it first");
    if (st == CN_OK)
        st = read_file(s, vote_key, err);
    if (st == CN_OK)
        *ret = s;
    else
        cn_safety_close(s);
    return st;
}

void cn_safety_close(cn_safety *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    for (size_t i = 0; i < s->opened_body_count; i++)
        free((void *)(uintptr_t)s->opened_body[i].bytes.p);
    for (size_t i = 0; i < s->opened_cert_count; i++)
        free((void *)(uintptr_t)s->opened_cert[i].bytes.p);
    for (size_t i = 0; i < s->cert_count; i++)
        free(s->cert[i]);
    free(s->opened_cert);
    free(s->cert);
    free(s->opened_body);
    free(s->opened_row);
    free(s->body);
    free(s->row);
    cn_buf_free(&s->pending);
    free(s);
}

uint64_t cn_safety_floor_epoch(const cn_safety *s)
{
    return s->floor_epoch;
}

uint64_t cn_safety_floor_view(const cn_safety *s)
{
    return s->floor_view;
}

size_t cn_safety_rows(const cn_safety *s, const cn_safety_row **ret)
{
    *ret = s->opened_row;
    return s->opened_row_count;
}

size_t cn_safety_bodies(const cn_safety *s, const cn_safety_body **ret)
{
    *ret = s->opened_body;
    return s->opened_body_count;
}

size_t cn_safety_certificates(const cn_safety *s, const cn_safety_certificate **ret)
{
    *ret = s->opened_cert;
    return s->opened_cert_count;
}

/* ---- appending ---- */

static cn_status poison(cn_safety *s, cn_status st)
{
    s->poisoned = true;
    return st;
}

static cn_status check_usable(const cn_safety *s, cn_err *err)
{
    return s->poisoned ? cn_fail(err, CN_IO, s->path, "an earlier write failed; the node must stop voting") : CN_OK;
}

static void append_to(cn_safety *s, cn_buf *out, uint8_t kind, const cn_span *parts, size_t count)
{
    uint8_t head[RECORD_HEAD], sum[8];
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += parts[i].n;
    CN_ASSERT(n > 0 && n <= PAYLOAD_MAX);
    if (s->index == UINT32_MAX) {
        s->batch++;
        s->index = 0;
    } else {
        s->index++;
    }
    uint8_t *p = cn_store_u32(head, (uint32_t)n);
    p = cn_store_u32(cn_store_u64(p, s->batch), s->index);
    *p = kind;
    checksum(s, head, parts, count, sum);
    cn_put_bytes(out, head, sizeof head);
    for (size_t i = 0; i < count; i++)
        cn_put_bytes(out, parts[i].p, parts[i].n);
    cn_put_bytes(out, sum, sizeof sum);
}

static cn_status append(cn_safety *s, uint8_t kind, const cn_span *parts, size_t count, cn_err *err)
{
    append_to(s, &s->pending, kind, parts, count);
    if (s->pending.fault)
        return poison(s, cn_fail(err, CN_NO_MEMORY, s->path, "too much is waiting to be synced"));
    return CN_OK;
}

cn_status cn_safety_put_row(cn_safety *s, const cn_safety_row *row, cn_err *err)
{
    uint8_t bytes[49];
    cn_status st = check_usable(s, err);
    if (st == CN_OK && !above_floor(s, row->epoch, row->view))
        st = cn_fail(err, CN_CONFLICT, s->path, "view %llu lies at or below the floor", (unsigned long long)row->view);
    if (st != CN_OK)
        return st;
    cn_span part = CN_SPAN(bytes, row_bytes(row, bytes));
    st = append(s, REC_ROW, &part, 1, err);
    return st == CN_OK ? remember_row(s, row, err) : st;
}

cn_status cn_safety_put_certificate(cn_safety *s, uint64_t epoch, uint64_t view, cn_span bytes, cn_err *err)
{
    uint8_t head[16];
    cn_status st = check_usable(s, err);
    if (st == CN_OK && (bytes.n == 0 || bytes.n > CN_SAFETY_CERTIFICATE_MAX))
        st = cn_fail(err, CN_TOO_LARGE, s->path, "a certificate of %zu bytes", bytes.n);
    if (st == CN_OK && !above_floor(s, epoch, view))
        st = cn_fail(err, CN_CONFLICT, s->path, "view %llu lies at or below the floor", (unsigned long long)view);
    if (st != CN_OK)
        return st;
    cn_store_u64(cn_store_u64(head, epoch), view);
    cn_span parts[] = {CN_SPAN(head, sizeof head), bytes};
    st = append(s, REC_CERTIFICATE, parts, 2, err);
    return st == CN_OK ? remember_certificate(s, epoch, view, bytes, err) : st;
}

cn_status cn_safety_put_body(cn_safety *s, const cn_digest *block, const cn_span *parts, size_t count, cn_err *err)
{
    cn_span all[4];
    size_t n = 0;
    CN_ASSERT(count <= 3);
    all[0] = CN_SPAN_DIGEST(block);
    for (size_t i = 0; i < count; i++) {
        all[1 + i] = parts[i];
        n += parts[i].n;
    }
    cn_status st = check_usable(s, err);
    if (st == CN_OK && n + CN_DIGEST_LEN > PAYLOAD_MAX)
        st = cn_fail(err, CN_TOO_LARGE, s->path, "a body of %zu bytes", n);
    if (st != CN_OK)
        return st;
    off_t at = s->end + (off_t)(s->pending.n + RECORD_HEAD + CN_DIGEST_LEN);
    st = append(s, REC_BODY, all, 1 + count, err);
    return st == CN_OK ? remember_body(s, block, at, n, err) : st;
}

cn_status cn_safety_raise_floor(cn_safety *s, uint64_t epoch, uint64_t view, cn_err *err)
{
    uint8_t bytes[16];
    cn_status st = check_usable(s, err);
    if (st == CN_OK && (epoch < s->floor_epoch || (epoch == s->floor_epoch && view < s->floor_view)))
        st = cn_fail(err, CN_CONFLICT, s->path, "the floor only rises");
    if (st != CN_OK || (epoch == s->floor_epoch && view == s->floor_view))
        return st;
    cn_store_u64(cn_store_u64(bytes, epoch), view);
    cn_span part = CN_SPAN(bytes, sizeof bytes);
    st = append(s, REC_FLOOR, &part, 1, err);
    if (st == CN_OK) {
        s->floor_epoch = epoch;
        s->floor_view = view;
        drop_below(s);
    }
    return st;
}

cn_status cn_safety_drop_body(cn_safety *s, const cn_digest *block, cn_err *err)
{
    cn_span part = CN_SPAN_DIGEST(block);
    cn_status st = check_usable(s, err);
    if (st == CN_OK)
        st = append(s, REC_DROP, &part, 1, err);
    if (st == CN_OK)
        forget_body(s, block);
    return st;
}

/* ---- syncing and rewriting ---- */

static cn_status flush(cn_safety *s, cn_err *err)
{
    off_t need = s->end + (off_t)s->pending.n;
    if (need > s->allocated) { /* grow in steps: then most syncs change no metadata */
        off_t size = (need / CN_SAFETY_GROW_BYTES + 1) * CN_SAFETY_GROW_BYTES;
        if (fallocate(s->fd, 0, 0, size) != 0 && errno != EOPNOTSUPP)
            return poison(s, io_error(err, s->path, "no room to grow"));
        s->allocated = size;
    }
    if (!write_all(s->fd, s->pending.p, s->pending.n, s->end) || fdatasync(s->fd) != 0)
        return poison(s, io_error(err, s->path, "cannot sync"));
    s->end = need;
    cn_buf_clear(&s->pending);
    s->index = UINT32_MAX;
    return CN_OK;
}

static bool live_records(cn_safety *s, cn_buf *out, off_t *body_at)
{
    uint8_t bytes[49];
    cn_store_u64(cn_store_u64(bytes, s->floor_epoch), s->floor_view);
    cn_span part = CN_SPAN(bytes, 16);
    append_to(s, out, REC_FLOOR, &part, 1);
    for (size_t i = 0; i < s->row_count; i++) {
        part = CN_SPAN(bytes, row_bytes(&s->row[i], bytes));
        append_to(s, out, REC_ROW, &part, 1);
    }
    for (size_t i = 0; i < s->cert_count; i++) {
        cn_store_u64(cn_store_u64(bytes, s->cert[i]->epoch), s->cert[i]->view);
        cn_span parts[] = {CN_SPAN(bytes, 16), CN_SPAN(s->cert[i]->bytes, s->cert[i]->n)};
        append_to(s, out, REC_CERTIFICATE, parts, 2);
    }
    for (size_t i = 0; i < s->body_count; i++) {
        uint8_t *copy = malloc(s->body[i].n);
        bool ok = copy && pread(s->fd, copy, s->body[i].n, s->body[i].at) == (ssize_t)s->body[i].n;
        if (ok) {
            cn_span parts[] = {CN_SPAN_DIGEST(&s->body[i].block), CN_SPAN(copy, s->body[i].n)};
            body_at[i] = (off_t)(out->n + RECORD_HEAD + CN_DIGEST_LEN);
            append_to(s, out, REC_BODY, parts, 2);
        }
        free(copy);
        if (!ok)
            return false;
    }
    return !out->fault;
}

/* A new file with what still counts takes the place of the old one; its name changes only when it is durable. */
static cn_status rewrite(cn_safety *s, cn_err *err)
{
    char fresh[4200];
    cn_buf out;
    off_t *body_at = calloc(s->body_count + 1, sizeof *body_at);
    uint64_t batch = s->batch;
    cn_buf_init(&out, 256u * 1024u * 1024u);
    cn_put_bytes(&out, s->head, HEAD_LEN);
    s->batch = 0;
    snprintf(fresh, sizeof fresh, "%s.new", s->path);
    bool ok = body_at && live_records(s, &out, body_at);
    int fd = ok ? open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    ok = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && write_all(fd, out.p, out.n, 0) && fsync(fd) == 0 &&
         rename(fresh, s->path) == 0;
    cn_status st = ok ? sync_directory(s->path, err) : io_error(err, s->path, "cannot rewrite");
    if (ok) {
        close(s->fd);
        s->fd = fd;
        s->end = s->allocated = (off_t)out.n;
        s->rewrite_at = 2 * s->end > (off_t)CN_SAFETY_REWRITE_BYTES ? 2 * s->end : (off_t)CN_SAFETY_REWRITE_BYTES;
        s->index = UINT32_MAX;
        for (size_t i = 0; i < s->body_count; i++)
            s->body[i].at = body_at[i];
    } else {
        s->batch = batch;
        if (fd >= 0)
            close(fd);
    }
    free(body_at);
    cn_buf_free(&out);
    return st == CN_OK ? st : poison(s, st);
}

cn_status cn_safety_sync(cn_safety *s, cn_err *err)
{
    cn_status st = check_usable(s, err);
    if (st == CN_OK && s->pending.n)
        st = flush(s, err);
    if (st == CN_OK && s->end > s->rewrite_at)
        st = rewrite(s, err);
    return st;
}

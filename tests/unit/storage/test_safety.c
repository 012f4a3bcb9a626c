/* The safety journal: what it keeps, and every way in which its last write can be torn. */
#include "fixture.h"

#include "storage/safety.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t vote_key[33] = {2, 1, 2, 3};

typedef struct place {
    char dir[64], path[80];
} place;

static void begin_in(place *p, void (*directory)(char dir[64]))
{
    directory(p->dir);
    snprintf(p->path, sizeof p->path, "%s/safety", p->dir);
    cr_assert_eq(cn_safety_create(p->path, vote_key, NULL), CN_OK);
}

static void begin(place *p)
{
    begin_in(p, fx_directory);
}

static cn_safety *reopen(const place *p)
{
    cn_safety *s = NULL;
    cn_err err = {0};
    cr_assert_eq(cn_safety_open(p->path, vote_key, &s, &err), CN_OK, "%s", err.text);
    return s;
}

static void put_row(cn_safety *s, uint64_t view, uint8_t block)
{
    cn_safety_row row = {.epoch = 1, .view = view, .notarized = true, .finalized = view % 2, .block = {{block}}};
    cr_assert_eq(cn_safety_put_row(s, &row, NULL), CN_OK);
}

static void put_body(cn_safety *s, uint8_t name, const void *p, size_t n)
{
    cn_digest block = {{name}};
    cn_span parts[2] = {CN_SPAN(p, n / 2), CN_SPAN((const uint8_t *)p + n / 2, n - n / 2)};
    cr_assert_eq(cn_safety_put_body(s, &block, parts, 2, NULL), CN_OK);
}

static void sync_it(cn_safety *s)
{
    cn_err err = {0};
    cr_assert_eq(cn_safety_sync(s, &err), CN_OK, "%s", err.text);
}

Test(safety, is_made_once_and_bound_to_its_key)
{
    place p;
    cn_safety *s = NULL, *second = NULL;
    uint8_t other[33] = {3};
    begin(&p);
    cr_assert_eq(cn_safety_create(p.path, vote_key, NULL), CN_CONFLICT);
    cr_assert_eq(cn_safety_open(p.path, other, &s, NULL), CN_CONFLICT);
    cr_assert_eq(cn_safety_open("/nonexistent/safety", vote_key, &s, NULL), CN_NOT_FOUND);
    s = reopen(&p);
    cr_assert_eq(cn_safety_open(p.path, vote_key, &second, NULL), CN_CONFLICT, "two daemons share a safety table");
    cn_safety_close(s);
    cn_safety_close(reopen(&p));
    fx_remove(p.dir);
}

Test(safety, keeps_rows_bodies_and_floor)
{
    place p;
    const cn_safety_row *row;
    const cn_safety_body *body;
    cn_digest dropped = {{8}};
    begin(&p);
    cn_safety *s = reopen(&p);
    for (uint64_t view = 1; view <= 10; view++)
        put_row(s, view, (uint8_t)view);
    put_row(s, 9, 99); /* a later row of a view replaces the earlier one */
    put_body(s, 7, "body seven", 10);
    put_body(s, 8, "body eight", 10);
    sync_it(s);
    cr_assert_eq(cn_safety_rows(s, &row), 0, "as it was at open");
    cr_assert_eq(cn_safety_raise_floor(s, 1, 6, NULL), CN_OK);
    cr_assert_eq(cn_safety_raise_floor(s, 1, 5, NULL), CN_CONFLICT);
    cr_assert_eq(cn_safety_put_row(s, &(cn_safety_row){.epoch = 1, .view = 6}, NULL), CN_CONFLICT);
    cr_assert_eq(cn_safety_drop_body(s, &dropped, NULL), CN_OK);
    sync_it(s);
    cn_safety_close(s);
    s = reopen(&p);
    cr_assert(cn_safety_floor_epoch(s) == 1 && cn_safety_floor_view(s) == 6);
    cr_assert_eq(cn_safety_rows(s, &row), 4);
    for (size_t i = 0; i < 4; i++) {
        cr_assert(row[i].epoch == 1 && row[i].view == 7 + i && row[i].notarized && !row[i].nullified);
        cr_assert(row[i].finalized == (row[i].view % 2 == 1));
        cr_assert_eq(row[i].block.b[0], row[i].view == 9 ? 99 : row[i].view);
    }
    cr_assert_eq(cn_safety_bodies(s, &body), 1);
    cr_assert(body[0].block.b[0] == 7 && body[0].bytes.n == 10 && memcmp(body[0].bytes.p, "body seven", 10) == 0);
    put_row(s, 11, 11);
    cr_assert_eq(cn_safety_drop_body(s, &body[0].block, NULL), CN_OK);
    cr_assert(memcmp(body[0].bytes.p, "body seven", 10) == 0, "valid until close");
    cn_safety_close(s); /* never synced */
    s = reopen(&p);
    cr_assert_eq(cn_safety_rows(s, &row), 4);
    cr_assert_eq(cn_safety_bodies(s, &body), 1);
    cn_safety_close(s);
    fx_remove(p.dir);
}

static cn_status put_certificate(cn_safety *s, uint64_t epoch, uint64_t view, const char *text)
{
    return cn_safety_put_certificate(s, epoch, view, CN_SPAN(text, strlen(text)), NULL);
}

static bool certificate_is(const cn_safety_certificate *c, uint64_t epoch, uint64_t view, const char *text)
{
    return c->epoch == epoch && c->view == view && c->bytes.n == strlen(text) &&
           memcmp(c->bytes.p, text, c->bytes.n) == 0;
}

Test(safety, keeps_one_notarization_a_view_above_the_floor)
{
    place p;
    const cn_safety_certificate *cert;
    char large[CN_SAFETY_CERTIFICATE_MAX + 2];
    begin(&p);
    cn_safety *s = reopen(&p);
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = 0;
    cr_assert_eq(put_certificate(s, 1, 5, large), CN_TOO_LARGE);
    cr_assert_eq(put_certificate(s, 1, 5, ""), CN_TOO_LARGE);
    large[CN_SAFETY_CERTIFICATE_MAX] = 0;
    cr_assert_eq(put_certificate(s, 1, 4, "four"), CN_OK);
    cr_assert_eq(put_certificate(s, 1, 5, "five"), CN_OK);
    cr_assert_eq(put_certificate(s, 1, 5, large), CN_OK);
    cr_assert_eq(put_certificate(s, 2, 1, "of epoch two"), CN_OK);
    cr_assert_eq(cn_safety_certificates(s, &cert), 0, "as it was at open");
    sync_it(s);
    cr_assert_eq(put_certificate(s, 2, 2, "never synced"), CN_OK);
    cn_safety_close(s);
    s = reopen(&p);
    cr_assert_eq(cn_safety_certificates(s, &cert), 3);
    cr_assert(certificate_is(&cert[0], 1, 4, "four") && certificate_is(&cert[1], 1, 5, large) &&
              certificate_is(&cert[2], 2, 1, "of epoch two"));
    cr_assert_eq(cn_safety_raise_floor(s, 1, 4, NULL), CN_OK);
    cr_assert_eq(put_certificate(s, 1, 4, "at the floor"), CN_CONFLICT);
    sync_it(s);
    cr_assert(certificate_is(&cert[0], 1, 4, "four"), "valid until close");
    cn_safety_close(s);
    s = reopen(&p);
    cr_assert_eq(cn_safety_certificates(s, &cert), 2);
    cr_assert(certificate_is(&cert[0], 1, 5, large) && certificate_is(&cert[1], 2, 1, "of epoch two"));
    cr_assert_eq(cn_safety_raise_floor(s, 2, 0, NULL), CN_OK);
    sync_it(s);
    cn_safety_close(s);
    s = reopen(&p);
    cr_assert_eq(cn_safety_certificates(s, &cert), 1);
    cn_safety_close(s);
    fx_remove(p.dir);
}

/* ---- power loss ---- */

typedef struct image {
    uint8_t *p;
    size_t n;
} image;

static image read_image(const place *p)
{
    struct stat info;
    int fd = open(p->path, O_RDONLY);
    cr_assert(fd >= 0 && fstat(fd, &info) == 0);
    image i = {malloc((size_t)info.st_size), (size_t)info.st_size};
    cr_assert_eq(read(fd, i.p, i.n), info.st_size);
    close(fd);
    return i;
}

static void write_image(const place *p, const uint8_t *bytes, size_t n)
{
    int fd = open(p->path, O_WRONLY | O_TRUNC);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

/* Where the last record ends: behind it there are only zeros, and a record never ends in one for these contents. */
static size_t used(const image *i)
{
    size_t n = i->n;
    while (n > 0 && i->p[n - 1] == 0)
        n--;
    return n;
}

/* Two synced batches: rows 1 to 4 and a body, then rows 5 to 8 and another body. */
static image two_batches(place *p, size_t *ret_first_end, size_t *ret_end)
{
    begin_in(p, fx_directory_in_memory);
    cn_safety *s = reopen(p);
    for (uint64_t view = 1; view <= 4; view++)
        put_row(s, view, 1);
    put_body(s, 1, "the first body", 14);
    sync_it(s);
    image first = read_image(p);
    *ret_first_end = used(&first);
    free(first.p);
    for (uint64_t view = 5; view <= 8; view++)
        put_row(s, view, 1);
    put_body(s, 2, "the second body", 15);
    sync_it(s);
    cn_safety_close(s);
    image i = read_image(p);
    *ret_end = used(&i);
    return i;
}

/* The first batch is whole; of the second there is a prefix, and nothing else. */
static void check_prefix(const place *p, const char *what, size_t at)
{
    cn_safety *s = NULL;
    cn_err err = {0};
    const cn_safety_row *row;
    const cn_safety_body *body;
    cr_assert_eq(cn_safety_open(p->path, vote_key, &s, &err), CN_OK, "%s at %zu: %s", what, at, err.text);
    size_t rows = cn_safety_rows(s, &row), bodies = cn_safety_bodies(s, &body);
    cr_assert(rows >= 4 && rows <= 8 && bodies >= 1 && bodies <= 2, "%s at %zu", what, at);
    cr_assert(bodies == 1 || rows == 8, "%s at %zu", what, at);
    for (size_t i = 0; i < rows; i++)
        cr_assert_eq(row[i].view, i + 1);
    cr_assert(body[0].bytes.n == 14 && memcmp(body[0].bytes.p, "the first body", 14) == 0);
    put_row(s, 20, 20); /* it goes on behind the cut */
    sync_it(s);
    cn_safety_close(s);
    s = reopen(p);
    cr_assert_eq(cn_safety_rows(s, &row), rows + 1);
    cr_assert_eq(row[rows].view, 20);
    cn_safety_close(s);
}

Test(safety, a_write_torn_at_any_byte_is_cut_off)
{
    place p;
    size_t first_end, end;
    image i = two_batches(&p, &first_end, &end);
    uint8_t *torn = malloc(i.n);
    for (size_t at = first_end; at <= end; at++) {
        write_image(&p, i.p, at); /* the file ends here */
        check_prefix(&p, "cut", at);
        memcpy(torn, i.p, end); /* the rest was never written over the zeros */
        memset(torn + at, 0, end + 512 - at);
        write_image(&p, torn, end + 512);
        check_prefix(&p, "zeros", at);
        memcpy(torn, i.p, end); /* this sector arrived damaged, those behind it arrived */
        if (at < end) {
            memset(torn + at, 0xa5, at + 40 < end ? 40 : end - at);
            write_image(&p, torn, end);
            check_prefix(&p, "damage", at);
        }
    }
    free(torn);
    free(i.p);
    fx_remove(p.dir);
}

Test(safety, damage_before_the_last_batch_is_never_taken_for_a_tail)
{
    place p;
    size_t first_end, end;
    image i = two_batches(&p, &first_end, &end);
    for (size_t at = 0; at < first_end; at++) {
        cn_safety *s = NULL;
        cn_err err = {0};
        i.p[at] ^= 0x10;
        write_image(&p, i.p, i.n);
        cn_status st = cn_safety_open(p.path, vote_key, &s, &err);
        cr_assert(st == CN_CORRUPT || (at >= 8 && at < 40 && st == CN_CONFLICT), "byte %zu: %s", at, err.text);
        i.p[at] ^= 0x10;
    }
    free(i.p);
    fx_remove(p.dir);
}

/* A body is written by strangers: it may hold what looks like records of this journal's format. */
Test(safety, a_body_cannot_imitate_records)
{
    place p;
    size_t first_end, end;
    image i = two_batches(&p, &first_end, &end);
    fx_remove(p.dir);
    begin(&p); /* another journal: other nonce */
    cn_safety *s = reopen(&p);
    put_row(s, 1, 1);
    sync_it(s);
    image before = read_image(&p);
    size_t at = used(&before);
    put_body(s, 3, i.p + 64, end - 64);
    sync_it(s);
    cn_safety_close(s);
    image after = read_image(&p);
    after.p[at + 2] ^= 1; /* the body's own record is torn */
    write_image(&p, after.p, after.n);
    s = reopen(&p);
    const cn_safety_row *row;
    cr_assert_eq(cn_safety_rows(s, &row), 1);
    cn_safety_close(s);
    free(i.p);
    free(before.p);
    free(after.p);
    fx_remove(p.dir);
}

/* ---- growth ---- */

Test(safety, is_rewritten_when_it_has_grown)
{
    enum { BODY = 1 << 20 };
    place p;
    struct stat before, after;
    const cn_safety_row *row;
    const cn_safety_body *body;
    const cn_safety_certificate *cert;
    uint8_t *bytes = malloc(BODY);
    memset(bytes, 0x42, BODY);
    begin(&p);
    cr_assert_eq(stat(p.path, &before), 0);
    cn_safety *s = reopen(&p);
    for (unsigned i = 1; i <= 80; i++) {
        bytes[0] = (uint8_t)i;
        put_row(s, i, (uint8_t)i);
        put_body(s, (uint8_t)i, bytes, BODY);
        cr_assert_eq(put_certificate(s, 1, i, i % 2 ? "odd" : "even"), CN_OK);
        if (i > 3) {
            cn_digest old = {{(uint8_t)(i - 3)}};
            cr_assert_eq(cn_safety_drop_body(s, &old, NULL), CN_OK);
            cr_assert_eq(cn_safety_raise_floor(s, 1, i - 3, NULL), CN_OK);
        }
        sync_it(s);
    }
    cn_safety_close(s);
    cr_assert_eq(stat(p.path, &after), 0);
    cr_assert(after.st_ino != before.st_ino && after.st_size < 64 * BODY);
    s = reopen(&p);
    cr_assert_eq(cn_safety_floor_view(s), 77);
    cr_assert_eq(cn_safety_rows(s, &row), 3);
    cr_assert_eq(cn_safety_bodies(s, &body), 3);
    cr_assert_eq(cn_safety_certificates(s, &cert), 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(row[i].view, 78 + i);
        cr_assert(certificate_is(&cert[i], 1, 78 + i, i % 2 ? "odd" : "even"));
        const uint8_t *b = body[i].bytes.p;
        cr_assert(body[i].block.b[0] == 78 + i && body[i].bytes.n == BODY && b[0] == 78 + i && b[BODY - 1] == 0x42);
    }
    cn_safety_close(s);
    free(bytes);
    fx_remove(p.dir);
}

Test(safety, a_failed_write_poisons_it)
{
    enum { BODY = 1 << 20 };
    place p;
    struct rlimit limit, small;
    const cn_safety_row *row;
    cn_digest block = {{1}};
    uint8_t *bytes = calloc(1, BODY);
    cn_span part = CN_SPAN(bytes, BODY);
    begin(&p);
    cn_safety *s = reopen(&p);
    put_row(s, 1, 1);
    sync_it(s);
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 6 * BODY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    cn_status st = CN_OK;
    for (int i = 0; i < 20 && st == CN_OK; i++) {
        cr_assert_eq(cn_safety_put_body(s, &block, &part, 1, NULL), CN_OK);
        st = cn_safety_sync(s, NULL);
    }
    cr_assert_eq(st, CN_IO);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(cn_safety_put_row(s, &(cn_safety_row){.epoch = 1, .view = 2}, NULL), CN_IO);
    cr_assert_eq(cn_safety_raise_floor(s, 1, 1, NULL), CN_IO);
    cr_assert_eq(cn_safety_sync(s, NULL), CN_IO);
    cn_safety_close(s);
    s = reopen(&p);
    cr_assert_eq(cn_safety_rows(s, &row), 1);
    cn_safety_close(s);
    free(bytes);
    fx_remove(p.dir);
}

/* The safety journal: whatever stands in the file, it opens with what a sync made durable, or refuses. Records get
 * their checksums here, so that the search reaches what is behind them. */
#include "fuzz.h"

#include "storage/safety.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAD_LEN 64u

static const uint8_t vote_key[33] = {2, 7};

/* input: (flags u8 | kind u8 | length u8 | payload)*; flags: 1 a new batch, 2 a false checksum, 4 a gap in the batches,
 * 8 the rest of the input as it is */
void fuzz_seeds(void)
{
    uint8_t row[3 + 49] = {1, 1, 49, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 1, 7};
    uint8_t floor_[3 + 16] = {1, 3, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4};
    uint8_t body[3 + 40] = {0, 2, 40, 7}, drop[3 + 32] = {1, 4, 32, 7};
    uint8_t in[512];
    size_t n = 0;
    fuzz_seed("row", row, sizeof row);
    memcpy(in, row, sizeof row);
    n += sizeof row;
    memcpy(in + n, body, sizeof body);
    n += sizeof body;
    fuzz_seed("row-body", in, n);
    memcpy(in + n, floor_, sizeof floor_);
    n += sizeof floor_;
    memcpy(in + n, drop, sizeof drop);
    n += sizeof drop;
    fuzz_seed("all", in, n);
    in[n++] = 8;
    memset(in + n, 0, 32);
    fuzz_seed("tail", in, n + 32);
}

static void put_record(cn_buf *out, const uint8_t *nonce, uint64_t batch, uint32_t index, uint8_t kind,
                       const uint8_t *p, size_t n, bool false_sum)
{
    uint8_t head[13];
    *cn_store_u32(cn_store_u64(head, batch), index) = kind;
    cn_span parts[] = {CN_SPAN(nonce, 16), CN_SPAN(head, sizeof head), CN_SPAN(p, n)};
    cn_digest sum = cn_sha256v(parts, 3);
    sum.b[0] ^= false_sum;
    cn_put_u32(out, (uint32_t)n);
    cn_put_bytes(out, head, sizeof head);
    cn_put_bytes(out, p, n);
    cn_put_bytes(out, sum.b, 8);
}

static void make_file(cn_buf *out, const uint8_t *p, size_t n)
{
    static const uint8_t nonce[16] = {5};
    cn_reader r = cn_reader_of(p, n);
    cn_digest bound = cn_tagged("carnet/safety", vote_key, sizeof vote_key);
    cn_put_bytes(out, "CNSAFE01", 8);
    cn_put_digest(out, &bound);
    cn_put_bytes(out, nonce, sizeof nonce);
    cn_digest sum = cn_sha256(out->p, out->n);
    cn_put_bytes(out, sum.b, 8);
    uint64_t batch = 0;
    uint32_t index = 0;
    for (bool first = true; r.n >= 3; first = false) {
        uint8_t flags = cn_read_u8(&r);
        if (flags & 8) {
            cn_put_bytes(out, r.p, r.n);
            return;
        }
        uint8_t kind = cn_read_u8(&r);
        size_t len = cn_read_u8(&r);
        len = len < r.n ? len : r.n;
        const uint8_t *payload = cn_read_view(&r, len);
        bool fresh = first || (flags & 1);
        batch += (fresh ? 1u : 0u) + (flags & 4u);
        index = fresh ? 0 : index + 1;
        put_record(out, nonce, batch, index, kind, payload, len, flags & 2);
    }
}

static const char *write_file(const cn_buf *content)
{
    static char path[4096];
    if (!path[0]) {
        const char *tmp = getenv("TMPDIR");
        snprintf(path, sizeof path, "%s/carnet-journal-%ld", tmp ? tmp : "/tmp", (long)getpid());
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_REQUIRE(fd >= 0 && write(fd, content->p, content->n) == (ssize_t)content->n);
    close(fd);
    return path;
}

/* A journal that opened takes records, and has them the next time. */
static void use(const char *path, cn_safety *s)
{
    const cn_safety_row *row, *again_row;
    cn_safety *again = NULL;
    cn_safety_close(s);
    FUZZ_REQUIRE(cn_safety_open(path, vote_key, &s, NULL) == CN_OK);
    cn_safety_row fresh = {.epoch = UINT64_MAX, .view = UINT64_MAX, .nullified = true};
    size_t rows = cn_safety_rows(s, &row);
    bool above = cn_safety_floor_epoch(s) < UINT64_MAX || cn_safety_floor_view(s) < UINT64_MAX;
    bool known = false;
    for (size_t i = 0; i < rows; i++)
        known = known || (row[i].epoch == UINT64_MAX && row[i].view == UINT64_MAX);
    FUZZ_REQUIRE((cn_safety_put_row(s, &fresh, NULL) == CN_OK) == above); /* nothing at the floor is signed (R5) */
    const cn_safety_certificate *cert;
    size_t certs = cn_safety_certificates(s, &cert);
    bool held = false;
    for (size_t i = 0; i < certs; i++) {
        FUZZ_REQUIRE(cert[i].bytes.n > 0 && cert[i].bytes.n <= CN_SAFETY_CERTIFICATE_MAX);
        held = held || (cert[i].epoch == UINT64_MAX && cert[i].view == UINT64_MAX);
    }
    FUZZ_REQUIRE((cn_safety_put_certificate(s, UINT64_MAX, UINT64_MAX, CN_SPAN("c", 1), NULL) == CN_OK) == above);
    FUZZ_REQUIRE(cn_safety_sync(s, NULL) == CN_OK);
    cn_safety_close(s);
    FUZZ_REQUIRE(cn_safety_open(path, vote_key, &again, NULL) == CN_OK);
    FUZZ_REQUIRE(cn_safety_certificates(again, &cert) == certs + (above && !held));
    FUZZ_REQUIRE(cn_safety_rows(again, &again_row) == rows + (above && !known));
    cn_safety_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    cn_buf file;
    cn_safety *s = NULL, *again = NULL;
    cn_err err = {0};
    cn_buf_init(&file, 1u << 20);
    make_file(&file, p, n);
    FUZZ_REQUIRE(!file.fault);
    const char *path = write_file(&file);
    cn_status st = cn_safety_open(path, vote_key, &s, &err);
    cn_buf_free(&file);
    if (st != CN_OK) {
        FUZZ_REQUIRE(st == CN_CORRUPT && err.text[0]);
        (void)unlink(path);
        return 0;
    }
    const cn_safety_row *row;
    size_t rows = cn_safety_rows(s, &row);
    for (size_t i = 0; i < rows; i++)
        FUZZ_REQUIRE(row[i].epoch > cn_safety_floor_epoch(s) ||
                     (row[i].epoch == cn_safety_floor_epoch(s) && row[i].view > cn_safety_floor_view(s)));
    FUZZ_PLANT(rows > 0 && row[0].view > 5);
    FUZZ_REQUIRE(cn_safety_open(path, vote_key, &again, NULL) == CN_CONFLICT); /* one process at a time */
    if (n % 4 == 0) /* it costs a hundred times the reading */
        use(path, s);
    else
        cn_safety_close(s);
    (void)unlink(path);
    return 0;
}

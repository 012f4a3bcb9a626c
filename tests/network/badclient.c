/* What an honest client never sends, for refusals.sh: bad statements that are made from a good one, and strangers at
 * the peer port.
 *
 *   badclient statements GENESIS KEY SEQUENCE PREVIOUS DIR   good.bin, next.bin and the bad ones; on standard output a
 *       line for each bad one: name, HTTP status, problem type, field, words of the detail, separated by tabs. PREVIOUS
 *       is the id of the key's statement SEQUENCE, which is at least 1.
 *   badclient chain GENESIS KEY SEQUENCE PREVIOUS DIR COUNT BYTES   a chain of COUNT good statements with one item of
 *       BYTES each: 1.bin ..., and their ids on standard output
 *   badclient peer PORT GENESIS MANNER    one bad caller; exit status 0: the node closed the connection
 *   badclient crowd PORT COUNT    so many callers that say nothing: prints how many were let in, and holds them until
 *       standard input ends */
#include "../unit/proto/pb.h"
#include "node/formats/genesis.h"
#include "node/peer/noise.h"
#include "proto/merkle.h"
#include "proto/statement.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_ENTRIES 80u
#define MAX_PARTS 8u

static void die(const char *what, const cn_err *err)
{
    fprintf(stderr, "badclient: %s: %s %s\n", what, err ? err->field : strerror(errno), err ? err->text : "");
    exit(2);
}

static cn_buf slurp(const char *path, size_t max)
{
    cn_buf b;
    uint8_t chunk[4096];
    FILE *f = fopen(path, "rb");
    if (!f)
        die(path, NULL);
    cn_buf_init(&b, max);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        cn_put_bytes(&b, chunk, n);
    fclose(f);
    CN_ASSERT(!b.fault);
    return b;
}

static void spill(const char *dir, const char *name, const cn_buf *b)
{
    char path[4096];
    CN_ASSERT(!b->fault);
    snprintf(path, sizeof path, "%s/%s.bin", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(b->p, 1, b->n, f) != b->n || fclose(f) != 0)
        die(path, NULL);
}

static cn_digest network_of(const char *genesis)
{
    cn_buf b = slurp(genesis, CN_MAX_GENESIS_BYTES);
    cn_digest network = cn_network_id(b.p, b.n);
    cn_buf_free(&b);
    return network;
}

/* ---- a statement before it is signed ---- */

typedef struct draft {
    const cn_key_file *signer; /* its key signs; body.key_id is separate */
    uint32_t version, item_count;
    cn_digest network, key_id, previous, root;
    uint64_t sequence, created_ms;
    cn_batch_entry entry[MAX_ENTRIES];
    size_t entries, items;
    cn_buf item[MAX_PARTS];
    bool no_payload, swapped, default_written, long_varint, long_length, no_items;
    unsigned unknown_in_body, unknown_in_batch, unknown_outside; /* field numbers; 0: none */
    void (*spoil_signature)(const struct draft *d, uint8_t signature[CN_SIGNATURE_LEN]);
    size_t cut; /* bytes missing at the end */
} draft;

static void put_item(draft *d, uint8_t format, uint8_t byte, size_t n)
{
    uint8_t *content = malloc(n);
    CN_ASSERT(content && d->items < MAX_PARTS);
    memset(content, byte, n);
    cn_buf *b = &d->item[d->items++];
    cn_buf_init(b, n + 64);
    cn_item_write(b, d->signer->item_salt_secret, format, content, n);
    CN_ASSERT(!b->fault);
    free(content);
}

static void drop_items(draft *d)
{
    for (size_t i = 0; i < d->items; i++)
        cn_buf_free(&d->item[i]);
    d->items = 0;
}

/* The root and the count that belong to the items. */
static void settle(draft *d)
{
    cn_digest leaf[MAX_PARTS];
    for (size_t i = 0; i < d->items; i++)
        leaf[i] = cn_item_leaf(d->item[i].p, d->item[i].n);
    d->root = cn_merkle_root(leaf, d->items);
    d->item_count = (uint32_t)d->items;
}

static cn_digest tag(unsigned number)
{
    cn_digest d = {{0}};
    d.b[0] = 0x42;
    d.b[1] = (uint8_t)number;
    return d;
}

/* Two items; the first subject covers both, the second one the last. */
static void start_good(draft *d, const cn_key_file *key, const cn_digest *network, uint64_t sequence,
                       const cn_digest *previous)
{
    *d = (draft){.signer = key,
                 .version = 1,
                 .network = *network,
                 .key_id = cn_key_id(&key->key.public_key),
                 .previous = *previous,
                 .sequence = sequence,
                 .created_ms = 1750000000000,
                 .entries = 2};
    d->entry[0] = (cn_batch_entry){.subject = tag(1), .start = 0, .count = 2, .first_ms = 5, .last_ms = 9};
    d->entry[1] = (cn_batch_entry){.subject = tag(2), .start = 1, .count = 1, .first_ms = 7, .last_ms = 9};
    put_item(d, CN_ITEM_NATIVE, 0x31, 40);
    put_item(d, CN_ITEM_NATIVE, 0x32, 40);
    settle(d);
}

static void put_number(cn_buf *b, const draft *d, unsigned field, uint64_t v)
{
    if (v || d->default_written)
        pb_number(b, field, v);
}

static void write_batch(const draft *d, cn_buf *out)
{
    pb_bytes(out, 1, d->root.b, CN_DIGEST_LEN);
    pb_number(out, 2, d->item_count);
    for (size_t i = 0; i < d->entries; i++) {
        const cn_batch_entry *e = &d->entry[i];
        cn_buf entry = pb_new();
        pb_bytes(&entry, 1, e->subject.b, CN_DIGEST_LEN);
        put_number(&entry, d, 2, e->start);
        put_number(&entry, d, 3, e->count);
        put_number(&entry, d, 4, e->first_ms);
        put_number(&entry, d, 5, e->last_ms);
        pb_bytes(out, 3, entry.p, entry.n);
        cn_buf_free(&entry);
    }
    if (d->unknown_in_batch)
        pb_number(out, d->unknown_in_batch, 1);
}

static void write_body(const draft *d, cn_buf *out)
{
    pb_number(out, 1, d->version);
    pb_bytes(out, d->swapped ? 3 : 2, d->swapped ? d->key_id.b : d->network.b, CN_DIGEST_LEN);
    pb_bytes(out, d->swapped ? 2 : 3, d->swapped ? d->network.b : d->key_id.b, CN_DIGEST_LEN);
    if (d->sequence)
        pb_number(out, 4, d->sequence);
    pb_bytes(out, 5, d->previous.b, CN_DIGEST_LEN);
    pb_number(out, 6, d->created_ms);
    if (d->long_varint) /* the last byte of the number says that another one follows, which is zero */
        out->p[out->n - 1] |= 0x80;
    if (d->long_varint)
        cn_put_u8(out, 0);
    if (!d->no_payload) {
        cn_buf batch = pb_new();
        write_batch(d, &batch);
        pb_bytes(out, 16, batch.p, batch.n);
        cn_buf_free(&batch);
    }
    if (d->unknown_in_body)
        pb_number(out, d->unknown_in_body, 1);
}

static cn_buf seal(const draft *d, cn_digest *ret_id)
{
    cn_buf body = pb_new(), out = pb_new();
    cn_signature signature;
    cn_err err;
    write_body(d, &body);
    cn_digest digest = cn_statement_signing_digest(&d->network, body.p, body.n);
    if (cn_sign(&d->signer->key, &digest, &signature, &err) != CN_OK)
        die("sign", &err);
    if (d->spoil_signature)
        d->spoil_signature(d, signature.b);
    if (d->long_length) {
        CN_ASSERT(body.n >= 0x80 && body.n < 0x4000);
        cn_put_u8(&out, 0x0a);
        cn_put_u8(&out, (uint8_t)(body.n | 0x80));
        cn_put_u8(&out, (uint8_t)(body.n >> 7 | 0x80));
        cn_put_u8(&out, 0);
        cn_put_bytes(&out, body.p, body.n);
    } else {
        pb_bytes(&out, 1, body.p, body.n);
    }
    pb_bytes(&out, 2, signature.b, CN_SIGNATURE_LEN);
    for (size_t i = 0; i < d->items && !d->no_items; i++)
        pb_bytes(&out, 3, d->item[i].p, d->item[i].n);
    if (d->unknown_outside)
        pb_number(&out, d->unknown_outside, 1);
    if (ret_id)
        *ret_id = cn_tagged("carnet/statement-id", body.p, body.n);
    CN_ASSERT(!out.fault && out.n > d->cut);
    out.n -= d->cut;
    cn_buf_free(&body);
    return out;
}

/* ---- signatures that must not count ---- */

static void flip_one_bit(const draft *d, uint8_t signature[CN_SIGNATURE_LEN])
{
    (void)d;
    signature[20] ^= 0x04;
}

static const char order_of[4][65] = {
    [CN_KEY_SECP256K1] = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
    [CN_KEY_ED25519] = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed",
    [CN_KEY_P256] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
};

/* The other signature that the bare equation accepts: n - s for ECDSA, S + L for Ed25519. Anybody can make it. */
static void second_form(const draft *d, uint8_t signature[CN_SIGNATURE_LEN])
{
    uint8_t order[32], *s = signature + 32, type = d->signer->key.public_key.type;
    int carry = 0;
    CN_ASSERT(cn_unhex(order_of[type], 64, order, sizeof order));
    for (size_t i = 0; i < 32; i++) { /* from the least significant byte */
        uint8_t *digit = type == CN_KEY_ED25519 ? &s[i] : &s[31 - i];
        int v = type == CN_KEY_ED25519 ? order[31 - i] + *digit + carry : order[31 - i] - *digit + carry;
        *digit = (uint8_t)(v & 0xff);
        carry = v < 0 ? -1 : v >> 8;
    }
}

/* ---- the bad ones ---- */

static void flipped(draft *d)
{
    d->spoil_signature = flip_one_bit;
}
static void malleable(draft *d)
{
    d->spoil_signature = second_form;
}
static cn_key_file stranger_key; /* nobody registered it */
static void unknown_key(draft *d)
{
    if (cn_secret_key_generate(d->signer->key.public_key.type, &stranger_key.key, NULL) != CN_OK)
        die("keygen", NULL);
    d->signer = &stranger_key;
    d->key_id = cn_key_id(&stranger_key.key.public_key);
}
static void borrowed_key(draft *d)
{
    unknown_key(d);
    d->key_id = (cn_digest){{0}};
}
static void other_network(draft *d)
{
    d->network.b[31] ^= 1;
}
static void far_ahead(draft *d)
{
    d->sequence += 5000;
}
static void sequence_zero(draft *d)
{
    d->sequence = 0;
}
static void recorded_sequence(draft *d)
{
    d->sequence--;
}
static void wrong_previous(draft *d)
{
    d->previous.b[7] ^= 0x10;
}
static void next_version(draft *d)
{
    d->version = 2;
}
static void no_payload(draft *d)
{
    d->no_payload = true;
}
static void wrong_root(draft *d)
{
    d->root.b[0] ^= 1;
}
static void changed_item(draft *d)
{
    d->item[1].p[d->item[1].n - 1] ^= 1;
}
static void one_item_less(draft *d)
{
    cn_buf_free(&d->item[--d->items]);
}
static void one_item_more(draft *d)
{
    put_item(d, CN_ITEM_NATIVE, 0x33, 40);
}
static void items_missing(draft *d)
{
    d->no_items = true;
}
static void too_many_items(draft *d)
{
    d->item_count = CN_MAX_ITEMS + 1;
}
static void unknown_format(draft *d)
{
    put_item(d, 9, 0x33, 40);
    settle(d);
    d->entry[0].count = 3;
}
static void descending(draft *d)
{
    cn_batch_entry first = d->entry[0];
    d->entry[0] = d->entry[1];
    d->entry[1] = first;
}
static void entry_twice(draft *d)
{
    d->entry[1] = d->entry[0];
}
static void uncovered(draft *d)
{
    d->entries = 1;
    d->entry[0].count = 1;
}
static void beyond(draft *d)
{
    d->entry[0].count = 3;
}
static void backwards(draft *d)
{
    d->entry[0].first_ms = 10;
}
static void many_subjects(draft *d)
{
    d->entries = CN_MAX_SUBJECTS + 1;
    for (unsigned i = 0; i < d->entries; i++)
        d->entry[i] = (cn_batch_entry){.subject = tag(i), .start = 0, .count = 2, .first_ms = 5, .last_ms = 9};
}
static void large_item(draft *d)
{
    drop_items(d);
    put_item(d, CN_ITEM_NATIVE, 0x33, CN_MAX_ITEM_BYTES);
    put_item(d, CN_ITEM_NATIVE, 0x34, 1);
    settle(d);
}
static void large_statement(draft *d)
{
    drop_items(d);
    for (unsigned i = 0; i < 5; i++)
        put_item(d, CN_ITEM_NATIVE, (uint8_t)i, 60000);
    settle(d);
    d->entry[0].count = 5;
}
static void unknown_in_body(draft *d)
{
    d->unknown_in_body = 31;
}
static void unknown_in_batch(draft *d)
{
    d->unknown_in_batch = 9;
}
static void unknown_outside(draft *d)
{
    d->unknown_outside = 4;
}
static void long_varint(draft *d)
{
    d->long_varint = true;
}
static void long_length(draft *d)
{
    d->long_length = true;
}
static void swapped(draft *d)
{
    d->swapped = true;
}
static void default_written(draft *d)
{
    d->default_written = true;
}
static void cut_short(draft *d)
{
    d->cut = 1;
}

static const struct bad {
    const char *name;
    void (*make)(draft *d);
    int status;
    const char *type, *field, *detail;
} bad[] = {
    {"signature-bit", flipped, 403, "bad-signature", "signature", "does not verify"},
    {"signature-second-form", malleable, 403, "bad-signature", "signature", "does not verify"},
    {"unknown-key", unknown_key, 403, "unknown-key", "body.key_id", "no member has registered"},
    {"zero-key", borrowed_key, 403, "unknown-key", "body.key_id", "no member has registered"},
    {"other-network", other_network, 400, "wrong-network", "body.network", "belongs to network"},
    {"far-ahead", far_ahead, 409, "broken-chain", "body.sequence", "ahead of the key's last recorded"},
    {"sequence-zero", sequence_zero, 400, "invalid", "body.sequence", "run from 1"},
    {"recorded-sequence", recorded_sequence, 409, "broken-chain", "body.sequence", "recorded already with another"},
    {"wrong-previous", wrong_previous, 409, "broken-chain", "body.previous", "is not the id of the key's statement"},
    {"next-version", next_version, 400, "invalid", "body.version", "use 1"},
    {"no-payload", no_payload, 400, "invalid", "body.payload", "no payload"},
    {"wrong-root", wrong_root, 400, "item-root", "event_batch.items_root", "the items hash to"},
    {"changed-item", changed_item, 400, "item-root", "event_batch.items_root", "the items hash to"},
    {"one-item-less", one_item_less, 400, "item-root", "items", "1 items are here, the signed body names 2"},
    {"one-item-more", one_item_more, 400, "item-root", "items", "3 items are here, the signed body names 2"},
    {"items-missing", items_missing, 400, "item-root", "items", "0 items are here"},
    {"too-many-items", too_many_items, 413, "too-large", "event_batch.item_count", "1 to 1000"},
    {"unknown-format", unknown_format, 400, "invalid", "items", "format 9"},
    {"descending", descending, 400, "not-canonical", "event_batch.entries[1].subject", "must ascend"},
    {"entry-twice", entry_twice, 400, "not-canonical", "event_batch.entries[1].start", "must ascend"},
    {"uncovered", uncovered, 400, "invalid", "event_batch.entries", "item 1 is covered by no entry"},
    {"beyond", beyond, 400, "invalid", "event_batch.entries[0].count", "end within the items"},
    {"backwards", backwards, 400, "invalid", "event_batch.entries[0].first_ms", "is after last_ms"},
    {"many-subjects", many_subjects, 413, "too-large", "event_batch.entries", "65 subjects, the limit is 64"},
    {"large-item", large_item, 413, "too-large", "items[0]", "at most 65536"},
    {"large-statement", large_statement, 413, "too-large", "statement", "1 to 262144"},
    {"unknown-in-body", unknown_in_body, 400, "invalid", "body", "field 31"},
    {"unknown-in-batch", unknown_in_batch, 400, "invalid", "event_batch", "field 9"},
    {"unknown-outside", unknown_outside, 400, "invalid", "items[2]", "not field 3"},
    {"long-varint", long_varint, 400, "not-canonical", "body", "minimal varints"},
    {"long-length", long_length, 400, "not-canonical", "statement", "canonical form"},
    {"swapped", swapped, 400, "not-canonical", "body", "ascending fields"},
    {"default-written", default_written, 400, "not-canonical", "body", "no defaults"},
    {"cut-short", cut_short, 400, "invalid", "items[1]", "not field 3"},
};

typedef struct chain {
    cn_key_file key;
    cn_digest network, previous;
    uint64_t sequence;
} chain;

static void read_chain(char **argv, chain *c)
{
    cn_err err;
    cn_buf text = slurp(argv[1], CN_KEY_FILE_MAX);
    if (cn_key_file_parse((const char *)text.p, text.n, &c->key, &err) != CN_OK)
        die(argv[1], &err);
    cn_buf_free(&text);
    c->network = network_of(argv[0]);
    c->sequence = strtoull(argv[2], NULL, 10);
    if (!cn_unhex(argv[3], strlen(argv[3]), c->previous.b, CN_DIGEST_LEN))
        die("PREVIOUS is not 64 hexadecimal digits", NULL);
}

static void write_draft(draft *d, const char *dir, const char *name, cn_digest *ret_id)
{
    cn_buf out = seal(d, ret_id);
    spill(dir, name, &out);
    cn_buf_free(&out);
    drop_items(d);
}

static int statements(char **argv)
{
    chain c;
    draft d;
    cn_digest good;
    read_chain(argv, &c);
    start_good(&d, &c.key, &c.network, c.sequence + 1, &c.previous);
    write_draft(&d, argv[4], "good", &good);
    start_good(&d, &c.key, &c.network, c.sequence + 2, &good);
    write_draft(&d, argv[4], "next", NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct bad *b = &bad[i];
        start_good(&d, &c.key, &c.network, c.sequence + 1, &c.previous);
        b->make(&d);
        write_draft(&d, argv[4], b->name, NULL);
        printf("%s\t%d\t%s\t%s\t%s\n", b->name, b->status, b->type, b->field, b->detail);
    }
    cn_key_file_wipe(&c.key);
    return 0;
}

static int good_chain(char **argv)
{
    chain c;
    draft d;
    char name[24];
    read_chain(argv, &c);
    unsigned long count = strtoul(argv[5], NULL, 10), bytes = strtoul(argv[6], NULL, 10);
    for (unsigned long i = 1; i <= count; i++) {
        start_good(&d, &c.key, &c.network, c.sequence + i, &c.previous);
        drop_items(&d);
        put_item(&d, CN_ITEM_NATIVE, (uint8_t)i, bytes);
        settle(&d);
        d.entries = 1;
        d.entry[0].count = 1;
        snprintf(name, sizeof name, "%lu", i);
        write_draft(&d, argv[4], name, &c.previous);
        printf("%s\n", cn_digest_hex(&c.previous).s);
    }
    cn_key_file_wipe(&c.key);
    return 0;
}

/* ---- strangers at the peer port ---- */

static int call(const char *port)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&where, sizeof where) != 0)
        die("connect", NULL);
    return fd;
}

/* Everything that still comes is read; false: the connection is open after so long. */
static bool closed_within(int fd, int ms)
{
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint8_t bytes[512];
        clock_gettime(CLOCK_MONOTONIC, &now);
        int left = ms - (int)((now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000);
        if (left <= 0 || poll(&p, 1, left) <= 0)
            return false;
        if (recv(fd, bytes, sizeof bytes, 0) <= 0)
            return true;
    }
}

static bool send_all(int fd, const void *p, size_t n)
{
    return send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool send_framed(int fd, const uint8_t *p, size_t n)
{
    uint8_t head[4];
    cn_store_u32(head, (uint32_t)n);
    return send_all(fd, head, sizeof head) && send_all(fd, p, n);
}

static bool receive_framed(int fd, uint8_t *p, size_t max, size_t *ret_n)
{
    uint8_t head[4];
    if (recv(fd, head, sizeof head, MSG_WAITALL) != (ssize_t)sizeof head)
        return false;
    *ret_n = cn_load_u32(head);
    return *ret_n <= max && recv(fd, p, *ret_n, MSG_WAITALL) == (ssize_t)*ret_n;
}

/* A whole handshake with a key that no member has. */
static void shake_hands(int fd, const char *genesis)
{
    uint8_t prologue[64] = "carnet/peer/1", secret[32], message[CN_NOISE_HANDSHAKE_MAX];
    uint8_t payload[CN_NOISE_HANDSHAKE_MAX];
    cn_secret_key random;
    size_t n = 0, payload_len = 0;
    cn_digest network = network_of(genesis);
    memcpy(prologue + 13, network.b, CN_DIGEST_LEN);
    if (cn_secret_key_generate(CN_KEY_ED25519, &random, NULL) != CN_OK)
        die("keygen", NULL);
    memcpy(secret, random.secret, sizeof secret);
    cn_noise_handshake *h = cn_noise_begin(true, secret, prologue, 45);
    if (!h || !cn_noise_write(h, NULL, 0, message, &n) || !send_framed(fd, message, n) ||
        !receive_framed(fd, message, sizeof message, &n) || !cn_noise_read(h, message, n, payload, &payload_len) ||
        !cn_noise_write(h, NULL, 0, message, &n) || !send_framed(fd, message, n))
        die("the node did not go through the handshake up to the message that carries the key", NULL);
    cn_noise_end(h);
}

static void drip(int fd)
{
    static const uint8_t head[36] = {0, 0, 0, 32};
    struct timespec pause = {.tv_nsec = 500000000L};
    for (size_t i = 0; i < sizeof head && send_all(fd, head + i, 1); i++)
        nanosleep(&pause, NULL);
}

static int peer(char **argv)
{
    static uint8_t bytes[70000];
    const char *manner = argv[2];
    uint64_t x = 88172645463325252u;
    int fd = call(argv[0]), patience = 12000;
    for (size_t i = 0; i < sizeof bytes; i++) { /* xorshift: the same bytes at each run */
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes[i] = (uint8_t)x;
    }
    if (strcmp(manner, "garbage") == 0)
        (void)send_all(fd, bytes, 4096);
    else if (strcmp(manner, "garbage-frame") == 0) /* a low-order point as the ephemeral key */
        (void)send_framed(fd, (const uint8_t[32]){0}, 32);
    else if (strcmp(manner, "http") == 0)
        (void)send_all(fd, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", 37);
    else if (strcmp(manner, "oversize") == 0)
        (void)send_all(fd, (const uint8_t[4]){0x7f, 0xff, 0xff, 0xff}, 4);
    else if (strcmp(manner, "empty-frame") == 0)
        (void)send_all(fd, (const uint8_t[4]){0}, 4);
    else if (strcmp(manner, "stranger") == 0)
        shake_hands(fd, argv[1]);
    else if (strcmp(manner, "half") == 0)
        (void)send_framed(fd, bytes, 32); /* any 32 bytes are an ephemeral key; then nothing */
    else if (strcmp(manner, "drip") == 0)
        drip(fd); /* 18 s for one frame */
    else
        die("there is no such manner", NULL);
    bool closed = closed_within(fd, strcmp(manner, "drip") == 0 ? 1 : patience);
    close(fd);
    return closed ? 0 : 1;
}

static int crowd(char **argv)
{
    enum { MOST = 200 };
    struct timespec pause = {.tv_nsec = 2000000L};
    int fd[MOST];
    size_t count = strtoul(argv[1], NULL, 10), open = 0;
    char byte;
    CN_ASSERT(count <= MOST);
    for (size_t i = 0; i < count; i++) {
        fd[i] = call(argv[0]);
        nanosleep(&pause, NULL);
    }
    for (size_t i = 0; i < count; i++)
        open += !closed_within(fd[i], 20);
    printf("%zu\n", open);
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "statements") == 0 && argc == 7)
        return statements(argv + 2);
    if (strcmp(what, "chain") == 0 && argc == 9)
        return good_chain(argv + 2);
    if (strcmp(what, "peer") == 0 && argc == 5)
        return peer(argv + 2);
    if (strcmp(what, "crowd") == 0 && argc == 4)
        return crowd(argv + 2);
    fprintf(stderr, "badclient: see the beginning of badclient.c\n");
    return 2;
}

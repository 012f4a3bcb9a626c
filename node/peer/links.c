/* Threads: one listener, one per dialled peer, one per accepted connection, one writer per peer. All block on nng's
 * asynchronous operations, which stopping cancels. */
#include "node/peer/links.h"

#include "node/peer/noise.h"
#include "proto/bytes.h"
#include "proto/key.h"
#include "proto/limits.h"

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HANDSHAKE_MS 5000
#define SILENCE_MS 15000
#define PING_MS 3000
#define BACKOFF_MIN_MS 100u
#define BACKOFF_MAX_MS 5000u
#define MAX_STRANGERS 32u /* connections that are not identified yet */
#define MESSAGE_HEAD 5u   /* type u8 | length u32 */
#define PLAIN_MAX (CN_NOISE_MESSAGE_MAX - CN_NOISE_TAG)
#define TYPE_PING 0xfe
#define TYPE_PONG 0xff

typedef struct outgoing {
    struct outgoing *next;
    size_t n;
    uint8_t bytes[];
} outgoing;

typedef struct fifo {
    outgoing *head, *tail;
} fifo;

/* A live connection: shared by its reader and the peer's writer. */
typedef struct connection {
    nng_stream *stream;
    nng_aio *send_aio, *receive_aio;
    cn_noise_cipher send, receive;
    uint64_t deadline_us; /* until the peer is known: when the handshake ends, however slowly bytes come; 0: none */
    atomic_int refs;
    atomic_bool closed;
} connection;

typedef struct peer {
    cn_links *links;
    unsigned index;
    cn_peer_address where;
    pthread_t writer, dialer;
    bool has_dialer;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    fifo urgent, bulk;
    size_t queued;
    connection *conn; /* NULL: down */
    cn_link_info info;
    uint64_t ping_sent_us;
} peer;

struct cn_links {
    cn_links_options opt;
    cn_digest network;
    uint8_t secret[32], public_key[32], prologue[64];
    size_t prologue_len, peer_count, queue_bytes;
    peer *peer;
    nng_stream_listener *listener;
    nng_aio *accept_aio;
    pthread_t acceptor;
    atomic_bool stopping;
    atomic_uint strangers;
    atomic_ullong refused;
    uint16_t port;
};

static uint64_t now_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void sleep_ms(cn_links *links, unsigned ms)
{
    for (unsigned slept = 0; slept < ms && !atomic_load(&links->stopping); slept += 20)
        nng_msleep(20);
}

/* ---- bytes over a stream ---- */

static void connection_unref(connection *c)
{
    if (atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    nng_stream_close(c->stream);
    nng_aio_free(c->send_aio);
    nng_aio_free(c->receive_aio);
    nng_stream_free(c->stream);
    sodium_memzero(c, sizeof *c);
    free(c);
}

static void connection_close(connection *c)
{
    if (!atomic_exchange(&c->closed, true))
        nng_stream_close(c->stream);
}

static connection *connection_new(nng_stream *stream)
{
    connection *c = calloc(1, sizeof *c);
    if (!c || nng_aio_alloc(&c->send_aio, NULL, NULL) != 0 || nng_aio_alloc(&c->receive_aio, NULL, NULL) != 0) {
        if (c && c->send_aio)
            nng_aio_free(c->send_aio);
        free(c);
        nng_stream_close(stream);
        nng_stream_free(stream);
        return NULL;
    }
    c->stream = stream;
    atomic_init(&c->refs, 1);
    (void)nng_stream_set_bool(stream, NNG_OPT_TCP_NODELAY, true);
    return c;
}

static bool transfer(connection *c, bool sending, uint8_t *p, size_t n, int timeout_ms)
{
    nng_aio *aio = sending ? c->send_aio : c->receive_aio;
    while (n > 0) {
        nng_iov iov = {.iov_buf = p, .iov_len = n};
        if (c->deadline_us) {
            uint64_t now = now_us(CLOCK_MONOTONIC);
            if (now >= c->deadline_us)
                return false;
            timeout_ms = (int)((c->deadline_us - now) / 1000) + 1;
        }
        nng_aio_set_timeout(aio, timeout_ms);
        if (atomic_load(&c->closed) || nng_aio_set_iov(aio, 1, &iov) != 0)
            return false;
        if (sending)
            nng_stream_send(c->stream, aio);
        else
            nng_stream_recv(c->stream, aio);
        nng_aio_wait(aio);
        if (nng_aio_result(aio) != 0)
            return false;
        size_t done = nng_aio_count(aio);
        p += done;
        n -= done;
    }
    return true;
}

static bool send_frame(connection *c, uint8_t *framed, size_t n, int timeout_ms)
{
    cn_store_u32(framed, (uint32_t)n);
    return transfer(c, true, framed, 4 + n, timeout_ms);
}

/* The length is checked against the cap before a byte of the body is read. */
static bool receive_frame(connection *c, uint8_t *out, size_t max, size_t *ret_len, int timeout_ms)
{
    uint8_t head[4];
    if (!transfer(c, false, head, sizeof head, timeout_ms))
        return false;
    size_t n = cn_load_u32(head);
    if (n == 0 || n > max)
        return false;
    *ret_len = n;
    return transfer(c, false, out, n, timeout_ms);
}

/* ---- handshake ---- */

static peer *peer_of_key(cn_links *links, const uint8_t key[32])
{
    for (size_t i = 0; i < links->peer_count; i++)
        if (memcmp(links->peer[i].where.channel_key, key, 32) == 0)
            return &links->peer[i];
    return NULL;
}

/* Identifies the peer; the initiator demands the one it dialled. NULL: refused. */
static peer *shake_hands(cn_links *links, connection *c, bool initiator, const peer *expected)
{
    cn_noise_handshake *h = cn_noise_begin(initiator, links->secret, links->prologue, links->prologue_len);
    uint8_t framed[4 + CN_NOISE_HANDSHAKE_MAX], payload[CN_NOISE_HANDSHAKE_MAX], key[32];
    peer *found = NULL;
    bool ok = h != NULL;
    c->deadline_us = now_us(CLOCK_MONOTONIC) + HANDSHAKE_MS * 1000u;
    while (ok && !cn_noise_done(h)) {
        size_t n = 0;
        if (cn_noise_my_turn(h)) {
            /* the initiator learns the responder's key before it gives its own away */
            if (initiator && cn_noise_remote(h, key) && (found = peer_of_key(links, key)) != expected)
                ok = false;
            ok = ok && cn_noise_write(h, NULL, 0, framed + 4, &n) && send_frame(c, framed, n, HANDSHAKE_MS);
        } else {
            size_t payload_len = 0;
            ok = receive_frame(c, framed, CN_NOISE_HANDSHAKE_MAX, &n, HANDSHAKE_MS) &&
                 cn_noise_read(h, framed, n, payload, &payload_len) && payload_len == 0;
        }
    }
    found = ok && cn_noise_remote(h, key) ? peer_of_key(links, key) : NULL;
    if (found)
        cn_noise_split(h, &c->send, &c->receive);
    cn_noise_end(h);
    c->deadline_us = 0;
    return found;
}

/* ---- reading ---- */

typedef struct assembly { /* the stream of messages inside the frames */
    uint8_t head[MESSAGE_HEAD];
    size_t head_n, body_n, body_len, body_cap;
    uint8_t *body;
} assembly;

static void on_control(peer *p, uint8_t type, const uint8_t *payload, size_t n)
{
    if (type == TYPE_PING && n == 8)
        cn_links_send(p->links, p->index, TYPE_PONG, payload, n, true);
    if (type == TYPE_PONG && n == 8) {
        uint64_t then = cn_load_u64(payload), now = now_us(CLOCK_MONOTONIC);
        pthread_mutex_lock(&p->lock);
        if (then == p->ping_sent_us && now > then)
            p->info.rtt_us = p->info.rtt_us ? (7 * p->info.rtt_us + (now - then)) / 8 : now - then;
        pthread_mutex_unlock(&p->lock);
    }
}

static void deliver(peer *p, assembly *a)
{
    uint8_t type = a->head[0];
    pthread_mutex_lock(&p->lock);
    p->info.received++;
    pthread_mutex_unlock(&p->lock);
    if (type >= TYPE_PING)
        on_control(p, type, a->body, a->body_len);
    else
        p->links->opt.on_message(p->links->opt.ctx, p->index, type, a->body, a->body_len);
    a->head_n = a->body_n = 0;
}

/* False: a length beyond the limit. */
static bool feed(peer *p, assembly *a, const uint8_t *bytes, size_t n)
{
    while (n > 0 || (a->head_n == MESSAGE_HEAD && a->body_n == a->body_len)) {
        if (a->head_n < MESSAGE_HEAD) {
            a->head[a->head_n++] = *bytes++;
            n--;
            if (a->head_n < MESSAGE_HEAD)
                continue;
            a->body_len = cn_load_u32(a->head + 1);
            a->body_n = 0;
            if (a->body_len > CN_MAX_MESSAGE_BYTES)
                return false;
            if (a->body_len > a->body_cap) {
                uint8_t *grown = realloc(a->body, a->body_len);
                if (!grown)
                    return false;
                a->body = grown;
                a->body_cap = a->body_len;
            }
        }
        size_t take = a->body_len - a->body_n < n ? a->body_len - a->body_n : n;
        if (take)
            memcpy(a->body + a->body_n, bytes, take);
        a->body_n += take;
        bytes += take;
        n -= take;
        if (a->body_n == a->body_len)
            deliver(p, a);
    }
    return true;
}

static void read_until_end(peer *p, connection *c)
{
    uint8_t *sealed = malloc(CN_NOISE_MESSAGE_MAX), *plain = malloc(CN_NOISE_MESSAGE_MAX);
    assembly a = {0};
    size_t n = 0;
    const char *why = "closed by the peer";
    while (sealed && plain && receive_frame(c, sealed, CN_NOISE_MESSAGE_MAX, &n, SILENCE_MS)) {
        if (!cn_noise_decrypt(&c->receive, sealed, n, plain)) {
            why = "a frame was not authentic";
            break;
        }
        pthread_mutex_lock(&p->lock);
        p->info.received_bytes += n + 4;
        p->info.last_heard_ms = now_us(CLOCK_REALTIME) / 1000;
        pthread_mutex_unlock(&p->lock);
        if (!feed(p, &a, plain, n - CN_NOISE_TAG)) {
            why = "a message exceeded the limit";
            break;
        }
    }
    pthread_mutex_lock(&p->lock);
    snprintf(p->info.last_error, sizeof p->info.last_error, "%s", why);
    pthread_mutex_unlock(&p->lock);
    free(a.body);
    free(sealed);
    free(plain);
}

/* ---- a link's life ---- */

static void drop_queue(fifo *q)
{
    while (q->head) {
        outgoing *o = q->head;
        q->head = o->next;
        free(o);
    }
    q->tail = NULL;
}

/* The newest connection of a peer wins; what was queued for the old one is gone with it. */
static void attach(peer *p, connection *c)
{
    pthread_mutex_lock(&p->lock);
    connection *old = p->conn;
    p->conn = c;
    atomic_fetch_add(&c->refs, 1);
    drop_queue(&p->urgent);
    drop_queue(&p->bulk);
    p->queued = 0;
    p->info.up = true;
    p->info.up_since_ms = p->info.last_heard_ms = now_us(CLOCK_REALTIME) / 1000;
    pthread_cond_signal(&p->filled);
    pthread_mutex_unlock(&p->lock);
    if (old) {
        connection_close(old);
        connection_unref(old);
    }
    p->links->opt.on_change(p->links->opt.ctx, p->index, true);
}

static void detach(peer *p, connection *c)
{
    pthread_mutex_lock(&p->lock);
    bool current = p->conn == c;
    if (current) {
        p->conn = NULL;
        p->info.up = false;
    }
    pthread_mutex_unlock(&p->lock);
    connection_close(c);
    if (current) {
        connection_unref(c);
        p->links->opt.on_change(p->links->opt.ctx, p->index, false);
    }
}

static void run_link(peer *p, connection *c)
{
    attach(p, c);
    read_until_end(p, c);
    detach(p, c);
}

static void note_failure(peer *p, const char *text)
{
    pthread_mutex_lock(&p->lock);
    p->info.failures++;
    snprintf(p->info.last_error, sizeof p->info.last_error, "%s", text);
    pthread_mutex_unlock(&p->lock);
}

/* ---- writing ---- */

static outgoing *take(fifo *q)
{
    outgoing *o = q->head;
    if (o) {
        q->head = o->next;
        if (!q->head)
            q->tail = NULL;
    }
    return o;
}

/* Waits for something to send; fills plain with whole messages and the beginning of a long one. */
static connection *next_batch(peer *p, uint8_t *plain, size_t *ret_n, outgoing **rest, size_t *rest_at)
{
    struct timespec until;
    pthread_mutex_lock(&p->lock);
    while (!atomic_load(&p->links->stopping) && (!p->conn || (!p->urgent.head && !p->bulk.head && !*rest))) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += PING_MS / 1000;
        if (pthread_cond_timedwait(&p->filled, &p->lock, &until) != 0 && p->conn)
            break;
    }
    connection *c = p->conn;
    if (atomic_load(&p->links->stopping) || !c) {
        pthread_mutex_unlock(&p->lock);
        return NULL;
    }
    atomic_fetch_add(&c->refs, 1);
    size_t n = 0;
    while (n < PLAIN_MAX) {
        if (!*rest) {
            *rest = p->urgent.head ? take(&p->urgent) : take(&p->bulk);
            *rest_at = 0;
            if (!*rest)
                break;
            p->queued -= (*rest)->n;
        }
        size_t chunk = (*rest)->n - *rest_at < PLAIN_MAX - n ? (*rest)->n - *rest_at : PLAIN_MAX - n;
        memcpy(plain + n, (*rest)->bytes + *rest_at, chunk);
        n += chunk;
        *rest_at += chunk;
        if (*rest_at == (*rest)->n) {
            free(*rest);
            *rest = NULL;
            p->info.sent++;
        }
    }
    pthread_mutex_unlock(&p->lock);
    *ret_n = n;
    return c;
}

static size_t ping(peer *p, uint8_t *plain)
{
    plain[0] = TYPE_PING;
    cn_store_u32(plain + 1, 8);
    pthread_mutex_lock(&p->lock);
    p->ping_sent_us = now_us(CLOCK_MONOTONIC);
    cn_store_u64(plain + MESSAGE_HEAD, p->ping_sent_us);
    pthread_mutex_unlock(&p->lock);
    return MESSAGE_HEAD + 8;
}

static void *write_loop(void *arg)
{
    peer *p = arg;
    uint8_t *plain = malloc(PLAIN_MAX), *framed = malloc(4 + CN_NOISE_MESSAGE_MAX);
    outgoing *rest = NULL;
    size_t rest_at = 0;
    connection *last = NULL;
    uint64_t pinged_us = 0;
    while (plain && framed && !atomic_load(&p->links->stopping)) {
        size_t n = 0;
        connection *c = next_batch(p, plain, &n, &rest, &rest_at);
        if (!c)
            continue;
        if (c != last) { /* a message that was half sent ends with its connection */
            if (rest && rest_at > 0 && last) {
                free(rest);
                rest = NULL;
                n = 0;
            }
            last = c;
        }
        if (rest == NULL && n + MESSAGE_HEAD + 8 <= PLAIN_MAX &&
            now_us(CLOCK_MONOTONIC) >= pinged_us + PING_MS * 1000u) {
            n += ping(p, plain + n);
            pinged_us = now_us(CLOCK_MONOTONIC);
        }
        if (n > 0 && (!cn_noise_encrypt(&c->send, plain, n, framed + 4) ||
                      !send_frame(c, framed, n + CN_NOISE_TAG, SILENCE_MS))) {
            connection_close(c);
            free(rest);
            rest = NULL;
        } else if (n > 0) {
            pthread_mutex_lock(&p->lock);
            p->info.sent_bytes += n + 4 + CN_NOISE_TAG;
            pthread_mutex_unlock(&p->lock);
        }
        connection_unref(c);
    }
    free(rest);
    free(plain);
    free(framed);
    return NULL;
}

bool cn_links_send(cn_links *links, unsigned index, uint8_t type, const void *payload, size_t n, bool urgent)
{
    CN_ASSERT(index < links->peer_count && n <= CN_MAX_MESSAGE_BYTES);
    peer *p = &links->peer[index];
    outgoing *o = malloc(sizeof *o + MESSAGE_HEAD + n);
    if (!o)
        return false;
    *o = (outgoing){.n = MESSAGE_HEAD + n};
    o->bytes[0] = type;
    cn_store_u32(o->bytes + 1, (uint32_t)n);
    if (n)
        memcpy(o->bytes + MESSAGE_HEAD, payload, n);
    pthread_mutex_lock(&p->lock);
    bool fits = p->conn && p->queued + o->n <= links->queue_bytes;
    if (fits) {
        fifo *q = urgent ? &p->urgent : &p->bulk;
        if (q->tail)
            q->tail->next = o;
        else
            q->head = o;
        q->tail = o;
        p->queued += o->n;
        pthread_cond_signal(&p->filled);
    } else {
        p->info.dropped++;
    }
    pthread_mutex_unlock(&p->lock);
    if (!fits)
        free(o);
    return fits;
}

void cn_links_broadcast(cn_links *links, uint8_t type, const void *payload, size_t n, bool urgent)
{
    for (unsigned i = 0; i < links->peer_count; i++)
        if (links->peer[i].where.address[0] || links->peer[i].conn)
            (void)cn_links_send(links, i, type, payload, n, urgent);
}

/* ---- dialling and accepting ---- */

static connection *dial(peer *p)
{
    char url[300];
    nng_stream_dialer *dialer = NULL;
    nng_aio *aio = NULL;
    connection *c = NULL;
    snprintf(url, sizeof url, "tcp://%s", p->where.address);
    int rc = nng_stream_dialer_alloc(&dialer, url);
    if (rc == 0)
        rc = nng_aio_alloc(&aio, NULL, NULL);
    if (rc == 0) {
        nng_aio_set_timeout(aio, HANDSHAKE_MS);
        nng_stream_dialer_dial(dialer, aio);
        nng_aio_wait(aio);
        rc = nng_aio_result(aio);
    }
    if (rc == 0)
        c = connection_new(nng_aio_get_output(aio, 0));
    else
        note_failure(p, nng_strerror(rc));
    if (aio)
        nng_aio_free(aio);
    if (dialer)
        nng_stream_dialer_free(dialer);
    return c;
}

static void *dial_loop(void *arg)
{
    peer *p = arg;
    unsigned backoff = BACKOFF_MIN_MS;
    while (!atomic_load(&p->links->stopping)) {
        connection *c = dial(p);
        if (c) {
            if (shake_hands(p->links, c, true, p) == p) {
                backoff = BACKOFF_MIN_MS;
                run_link(p, c);
            } else {
                note_failure(p, "the handshake failed: another key, another network, or this node is not known there");
            }
            connection_close(c);
            connection_unref(c);
        }
        sleep_ms(p->links, backoff + randombytes_uniform(backoff / 2 + 1));
        backoff = backoff * 2 < BACKOFF_MAX_MS ? backoff * 2 : BACKOFF_MAX_MS;
    }
    return NULL;
}

typedef struct stranger {
    cn_links *links;
    connection *c;
} stranger;

static void *greet(void *arg)
{
    stranger *s = arg;
    cn_links *links = s->links;
    connection *c = s->c;
    free(s);
    peer *p = shake_hands(links, c, false, NULL);
    if (p && !atomic_load(&links->stopping)) {
        run_link(p, c);
    } else {
        atomic_fetch_add(&links->refused, 1);
        sleep_ms(links, 500); /* who is refused does not come back at once: its place stays taken */
    }
    connection_close(c);
    connection_unref(c);
    atomic_fetch_sub(&links->strangers, 1);
    return NULL;
}

static void *accept_loop(void *arg)
{
    cn_links *links = arg;
    while (!atomic_load(&links->stopping)) {
        nng_stream_listener_accept(links->listener, links->accept_aio);
        nng_aio_wait(links->accept_aio);
        int rc = nng_aio_result(links->accept_aio);
        if (rc != 0) {
            sleep_ms(links, rc == NNG_ECLOSED ? 1 : 50);
            continue;
        }
        connection *c = connection_new(nng_aio_get_output(links->accept_aio, 0));
        stranger *s = c ? malloc(sizeof *s) : NULL;
        pthread_t thread;
        if (!s || atomic_load(&links->strangers) >= MAX_STRANGERS + links->peer_count) {
            atomic_fetch_add(&links->refused, 1);
            free(s);
            if (c)
                connection_unref(c);
            continue;
        }
        *s = (stranger){links, c};
        atomic_fetch_add(&links->strangers, 1);
        if (pthread_create(&thread, NULL, greet, s) == 0) {
            pthread_detach(thread);
        } else {
            atomic_fetch_sub(&links->strangers, 1);
            connection_unref(c);
            free(s);
        }
    }
    return NULL;
}

static cn_status listen_on(cn_links *links, const char *address, cn_err *err)
{
    char url[300];
    int port = 0;
    snprintf(url, sizeof url, "tcp://%s", address);
    int rc = nng_stream_listener_alloc(&links->listener, url);
    if (rc == 0)
        rc = nng_stream_listener_listen(links->listener);
    if (rc == 0)
        rc = nng_aio_alloc(&links->accept_aio, NULL, NULL);
    if (rc != 0)
        return cn_fail(err, CN_IO, "peer.listen",
                       "cannot listen on %s: %s; stop the owner of the port or set peer.listen", address,
                       nng_strerror(rc));
    if (nng_stream_listener_get_int(links->listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0)
        links->port = (uint16_t)port;
    return CN_OK;
}

cn_status cn_links_start(const cn_links_options *options, cn_links **ret, cn_err *err)
{
    cn_links *links = calloc(1, sizeof *links);
    if (!links)
        return cn_fail(err, CN_NO_MEMORY, "links", "out of memory");
    links->opt = *options;
    links->queue_bytes = options->queue_bytes;
    memcpy(links->secret, options->channel_secret, 32);
    cn_x25519_public(links->secret, links->public_key);
    memcpy(links->prologue, "carnet/peer/1", 13);
    memcpy(links->prologue + 13, options->network.b, 32);
    links->prologue_len = 45;
    links->peer = calloc(options->peer_count + 1, sizeof *links->peer);
    cn_status st =
        links->peer ? listen_on(links, options->listen, err) : cn_fail(err, CN_NO_MEMORY, "links", "out of memory");
    if (st != CN_OK) {
        if (links->listener)
            nng_stream_listener_free(links->listener);
        free(links->peer);
        free(links);
        return st;
    }
    links->peer_count = options->peer_count;
    for (unsigned i = 0; i < links->peer_count; i++) {
        peer *p = &links->peer[i];
        p->links = links;
        p->index = i;
        p->where = options->peer[i];
        pthread_mutex_init(&p->lock, NULL);
        pthread_cond_init(&p->filled, NULL);
    }
    for (unsigned i = 0; i < links->peer_count; i++) {
        peer *p = &links->peer[i];
        bool self = memcmp(p->where.channel_key, links->public_key, 32) == 0;
        CN_ASSERT(pthread_create(&p->writer, NULL, write_loop, p) == 0);
        p->has_dialer = !self && p->where.address[0] && memcmp(links->public_key, p->where.channel_key, 32) < 0;
        if (p->has_dialer)
            CN_ASSERT(pthread_create(&p->dialer, NULL, dial_loop, p) == 0);
    }
    CN_ASSERT(pthread_create(&links->acceptor, NULL, accept_loop, links) == 0);
    *ret = links;
    return CN_OK;
}

void cn_links_stop(cn_links *links)
{
    if (!links)
        return;
    atomic_store(&links->stopping, true);
    nng_stream_listener_close(links->listener);
    nng_aio_cancel(links->accept_aio);
    pthread_join(links->acceptor, NULL);
    for (size_t i = 0; i < links->peer_count; i++) {
        peer *p = &links->peer[i];
        pthread_mutex_lock(&p->lock);
        if (p->conn)
            connection_close(p->conn);
        pthread_cond_signal(&p->filled);
        pthread_mutex_unlock(&p->lock);
    }
    for (size_t i = 0; i < links->peer_count; i++) {
        pthread_join(links->peer[i].writer, NULL);
        if (links->peer[i].has_dialer)
            pthread_join(links->peer[i].dialer, NULL);
    }
    while (atomic_load(&links->strangers) > 0) /* detached greeters end within the handshake's deadline */
        nng_msleep(10);
    for (size_t i = 0; i < links->peer_count; i++) {
        peer *p = &links->peer[i];
        drop_queue(&p->urgent);
        drop_queue(&p->bulk);
        pthread_mutex_destroy(&p->lock);
        pthread_cond_destroy(&p->filled);
    }
    nng_aio_free(links->accept_aio);
    nng_stream_listener_free(links->listener);
    sodium_memzero(links->secret, sizeof links->secret);
    free(links->peer);
    free(links);
}

uint16_t cn_links_port(const cn_links *links)
{
    return links->port;
}

void cn_links_info(cn_links *links, unsigned index, cn_link_info *ret)
{
    peer *p = &links->peer[index];
    pthread_mutex_lock(&p->lock);
    *ret = p->info;
    pthread_mutex_unlock(&p->lock);
}

uint64_t cn_links_refused(cn_links *links)
{
    return atomic_load(&links->refused);
}

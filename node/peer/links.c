/* Threads: one listener, one per accepted connection, and for every slot that was ever set a writer and a dialler. All
 * block on nng's asynchronous operations, which stopping cancels. */
#include "node/peer/links.h"

#include "node/peer/connection.h"
#include "proto/key.h"
#include "proto/limits.h"

#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PING_MS 3000
#define BACKOFF_MIN_MS 100u
#define BACKOFF_MAX_MS 5000u
#define LATE_DIAL_US 3000000u /* the side that need not dial does so when the other one has not for so long */
#define MAX_STRANGERS 32u     /* connections that are not identified yet, or of unknown keys */
#define STRANGER_MS 5000u
#define STRANGER_MESSAGES 4u
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

typedef struct peer {
    cn_links *links;
    unsigned slot;
    pthread_t writer, dialer;
    bool has_threads; /* of the thread that sets peers */
    pthread_mutex_t lock;
    pthread_cond_t filled;
    /* under the lock */
    bool set;
    cn_peer_address where;
    fifo urgent, bulk;
    size_t queued;
    cn_connection *conn; /* NULL: down */
    uint64_t generation; /* of conn */
    cn_link_info info;
    uint64_t ping_sent_us, down_since_us;
    uint64_t held_until_us; /* nothing is linked before */
} peer;

struct cn_links {
    cn_links_options opt;
    pthread_mutex_t self_lock;
    cn_identity self; /* under its lock */
    peer peer[CN_LINK_SLOTS];
    nng_stream_listener *listener;
    nng_aio *accept_aio;
    pthread_t acceptor;
    atomic_bool stopping;
    atomic_uint strangers, set_count;
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

static peer *peer_of_key(cn_links *links, const uint8_t key[32])
{
    peer *found = NULL;
    for (unsigned i = 0; i < CN_LINK_SLOTS && !found; i++) {
        peer *p = &links->peer[i];
        pthread_mutex_lock(&p->lock);
        if (p->set && memcmp(p->where.channel_key, key, 32) == 0)
            found = p;
        pthread_mutex_unlock(&p->lock);
    }
    return found;
}

static bool shake(cn_links *links, cn_connection *c, bool initiator, uint8_t ret_remote[32])
{
    pthread_mutex_lock(&links->self_lock);
    cn_identity self = links->self;
    pthread_mutex_unlock(&links->self_lock);
    bool ok = cn_connection_shake(c, &self, initiator, ret_remote);
    sodium_memzero(&self, sizeof self);
    return ok;
}

/* ---- reading ---- */

static void on_control(peer *p, uint8_t type, const uint8_t *payload, size_t n)
{
    if (type == TYPE_PING && n == 8)
        cn_links_send(p->links, p->slot, TYPE_PONG, payload, n, true);
    if (type == TYPE_PONG && n == 8) {
        uint64_t then = cn_load_u64(payload), now = now_us(CLOCK_MONOTONIC);
        pthread_mutex_lock(&p->lock);
        if (then == p->ping_sent_us && now > then)
            p->info.rtt_us = p->info.rtt_us ? (7 * p->info.rtt_us + (now - then)) / 8 : now - then;
        pthread_mutex_unlock(&p->lock);
    }
}

static bool deliver(void *ctx, uint8_t type, const uint8_t *payload, size_t n)
{
    peer *p = ctx;
    pthread_mutex_lock(&p->lock);
    p->info.received++;
    pthread_mutex_unlock(&p->lock);
    if (type >= TYPE_PING)
        on_control(p, type, payload, n);
    else
        p->links->opt.on_message(p->links->opt.ctx, p->slot, type, payload, n);
    return true;
}

static void on_bytes(void *ctx, size_t n)
{
    peer *p = ctx;
    pthread_mutex_lock(&p->lock);
    p->info.received_bytes += n;
    p->info.last_heard_ms = now_us(CLOCK_REALTIME) / 1000;
    pthread_mutex_unlock(&p->lock);
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

/* The newest connection of a peer wins; what was queued for the old one is gone with it. False: the slot has changed
 * hands since the handshake. */
static bool attach(peer *p, cn_connection *c, const uint8_t key[32])
{
    pthread_mutex_lock(&p->lock);
    bool current = p->set && memcmp(p->where.channel_key, key, 32) == 0 && now_us(CLOCK_MONOTONIC) >= p->held_until_us;
    cn_connection *old = p->conn;
    if (current) {
        p->conn = c;
        p->generation++;
        atomic_fetch_add(&c->refs, 1);
        drop_queue(&p->urgent);
        drop_queue(&p->bulk);
        p->queued = 0;
        p->info.up = true;
        p->info.up_since_ms = p->info.last_heard_ms = now_us(CLOCK_REALTIME) / 1000;
        pthread_cond_signal(&p->filled);
    }
    pthread_mutex_unlock(&p->lock);
    if (current && old) {
        cn_connection_close(old);
        cn_connection_unref(old);
    }
    if (current)
        p->links->opt.on_change(p->links->opt.ctx, p->slot, true);
    return current;
}

static void detach(peer *p, cn_connection *c, const char *why)
{
    pthread_mutex_lock(&p->lock);
    bool current = p->conn == c;
    if (current) {
        p->conn = NULL;
        p->info.up = false;
        p->down_since_us = now_us(CLOCK_MONOTONIC);
    }
    snprintf(p->info.last_error, sizeof p->info.last_error, "%s", why);
    pthread_mutex_unlock(&p->lock);
    cn_connection_close(c);
    if (current) {
        cn_connection_unref(c);
        p->links->opt.on_change(p->links->opt.ctx, p->slot, false);
    }
}

static void run_link(peer *p, cn_connection *c, const uint8_t key[32])
{
    if (attach(p, c, key))
        detach(p, c, cn_connection_read(c, CN_SILENCE_MS, &(cn_reader_calls){p, deliver, on_bytes}));
}

static void note_failure(peer *p, const char *text)
{
    pthread_mutex_lock(&p->lock);
    p->info.failures++;
    snprintf(p->info.last_error, sizeof p->info.last_error, "%s", text);
    pthread_mutex_unlock(&p->lock);
}

/* ---- strangers: sync-only links ---- */

typedef struct stranger {
    cn_links *links;
    cn_connection *c;
    uint64_t until_us;
    unsigned messages;
} stranger;

static void on_stranger_bytes(void *ctx, size_t n)
{
    stranger *s = ctx;
    (void)n;
    if (now_us(CLOCK_MONOTONIC) > s->until_us || atomic_load(&s->links->stopping))
        cn_connection_close(s->c);
}

static bool on_stranger_message(void *ctx, uint8_t type, const uint8_t *payload, size_t n)
{
    stranger *s = ctx;
    uint8_t reply_type = 0;
    cn_buf reply;
    if (type >= TYPE_PING) /* its side may take this for a full link */
        return true;
    if (++s->messages > STRANGER_MESSAGES)
        return false;
    cn_buf_init(&reply, CN_MAX_MESSAGE_BYTES);
    bool go_on = s->links->opt.on_stranger(s->links->opt.ctx, type, payload, n, &reply_type, &reply);
    if (go_on && reply.n > 0)
        go_on = !reply.fault && cn_connection_write_message(s->c, reply_type, reply.p, reply.n);
    cn_buf_free(&reply);
    return go_on;
}

static void talk_to_stranger(cn_links *links, cn_connection *c)
{
    stranger s = {.links = links, .c = c, .until_us = now_us(CLOCK_MONOTONIC) + STRANGER_MS * 1000u};
    if (links->opt.on_stranger && cn_connection_write_message(c, links->opt.greeting, NULL, 0))
        (void)cn_connection_read(c, STRANGER_MS, &(cn_reader_calls){&s, on_stranger_message, on_stranger_bytes});
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

typedef struct half { /* a message that did not fit into one frame goes on in the next */
    outgoing *message;
    size_t at;
    uint64_t generation;
} half;

static void drop_half(half *h)
{
    free(h->message);
    h->message = NULL;
}

static size_t fill(peer *p, uint8_t *plain, half *h)
{
    size_t n = 0;
    while (n < CN_PLAIN_MAX) {
        if (!h->message) {
            h->message = p->urgent.head ? take(&p->urgent) : take(&p->bulk);
            h->at = 0;
            if (!h->message)
                break;
            p->queued -= h->message->n;
        }
        size_t left = h->message->n - h->at, chunk = left < CN_PLAIN_MAX - n ? left : CN_PLAIN_MAX - n;
        memcpy(plain + n, h->message->bytes + h->at, chunk);
        n += chunk;
        h->at += chunk;
        if (h->at == h->message->n) {
            drop_half(h);
            p->info.sent++;
        }
    }
    return n;
}

/* Waits for something to send; fills plain with whole messages and the beginning of a long one. */
static cn_connection *next_batch(peer *p, uint8_t *plain, size_t *ret_n, half *h)
{
    struct timespec until;
    pthread_mutex_lock(&p->lock);
    while (!atomic_load(&p->links->stopping) && (!p->conn || (!p->urgent.head && !p->bulk.head && !h->message))) {
        clock_gettime(CLOCK_MONOTONIC, &until); /* a wall clock set back would silence the link */
        until.tv_sec += PING_MS / 1000;
        if (pthread_cond_timedwait(&p->filled, &p->lock, &until) != 0 && p->conn)
            break;
    }
    cn_connection *c = p->conn;
    if (atomic_load(&p->links->stopping) || !c) {
        pthread_mutex_unlock(&p->lock);
        return NULL;
    }
    if (h->generation != p->generation) /* a message that was half sent ends with its connection */
        drop_half(h);
    h->generation = p->generation;
    atomic_fetch_add(&c->refs, 1);
    *ret_n = fill(p, plain, h);
    pthread_mutex_unlock(&p->lock);
    return c;
}

static size_t ping(peer *p, uint8_t *plain)
{
    plain[0] = TYPE_PING;
    cn_store_u32(plain + 1, 8);
    pthread_mutex_lock(&p->lock);
    p->ping_sent_us = now_us(CLOCK_MONOTONIC);
    cn_store_u64(plain + CN_MESSAGE_HEAD, p->ping_sent_us);
    pthread_mutex_unlock(&p->lock);
    return CN_MESSAGE_HEAD + 8;
}

static void *write_loop(void *arg)
{
    peer *p = arg;
    uint8_t *plain = malloc(CN_PLAIN_MAX), *framed = malloc(4 + CN_NOISE_MESSAGE_MAX);
    half h = {0};
    uint64_t pinged_us = 0;
    while (plain && framed && !atomic_load(&p->links->stopping)) {
        size_t n = 0;
        cn_connection *c = next_batch(p, plain, &n, &h);
        if (!c)
            continue;
        if (!h.message && n + CN_MESSAGE_HEAD + 8 <= CN_PLAIN_MAX &&
            now_us(CLOCK_MONOTONIC) >= pinged_us + PING_MS * 1000u) {
            n += ping(p, plain + n);
            pinged_us = now_us(CLOCK_MONOTONIC);
        }
        if (n > 0 && !cn_connection_write(c, plain, n, framed)) {
            cn_connection_close(c);
            drop_half(&h);
        } else if (n > 0) {
            pthread_mutex_lock(&p->lock);
            p->info.sent_bytes += n + 4 + CN_NOISE_TAG;
            pthread_mutex_unlock(&p->lock);
        }
        cn_connection_unref(c);
    }
    drop_half(&h);
    free(plain);
    free(framed);
    return NULL;
}

bool cn_links_send(cn_links *links, unsigned slot, uint8_t type, const void *payload, size_t n, bool urgent)
{
    CN_ASSERT(slot < CN_LINK_SLOTS && n <= CN_MAX_MESSAGE_BYTES);
    peer *p = &links->peer[slot];
    outgoing *o = malloc(sizeof *o + CN_MESSAGE_HEAD + n);
    if (!o)
        return false;
    *o = (outgoing){.n = CN_MESSAGE_HEAD + n};
    o->bytes[0] = type;
    cn_store_u32(o->bytes + 1, (uint32_t)n);
    if (n)
        memcpy(o->bytes + CN_MESSAGE_HEAD, payload, n);
    pthread_mutex_lock(&p->lock);
    bool fits = p->conn && p->queued + o->n <= links->opt.queue_bytes;
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

/* ---- dialling and accepting ---- */

static bool should_dial(peer *p, char address[256])
{
    pthread_mutex_lock(&p->lock);
    uint64_t now = now_us(CLOCK_MONOTONIC);
    bool dials = p->set && p->where.address[0] && !p->conn && now >= p->held_until_us &&
                 (p->where.dials || now >= p->down_since_us + LATE_DIAL_US);
    memcpy(address, p->where.address, sizeof p->where.address);
    pthread_mutex_unlock(&p->lock);
    return dials;
}

/* True: the link was up, so that the next dial need not wait long. */
static bool dial_once(peer *p, const char *address)
{
    uint8_t key[32];
    const char *why = "";
    cn_connection *c = cn_connection_dial(address, &why);
    bool linked = false;
    if (!c) {
        note_failure(p, why);
        return false;
    }
    if (!shake(p->links, c, true, key)) {
        note_failure(p, "the handshake failed: another network, or this node is not known there");
    } else {
        peer *found = peer_of_key(p->links, key);
        linked = found == p;
        if (linked)
            run_link(p, c, key);
        else
            note_failure(p, "another key answers there than the ledger names for this member");
        if (!found)
            talk_to_stranger(p->links, c);
    }
    cn_connection_close(c);
    cn_connection_unref(c);
    return linked;
}

static void *dial_loop(void *arg)
{
    peer *p = arg;
    char address[256];
    unsigned backoff = BACKOFF_MIN_MS;
    while (!atomic_load(&p->links->stopping)) {
        if (should_dial(p, address) && dial_once(p, address))
            backoff = BACKOFF_MIN_MS;
        sleep_ms(p->links, backoff + randombytes_uniform(backoff / 2 + 1));
        backoff = backoff * 2 < BACKOFF_MAX_MS ? backoff * 2 : BACKOFF_MAX_MS;
    }
    return NULL;
}

typedef struct guest {
    cn_links *links;
    cn_connection *c;
} guest;

static void *greet(void *arg)
{
    guest *g = arg;
    cn_links *links = g->links;
    cn_connection *c = g->c;
    uint8_t key[32];
    free(g);
    bool authentic = shake(links, c, false, key);
    peer *p = authentic ? peer_of_key(links, key) : NULL;
    if (p && !atomic_load(&links->stopping)) {
        run_link(p, c, key);
    } else {
        atomic_fetch_add(&links->refused, 1);
        if (authentic && !atomic_load(&links->stopping))
            talk_to_stranger(links, c);
        cn_connection_close(c);
        sleep_ms(links, 500); /* who is refused does not come back at once: its place stays taken */
    }
    cn_connection_close(c);
    cn_connection_unref(c);
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
        cn_connection *c = cn_connection_new(nng_aio_get_output(links->accept_aio, 0));
        guest *g = c ? malloc(sizeof *g) : NULL;
        pthread_t thread;
        if (!g || atomic_load(&links->strangers) >= MAX_STRANGERS + atomic_load(&links->set_count)) {
            atomic_fetch_add(&links->refused, 1);
            free(g);
            if (c)
                cn_connection_unref(c);
            continue;
        }
        *g = (guest){links, c};
        atomic_fetch_add(&links->strangers, 1);
        if (pthread_create(&thread, NULL, greet, g) == 0) {
            pthread_detach(thread);
        } else {
            atomic_fetch_sub(&links->strangers, 1);
            cn_connection_unref(c);
            free(g);
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

/* ---- life ---- */

cn_status cn_links_start(const cn_links_options *options, cn_links **ret, cn_err *err)
{
    cn_links *links = calloc(1, sizeof *links);
    if (!links)
        return cn_fail(err, CN_NO_MEMORY, "links", "out of memory");
    links->opt = *options;
    pthread_mutex_init(&links->self_lock, NULL);
    memcpy(links->self.secret, options->channel_secret, 32);
    sodium_memzero(links->opt.channel_secret, 32);
    memcpy(links->self.prologue, "carnet/peer/1", 13);
    memcpy(links->self.prologue + 13, options->network.b, 32);
    links->self.prologue_len = 45;
    cn_status st = listen_on(links, options->listen, err);
    if (st != CN_OK) {
        if (links->listener)
            nng_stream_listener_free(links->listener);
        free(links);
        return st;
    }
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++) {
        peer *p = &links->peer[i];
        p->links = links;
        p->slot = i;
        pthread_mutex_init(&p->lock, NULL);
        pthread_cond_init(&p->filled, &attr);
    }
    pthread_condattr_destroy(&attr);
    CN_ASSERT(pthread_create(&links->acceptor, NULL, accept_loop, links) == 0);
    *ret = links;
    return CN_OK;
}

void cn_links_set_peer(cn_links *links, unsigned slot, const cn_peer_address *where)
{
    CN_ASSERT(slot < CN_LINK_SLOTS);
    peer *p = &links->peer[slot];
    pthread_mutex_lock(&p->lock);
    bool same = p->set && where && memcmp(p->where.channel_key, where->channel_key, 32) == 0;
    if (p->set != (where != NULL))
        where ? atomic_fetch_add(&links->set_count, 1) : atomic_fetch_sub(&links->set_count, 1);
    p->set = where != NULL;
    if (where)
        p->where = *where;
    if (!same)
        p->down_since_us = now_us(CLOCK_MONOTONIC);
    if (!same && p->conn)
        cn_connection_close(p->conn); /* its reader detaches it */
    pthread_mutex_unlock(&p->lock);
    if (where && !p->has_threads) {
        p->has_threads = true;
        CN_ASSERT(pthread_create(&p->writer, NULL, write_loop, p) == 0);
        CN_ASSERT(pthread_create(&p->dialer, NULL, dial_loop, p) == 0);
    }
}

void cn_links_hold_off(cn_links *links, unsigned slot, unsigned ms)
{
    CN_ASSERT(slot < CN_LINK_SLOTS);
    peer *p = &links->peer[slot];
    pthread_mutex_lock(&p->lock);
    p->held_until_us = now_us(CLOCK_MONOTONIC) + ms * (uint64_t)1000;
    snprintf(p->info.last_error, sizeof p->info.last_error, "cut off for %u ms: it sent what no honest node sends", ms);
    if (p->conn)
        cn_connection_close(p->conn);
    pthread_mutex_unlock(&p->lock);
}

void cn_links_set_secret(cn_links *links, const uint8_t secret[32])
{
    pthread_mutex_lock(&links->self_lock);
    memcpy(links->self.secret, secret, 32);
    pthread_mutex_unlock(&links->self_lock);
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++) {
        peer *p = &links->peer[i];
        pthread_mutex_lock(&p->lock);
        if (p->conn)
            cn_connection_close(p->conn);
        pthread_mutex_unlock(&p->lock);
    }
}

void cn_links_stop(cn_links *links)
{
    if (!links)
        return;
    atomic_store(&links->stopping, true);
    nng_stream_listener_close(links->listener);
    nng_aio_cancel(links->accept_aio);
    pthread_join(links->acceptor, NULL);
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++) {
        peer *p = &links->peer[i];
        pthread_mutex_lock(&p->lock);
        if (p->conn)
            cn_connection_close(p->conn);
        pthread_cond_signal(&p->filled);
        pthread_mutex_unlock(&p->lock);
    }
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++) {
        if (!links->peer[i].has_threads)
            continue;
        pthread_join(links->peer[i].writer, NULL);
        pthread_join(links->peer[i].dialer, NULL);
    }
    while (atomic_load(&links->strangers) > 0) /* detached greeters end within the handshake's deadline */
        nng_msleep(10);
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++) {
        peer *p = &links->peer[i];
        drop_queue(&p->urgent);
        drop_queue(&p->bulk);
        pthread_mutex_destroy(&p->lock);
        pthread_cond_destroy(&p->filled);
    }
    nng_aio_free(links->accept_aio);
    nng_stream_listener_free(links->listener);
    pthread_mutex_destroy(&links->self_lock);
    sodium_memzero(&links->self, sizeof links->self);
    free(links);
}

uint16_t cn_links_port(const cn_links *links)
{
    return links->port;
}

void cn_links_info(cn_links *links, unsigned slot, cn_link_info *ret)
{
    peer *p = &links->peer[slot];
    pthread_mutex_lock(&p->lock);
    *ret = p->info;
    pthread_mutex_unlock(&p->lock);
}

uint64_t cn_links_refused(cn_links *links)
{
    return atomic_load(&links->refused);
}

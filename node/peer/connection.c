#include "node/peer/connection.h"

#include "proto/bytes.h"
#include "proto/limits.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* ---- operations with a deadline ---- */

static void on_end(void *arg)
{
    cn_timed *t = arg;
    pthread_mutex_lock(&t->lock);
    t->done = true;
    pthread_cond_signal(&t->ended);
    pthread_mutex_unlock(&t->lock);
}

static bool timed_open(cn_timed *t)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_cond_init(&t->ended, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (nng_aio_alloc(&t->aio, on_end, t) == 0) {
        nng_aio_set_timeout(t->aio, NNG_DURATION_INFINITE);
        return true;
    }
    t->aio = NULL;
    return false;
}

static void timed_close(cn_timed *t)
{
    if (t->aio)
        nng_aio_free(t->aio);
    (void)pthread_cond_destroy(&t->ended);
    (void)pthread_mutex_destroy(&t->lock);
}

static void timed_begin(cn_timed *t)
{
    pthread_mutex_lock(&t->lock);
    t->done = false;
    pthread_mutex_unlock(&t->lock);
}

/* nng's result of what was begun. */
static int timed_wait(cn_timed *t, uint64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000u), .tv_nsec = (long)(until_ms % 1000u) * 1000000};
    int rc = 0;
    pthread_mutex_lock(&t->lock);
    while (!t->done && rc == 0)
        rc = pthread_cond_timedwait(&t->ended, &t->lock, &until);
    bool late = !t->done;
    pthread_mutex_unlock(&t->lock);
    if (late)
        nng_aio_abort(t->aio, NNG_ETIMEDOUT);
    nng_aio_wait(t->aio);
    return nng_aio_result(t->aio);
}

/* ---- bytes over a stream ---- */

void cn_connection_unref(cn_connection *c)
{
    if (atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    nng_stream_close(c->stream);
    timed_close(&c->sending);
    timed_close(&c->receiving);
    nng_stream_free(c->stream);
    sodium_memzero(c, sizeof *c);
    free(c);
}

void cn_connection_close(cn_connection *c)
{
    if (!atomic_exchange(&c->closed, true))
        nng_stream_close(c->stream);
}

cn_connection *cn_connection_new(nng_stream *stream)
{
    cn_connection *c = calloc(1, sizeof *c);
    bool opened = c != NULL;
    if (c) {
        opened = timed_open(&c->sending);
        opened = timed_open(&c->receiving) && opened;
    }
    if (!opened) {
        if (c) {
            timed_close(&c->sending);
            timed_close(&c->receiving);
        }
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

cn_connection *cn_connection_dial(const char *address, const char **ret_why)
{
    char url[300];
    nng_stream_dialer *dialer = NULL;
    cn_timed dialling;
    cn_connection *c = NULL;
    snprintf(url, sizeof url, "tcp://%s", address);
    int rc = nng_stream_dialer_alloc(&dialer, url);
    if (!timed_open(&dialling) && rc == 0)
        rc = NNG_ENOMEM;
    if (rc == 0) {
        timed_begin(&dialling);
        nng_stream_dialer_dial(dialer, dialling.aio);
        rc = timed_wait(&dialling, now_ms() + CN_HANDSHAKE_MS);
    }
    if (rc == 0)
        c = cn_connection_new(nng_aio_get_output(dialling.aio, 0));
    if (!c)
        *ret_why = rc == 0 ? "out of memory" : nng_strerror(rc);
    timed_close(&dialling);
    if (dialer)
        nng_stream_dialer_free(dialer);
    return c;
}

static bool transfer(cn_connection *c, bool sending, uint8_t *p, size_t n, int timeout_ms)
{
    cn_timed *t = sending ? &c->sending : &c->receiving;
    uint64_t until = now_ms() + (uint64_t)timeout_ms; /* for all of it: a peer that drips bytes is cut off too */
    if (c->deadline_ms && c->deadline_ms < until)
        until = c->deadline_ms;
    while (n > 0) {
        nng_iov iov = {.iov_buf = p, .iov_len = n};
        if (now_ms() >= until || atomic_load(&c->closed) || nng_aio_set_iov(t->aio, 1, &iov) != 0)
            return false;
        timed_begin(t);
        if (sending)
            nng_stream_send(c->stream, t->aio);
        else
            nng_stream_recv(c->stream, t->aio);
        if (timed_wait(t, until) != 0)
            return false;
        size_t done = nng_aio_count(t->aio);
        p += done;
        n -= done;
    }
    return true;
}

static bool send_frame(cn_connection *c, uint8_t *framed, size_t n, int timeout_ms)
{
    cn_store_u32(framed, (uint32_t)n);
    return transfer(c, true, framed, 4 + n, timeout_ms);
}

/* The length is checked against the cap before a byte of the body is read. */
static bool receive_frame(cn_connection *c, uint8_t *out, size_t max, size_t *ret_len, int timeout_ms)
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

bool cn_connection_shake(cn_connection *c, const cn_identity *self, bool initiator, uint8_t ret_remote[32])
{
    cn_noise_handshake *h = cn_noise_begin(initiator, self->secret, self->prologue, self->prologue_len);
    uint8_t framed[4 + CN_NOISE_HANDSHAKE_MAX], payload[CN_NOISE_HANDSHAKE_MAX];
    bool ok = h != NULL;
    c->deadline_ms = now_ms() + CN_HANDSHAKE_MS;
    while (ok && !cn_noise_done(h)) {
        size_t n = 0, payload_len = 0;
        if (cn_noise_my_turn(h))
            ok = cn_noise_write(h, NULL, 0, framed + 4, &n) && send_frame(c, framed, n, CN_HANDSHAKE_MS);
        else
            ok = receive_frame(c, framed, CN_NOISE_HANDSHAKE_MAX, &n, CN_HANDSHAKE_MS) &&
                 cn_noise_read(h, framed, n, payload, &payload_len) && payload_len == 0;
    }
    ok = ok && cn_noise_remote(h, ret_remote);
    if (ok)
        cn_noise_split(h, &c->send, &c->receive);
    cn_noise_end(h);
    c->deadline_ms = 0;
    return ok;
}

/* ---- messages ---- */

bool cn_connection_write(cn_connection *c, const uint8_t *plain, size_t n, uint8_t *framed)
{
    return cn_noise_encrypt(&c->send, plain, n, framed + 4) && send_frame(c, framed, n + CN_NOISE_TAG, CN_SILENCE_MS);
}

bool cn_connection_write_message(cn_connection *c, uint8_t type, const uint8_t *payload, size_t n)
{
    size_t total = CN_MESSAGE_HEAD + n;
    uint8_t *bytes = malloc(total), *framed = malloc(4 + CN_NOISE_MESSAGE_MAX);
    bool ok = bytes && framed && n <= CN_MAX_MESSAGE_BYTES;
    if (ok) {
        bytes[0] = type;
        cn_store_u32(bytes + 1, (uint32_t)n);
        if (n)
            memcpy(bytes + CN_MESSAGE_HEAD, payload, n);
    }
    for (size_t at = 0; ok && at < total; at += CN_PLAIN_MAX)
        ok = cn_connection_write(c, bytes + at, total - at < CN_PLAIN_MAX ? total - at : CN_PLAIN_MAX, framed);
    free(bytes);
    free(framed);
    return ok;
}

typedef struct assembly { /* the stream of messages inside the frames */
    uint8_t head[CN_MESSAGE_HEAD];
    size_t head_n, body_n, body_len, body_cap;
    uint8_t *body;
} assembly;

/* NULL: go on; or why not. */
static const char *feed(assembly *a, const cn_reader_calls *calls, const uint8_t *bytes, size_t n)
{
    while (n > 0 || (a->head_n == CN_MESSAGE_HEAD && a->body_n == a->body_len)) {
        if (a->head_n < CN_MESSAGE_HEAD) {
            a->head[a->head_n++] = *bytes++;
            n--;
            if (a->head_n < CN_MESSAGE_HEAD)
                continue;
            a->body_len = cn_load_u32(a->head + 1);
            a->body_n = 0;
            if (a->body_len > CN_MAX_MESSAGE_BYTES)
                return "a message exceeded the limit";
            if (a->body_len > a->body_cap) {
                uint8_t *grown = realloc(a->body, a->body_len);
                if (!grown)
                    return "out of memory";
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
        if (a->body_n == a->body_len) {
            a->head_n = 0;
            if (!calls->deliver(calls->ctx, a->head[0], a->body, a->body_len))
                return "ended here";
        }
    }
    return NULL;
}

const char *cn_connection_read(cn_connection *c, int silence_ms, const cn_reader_calls *calls)
{
    uint8_t *sealed = malloc(CN_NOISE_MESSAGE_MAX), *plain = malloc(CN_NOISE_MESSAGE_MAX);
    assembly a = {0};
    size_t n = 0;
    const char *why = NULL;
    while (!why && sealed && plain && receive_frame(c, sealed, CN_NOISE_MESSAGE_MAX, &n, silence_ms)) {
        if (!cn_noise_decrypt(&c->receive, sealed, n, plain)) {
            why = "a frame was not authentic";
            break;
        }
        if (calls->on_bytes)
            calls->on_bytes(calls->ctx, n + 4);
        why = feed(&a, calls, plain, n - CN_NOISE_TAG);
    }
    free(a.body);
    free(sealed);
    free(plain);
    return why ? why : "closed by the peer";
}

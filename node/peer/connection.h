/* One encrypted connection: frames over an nng byte stream, the handshake, and the stream of messages inside the
 * frames. Private to node/peer. Every call blocks, for a bounded time; closing from another thread ends it. */
#ifndef CARNET_NODE_PEER_CONNECTION_H
#define CARNET_NODE_PEER_CONNECTION_H

#include "node/peer/noise.h"

#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>

#define CN_HANDSHAKE_MS 5000
#define CN_SILENCE_MS 15000
#define CN_MESSAGE_HEAD 5u /* type u8 | length u32 */
#define CN_PLAIN_MAX (CN_NOISE_MESSAGE_MAX - CN_NOISE_TAG)

/* An operation that ends by a deadline of the monotonic clock; nng's own timeouts go by the wall clock, and one that is
 * set back would leave a silent link up until it has caught up. */
typedef struct cn_timed {
    nng_aio *aio;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done; /* under the lock */
} cn_timed;

typedef struct cn_connection { /* counted: shared by its reader and the peer's writer */
    nng_stream *stream;
    cn_timed sending, receiving;
    cn_noise_cipher send, receive;
    uint64_t deadline_ms; /* until the peer is known: when the handshake ends, however slowly bytes come; 0: none */
    atomic_int refs;
    atomic_bool closed;
} cn_connection;

cn_connection *cn_connection_new(nng_stream *stream); /* takes the stream; NULL: out of memory */
void cn_connection_unref(cn_connection *c);
void cn_connection_close(cn_connection *c); /* wakes who waits on it */

/* Dials host:port; NULL with *ret_why, a sentence. */
cn_connection *cn_connection_dial(const char *address, const char **ret_why);

typedef struct cn_identity {
    uint8_t secret[32], prologue[64];
    size_t prologue_len;
} cn_identity;
/* Shakes hands and takes the ciphers; false: not authentic, another network, or too slow. */
bool cn_connection_shake(cn_connection *c, const cn_identity *self, bool initiator, uint8_t ret_remote[32]);

/* framed has 4 + CN_NOISE_MESSAGE_MAX bytes of room; plain at most CN_PLAIN_MAX. */
bool cn_connection_write(cn_connection *c, const uint8_t *plain, size_t n, uint8_t *framed);
/* One message, cut into frames. */
bool cn_connection_write_message(cn_connection *c, uint8_t type, const uint8_t *payload, size_t n);

/* Reads messages until deliver returns false, the other side falls silent for silence_ms or an error. Returns why it
 * ended, a sentence. on_bytes (may be NULL) is told of every frame. */
typedef struct cn_reader_calls {
    void *ctx;
    bool (*deliver)(void *ctx, uint8_t type, const uint8_t *payload, size_t n);
    void (*on_bytes)(void *ctx, size_t n);
} cn_reader_calls;
const char *cn_connection_read(cn_connection *c, int silence_ms, const cn_reader_calls *calls);

#endif

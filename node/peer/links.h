/* One authenticated link per pair of peers, over nng_stream (docs/peer-protocol.md).
 *
 * Of two peers, the one with the smaller channel key dials. A peer is identified by its static key before any other
 * byte is parsed; an unknown key is refused. Links drop at any time; everything is retransmitted by what is above.
 * Each peer's queue is bounded in bytes: when it is full, the message is dropped and counted. */
#ifndef CARNET_NODE_PEER_LINKS_H
#define CARNET_NODE_PEER_LINKS_H

#include "proto/digest.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct cn_links cn_links;

typedef struct cn_peer_address {
    char name[65];
    uint8_t channel_key[32];
    char address[256]; /* host:port; "" when only the peer dials */
} cn_peer_address;

typedef struct cn_links_options {
    cn_digest network;
    uint8_t channel_secret[32];
    const char *listen; /* host:port */
    size_t peer_count;
    const cn_peer_address *peer; /* by the index that callbacks and calls use; copied */
    size_t queue_bytes;          /* per peer */
    void *ctx;
    /* From link threads; must not block. payload is valid during the call. */
    void (*on_message)(void *ctx, unsigned peer, uint8_t type, const uint8_t *payload, size_t n);
    void (*on_change)(void *ctx, unsigned peer, bool up);
} cn_links_options;

cn_status cn_links_start(const cn_links_options *options, cn_links **ret, cn_err *err);
void cn_links_stop(cn_links *links); /* joins every thread; NULL is fine */
uint16_t cn_links_port(const cn_links *links);

/* Queues a message; false: the link is down or its queue is full (counted). urgent ones overtake bulk. */
bool cn_links_send(cn_links *links, unsigned peer, uint8_t type, const void *payload, size_t n, bool urgent);
void cn_links_broadcast(cn_links *links, uint8_t type, const void *payload, size_t n, bool urgent);

typedef struct cn_link_info {
    bool up;
    uint64_t up_since_ms, last_heard_ms; /* wall clock */
    uint64_t rtt_us;                     /* smoothed; 0: not measured */
    uint64_t sent_bytes, received_bytes, sent, received, dropped, failures;
    char last_error[128];
} cn_link_info;
void cn_links_info(cn_links *links, unsigned peer, cn_link_info *ret);
uint64_t cn_links_refused(cn_links *links); /* handshakes of unknown keys, and garbage */

#endif

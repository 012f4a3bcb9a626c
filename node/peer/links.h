/* One authenticated link per pair of peers, over nng_stream (docs/peer-protocol.md).
 *
 * A peer is identified by its static key before any other byte is parsed. Links drop at any time; everything is
 * retransmitted by what is above. Each peer's queue is bounded in bytes: when it is full, the message is dropped and
 * counted. Peers have slots, which the host numbers; they may be set, changed and emptied while links run, so that a
 * key that was rotated on the ledger counts without a restart.
 *
 * A connection with an unknown key is a sync-only link (R12): this side says `greeting`, and every message that comes
 * goes to on_stranger, a few of them and for a few seconds. */
#ifndef CARNET_NODE_PEER_LINKS_H
#define CARNET_NODE_PEER_LINKS_H

#include "proto/bytes.h"
#include "proto/digest.h"
#include "proto/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct cn_links cn_links;

#define CN_LINK_SLOTS 64u

typedef struct cn_peer_address {
    char name[65];
    uint8_t channel_key[32];
    char address[256]; /* host:port; "" when only the peer dials */
    bool dials;        /* of two peers exactly one: it dials at once, the other only when that does not help for 3 s */
} cn_peer_address;

typedef struct cn_links_options {
    cn_digest network;
    uint8_t channel_secret[32];
    const char *listen; /* host:port */
    size_t queue_bytes; /* per peer */
    void *ctx;
    /* From link threads; must not block. payload is valid during the call. */
    void (*on_message)(void *ctx, unsigned slot, uint8_t type, const uint8_t *payload, size_t n);
    void (*on_change)(void *ctx, unsigned slot, bool up);
    /* Of a sync-only link. Fills reply (empty: none) with a message of type *ret_type; false ends the link. NULL:
     * unknown keys are refused. */
    bool (*on_stranger)(void *ctx, uint8_t type, const uint8_t *payload, size_t n, uint8_t *ret_type, cn_buf *reply);
    uint8_t greeting; /* type of the empty message that opens a sync-only link */
} cn_links_options;

cn_status cn_links_start(const cn_links_options *options, cn_links **ret, cn_err *err);
void cn_links_stop(cn_links *links); /* joins every thread; NULL is fine */
uint16_t cn_links_port(const cn_links *links);

/* Sets who has the slot (copied); NULL empties it. Another key than before ends the slot's link. One thread only. */
void cn_links_set_peer(cn_links *links, unsigned slot, const cn_peer_address *peer);
/* Ends the slot's link, and takes no new one for so long. */
void cn_links_hold_off(cn_links *links, unsigned slot, unsigned ms);
/* Another static key for this side, from now on; every link is made anew. */
void cn_links_set_secret(cn_links *links, const uint8_t secret[32]);

/* Queues a message; false: the link is down or its queue is full (counted). urgent ones overtake bulk. */
bool cn_links_send(cn_links *links, unsigned slot, uint8_t type, const void *payload, size_t n, bool urgent);

typedef struct cn_link_info {
    bool up;
    uint64_t up_since_ms, last_heard_ms; /* wall clock */
    uint64_t rtt_us;                     /* smoothed; 0: not measured */
    uint64_t sent_bytes, received_bytes, sent, received, dropped, failures;
    char last_error[128];
} cn_link_info;
void cn_links_info(cn_links *links, unsigned slot, cn_link_info *ret);
uint64_t cn_links_refused(cn_links *links); /* handshakes of unknown keys, and garbage */

#endif

/* A real node in this process, and the other three validators of its network in the hands of a test: their keys, their
 * links, and a ledger of their own to make blocks with. */
#ifndef CARNET_TESTS_UNIT_NODE_PEERS_H
#define CARNET_TESTS_UNIT_NODE_PEERS_H

#include "node/daemon/internal.h"

#define PEERS 3u    /* rows 0..2 of the set are the test's */
#define NODE_ROW 3u /* the node under test; who has a lower row dials */

typedef struct signer {
    cn_secret_key key;
    cn_digest id, previous;
    uint64_t sequence;
} signer;

typedef struct peer {
    struct peers *world;
    cn_links *links;
    atomic_bool up;
    atomic_uint sync_requests, record_requests, votes;
} peer;

typedef struct peers {
    char dir[64];
    cn_genesis genesis;
    cn_buf genesis_bytes;
    cn_secret_key vote[4]; /* by row */
    uint8_t channel[4][32];
    signer capture[4];
    peer peer[PEERS];
    cn_node *node;
    cn_store *store; /* the test's own */
    cn_ledger *ledger;
    uint64_t time_ms;
} peers;

void peers_open(peers *w);
void peers_close(peers *w);
void peers_restart(peers *w); /* the node, on its own files */

/* A batch about `count` subjects that nobody named before. */
cn_stmt *peers_batch(peers *w, signer *s, unsigned count);
/* A block on parent (NULL: the tip of the test's ledger) with these statements; none: a checkpoint. */
cn_ledger_block *peers_block(peers *w, cn_ledger_block *parent, cn_stmt *const *stmts, size_t count);
void peers_certify(const peers *w, uint8_t kind, uint64_t view, const cn_digest *block, cn_certificate *ret);

/* Messages to the node from the peer of a row. */
void peers_send(peers *w, unsigned row, uint8_t type, const cn_buf *bytes);
void peers_send_certificate(peers *w, unsigned row, uint8_t kind, uint64_t view, const cn_ledger_block *b);
/* From the leader of the view; the parent is final, or was notarized in parent_view. */
void peers_propose(peers *w, uint64_t view, uint64_t parent_view, const cn_ledger_block *b);
void peers_send_statement(peers *w, unsigned row, uint8_t type, const cn_stmt *stmt, bool spoiled);
void peers_send_block(peers *w, unsigned row, const cn_ledger_block *b);
/* The statements, the notarization and the block itself, from row 0. */
void peers_notarize(peers *w, uint64_t view, const cn_ledger_block *b);
/* Final blocks, the last one's finalization being of that view. spoiled: one byte of an item is another. */
void peers_send_run(peers *w, unsigned row, uint64_t view, cn_ledger_block *const *blocks, size_t count, bool spoiled);

void peers_pause(unsigned ms);
bool peers_wait_height(peers *w, uint64_t height);
bool peers_wait_executed(peers *w, const cn_ledger_block *b);
bool peers_wait_count(const atomic_uint *count, unsigned at_least);
bool peers_wait_bad_bytes(peers *w, uint64_t at_least);
cn_digest peers_tip(peers *w);

#endif

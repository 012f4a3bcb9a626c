/* What a peer sends to a running node: blocks, records, requests, runs of final blocks, ways. The node's own handlers
 * over a real ledger at genesis, without threads; what it would send is measured and dropped. Nobody signed what the
 * search makes up, so the ledger must stay where it is. */
#include "fuzz.h"

#include "node/daemon/internal.h"
#include "tests/unit/tools/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The linker puts these in the place of the real ones (CMakeLists.txt). */
cn_status __real_cn_certificate_verify(const cn_certificate *c, const cn_digest *network, const cn_validator_set *set,
                                       const cn_vote_keys *keys, cn_err *err);
cn_status __wrap_cn_certificate_verify(const cn_certificate *c, const cn_digest *network, const cn_validator_set *set,
                                       const cn_vote_keys *keys, cn_err *err);
bool __wrap_cn_links_send(cn_links *links, unsigned peer, uint8_t type, const void *payload, size_t n, bool urgent);
void __wrap_cn_peers_learn(cn_node *node, const cn_digest *member, const char *name, const uint8_t key[32],
                           uint64_t height);
cn_status __wrap_cn_secret_key_generate(uint8_t type, cn_secret_key *ret, cn_err *err);

static cn_node *node, *twin; /* twin is two blocks ahead and makes the seeds */
static uint8_t next_key;
static cn_buf sent;
static bool trust_quorum;

/* The same keys in every process, so that inputs mean the same. */
cn_status __wrap_cn_secret_key_generate(uint8_t type, cn_secret_key *ret, cn_err *err)
{
    uint8_t secret[32] = {0};
    secret[31] = ++next_key;
    return cn_secret_key_from_bytes(type, secret, ret, err);
}

bool __wrap_cn_links_send(cn_links *links, unsigned peer, uint8_t type, const void *payload, size_t n, bool urgent)
{
    (void)links;
    (void)peer;
    (void)urgent;
    FUZZ_REQUIRE(n <= CN_MAX_MESSAGE_BYTES && (n == 0 || payload));
    cn_buf_clear(&sent);
    cn_put_u8(&sent, type);
    cn_put_bytes(&sent, payload, n);
    return true;
}

/* A way is also read as if a quorum had signed it: what is behind the signatures must hold by itself. */
cn_status __wrap_cn_certificate_verify(const cn_certificate *c, const cn_digest *network, const cn_validator_set *set,
                                       const cn_vote_keys *keys, cn_err *err)
{
    return trust_quorum ? CN_OK : __real_cn_certificate_verify(c, network, set, keys, err);
}

void __wrap_cn_peers_learn(cn_node *n, const cn_digest *member, const char *name, const uint8_t key[32],
                           uint64_t height)
{
    (void)n;
    (void)member;
    (void)name;
    (void)key;
    FUZZ_REQUIRE(trust_quorum && height > 0);
}

static fx_signer device;

static cn_node *open_node(fixture *fx, unsigned blocks)
{
    cn_node *n = calloc(1, sizeof *n);
    FUZZ_REQUIRE(n != NULL);
    next_key = 0;
    fx_open(fx);
    fx_key(&device, CN_KEY_ED25519);
    for (unsigned i = 0; i < blocks; i++) {
        if (i == 0)
            fx_register(fx, &fx->member[0], &device);
        else
            fx_wait(fx, fx_event(fx, &device, "https://example.com/thing", i));
        FUZZ_REQUIRE(fx_commit(fx));
    }
    char path[128];
    for (const char *const *name = (const char *const[]){"data.mdb", "lock.mdb", "writer.lock", NULL}; *name; name++) {
        snprintf(path, sizeof path, "%s/%s", fx->dir, *name);
        unlink(path); /* gone with the process, whatever its end */
    }
    rmdir(fx->dir);
    n->genesis = fx->genesis;
    n->store = fx->store;
    n->ledger = fx->ledger;
    n->voters.epoch = CN_FIRST_EPOCH;
    n->voters.set = fx->genesis.set;
    n->voters.digest = fx->genesis.set_digest;
    n->voters.self = CN_OBSERVER; /* follows, and never votes */
    n->bad_allowed = UINT32_MAX;  /* there are no links to cut */
    for (unsigned i = 0; i < fx->genesis.set.n; i++)
        n->peer[i] = (cn_peer_slot){.set = true, .member = fx->genesis.set.row[i].member, .index = (int)i};
    cn_restore_open(n);
    n->pool = cn_mempool_new(1u << 20);
    n->queue = cn_queue_new(1u << 26);
    n->work = cn_queue_new(1u << 26);
    n->vote_keys = cn_vote_keys_new(&fx->genesis.set);
    snprintf(n->config.log_level, sizeof n->config.log_level, "error");
    pthread_mutex_init(&n->way.lock, NULL);
    pthread_mutex_init(&n->final_lock, NULL);
    pthread_cond_init(&n->final_moved, NULL);
    pthread_rwlock_init(&n->key_lock, NULL);
    pthread_rwlock_init(&n->voters_lock, NULL);
    return n;
}

static void no_sign(void *ctx, const cn_digest *digest, cn_signature *ret)
{
    (void)ctx;
    (void)digest;
    (void)ret;
    fuzz_violation(__FILE__, __LINE__, "an observer signs nothing");
}

static bool verify_vote(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[64])
{
    (void)ctx;
    return cn_vote_verify(node->vote_keys, signer, digest, signature);
}

static void start_core(cn_node *n)
{
    const cn_ledger_block *tip = cn_ledger_tip(n->ledger);
    cn_consensus_config cfg = {.network = n->genesis.network,
                               .epoch = CN_FIRST_EPOCH,
                               .n = n->genesis.set.n,
                               .self = n->voters.self,
                               .set = n->genesis.set_digest,
                               .crypto = {n, no_sign, verify_vote},
                               .delay_floor_ms = 250,
                               .delay_cap_ms = 30000,
                               .checkpoint_interval_ms = 1000,
                               .heartbeat_ms = 60000};
    cfg.final_block = (cn_block){.digest = *cn_ledger_block_digest(tip), .header = *cn_ledger_block_header(tip)};
    cn_ledger_block_checkpoint(tip, &cfg.checkpoint_time_ms, &cfg.checkpoint_log_size);
    n->core = cn_consensus_new(&cfg, cn_wall_ms());
}

static void open_nodes(void)
{
    static fixture a, b;
    if (node)
        return;
    cn_buf_init(&sent, 2 * CN_MAX_MESSAGE_BYTES);
    node = open_node(&a, 0);
    start_core(node);
    twin = open_node(&b, 2);
    FUZZ_REQUIRE(cn_digest_eq(&node->genesis.network, &twin->genesis.network));
}

/* The bytes of signatures in a run or way of the twin are taken out: three at the end of its certificate. */
static void take_out_signatures(cn_buf *message, size_t certificate_end)
{
    memset(message->p + certificate_end - 3 * CN_SIGNATURE_LEN, 0x55, 3 * CN_SIGNATURE_LEN);
}

void fuzz_seeds(void)
{
    uint8_t zero[8] = {0};
    open_nodes();
    cn_sync_serve(twin, 0, zero, sizeof zero);
    FUZZ_REQUIRE(sent.n > 1000 && sent.p[0] == CN_WIRE_SYNC_BLOCKS);
    take_out_signatures(&sent, sent.n);
    fuzz_seed("run", sent.p, sent.n);
    cn_buf way;
    cn_buf_init(&way, CN_MAX_MESSAGE_BYTES);
    cn_put_u8(&way, CN_WIRE_WAY);
    FUZZ_REQUIRE(cn_way_serve(twin, &way));
    take_out_signatures(&way, 1 + 1 + 2 + 4 + cn_load_u32(way.p + 4) * CN_HEADER_LEN + 1 + 8 + 8 + 32 + 1 + 1 + 3 * 64);
    fuzz_seed("way", way.p, way.n);
    cn_buf_free(&way);
    const cn_ledger_block *tip = cn_ledger_tip(twin->ledger), *genesis = cn_ledger_tip(node->ledger);
    cn_body_serve_block(twin, 0, cn_ledger_block_digest(tip)->b, CN_DIGEST_LEN);
    fuzz_seed("block", sent.p, sent.n);
    fuzz_seed_kind("fetch-block", CN_WIRE_FETCH_BLOCK, cn_ledger_block_digest(genesis)->b, CN_DIGEST_LEN);
    fuzz_seed_kind("fetch-records", CN_WIRE_FETCH_RECORDS, cn_ledger_block_digest(tip)->b, CN_DIGEST_LEN);
    fuzz_seed_kind("sync-request", CN_WIRE_SYNC_REQUEST, zero, sizeof zero);
    cn_statement *s = fx_event(&(fixture){.genesis = twin->genesis}, &device, "https://example.com/thing", 9);
    fuzz_seed_kind("statement", CN_WIRE_STATEMENT, s->whole.p, s->whole.n);
    cn_buf_clear(&sent);
    cn_put_u8(&sent, CN_WIRE_RECORDS);
    cn_put_u32(&sent, (uint32_t)s->whole.n);
    cn_put_bytes(&sent, s->whole.p, s->whole.n);
    fuzz_seed("records", sent.p, sent.n);
    cn_statement_free(s);
}

/* Through a worker, and then the consensus thread. */
static void take_run(unsigned peer, const uint8_t *p, size_t n)
{
    cn_sync_receive(node, peer, p, n);
    cn_task *task = cn_queue_pop(node->work, 0);
    FUZZ_REQUIRE(task != NULL && task->bytes >= n);
    cn_sync_work(node, task);
    task = cn_queue_pop(node->queue, 0);
    FUZZ_REQUIRE(task != NULL);
    cn_sync_take(node, task);
}

static void hand_over(uint8_t type, const uint8_t *p, size_t n)
{
    const unsigned peer = 1;
    switch (type) {
    case CN_WIRE_CONSENSUS:
        cn_core_step(node, &(cn_event){.kind = CN_EV_MESSAGE, .from = peer, .bytes = p, .n = n});
        break;
    case CN_WIRE_STATEMENT:
        if (cn_admit_from_peer(node, peer, p, n)) {
            cn_task *task = cn_queue_pop(node->work, 0);
            FUZZ_REQUIRE(task != NULL && task->bytes >= n);
            FUZZ_PLANT(((cn_admission *)task)->stmt[0]->s->body.sequence > 2);
            cn_admit_drop((cn_admission *)task);
        }
        break;
    case CN_WIRE_FETCH_RECORDS:
        cn_body_serve_records(node, peer, p, n);
        break;
    case CN_WIRE_RECORDS:
        cn_body_on_records(node, peer, p, n);
        break;
    case CN_WIRE_FETCH_BLOCK:
        cn_body_serve_block(node, peer, p, n);
        break;
    case CN_WIRE_BLOCK:
        cn_body_on_block(node, p, n);
        break;
    case CN_WIRE_SYNC_REQUEST:
        cn_sync_serve(node, peer, p, n);
        break;
    case CN_WIRE_SYNC_BLOCKS:
        take_run(peer, p, n);
        break;
    case CN_WIRE_WAY:
        cn_way_take(node, p, n);
        trust_quorum = true;
        cn_way_take(node, p, n);
        trust_quorum = false;
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    open_nodes();
    if (n == 0)
        return 0;
    hand_over(p[0], p + 1, n - 1);
    FUZZ_REQUIRE(!atomic_load(&node->stop));
    FUZZ_REQUIRE(cn_ledger_block_header(cn_ledger_tip(node->ledger))->height == 0);
    FUZZ_REQUIRE(HASH_COUNT(node->bodies) <= 256 && cn_mempool_count(node->pool) == 0);
    return 0;
}

/* Opening everything in order, and closing it in the reverse one. */
#include "node/daemon/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUEUE_BYTES (128u * 1024u * 1024u)
#define DELAY_CAP_MS 30000u
#define CHECK_WHOLE_BYTES (64 * 1024 * 1024)

/* ---- files ---- */

static cn_status read_file(const char *path, size_t max, cn_buf *out, cn_err *err)
{
    FILE *f = fopen(path, "re");
    uint8_t chunk[8192];
    size_t n;
    if (!f)
        return cn_fail(err, CN_NOT_FOUND, path, "cannot be opened: %s", strerror(errno));
    cn_buf_init(out, max);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        cn_put_bytes(out, chunk, n);
    fclose(f);
    return out->fault ? cn_fail(err, CN_TOO_LARGE, path, "is larger than %zu bytes", max) : CN_OK;
}

cn_status cn_read_key(const cn_node *node, const char *name, const char *purpose, cn_key_file *ret, cn_err *err)
{
    char path[CN_CONFIG_TEXT_MAX + 32], text[CN_KEY_FILE_MAX + 1];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s.key", node->config.keys_dir, name);
    cn_status st = cn_config_read_secret(path, text, sizeof text, &n, err);
    if (st == CN_OK)
        st = cn_key_file_parse(text, n, ret, err);
    if (st == CN_OK && strcmp(ret->purpose, purpose) != 0)
        st = cn_fail(err, CN_INVALID, path, "holds a %s key, not a %s key; no key serves two purposes", ret->purpose,
                     purpose);
    explicit_bzero(text, sizeof text);
    return st;
}

static cn_status load_genesis(cn_node *node, cn_buf *bytes, cn_err *err)
{
    cn_status st = read_file(node->config.genesis, CN_MAX_GENESIS_BYTES, bytes, err);
    if (st == CN_OK)
        st = cn_genesis_parse(bytes->p, bytes->n, &node->genesis, err);
    if (st == CN_OK && node->config.digest[0] &&
        strcmp(node->config.digest, cn_digest_hex(&node->genesis.network).s) != 0)
        st = cn_fail(err, CN_WRONG_NETWORK, "network.digest",
                     "the genesis file has digest %s, the configuration names another",
                     cn_digest_hex(&node->genesis.network).s);
    if (st != CN_OK)
        return st;
    cn_digest self = cn_member_id(node->config.name);
    int index = cn_validator_set_find(&node->genesis.set, &self);
    if (index < 0)
        return cn_fail(err, CN_INVALID, "node.name", "%s is not a validator of this network", node->config.name);
    node->self = (unsigned)index;
    node->vote_keys = cn_vote_keys_new(&node->genesis.set);
    return node->vote_keys ? CN_OK : cn_fail(err, CN_NO_MEMORY, "genesis", "out of memory");
}

static cn_status load_keys(cn_node *node, cn_err *err)
{
    cn_key_file file;
    const cn_set_row *row = &node->genesis.set.row[node->self];
    cn_status st = cn_read_key(node, "vote", "vote", &file, err);
    if (st == CN_OK && (file.is_x25519 || memcmp(file.key.public_key.b, row->vote_key, 33) != 0))
        st = cn_fail(err, CN_CONFLICT, "keys.dir", "vote.key is not the vote key that genesis names for %s",
                     node->config.name);
    if (st != CN_OK)
        return st;
    node->vote_key = file.key;
    cn_key_file_wipe(&file);
    return CN_OK;
}

/* ---- the ledger ---- */

typedef struct findings {
    uint64_t faults;
    char first[sizeof((cn_err *)0)->text / 2];
} findings;

static void on_finding(void *ctx, bool fault, const char *text)
{
    findings *f = ctx;
    if (fault && f->faults++ == 0)
        snprintf(f->first, sizeof f->first, "%s", text);
}

/* A small ledger is checked whole before the node says a word on its behalf; a large one is checked whole by whoever
 * runs carnet fsck, and opening it checks what is cheap. */
static cn_status check_store(cn_node *node, const cn_store_options *options, cn_err *err)
{
    findings f = {0};
    cn_fsck_report report;
    cn_status st = cn_store_fsck(options, node->genesis.subject_salt, on_finding, &f, &report, err);
    if (st == CN_OK && f.faults)
        st = cn_fail(err, CN_CORRUPT, node->config.data_dir,
                     "carnet fsck finds %llu faults; the first: %s. Keep the folder, and fetch the ledger again into "
                     "an empty one",
                     (unsigned long long)f.faults, f.first);
    return st;
}

static cn_status open_store(cn_node *node, const cn_buf *genesis, cn_err *err)
{
    cn_store_options options = {.dir = node->config.data_dir, .map_size = node->config.map_bytes};
    char path[CN_CONFIG_TEXT_MAX + 16];
    struct stat info;
    if (mkdir(node->config.data_dir, 0700) != 0 && errno != EEXIST)
        return cn_fail(err, CN_IO, node->config.data_dir, "cannot be created: %s", strerror(errno));
    snprintf(path, sizeof path, "%s/data.mdb", node->config.data_dir);
    if (stat(path, &info) != 0) {
        cn_status st = cn_ledger_create(&options, genesis->p, genesis->n, &node->genesis, err);
        if (st != CN_OK)
            return st;
        cn_log(node, "info", "made the ledger of network %s", cn_digest_hex(&node->genesis.network).s);
    } else if (info.st_size <= CHECK_WHOLE_BYTES) {
        cn_status st = check_store(node, &options, err);
        if (st != CN_OK)
            return st;
    }
    cn_status st = cn_store_open(&options, &node->store, err);
    if (st != CN_OK)
        return st;
    cn_snapshot *snap = NULL;
    cn_span stored;
    st = cn_snapshot_open(node->store, &snap, err);
    if (st == CN_OK)
        st = cn_snapshot_genesis(snap, &stored, err);
    if (st == CN_OK && (stored.n != genesis->n || memcmp(stored.p, genesis->p, stored.n) != 0))
        st = cn_fail(err, CN_WRONG_NETWORK, node->config.data_dir,
                     "the ledger there belongs to another genesis than %s", node->config.genesis);
    cn_snapshot_close(snap);
    return st == CN_OK ? cn_ledger_open(node->store, &node->genesis, &node->ledger, err) : st;
}

static void sign_vote(void *ctx, const cn_digest *digest, cn_signature *ret)
{
    cn_node *node = ctx;
    CN_ASSERT(cn_sign(&node->vote_key, digest, ret, NULL) == CN_OK);
}

static bool verify_vote(void *ctx, unsigned signer, const cn_digest *digest, const uint8_t signature[CN_SIGNATURE_LEN])
{
    return cn_vote_verify(((cn_node *)ctx)->vote_keys, signer, digest, signature);
}

/* The finalization of the tip; every commit ends with one. */
static cn_status tip_certificate(cn_node *node, uint64_t height, cn_certificate *ret, bool *ret_found, cn_err *err)
{
    cn_snapshot *snap = NULL;
    cn_span bytes;
    cn_status st = cn_snapshot_open(node->store, &snap, err);
    *ret_found = false;
    if (st == CN_OK && height > 0) {
        st = cn_snapshot_certificate(snap, height, &bytes, err);
        cn_reader r = cn_reader_of(bytes.p, st == CN_OK ? bytes.n : 0);
        if (st == CN_OK)
            st = cn_certificate_read(&r, ret, err);
        *ret_found = st == CN_OK;
    }
    cn_snapshot_close(snap);
    return st == CN_OK
               ? st
               : cn_fail(err, CN_CORRUPT, "certs", "the finalization of the tip cannot be read; run carnet fsck");
}

static cn_status open_core(cn_node *node, cn_err *err)
{
    char path[CN_CONFIG_TEXT_MAX + 32];
    cn_certificate *cert = calloc(1, sizeof *cert);
    const cn_ledger_block *tip = cn_ledger_tip(node->ledger);
    const cn_safety_row *row = NULL;
    const cn_safety_body *saved = NULL;
    bool has_cert = false;
    CN_ASSERT(cert);
    snprintf(path, sizeof path, "%s/safety.journal", node->config.keys_dir);
    cn_status st = cn_safety_open(path, node->vote_key.public_key.b, &node->safety, err);
    if (st == CN_OK)
        st = tip_certificate(node, cn_ledger_block_header(tip)->height, cert, &has_cert, err);
    if (st != CN_OK) {
        free(cert);
        return st;
    }
    size_t rows = cn_safety_rows(node->safety, &row), bodies = cn_safety_bodies(node->safety, &saved), kept = 0;
    cn_sign_row *sign = calloc(rows + 1, sizeof *sign);
    cn_block *block = calloc(bodies + 1, sizeof *block);
    CN_ASSERT(sign && block);
    for (size_t i = 0; i < rows; i++)
        sign[i] = (cn_sign_row){row[i].epoch,     row[i].view,      row[i].notarized,
                                row[i].nullified, row[i].finalized, row[i].block};
    for (size_t i = 0; i < bodies && st == CN_OK; i++) {
        cn_open_body *b = NULL;
        st = cn_body_restore(node, &saved[i], &b, err);
        if (st == CN_OK && b->header.height > cn_ledger_block_header(tip)->height)
            block[kept++] = (cn_block){b->digest, b->header, b->count, b->record};
    }
    const cn_state_parameters *p = &node->genesis.parameters;
    cn_consensus_config cfg = {.network = node->genesis.network,
                               .epoch = CN_FIRST_EPOCH,
                               .n = node->genesis.set.n,
                               .self = node->self,
                               .set = node->genesis.set_digest,
                               .crypto = {node, sign_vote, verify_vote},
                               .delay_floor_ms = node->config.delay_floor_ms,
                               .delay_cap_ms = DELAY_CAP_MS,
                               .forward_ms = node->config.forward_ms,
                               .checkpoint_interval_ms = p->checkpoint_interval_ms,
                               .heartbeat_ms = p->heartbeat_ms,
                               .may_vote = true,
                               .final_view = has_cert ? cert->view : 0,
                               .final_certificate = has_cert ? cert : NULL,
                               .floor_view = cn_safety_floor_view(node->safety),
                               .row_count = rows,
                               .row = sign,
                               .block_count = kept,
                               .block = block};
    cfg.final_block = (cn_block){.digest = *cn_ledger_block_digest(tip), .header = *cn_ledger_block_header(tip)};
    cn_ledger_block_checkpoint(tip, &cfg.checkpoint_time_ms, &cfg.checkpoint_log_size);
    if (st == CN_OK)
        node->core = cn_consensus_new(&cfg, cn_wall_ms());
    free(sign);
    free(block);
    free(cert);
    if (st == CN_OK)
        cn_bodies_prune(node);
    return st;
}

static cn_status open_api(cn_node *node, cn_err *err)
{
    cn_api_backend backend = {.ctx = node,
                              .store = node->store,
                              .submit = cn_admit_submit,
                              .phase = cn_admit_phase,
                              .key_head = cn_admit_key_head,
                              .status = cn_report_status,
                              .why = cn_report_why,
                              .is_validator = cn_report_is_validator,
                              .ready = cn_report_ready,
                              .wait_checkpoint = cn_report_wait_checkpoint,
                              .metrics = cn_report_metrics,
                              .network = node->genesis.network,
                              .subject_salt = node->genesis.subject_salt};
    return cn_api_start(node->config.api_listen, &backend, &node->api, err);
}

/* ---- life ---- */

static cn_status start_threads(cn_node *node, cn_err *err)
{
    node->workers = (unsigned)node->config.workers;
    for (unsigned i = 0; i < node->workers; i++)
        if (pthread_create(&node->worker[i], NULL, cn_worker_thread, node) != 0) {
            node->workers = i;
            return cn_fail(err, CN_NO_MEMORY, "workers", "cannot start a thread");
        }
    node->thread_started = pthread_create(&node->thread, NULL, cn_node_thread, node) == 0;
    return node->thread_started ? CN_OK : cn_fail(err, CN_NO_MEMORY, "consensus", "cannot start a thread");
}

static void init_locks(cn_node *node)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_rwlock_init(&node->key_lock, NULL);
    pthread_mutex_init(&node->final_lock, NULL);
    pthread_mutex_init(&node->way.lock, NULL);
    pthread_cond_init(&node->final_moved, &attr);
    pthread_condattr_destroy(&attr);
}

static void note_start(cn_node *node)
{
    uint64_t time_ms;
    const cn_ledger_block *tip = cn_ledger_tip(node->ledger);
    node->final_log_size = cn_ledger_block_header(tip)->log_size;
    cn_ledger_block_checkpoint(tip, &time_ms, &node->checkpoint_log_size);
}

cn_status cn_node_start(const cn_config *config, cn_node **ret, cn_err *err)
{
    cn_buf genesis;
    cn_node *node = calloc(1, sizeof *node);
    if (!node)
        return cn_fail(err, CN_NO_MEMORY, "node", "out of memory");
    cn_buf_init(&genesis, CN_MAX_GENESIS_BYTES);
    node->config = *config;
    node->started_ms = cn_wall_ms();
    init_locks(node);
    node->queue = cn_queue_new(QUEUE_BYTES);
    node->work = cn_queue_new(QUEUE_BYTES);
    node->pool = cn_mempool_new(config->mempool_bytes);
    CN_ASSERT(node->queue && node->work && node->pool);
    cn_status st = load_genesis(node, &genesis, err);
    if (st == CN_OK)
        st = load_keys(node, err);
    if (st == CN_OK)
        st = open_store(node, &genesis, err);
    if (st == CN_OK)
        st = open_core(node, err);
    if (st == CN_OK) {
        note_start(node);
        st = cn_peers_open(node, err);
    }
    if (st == CN_OK)
        st = start_threads(node, err);
    if (st == CN_OK)
        st = open_api(node, err);
    cn_buf_free(&genesis);
    if (st != CN_OK) {
        cn_node_free(node);
        return st;
    }
    cn_log(node, "info", "started at height %llu; peers on %s, API on %s",
           (unsigned long long)cn_ledger_block_header(cn_ledger_tip(node->ledger))->height, config->peer_listen,
           config->api_listen);
    *ret = node;
    return CN_OK;
}

cn_status cn_node_wait(cn_node *node, cn_err *err)
{
    pthread_join(node->thread, NULL);
    node->thread_started = false;
    if (node->stop_status != CN_OK && err)
        *err = node->stop_err;
    return node->stop_status;
}

void cn_node_ask_stop(cn_node *node)
{
    atomic_store(&node->stop, true);
}

static void drop_task(cn_task *task)
{
    if (task->kind == TASK_ADMIT)
        cn_admit_drop((cn_admission *)task);
    else if (task->kind == TASK_RUN)
        cn_sync_drop_task(task);
    else if (task->kind != TASK_CALL) /* a caller that waits keeps its own reference and times out */
        free(task);
}

void cn_node_free(cn_node *node)
{
    if (!node)
        return;
    atomic_store(&node->stop, true);
    cn_queue_close(node->queue);
    if (node->thread_started)
        pthread_join(node->thread, NULL);
    cn_api_stop(node->api);
    cn_links_stop(node->links);
    cn_queue_close(node->work);
    for (unsigned i = 0; i < node->workers; i++)
        pthread_join(node->worker[i], NULL);
    if (node->core)
        cn_consensus_free(node->core);
    if (node->safety)
        cn_bodies_free(node);
    while (node->events) {
        cn_local_event *e = node->events;
        node->events = e->next;
        free(e->record);
        free(e);
    }
    cn_safety_close(node->safety);
    cn_admit_free(node);
    cn_mempool_free(node->pool);
    cn_ledger_close(node->ledger);
    cn_store_close(node->store);
    cn_queue_free(node->work, drop_task);
    cn_queue_free(node->queue, drop_task);
    cn_vote_keys_free(node->vote_keys);
    cn_genesis_free(&node->genesis);
    cn_secret_key_wipe(&node->vote_key);
    explicit_bzero(node->channel_secret, sizeof node->channel_secret);
    pthread_rwlock_destroy(&node->key_lock);
    pthread_mutex_destroy(&node->final_lock);
    pthread_mutex_destroy(&node->way.lock);
    cn_buf_free(&node->way.bytes);
    pthread_cond_destroy(&node->final_moved);
    free(node);
}

/* Opening everything in order, and closing it in the reverse one. */
#include "node/daemon/internal.h"

#include "node/formats/dossier.h"
#include "proto/timestamp.h"

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
    node->member = cn_member_id(node->config.name);
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

/* Certificates of time authorities, if any are configured. */
static cn_status load_authorities(cn_node *node, cn_err *err)
{
    const char *path = node->config.time_authorities;
    cn_status st = path[0] ? read_file(path, CN_TIMESTAMP_CA_MAX, &node->time_authorities, err) : CN_OK;
    if (st == CN_OK && path[0] &&
        cn_timestamp_authorities(CN_SPAN(node->time_authorities.p, node->time_authorities.n)) == 0)
        st = cn_fail(err, CN_INVALID, path, "holds no certificate in PEM");
    return st;
}

/* The verifier page for dossiers, if one is configured. */
static cn_status load_page(cn_node *node, cn_err *err)
{
    const char *path = node->config.audit_page;
    cn_status st = path[0] ? read_file(path, CN_DOSSIER_MAX_PAGE, &node->audit_page, err) : CN_OK;
    cn_digest digest = cn_sha256(node->audit_page.p, node->audit_page.n);
    if (st == CN_OK && path[0])
        cn_log(node, "info", "dossiers get the verifier page %s with SHA-256 %s", path, cn_digest_hex(&digest).s);
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
                              .validator_name = cn_report_validator_name,
                              .is_validator = cn_report_is_validator,
                              .ready = cn_report_ready,
                              .wait_checkpoint = cn_report_wait_checkpoint,
                              .metrics = cn_report_metrics,
                              .network = node->genesis.network,
                              .subject_salt = node->genesis.subject_salt,
                              .origin = node->genesis.origin,
                              .time_authorities = CN_SPAN(node->time_authorities.p, node->time_authorities.n),
                              .audit_page = CN_SPAN(node->audit_page.p, node->audit_page.n)};
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
    pthread_rwlock_init(&node->voters_lock, NULL);
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

cn_status cn_node_open(const cn_config *config, cn_node **ret, cn_err *err)
{
    cn_buf genesis;
    cn_node *node = calloc(1, sizeof *node);
    if (!node)
        return cn_fail(err, CN_NO_MEMORY, "node", "out of memory");
    cn_buf_init(&genesis, CN_MAX_GENESIS_BYTES);
    node->config = *config;
    node->started_ms = cn_steady_ms();
    node->bad_allowed = BAD_ALLOWED;
    init_locks(node);
    node->queue = cn_queue_new(QUEUE_BYTES);
    node->work = cn_queue_new(QUEUE_BYTES);
    node->pool = cn_mempool_new(config->mempool_bytes);
    CN_ASSERT(node->queue && node->work && node->pool);
    cn_mempool_on_drop(node->pool, cn_admit_dropped, node);
    cn_status st = load_genesis(node, &genesis, err);
    if (st == CN_OK)
        st = load_authorities(node, err);
    if (st == CN_OK)
        st = load_page(node, err);
    if (st == CN_OK)
        st = open_store(node, &genesis, err);
    if (st == CN_OK)
        st = cn_epoch_open(node, err);
    if (st == CN_OK) {
        note_start(node);
        cn_endorse_open(node);
        cn_purge_open(node);
        cn_restore_open(node);
        st = cn_peers_open(node, err);
    }
    cn_buf_free(&genesis);
    if (st == CN_OK)
        *ret = node;
    else
        cn_node_free(node);
    return st;
}

cn_status cn_node_start(const cn_config *config, cn_node **ret, cn_err *err)
{
    cn_node *node = NULL;
    cn_status st = cn_node_open(config, &node, err);
    if (st == CN_OK)
        st = start_threads(node, err);
    if (st == CN_OK)
        st = open_api(node, err);
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
    cn_bodies_free(node);
    cn_endorse_free(node);
    cn_purge_free(node);
    cn_restore_free(node);
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
    pthread_rwlock_destroy(&node->voters_lock);
    cn_buf_free(&node->time_authorities);
    cn_buf_free(&node->audit_page);
    cn_buf_free(&node->way.bytes);
    pthread_cond_destroy(&node->final_moved);
    free(node);
}

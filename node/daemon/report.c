/* What operators and monitors see. Snapshots of the consensus thread's state are taken on that thread, by a call. */
#include "node/daemon/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS 2000u
#define HEARD_LATELY_MS 10000u

typedef struct peer_row {
    bool set;
    int index; /* in the validator set, or -1 */
    char name[CN_MAX_NAME + 1];
} peer_row;

typedef struct picture {
    cn_voters voters;
    peer_row peer[CN_LINK_SLOTS];
    cn_consensus_info info;
    cn_header tip;
    cn_digest tip_digest;
    uint64_t checkpoint_log, checkpoint_time;
    size_t pool_bytes, pool_count;
    uint64_t signed_height;
    unsigned signed_by, signed_of;
    bool signed_here;
    uint64_t erasures, not_attested, content_missing;
    bool answered;
} picture;

static void take_picture(cn_node *node, void *arg)
{
    picture *p = arg;
    const cn_ledger_block *tip = cn_ledger_tip(node->ledger);
    cn_consensus_info_get(node->core, &p->info);
    p->voters = node->voters;
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++) {
        p->peer[i].set = node->peer[i].set;
        p->peer[i].index = node->peer[i].index;
        memcpy(p->peer[i].name, node->peer[i].where.name, sizeof p->peer[i].name);
    }
    p->tip = *cn_ledger_block_header(tip);
    p->tip_digest = *cn_ledger_block_digest(tip);
    cn_ledger_block_checkpoint(tip, &p->checkpoint_time, &p->checkpoint_log);
    p->pool_bytes = cn_mempool_bytes(node->pool);
    p->pool_count = cn_mempool_count(node->pool);
    cn_purge_count(node, &p->erasures, &p->not_attested);
    p->content_missing = cn_restore_count(node);
    cn_endorse_count(node, &p->signed_height, &p->signed_by, &p->signed_of, &p->signed_here);
    p->answered = true;
}

static json_t *not_answering(void)
{
    return json_pack("{s:s}", "problem", "the consensus thread did not answer within 2 s; see the node's log");
}

static json_t *names_of(const picture *p, uint32_t signers)
{
    json_t *names = json_array();
    for (unsigned i = 0; i < p->voters.set.n; i++)
        if (signers >> i & 1)
            json_array_append_new(names, json_string(p->voters.name[i]));
    return names;
}

static json_t *peers(cn_node *node, const picture *p)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++) {
        cn_link_info link = {0};
        const peer_row *row = &p->peer[i];
        if (!row->set)
            continue;
        cn_links_info(node->links, i, &link);
        json_t *peer =
            json_pack("{s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:b}", "name", row->name, "validator", row->index >= 0,
                      "up", link.up, "rtt_us", (json_int_t)link.rtt_us, "sent_bytes", (json_int_t)link.sent_bytes,
                      "received_bytes", (json_int_t)link.received_bytes, "dropped", (json_int_t)link.dropped,
                      "failures", (json_int_t)link.failures, "silent", row->index >= 0 && p->info.silent[row->index]);
        if (!link.up && link.last_error[0])
            json_object_set_new(peer, "last_error", json_string(link.last_error));
        json_array_append_new(list, peer);
    }
    return list;
}

json_t *cn_report_status(void *ctx)
{
    cn_node *node = ctx;
    picture p = {0};
    if (!cn_node_call(node, take_picture, &p, CALL_MS))
        return not_answering();
    json_t *validators = json_array();
    for (unsigned i = 0; i < p.voters.set.n; i++) {
        char key[67];
        cn_hex(p.voters.set.row[i].vote_key, 33, key);
        json_array_append_new(validators,
                              json_pack("{s:i, s:s, s:s}", "index", (int)i, "name", p.voters.name[i], "vote_key", key));
    }
    json_t *status = json_pack("{s:s, s:s, s:s, s:s}", "name", node->config.name, "version", CARNET_VERSION, "network",
                               node->genesis.name, "genesis", cn_digest_hex(&node->genesis.network).s);
    json_object_set_new(status, "epoch", json_integer((json_int_t)p.info.epoch));
    json_object_set_new(status, "view", json_integer((json_int_t)p.info.view));
    json_object_set_new(status, "height", json_integer((json_int_t)p.tip.height));
    json_object_set_new(status, "header", json_string(cn_digest_hex(&p.tip_digest).s));
    json_object_set_new(status, "statements", json_integer((json_int_t)p.tip.log_size - 2));
    json_object_set_new(status, "checkpointed_statements", json_integer((json_int_t)p.checkpoint_log - 2));
    json_object_set_new(status, "pending", json_integer((json_int_t)p.pool_count));
    json_object_set_new(status, "pending_bytes", json_integer((json_int_t)p.pool_bytes));
    json_object_set_new(status, "checkpoint_signatures",
                        json_pack("{s:I, s:i, s:i, s:b}", "height", (json_int_t)p.signed_height, "held",
                                  (int)p.signed_by, "of", (int)p.signed_of, "own", p.signed_here));
    json_object_set_new(status, "erasures",
                        json_pack("{s:I, s:I, s:I}", "carried_out", (json_int_t)p.erasures, "not_attested",
                                  (json_int_t)p.not_attested, "content_missing", (json_int_t)p.content_missing));
    json_object_set_new(status, "voting", json_boolean(p.info.voting));
    json_object_set_new(status, "uptime_ms", json_integer((json_int_t)(cn_steady_ms() - node->started_ms)));
    json_object_set_new(status, "set", json_string(cn_digest_hex(&p.voters.digest).s));
    json_object_set_new(status, "validators", validators);
    json_object_set_new(status, "peers", peers(node, &p));
    return status;
}

/* ---- why ---- */

static unsigned reachable(cn_node *node, const picture *p, json_t *missing)
{
    unsigned up = 0;
    for (unsigned v = 0; v < p->voters.set.n; v++) {
        cn_link_info link = {.up = v == p->voters.self};
        for (unsigned i = 0; i < CN_LINK_SLOTS; i++)
            if (p->peer[i].set && p->peer[i].index == (int)v)
                cn_links_info(node->links, i, &link);
        up += link.up;
        if (!link.up)
            json_array_append_new(missing, json_pack("{s:s, s:s}", "name", p->voters.name[v], "reason",
                                                     link.last_error[0] ? link.last_error : "not connected yet"));
    }
    return up;
}

static void summary(const picture *p, unsigned up, const json_t *missing, char *out, size_t cap)
{
    char names[256] = "";
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(missing) && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "",
                              json_string_value(json_object_get(json_array_get(missing, i), "name")));
    if (up < p->info.quorum)
        snprintf(out, cap,
                 "Nothing can be committed: %u of %u validators are reachable, %u are needed. Missing: %s. Start them, "
                 "or mend the network to them.",
                 up, p->info.n, p->info.quorum, names);
    else if (p->info.waiting_for == CN_WAIT_IDLE && p->pool_count == 0)
        snprintf(out, cap, "Nothing waits: all statements are final at height %llu.%s%s",
                 (unsigned long long)p->tip.height, names[0] ? " Not reachable, but not needed: " : "", names);
    else
        snprintf(out, cap, "View %llu, led by %s: %s. %zu statements wait.%s%s", (unsigned long long)p->info.view,
                 p->voters.name[p->info.leader], cn_wait_text(p->info.waiting_for), p->pool_count,
                 names[0] ? " Not reachable: " : "", names);
}

json_t *cn_report_why(void *ctx)
{
    cn_node *node = ctx;
    picture p = {0};
    char text[1024];
    if (!cn_node_call(node, take_picture, &p, CALL_MS))
        return not_answering();
    json_t *missing = json_array();
    unsigned up = reachable(node, &p, missing);
    summary(&p, up, missing, text, sizeof text);
    json_t *why =
        json_pack("{s:s, s:b, s:i, s:i, s:i, s:o}", "summary", text, "can_commit", up >= p.info.quorum, "reachable",
                  (int)up, "needed", (int)p.info.quorum, "validators", (int)p.info.n, "missing", missing);
    if (p.voters.silent_reason[0])
        json_object_set_new(why, "not_voting", json_string(p.voters.silent_reason));
    json_object_set_new(why, "waiting_for", json_string(cn_wait_text(p.info.waiting_for)));
    json_object_set_new(why, "view", json_integer((json_int_t)p.info.view));
    json_object_set_new(why, "leader", json_string(p.voters.name[p.info.leader]));
    json_object_set_new(why, "in_view_ms", json_integer((json_int_t)(cn_steady_ms() - p.info.entered_ms)));
    json_object_set_new(why, "delay_ms", json_integer((json_int_t)p.info.delay_ms));
    json_object_set_new(why, "notarize_votes", names_of(&p, p.info.notarize_votes));
    json_object_set_new(why, "nullify_votes", names_of(&p, p.info.nullify_votes));
    json_object_set_new(why, "finalize_votes", names_of(&p, p.info.finalize_votes));
    json_object_set_new(why, "pending", json_integer((json_int_t)p.pool_count));
    json_object_set_new(why, "outstanding_blocks", json_integer((json_int_t)p.info.outstanding));
    json_object_set_new(why, "evidence", json_integer((json_int_t)atomic_load(&node->evidence_total)));
    json_object_set_new(why, "nullified_views", json_integer((json_int_t)p.info.nullified_views));
    return why;
}

void cn_report_validator_name(void *ctx, uint64_t epoch, unsigned place, char ret[CN_MAX_NAME + 1])
{
    cn_node *node = ctx;
    ret[0] = '\0';
    pthread_rwlock_rdlock(&node->voters_lock);
    if (epoch == node->voters.epoch && place < node->voters.set.n)
        memcpy(ret, node->voters.name[place], CN_MAX_NAME + 1);
    pthread_rwlock_unlock(&node->voters_lock);
}

bool cn_report_is_validator(void *ctx, const cn_digest *member)
{
    cn_node *node = ctx;
    pthread_rwlock_rdlock(&node->voters_lock);
    bool votes = cn_validator_set_find(&node->voters.set, member) >= 0;
    pthread_rwlock_unlock(&node->voters_lock);
    return votes;
}

/* ---- health ---- */

bool cn_report_ready(void *ctx, json_t *checks)
{
    cn_node *node = ctx;
    picture p = {0};
    bool answered = cn_node_call(node, take_picture, &p, CALL_MS);
    json_t *missing = json_array();
    unsigned up = reachable(node, &p, missing);
    bool quorum = answered && up >= p.info.quorum, synced = answered && p.info.waiting_for != CN_WAIT_SYNC;
    bool votes = answered && (p.info.voting || p.voters.self == CN_OBSERVER); /* an observer is ready to follow */
    json_decref(missing);
    json_object_set_new(checks, "consensus-thread", json_string(answered ? "ok" : "does not answer"));
    json_object_set_new(checks, "quorum", json_string(quorum ? "ok" : "too few validators are reachable"));
    json_object_set_new(checks, "synced", json_string(synced ? "ok" : "fetching final blocks"));
    json_object_set_new(checks, "voting", json_string(votes ? "ok" : "this node does not vote"));
    return quorum && synced && votes;
}

bool cn_report_wait_checkpoint(void *ctx, uint64_t wait_ms)
{
    cn_node *node = ctx;
    uint64_t deadline = cn_monotonic_ms() + wait_ms;
    pthread_mutex_lock(&node->final_lock);
    uint64_t wanted = node->final_log_size;
    while (node->checkpoint_log_size < wanted && cn_wait_a_while(node, &node->final_moved, &node->final_lock, deadline))
        ;
    bool covered = node->checkpoint_log_size >= wanted;
    pthread_mutex_unlock(&node->final_lock);
    return covered;
}

/* ---- metrics ---- */

static void metric(FILE *out, const char *name, const char *type, const char *help, unsigned long long value)
{
    fprintf(out, "# HELP carnet_%s %s\n# TYPE carnet_%s %s\ncarnet_%s %llu\n", name, help, name, type, name, value);
}

static void link_metrics(cn_node *node, const picture *p, FILE *out)
{
    cn_link_info link[CN_LINK_SLOTS];
    fprintf(out, "# HELP carnet_peer_up Whether the link to a member's node is up.\n# TYPE carnet_peer_up gauge\n");
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++) {
        if (!p->peer[i].set)
            continue;
        cn_links_info(node->links, i, &link[i]);
        fprintf(out, "carnet_peer_up{peer=\"%s\"} %d\n", p->peer[i].name, link[i].up);
    }
    fprintf(out, "# HELP carnet_peer_dropped_total Messages dropped because a peer's queue was full.\n"
                 "# TYPE carnet_peer_dropped_total counter\n");
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++)
        if (p->peer[i].set)
            fprintf(out, "carnet_peer_dropped_total{peer=\"%s\"} %llu\n", p->peer[i].name,
                    (unsigned long long)link[i].dropped);
}

void cn_report_metrics(void *ctx, char **ret_text, size_t *ret_len)
{
    cn_node *node = ctx;
    picture p = {0};
    FILE *out = open_memstream(ret_text, ret_len);
    if (!out)
        return;
    if (cn_node_call(node, take_picture, &p, CALL_MS)) {
        metric(out, "height", "gauge", "Height of the newest final block.", p.tip.height);
        metric(out, "epoch", "gauge", "Current epoch.", p.info.epoch);
        metric(out, "validators", "gauge", "Validators of the epoch.", p.info.n);
        metric(out, "view", "gauge", "Current view.", p.info.view);
        metric(out, "pending_statements", "gauge", "Statements that wait for a block.", p.pool_count);
        metric(out, "pending_bytes", "gauge", "Bytes that wait for a block.", p.pool_bytes);
        metric(out, "outstanding_blocks", "gauge", "Executed blocks that are not final.", p.info.outstanding);
        metric(out, "nullified_views_total", "counter", "Views that ended without a block.", p.info.nullified_views);
        metric(out, "equivocations_total", "counter", "Conflicting votes seen.", p.info.equivocations);
        metric(out, "evidence_total", "counter", "New proofs of misbehaviour by validators (R10).",
               atomic_load(&node->evidence_total));
        metric(out, "bad_messages_total", "counter", "Consensus messages that were refused.", p.info.bad_messages);
    }
    metric(out, "statements_final_total", "counter", "Statements made final since the start.",
           atomic_load(&node->statements_final));
    metric(out, "blocks_final_total", "counter", "Blocks made final since the start.",
           atomic_load(&node->blocks_final));
    metric(out, "statements_refused_total", "counter", "Statements refused since the start.",
           atomic_load(&node->refused_statements));
    metric(out, "bad_peer_messages_total", "counter", "Peer messages that did not decode.",
           atomic_load(&node->bad_peer_bytes));
    metric(out, "peers_refused_total", "counter", "Handshakes refused.", cn_links_refused(node->links));
    metric(out, "queue_dropped_total", "counter", "Tasks refused by a full queue.", cn_queue_dropped(node->queue));
    link_metrics(node, &p, out);
    fclose(out);
}

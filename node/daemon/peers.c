/* Who is linked with which key. Slots are the validators of the set; their channel keys are those of the ledger, or,
 * when a peer proved that the ledger has gone on without this node (way.c), newer ones. */
#include "node/daemon/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEXT_KEY "channel.next" /* the file of a key that the ledger is about to name */

static void on_message(void *ctx, unsigned slot, uint8_t type, const uint8_t *payload, size_t n)
{
    cn_node *node = ctx;
    if (type == CN_WIRE_STATEMENT) { /* decoded on the link's thread, verified by a worker */
        if (!cn_admit_from_peer(node, slot, payload, n))
            atomic_fetch_add(&node->bad_peer_bytes, 1);
        return;
    }
    if (type == CN_WIRE_SYNC_BLOCKS) {
        cn_sync_receive(node, slot, payload, n);
        return;
    }
    if (type == CN_WIRE_WAY_REQUEST) { /* to that peer, this node is a stranger */
        cn_buf way;
        cn_buf_init(&way, CN_MAX_MESSAGE_BYTES);
        if (cn_way_serve(node, &way))
            (void)cn_links_send(node->links, slot, CN_WIRE_WAY, way.p, way.n, true);
        cn_buf_free(&way);
        return;
    }
    cn_queue_message(node, slot, type, payload, n);
}

void cn_queue_message(cn_node *node, unsigned slot, uint8_t type, const uint8_t *payload, size_t n)
{
    cn_message_task *m = malloc(sizeof *m + n);
    if (!m)
        return;
    *m = (cn_message_task){.task = {.kind = TASK_MESSAGE, .bytes = sizeof *m + n}, .peer = slot, .type = type, .n = n};
    if (n)
        memcpy(m->bytes, payload, n);
    if (!cn_queue_push(node->queue, &m->task))
        free(m); /* counted by the queue; the protocol sends again */
}

static void on_change(void *ctx, unsigned slot, bool up)
{
    cn_node *node = ctx;
    cn_message_task *m = calloc(1, sizeof *m);
    if (!m)
        return;
    m->task = (cn_task){.kind = TASK_LINK, .bytes = sizeof *m};
    m->peer = slot;
    m->up = up;
    if (!cn_queue_push_always(node->queue, &m->task))
        free(m);
}

/* "name=host:port,name=host:port" */
static cn_status parse_peers(const cn_node *node, cn_peer_address *peers, cn_err *err)
{
    char list[CN_CONFIG_TEXT_MAX], *save = NULL;
    memcpy(list, node->config.peers, sizeof list);
    for (char *one = strtok_r(list, ", ", &save); one; one = strtok_r(NULL, ", ", &save)) {
        char *equals = strchr(one, '=');
        if (!equals || !strchr(equals, ':') || strlen(equals + 1) >= sizeof peers->address)
            return cn_fail(err, CN_INVALID, "peer.addresses", "\"%.60s\" is not name=host:port", one);
        *equals = '\0';
        unsigned i = 0;
        while (i < node->genesis.set.n && strcmp(peers[i].name, one) != 0)
            i++;
        if (i == node->genesis.set.n)
            return cn_fail(err, CN_INVALID, "peer.addresses", "%.60s is not a validator of this network", one);
        memcpy(peers[i].address, equals + 1, strlen(equals + 1) + 1);
    }
    return CN_OK;
}

/* ---- keys ---- */

static bool ledger_key(cn_node *node, unsigned i, uint8_t ret[32])
{
    cn_state_member member;
    if (!cn_ledger_member(node->ledger, NULL, &node->genesis.set.row[i].member, &member))
        return false;
    memcpy(ret, member.channel_key, 32);
    return true;
}

/* Of channel.key and channel.next.key, the one that the ledger names; channel.key where it names neither. */
static cn_status choose_own(cn_node *node, uint8_t ret_secret[32], cn_err *err)
{
    static const char *const files[] = {NEXT_KEY, "channel"};
    uint8_t named[32] = {0};
    cn_key_file file;
    (void)ledger_key(node, node->self, named);
    cn_status st = CN_NOT_FOUND;
    for (size_t i = 0; i < 2; i++) {
        char path[CN_CONFIG_TEXT_MAX + 32];
        snprintf(path, sizeof path, "%s/%s.key", node->config.keys_dir, files[i]);
        if (i == 0 && access(path, F_OK) != 0)
            continue;
        st = cn_read_key(node, files[i], "channel", &file, err);
        if (st == CN_OK && !file.is_x25519)
            st = cn_fail(err, CN_INVALID, "keys.dir", "%s.key is not an X25519 key", files[i]);
        if (st != CN_OK)
            return st;
        memcpy(ret_secret, file.x25519_secret, 32);
        bool is_named = memcmp(file.x25519_public, named, 32) == 0;
        cn_key_file_wipe(&file);
        if (is_named)
            return CN_OK;
    }
    cn_log(node, "warning",
           "the ledger names another channel key for %s than %s/channel.key or " NEXT_KEY ".key: peers "
           "will refuse this node; see carnet member channel-key",
           node->config.name, node->config.keys_dir);
    return st;
}

static void set_slot(cn_node *node, unsigned i)
{
    cn_peer_slot *slot = &node->peer[i];
    uint64_t height = cn_ledger_block_header(cn_ledger_tip(node->ledger))->height;
    uint8_t key[32];
    if (slot->learned_height > height)
        memcpy(key, slot->learned_key, 32);
    else if (!ledger_key(node, i, key))
        return;
    if (slot->set && memcmp(slot->where.channel_key, key, 32) == 0)
        return;
    if (slot->set)
        cn_log(node, "info", "%s has another channel key now", slot->where.name);
    memcpy(slot->where.channel_key, key, 32);
    slot->set = true;
    cn_links_set_peer(node->links, i, &slot->where);
}

void cn_peers_refresh(cn_node *node)
{
    uint8_t secret[32];
    cn_err err = {0};
    for (unsigned i = 0; i < node->genesis.set.n; i++)
        if (i != node->self)
            set_slot(node, i);
    if (choose_own(node, secret, &err) != CN_OK) {
        cn_log(node, "error", "%s: %s", err.field, err.text);
    } else if (memcmp(secret, node->channel_secret, 32) != 0) {
        memcpy(node->channel_secret, secret, 32);
        cn_links_set_secret(node->links, secret);
        cn_log(node, "info", "uses its new channel key from now on");
    }
    explicit_bzero(secret, sizeof secret);
}

void cn_peers_learn(cn_node *node, const cn_digest *member, const uint8_t key[32], uint64_t height)
{
    int i = cn_validator_set_find(&node->genesis.set, member);
    if (i < 0 || (unsigned)i == node->self || height < node->peer[i].learned_height)
        return;
    node->peer[i].learned_height = height;
    memcpy(node->peer[i].learned_key, key, 32);
    set_slot(node, (unsigned)i);
}

void cn_peers_note_final(cn_node *node, const cn_ledger_block *block)
{
    bool changed = false;
    for (size_t i = 0; i < cn_ledger_block_count(block); i++) {
        const cn_body *body = &cn_ledger_block_statement(block, i)->s->body;
        changed = changed || (body->kind == CN_PAYLOAD_REGISTRY && body->registry.op == CN_REG_CHANNEL_KEY);
    }
    if (changed)
        cn_peers_refresh(node);
}

/* ---- opening ---- */

cn_status cn_peers_open(cn_node *node, cn_err *err)
{
    cn_peer_address *peers = calloc(node->genesis.set.n, sizeof *peers);
    CN_ASSERT(peers);
    for (unsigned i = 0; i < node->genesis.set.n; i++) {
        snprintf(peers[i].name, sizeof peers[i].name, "%s", cn_validator_name(node, i));
        /* both sides compute the same, whatever their keys are */
        peers[i].dials = node->self < i;
    }
    cn_status st = parse_peers(node, peers, err);
    if (st == CN_OK)
        st = choose_own(node, node->channel_secret, err);
    cn_links_options options = {.network = node->genesis.network,
                                .listen = node->config.peer_listen,
                                .queue_bytes = node->config.peer_queue_bytes,
                                .ctx = node,
                                .on_message = on_message,
                                .on_change = on_change,
                                .on_stranger = cn_way_on_stranger,
                                .greeting = CN_WIRE_WAY_REQUEST};
    memcpy(options.channel_secret, node->channel_secret, 32);
    if (st == CN_OK)
        st = cn_links_start(&options, &node->links, err);
    explicit_bzero(options.channel_secret, sizeof options.channel_secret);
    for (unsigned i = 0; st == CN_OK && i < node->genesis.set.n; i++) {
        node->peer[i].where = peers[i];
        if (i != node->self)
            set_slot(node, i);
    }
    free(peers);
    return st;
}

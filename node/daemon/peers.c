/* Who is linked with which key: every member that has a channel key, validators before observers. Keys are those of the
 * ledger, or, when a peer proved that the ledger has gone on without this node (way.c), newer ones. */
#include "node/daemon/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEXT_KEY "channel.next" /* the file of a key that the ledger is about to name */

void cn_queue_message(cn_node *node, unsigned slot, uint8_t type, const uint8_t *payload, size_t n)
{
    cn_message_task *m = malloc(sizeof *m + n);
    if (!m)
        return;
    *m = (cn_message_task){
        .task = {.kind = TASK_MESSAGE, .bytes = sizeof *m + n, .lane = 1 + slot}, .peer = slot, .type = type, .n = n};
    if (n)
        memcpy(m->bytes, payload, n);
    if (!cn_queue_push(node->queue, &m->task))
        free(m); /* counted by the queue; the protocol sends again */
}

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

static void on_change(void *ctx, unsigned slot, bool up)
{
    cn_node *node = ctx;
    cn_message_task *m = calloc(1, sizeof *m);
    if (!m)
        return;
    m->task = (cn_task){.kind = TASK_LINK, .bytes = sizeof *m, .lane = 1 + slot};
    m->peer = slot;
    m->up = up;
    if (!cn_queue_push_always(node->queue, &m->task))
        free(m);
}

/* ---- addressing ---- */

unsigned cn_peers_number(const cn_node *node, unsigned slot)
{
    bool votes = slot < CN_LINK_SLOTS && node->peer[slot].set && node->peer[slot].index >= 0;
    return votes ? (unsigned)node->peer[slot].index : CN_MAX_VALIDATORS + slot;
}

int cn_peers_slot_of(const cn_node *node, unsigned index)
{
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++)
        if (node->peer[i].set && node->peer[i].index == (int)index)
            return (int)i;
    return -1;
}

bool cn_peers_send(cn_node *node, unsigned number, uint8_t type, const void *p, size_t n, bool urgent)
{
    int slot = number >= CN_MAX_VALIDATORS ? (int)(number - CN_MAX_VALIDATORS) : cn_peers_slot_of(node, number);
    return slot >= 0 && (unsigned)slot < CN_LINK_SLOTS &&
           cn_links_send(node->links, (unsigned)slot, type, p, n, urgent);
}

void cn_peers_broadcast(cn_node *node, uint8_t type, const void *p, size_t n, bool urgent)
{
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++)
        if (node->peer[i].set)
            (void)cn_links_send(node->links, i, type, p, n, urgent);
}

bool cn_peers_ask_one(cn_node *node, unsigned *cursor, uint8_t type, const void *p, size_t n)
{
    for (int observers = 0; observers < 2; observers++)
        for (unsigned tries = 0; tries < CN_LINK_SLOTS; tries++) {
            unsigned slot = (*cursor)++ % CN_LINK_SLOTS;
            const cn_peer_slot *s = &node->peer[slot];
            if (s->set && (s->index < 0) == (observers == 1) && cn_links_send(node->links, slot, type, p, n, true))
                return true;
        }
    return false;
}

/* ---- misbehaviour ---- */

#define CUT_FIRST_MS 1000u
#define CUT_MAX_MS 60000u
#define FORGIVEN_MS 600000u

void cn_peers_note_bad(cn_node *node, unsigned slot)
{
    uint64_t now = cn_monotonic_ms();
    if (slot >= CN_LINK_SLOTS || !node->peer[slot].set || ++node->peer[slot].bad < node->bad_allowed)
        return;
    cn_peer_slot *s = &node->peer[slot];
    if (now >= s->cut_ms + FORGIVEN_MS)
        s->cut_offs = 0;
    unsigned ms = CUT_FIRST_MS << (s->cut_offs < 6 ? s->cut_offs : 6);
    ms = ms < CUT_MAX_MS ? ms : CUT_MAX_MS;
    s->bad = 0;
    s->cut_offs++;
    s->cut_ms = now;
    cn_log(node, "warning", "%s sent %u messages that no honest node sends: cut off for %u s", s->where.name,
           node->bad_allowed, ms / 1000);
    cn_links_hold_off(node->links, slot, ms);
}

/* ---- slots ---- */

static cn_peer_slot *slot_of_member(cn_node *node, const cn_digest *member)
{
    cn_peer_slot *free_one = NULL;
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++) {
        cn_peer_slot *s = &node->peer[i];
        if (s->set && cn_digest_eq(&s->member, member))
            return s;
        if (!s->set && !free_one)
            free_one = s;
    }
    return free_one;
}

/* "name=host:port,name=host:port"; "" where the configuration names none. */
static void address_of(const cn_node *node, const char *name, char ret[256])
{
    char list[CN_CONFIG_TEXT_MAX], *save = NULL;
    memcpy(list, node->config.peers, sizeof list);
    ret[0] = '\0';
    for (char *one = strtok_r(list, ", ", &save); one; one = strtok_r(NULL, ", ", &save)) {
        char *equals = strchr(one, '=');
        *equals = '\0';
        if (strcmp(one, name) == 0)
            snprintf(ret, 256, "%s", equals + 1);
    }
}

static cn_status check_addresses(const cn_node *node, cn_err *err)
{
    char list[CN_CONFIG_TEXT_MAX], *save = NULL;
    memcpy(list, node->config.peers, sizeof list);
    for (char *one = strtok_r(list, ", ", &save); one; one = strtok_r(NULL, ", ", &save)) {
        const char *equals = strchr(one, '=');
        if (!equals || !strchr(equals, ':') || strlen(equals + 1) >= 256 || equals == one ||
            equals - one > (long)CN_MAX_NAME)
            return cn_fail(err, CN_INVALID, "peer.addresses", "\"%.60s\" is not name=host:port", one);
    }
    return CN_OK;
}

static void set_slot(cn_node *node, cn_peer_slot *s, const cn_digest *member, const char *name, const uint8_t key[32])
{
    cn_peer_address where = {.dials = cn_digest_cmp(&node->member, member) < 0};
    snprintf(where.name, sizeof where.name, "%s", name);
    address_of(node, name, where.address);
    memcpy(where.channel_key, key, 32);
    s->index = cn_validator_set_find(&node->voters.set, member);
    if (s->set && memcmp(&s->where, &where, sizeof where) == 0)
        return;
    if (s->set)
        cn_log(node, "info", "%s has another channel key now", name);
    s->set = true;
    s->member = *member;
    s->where = where;
    cn_links_set_peer(node->links, (unsigned)(s - node->peer), &where);
}

static void clear_slot(cn_node *node, cn_peer_slot *s)
{
    cn_links_set_peer(node->links, (unsigned)(s - node->peer), NULL);
    *s = (cn_peer_slot){.index = -1};
}

/* An observer's slot, when there is none for a validator. */
static cn_peer_slot *evict_observer(cn_node *node)
{
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++)
        if (node->peer[i].set && cn_validator_set_find(&node->voters.set, &node->peer[i].member) < 0) {
            clear_slot(node, &node->peer[i]);
            return &node->peer[i];
        }
    return NULL;
}

static void consider(cn_node *node, const cn_digest *member, const cn_state_member *row)
{
    static const uint8_t none[32];
    uint64_t height = cn_ledger_block_header(cn_ledger_tip(node->ledger))->height;
    if (cn_digest_eq(member, &node->member) || memcmp(row->channel_key, none, 32) == 0)
        return;
    cn_peer_slot *s = slot_of_member(node, member);
    if (!s && cn_validator_set_find(&node->voters.set, member) >= 0)
        s = evict_observer(node);
    if (s)
        set_slot(node, s, member, row->name, s->set && s->learned_height > height ? s->learned_key : row->channel_key);
}

static bool consider_row(void *ctx, const cn_state_key *key, cn_span value)
{
    cn_node *node = ctx;
    cn_state_member row, newest;
    (void)key;
    if (!cn_state_member_decode(value.p, value.n, &row))
        return false;
    cn_digest member = cn_member_id(row.name);
    consider(node, &member, cn_ledger_member(node->ledger, NULL, &member, &newest) ? &newest : &row);
    return true;
}

/* ---- keys ---- */

/* Of channel.key and channel.next.key, the one that the ledger names; channel.key where it names neither. */
static cn_status choose_own(cn_node *node, uint8_t ret_secret[32], cn_err *err)
{
    static const char *const files[] = {NEXT_KEY, "channel"};
    static const uint8_t none[32];
    cn_state_member self = {0};
    cn_key_file file;
    bool known = cn_ledger_member(node->ledger, NULL, &node->member, &self);
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
        bool is_named = memcmp(file.x25519_public, self.channel_key, 32) == 0;
        cn_key_file_wipe(&file);
        if (is_named)
            return CN_OK;
    }
    if (known && memcmp(self.channel_key, none, 32) != 0)
        cn_log(node, "warning",
               "the ledger names another channel key for %s than %s/channel.key or " NEXT_KEY ".key: peers will refuse "
               "this node; see carnet member channel-key",
               node->config.name, node->config.keys_dir);
    return st;
}

void cn_peers_refresh(cn_node *node)
{
    uint8_t secret[32];
    cn_err err = {0};
    cn_snapshot *snap = NULL;
    node->members_changed = false;
    for (unsigned i = 0; i < node->voters.set.n; i++) { /* validators have their slots first */
        cn_state_member row;
        const cn_digest *member = &node->voters.set.row[i].member;
        if (cn_ledger_member(node->ledger, NULL, member, &row))
            consider(node, member, &row);
    }
    if (cn_snapshot_open(node->store, &snap, &err) == CN_OK)
        (void)cn_snapshot_states(snap, CN_STATE_MEMBER, NULL, consider_row, node, &err);
    cn_snapshot_close(snap);
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++)
        node->peer[i].index = node->peer[i].set ? cn_validator_set_find(&node->voters.set, &node->peer[i].member) : -1;
    if (choose_own(node, secret, &err) != CN_OK) {
        cn_log(node, "error", "%s: %s", err.field, err.text);
    } else if (memcmp(secret, node->channel_secret, 32) != 0) {
        memcpy(node->channel_secret, secret, 32);
        cn_links_set_secret(node->links, secret);
        cn_log(node, "info", "uses its new channel key from now on");
    }
    explicit_bzero(secret, sizeof secret);
}

void cn_peers_learn(cn_node *node, const cn_digest *member, const char *name, const uint8_t key[32], uint64_t height)
{
    if (cn_digest_eq(member, &node->member) || height <= cn_ledger_block_header(cn_ledger_tip(node->ledger))->height)
        return;
    cn_peer_slot *s = slot_of_member(node, member);
    if (!s || (s->set && height < s->learned_height) || (!s->set && !name))
        return;
    s->learned_height = height;
    memcpy(s->learned_key, key, 32);
    set_slot(node, s, member, name ? name : s->where.name, key);
}

/* Known members get another key at once; new members are found in the next checkpoint. */
void cn_peers_note_final(cn_node *node, const cn_ledger_block *block)
{
    bool key_changed = false;
    for (size_t i = 0; i < cn_ledger_block_count(block); i++) {
        const cn_body *body = &cn_ledger_block_statement(block, i)->s->body;
        if (body->kind != CN_PAYLOAD_REGISTRY)
            continue;
        key_changed = key_changed || body->registry.op == CN_REG_CHANNEL_KEY;
        node->members_changed = node->members_changed || body->registry.op == CN_REG_CHANNEL_KEY ||
                                body->registry.op == CN_REG_MEMBER_REGISTER;
    }
    bool listed = node->members_changed && cn_ledger_block_header(block)->kind != CN_BLOCK_NORMAL;
    if (key_changed || listed)
        cn_peers_refresh(node);
    node->members_changed = node->members_changed || (key_changed && !listed);
}

/* ---- opening ---- */

cn_status cn_peers_open(cn_node *node, cn_err *err)
{
    cn_status st = check_addresses(node, err);
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
    for (unsigned i = 0; i < CN_LINK_SLOTS; i++)
        node->peer[i].index = -1;
    if (st == CN_OK)
        st = cn_links_start(&options, &node->links, err);
    explicit_bzero(options.channel_secret, sizeof options.channel_secret);
    if (st == CN_OK)
        cn_peers_refresh(node);
    return st;
}

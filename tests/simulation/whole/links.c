/* Links over a simulated network, in place of node/peer/links.c: in order and reliable while they are up, as TCP is;
 * what is under way when a link ends is lost. */
#include "whole.h"

#include <stdlib.h>
#include <string.h>

struct cn_links {
    host *host;
    cn_links_options options;
    uint8_t public_key[32];
    cn_peer_address peer[CN_LINK_SLOTS];
    bool set[CN_LINK_SLOTS];
    uint64_t sent[CN_LINK_SLOTS];
};

cn_status cn_links_start(const cn_links_options *options, cn_links **ret, cn_err *err)
{
    (void)err;
    cn_links *l = calloc(1, sizeof *l);
    CN_ASSERT(l);
    l->host = the_world()->running;
    l->options = *options;
    cn_x25519_public(options->channel_secret, l->public_key);
    l->host->links = l;
    *ret = l;
    return CN_OK;
}

void cn_links_stop(cn_links *links)
{
    if (!links)
        return;
    links->host->links = NULL;
    links_refresh(links->host->world);
    free(links);
}

uint16_t cn_links_port(const cn_links *links)
{
    (void)links;
    return 0;
}

void cn_links_set_peer(cn_links *links, unsigned slot, const cn_peer_address *peer)
{
    links->set[slot] = peer != NULL;
    if (peer)
        links->peer[slot] = *peer;
}

void cn_links_set_secret(cn_links *links, const uint8_t secret[32])
{
    cn_x25519_public(secret, links->public_key);
}

static int slot_of(const cn_links *l, unsigned member)
{
    for (unsigned i = 0; l && i < CN_LINK_SLOTS; i++)
        if (l->set[i] && strcmp(l->peer[i].name, genesis()->member[member].name) == 0)
            return (int)i;
    return -1;
}

static int member_of(const cn_links *l, unsigned slot)
{
    for (unsigned i = 0; i < HOSTS && l->set[slot]; i++)
        if (strcmp(l->peer[slot].name, genesis()->member[i].name) == 0)
            return (int)i;
    return -1;
}

void cn_links_hold_off(cn_links *links, unsigned slot, unsigned ms)
{
    whole *w = links->host->world;
    int other = member_of(links, slot);
    if (other < 0)
        return;
    w->hold_until[links->host->index][other] = w->now + ms;
    schedule(
        w,
        (event){
            .at = w->now + ms + 1, .kind = E_MEND, .host = links->host->index, .other = (unsigned)other, .value = 1});
}

static bool knows(const cn_links *l, unsigned other, const cn_links *peer)
{
    int slot = slot_of(l, other);
    return slot >= 0 && memcmp(l->peer[slot].channel_key, peer->public_key, 32) == 0;
}

static bool should_be_up(const whole *w, unsigned i, unsigned k)
{
    const host *a = &w->host[i], *b = &w->host[k];
    return a->links && b->links && !a->dead && !b->dead && !w->cut[i][k] && !w->cut[k][i] &&
           w->hold_until[i][k] <= w->now && w->hold_until[k][i] <= w->now && knows(a->links, k, b->links) &&
           knows(b->links, i, a->links);
}

static void changed(whole *w, unsigned i, unsigned other, bool up)
{
    host *h = &w->host[i];
    int slot = slot_of(h->links, other);
    if (slot < 0)
        return;
    h->links->options.on_change(h->links->options.ctx, (unsigned)slot, up);
    schedule(w, (event){.at = w->now, .kind = E_WAKE, .host = i, .life = h->life});
}

/* After anything that links depend on. */
void links_refresh(whole *w)
{
    for (unsigned i = 0; i < HOSTS; i++)
        for (unsigned k = i + 1; k < HOSTS; k++) {
            bool up = should_be_up(w, i, k);
            if (up == w->linked[i][k])
                continue;
            w->linked[i][k] = w->linked[k][i] = up;
            w->link_life[i][k]++;
            w->link_life[k][i]++;
            changed(w, i, k, up);
            changed(w, k, i, up);
        }
}

void links_post(whole *w, unsigned from, unsigned to, uint8_t type, const uint8_t *p, size_t n)
{
    uint64_t at = w->now + 1 + rng_below(&w->r, w->max_delay);
    if (!w->linked[from][to])
        return;
    if (at < w->fifo[from][to])
        at = w->fifo[from][to];
    w->fifo[from][to] = at;
    uint8_t *copy = malloc(n + 1);
    CN_ASSERT(copy);
    memcpy(copy, p, n);
    schedule(w, (event){.at = at,
                        .kind = E_DELIVER,
                        .host = to,
                        .other = from,
                        .life = w->link_life[from][to],
                        .type = type,
                        .bytes = copy,
                        .n = n});
}

static void judge(whole *w, host *h, const void *p, size_t n)
{
    cn_digest said = cn_sha256(p, n);
    if (cn_digest_eq(&said, &h->last_said))
        return; /* to the next peer */
    h->last_said = said;
    if (h->node)
        host_note_final(w, h);
    oracle_sent(w->oracle, h->index, h->twist == TWIST_NONE, p, n);
}

/* What a twister says in place of its node. */
void links_say(void *ctx, unsigned to, uint8_t type, const uint8_t *p, size_t n)
{
    const host *h = ctx;
    if (type == CN_WIRE_CONSENSUS)
        oracle_sent(h->world->oracle, h->index, false, p, n);
    links_post(h->world, h->index, to, type, p, n);
}

bool cn_links_send(cn_links *links, unsigned slot, uint8_t type, const void *p, size_t n, bool urgent)
{
    host *h = links->host;
    whole *w = h->world;
    int to = member_of(links, slot);
    (void)urgent;
    if (to < 0 || h->dead || n > CN_MAX_MESSAGE_BYTES)
        return false;
    if (type == CN_WIRE_CONSENSUS)
        judge(w, h, p, n);
    if (!w->linked[h->index][to])
        return false;
    links->sent[slot]++;
    if (h->twist == TWIST_NONE || w->now >= w->chaos_end + 20000 ||
        !twister_send(&h->twister, (unsigned)to, type, p, n))
        links_post(w, h->index, (unsigned)to, type, p, n);
    return true;
}

void links_deliver(whole *w, const event *e)
{
    host *h = &w->host[e->host];
    int slot = h->links ? slot_of(h->links, e->other) : -1;
    if (slot < 0 || !w->linked[e->other][e->host] || w->link_life[e->other][e->host] != e->life)
        return;
    w->running = h;
    h->links->options.on_message(h->links->options.ctx, (unsigned)slot, e->type, e->bytes, e->n);
    w->running = NULL;
    host_run(w, e->host);
}

void cn_links_info(cn_links *links, unsigned slot, cn_link_info *ret)
{
    const whole *w = links->host->world;
    int other = member_of(links, slot);
    *ret = (cn_link_info){.up = other >= 0 && w->linked[links->host->index][other],
                          .last_heard_ms = T0 + w->now,
                          .rtt_us = w->max_delay * 1000,
                          .sent = links->sent[slot]};
}

uint64_t cn_links_refused(cn_links *links)
{
    (void)links;
    return 0;
}

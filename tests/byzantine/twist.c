#include "tests/byzantine/twist.h"

#include "consensus/message.h"
#include "node/daemon/internal.h"

#include <stdlib.h>
#include <string.h>

const char *twist_name(twist_kind kind)
{
    static const char *const names[] = {
#define TWIST_TEXT(name, text) text,
        TWIST_KINDS(TWIST_TEXT)
#undef TWIST_TEXT
    };
    return names[kind];
}

twist_kind twist_named(const char *name)
{
    unsigned kind = 0;
    while (kind < TWISTS && strcmp(twist_name((twist_kind)kind), name) != 0)
        kind++;
    return (twist_kind)kind;
}

/* splitmix64 */
static uint64_t below(twister *t, uint64_t n)
{
    uint64_t z = t->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

static bool chance(twister *t, unsigned percent)
{
    return below(t, 100) < percent;
}

/* ---- bytes ---- */

static void send_changed(twister *t, unsigned to, uint8_t type, const uint8_t *p, size_t n, size_t first)
{
    uint8_t *copy = malloc(n + 1);
    CN_ASSERT(copy);
    memcpy(copy, p, n);
    for (uint64_t k = 1 + below(t, 4); k > 0 && n > first; k--)
        copy[first + below(t, n - first)] ^= (uint8_t)(1u << below(t, 8));
    t->send(t->ctx, to, type, copy, n);
    free(copy);
}

static void keep(twister *t, size_t at, uint8_t type, const uint8_t *p, size_t n)
{
    free(t->kept[at].p);
    t->kept[at].p = malloc(n + 1);
    CN_ASSERT(t->kept[at].p);
    memcpy(t->kept[at].p, p, n);
    t->kept[at].type = type;
    t->kept[at].n = n;
}

static void replay(twister *t, unsigned to, uint8_t type, const uint8_t *p, size_t n)
{
    size_t at = below(t, TWIST_KEPT);
    if (chance(t, 30) && t->kept[at].p)
        t->send(t->ctx, to, t->kept[at].type, t->kept[at].p, t->kept[at].n);
    keep(t, below(t, TWIST_KEPT), type, p, n);
}

/* ---- what others ask for ---- */

#define ENDLESS_BYTES (256u * 1024u)

static bool favour(twister *t, unsigned to)
{
    if (!t->favourite)
        t->favourite = to + 1;
    return t->favourite != to + 1;
}

/* The first answer of a type stands for most of the later ones. */
static bool send_other(twister *t, unsigned to, uint8_t type, const uint8_t *p, size_t n)
{
    size_t at = type % TWIST_KEPT;
    bool other = t->kept[at].p && chance(t, 70);
    if (other)
        t->send(t->ctx, to, t->kept[at].type, t->kept[at].p, t->kept[at].n);
    else
        keep(t, at, type, p, n);
    return other;
}

/* Blocks without number; the bytes are those of no block. */
static void send_endless(twister *t, unsigned to)
{
    uint8_t *p = malloc(ENDLESS_BYTES);
    CN_ASSERT(p);
    memset(p, (int)below(t, 256), ENDLESS_BYTES);
    memset(p, 0xff, 4);
    t->send(t->ctx, to, CN_WIRE_SYNC_BLOCKS, p, ENDLESS_BYTES);
    free(p);
}

static void put_without_content(cn_buf *out, const uint8_t *p, size_t n)
{
    cn_statement *s = NULL;
    cn_buf items;
    bool changed = false;
    cn_buf_init(&items, CN_MAX_MESSAGE_BYTES);
    CN_ASSERT(cn_statement_decode(p, n, &s, NULL) == CN_OK);
    if (s->item_count)
        CN_ASSERT(cn_items_erase(CN_SPAN(p + s->record.n, n - s->record.n), 0, (uint32_t)s->item_count, &items,
                                 &changed, NULL) == CN_OK);
    cn_put_u32(out, (uint32_t)(s->record.n + items.n));
    cn_put_bytes(out, p, s->record.n);
    cn_put_bytes(out, items.p, items.n);
    cn_buf_free(&items);
    cn_statement_free(s);
}

/* A run of final blocks (node/daemon/sync.c), each statement without the content of its items. */
static void send_without_content(twister *t, unsigned to, const uint8_t *p, size_t n)
{
    cn_reader r = cn_reader_of(p, n);
    cn_buf out;
    cn_buf_init(&out, CN_MAX_MESSAGE_BYTES);
    uint32_t blocks = cn_read_u32(&r);
    cn_put_u32(&out, blocks);
    for (uint32_t i = 0; i < blocks; i++) {
        cn_put_bytes(&out, cn_read_view(&r, CN_HEADER_LEN), CN_HEADER_LEN);
        uint32_t count = cn_read_u32(&r);
        cn_put_u32(&out, count);
        for (uint32_t k = 0; k < count; k++) {
            size_t len = cn_read_u32(&r);
            const uint8_t *bytes = cn_read_view(&r, len);
            CN_ASSERT(bytes);
            put_without_content(&out, bytes, len);
        }
    }
    cn_put_bytes(&out, r.p, r.n);
    t->send(t->ctx, to, CN_WIRE_SYNC_BLOCKS, out.p, out.n);
    cn_buf_free(&out);
}

/* ---- votes ---- */

static void send_vote(twister *t, unsigned to, cn_vote *v)
{
    cn_buf out;
    cn_digest digest = cn_vote_digest(&t->network, v->epoch, v->kind, v->view, &v->block);
    cn_buf_init(&out, 256);
    CN_ASSERT(cn_sign(t->vote_key, &digest, &v->signature, NULL) == CN_OK);
    cn_vote_write(v, &out);
    t->send(t->ctx, to, CN_WIRE_CONSENSUS, out.p, out.n);
    cn_buf_free(&out);
}

static void vote_twice(twister *t, unsigned to, cn_vote v)
{
    if (v.kind == CN_NULLIFY)
        return;
    v.block.b[to % CN_DIGEST_LEN] ^= 1;
    send_vote(t, to, &v);
    v.kind = CN_NULLIFY;
    v.block = cn_digest_zero;
    send_vote(t, to, &v);
}

static void flood(twister *t, unsigned to, cn_vote v)
{
    for (uint64_t k = 1; k <= 32; k++) {
        v.view += below(t, 1000) + 1;
        send_vote(t, to, &v);
    }
}

static void impersonate(twister *t, unsigned to, cn_vote v)
{
    for (unsigned k = 0; k < 4; k++) {
        v.signer = (uint16_t)((v.signer + 1u) % 5u); /* also of a place that nobody has */
        send_vote(t, to, &v);
    }
}

static bool twist_vote(twister *t, unsigned to, const uint8_t *p, size_t n)
{
    cn_vote v;
    if (!cn_vote_read(p, n, &v))
        return false;
    if (t->kind == TWIST_DOUBLE_VOTE)
        vote_twice(t, to, v);
    else if (t->kind == TWIST_FLOOD)
        flood(t, to, v);
    else if (t->kind == TWIST_IMPERSONATE)
        impersonate(t, to, v);
    return false; /* the vote itself goes too */
}

/* ---- proposals ---- */

/* The leader's proposal with another header, signed again; false: it is none of its own. */
static bool propose_changed(twister *t, unsigned to, const uint8_t *p, size_t n, bool roots)
{
    cn_proposal change;
    cn_buf out;
    cn_signature signature;
    if (!cn_proposal_read(&t->network, p, n, &change))
        return false;
    if (roots)
        (change.view % 2 ? &change.header.log_root : &change.header.state_root)->b[0] ^= 1;
    else
        change.header.time_ms++;
    cn_header_encode(&change.header, change.header_bytes);
    cn_digest block = cn_header_digest(&change.header);
    cn_digest vote = cn_vote_digest(&t->network, change.epoch, CN_NOTARIZE, change.view, &block);
    CN_ASSERT(cn_sign(t->vote_key, &vote, &change.vote, NULL) == CN_OK);
    cn_buf_init(&out, CN_MAX_MESSAGE_BYTES);
    cn_proposal_write_unsigned(&change, &out);
    cn_digest digest = cn_proposal_digest(&t->network, out.p, out.n);
    CN_ASSERT(cn_sign(t->vote_key, &digest, &signature, NULL) == CN_OK);
    cn_put_bytes(&out, signature.b, CN_SIGNATURE_LEN);
    t->send(t->ctx, to, CN_WIRE_CONSENSUS, out.p, out.n);
    cn_buf_free(&out);
    cn_proposal_clear(&change);
    return true;
}

bool twister_send(twister *t, unsigned to, uint8_t type, const uint8_t *p, size_t n)
{
    bool served = type == CN_WIRE_STATEMENT || type == CN_WIRE_RECORDS || type == CN_WIRE_SYNC_BLOCKS;
    bool consensus = type == CN_WIRE_CONSENSUS;
    bool proposal = consensus && cn_message_kind_of(p, n) == CN_MSG_PROPOSAL;
    switch (t->kind) {
    case TWIST_GARBAGE:
        if (!chance(t, 30))
            return false;
        send_changed(t, to, type, p, n, 0);
        return true;
    case TWIST_WITHHOLD:
        return (served || type == CN_WIRE_BLOCK) && !chance(t, 5);
    case TWIST_LIAR: /* items lie at the end of a statement, behind what is signed */
        if (!served || !chance(t, 60))
            return false;
        send_changed(t, to, type, p, n, n > 40 ? n - 40 : 0);
        return true;
    case TWIST_REPLAY:
        replay(t, to, type, p, n);
        return false;
    case TWIST_EQUIVOCATE:
        return proposal && to % 2 && propose_changed(t, to, p, n, false);
    case TWIST_FALSE_ROOTS:
        return proposal && propose_changed(t, to, p, n, true);
    case TWIST_MUTE:
        return consensus;
    case TWIST_SILENT:
        return true;
    case TWIST_FAVOUR:
        return (served || type == CN_WIRE_BLOCK) && favour(t, to);
    case TWIST_TRUNCATE:
        if ((!served && type != CN_WIRE_BLOCK) || !chance(t, 60))
            return false;
        t->send(t->ctx, to, type, p, n ? below(t, n) : 0);
        return true;
    case TWIST_OTHER:
        return (served || type == CN_WIRE_BLOCK) && send_other(t, to, type, p, n);
    case TWIST_ENDLESS:
        if (consensus)
            send_endless(t, to);
        return false;
    case TWIST_FORGET:
        if (type == CN_WIRE_SYNC_BLOCKS)
            send_without_content(t, to, p, n);
        return type == CN_WIRE_SYNC_BLOCKS;
    default:
        return consensus && twist_vote(t, to, p, n);
    }
}

void twister_end(twister *t)
{
    for (size_t i = 0; i < TWIST_KEPT; i++) {
        free(t->kept[i].p);
        t->kept[i].p = NULL;
    }
}

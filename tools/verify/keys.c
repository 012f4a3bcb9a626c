/* Which key had authority at which log index: derived from genesis and the registry statements of the dossier, in log
 * order. That none of those is missing is what completeness over each key's own tree shows (trees.c). */
#include "tools/verify/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the id is in key_by_id, or would be. */
static size_t rank_of(const verifier *v, const cn_digest *id)
{
    size_t low = 0, high = v->key_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cn_digest_cmp(&v->key[v->key_by_id[middle]].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

known_key *verify_find_key(const verifier *v, const cn_digest *id)
{
    size_t rank = rank_of(v, id);
    known_key *k = rank < v->key_count ? &v->key[v->key_by_id[rank]] : NULL;
    return k && cn_digest_eq(&k->id, id) ? k : NULL;
}

static bool make_room(verifier *v)
{
    size_t cap = v->key_cap ? 2 * v->key_cap : 32;
    if (v->key_count < v->key_cap)
        return true;
    known_key *key = verify_grow(v, v->key, cap, sizeof *key);
    if (key)
        v->key = key;
    uint32_t *by_id = key ? verify_grow(v, v->key_by_id, cap, sizeof *by_id) : NULL;
    if (!by_id)
        return false;
    v->key_by_id = by_id;
    v->key_cap = cap;
    return true;
}

static void add_key(verifier *v, const cn_public_key *key, uint32_t purpose, const cn_digest *owner)
{
    cn_digest id = cn_key_id(key);
    size_t rank = rank_of(v, &id);
    if (!make_room(v))
        return;
    memmove(&v->key_by_id[rank + 1], &v->key_by_id[rank], (v->key_count - rank) * sizeof *v->key_by_id);
    v->key_by_id[rank] = (uint32_t)v->key_count;
    v->key[v->key_count++] = (known_key){.id = id, .owner = *owner, .key = *key, .purpose = purpose};
}

void verify_keys_free(verifier *v)
{
    for (size_t i = 0; i < v->key_count; i++)
        free(v->key[i].salvaged);
    free(v->key);
    free(v->key_by_id);
}

static bool is_salvaged(const known_key *k, const cn_digest *id)
{
    for (size_t i = 0; i < k->salvaged_count; i++)
        if (cn_digest_eq(&k->salvaged[i], id))
            return true;
    return false;
}

/* ---- what a registry statement changes ---- */

static void register_key(verifier *v, const cn_registry_change *c, const cn_digest *owner, const char *where)
{
    cn_digest id = cn_key_id(&c->new_key.key), digest = cn_possession_digest(&v->genesis.network, owner, &id);
    if (verify_find_key(v, &id))
        verify_fault(v, CN_STEP_AUTHORITY, CN_CONFLICT, where, "registers key %s a second time", cn_digest_hex(&id).s);
    else if (!cn_verify(&c->new_key.key, &digest, c->new_key.possession.b))
        verify_fault(v, CN_STEP_AUTHORITY, CN_BAD_SIGNATURE, where, "the new key has not proved its possession");
    else
        add_key(v, &c->new_key.key, c->new_key.purpose, owner);
}

static void salvage(verifier *v, known_key *target, const cn_registry_change *c)
{
    cn_digest *grown =
        verify_grow(v, target->salvaged, target->salvaged_count + c->salvaged_count, sizeof *target->salvaged);
    if (!grown)
        return;
    target->salvaged = grown;
    memcpy(grown + target->salvaged_count, c->salvaged, c->salvaged_count * sizeof *c->salvaged);
    target->salvaged_count += c->salvaged_count;
}

static void change_key(verifier *v, known_key *target, const cn_registry_change *c, uint64_t index, const char *where)
{
    cn_digest owner = target->owner;
    if (target->ended && (c->op == CN_REG_KEY_ROTATE || c->op == CN_REG_KEY_REVOKE)) {
        verify_fault(v, CN_STEP_AUTHORITY, CN_CONFLICT, where, "it ends a key that had ended at log index %llu",
                     (unsigned long long)target->ended);
        return;
    }
    switch (c->op) {
    case CN_REG_KEY_ROTATE:
        if (c->new_key.purpose != target->purpose)
            verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where, "the new key has another purpose than the old one");
        target->ended = index;
        register_key(v, c, &owner, where);
        break;
    case CN_REG_KEY_REVOKE:
        target->ended = index;
        target->revoked = true;
        break;
    case CN_REG_KEY_GAP:
        if (target->chain_known && c->sequence <= target->sequence)
            verify_fault(v, CN_STEP_HASH_CHAIN, CN_BROKEN_CHAIN, where, "its gap goes back behind sequence %llu",
                         (unsigned long long)target->sequence);
        target->chain_known = true;
        target->sequence = c->sequence;
        target->last_id = c->previous;
        break;
    case CN_REG_KEY_SALVAGE:
        if (!target->revoked)
            verify_fault(v, CN_STEP_AUTHORITY, CN_CONFLICT, where, "it salvages statements of a key not revoked");
        salvage(v, target, c);
        break;
    default:
        break;
    }
}

/* The same rights as node/ledger/rules.c grants. */
static void apply_registry(verifier *v, const cn_statement *s, uint64_t index, const char *where)
{
    const cn_registry_change *c = &s->body.registry;
    const known_key *signer = verify_find_key(v, &s->body.key_id);
    known_key *target = verify_find_key(v, &c->key_id);
    if (!signer)
        return; /* reported already */
    bool self = target == signer, capture = signer->purpose == CN_PURPOSE_CAPTURE;
    bool owner = target && cn_digest_eq(&target->owner, &signer->owner);
    bool governs = verify_is_registrar(v, &signer->owner);
    cn_digest signer_owner = signer->owner;
    switch (c->op) {
    case CN_REG_KEY_REGISTER:
        if (!capture)
            verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where, "a key that may not register keys registered one");
        register_key(v, c, &signer_owner, where);
        return;
    case CN_REG_MEMBER_REGISTER: {
        cn_digest member = cn_member_id(c->name);
        if (!capture || !governs)
            verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where, "a member was registered by one who is no registrar");
        register_key(v, c, &member, where);
        return;
    }
    case CN_REG_CHANNEL_KEY:
        return;
    default:
        break;
    }
    if (!target)
        return; /* a key that signed nothing here */
    bool allowed = c->op == CN_REG_KEY_ROTATE    ? owner && (self || capture)
                   : c->op == CN_REG_KEY_SALVAGE ? owner && capture
                   : c->op == CN_REG_KEY_GAP     ? capture && !self && (owner || governs)
                                                 : capture && (owner || governs);
    if (!allowed)
        verify_fault(v, CN_STEP_AUTHORITY, CN_DENIED, where,
                     "a registry change was signed by a key without the right to it");
    change_key(v, target, c, index, where);
}

/* ---- each statement ---- */

static void check_chain(verifier *v, known_key *k, const cn_statement *s, const char *where)
{
    const cn_body *b = &s->body;
    if (k->chain_known && b->sequence <= k->sequence)
        verify_fault(v, CN_STEP_HASH_CHAIN, CN_BROKEN_CHAIN, where, "sequence %llu comes after %llu of the same key",
                     (unsigned long long)b->sequence, (unsigned long long)k->sequence);
    else if (k->chain_known && b->sequence == k->sequence + 1 && !cn_digest_eq(&b->previous, &k->last_id))
        verify_fault(v, CN_STEP_HASH_CHAIN, CN_BROKEN_CHAIN, where,
                     "previous is not the id of the key's statement %llu", (unsigned long long)k->sequence);
    else if (b->sequence == 1 && !cn_digest_is_zero(&b->previous))
        verify_fault(v, CN_STEP_HASH_CHAIN, CN_BROKEN_CHAIN, where,
                     "the first statement of a key names a previous one");
    k->chain_known = true;
    k->sequence = b->sequence;
    k->last_id = s->id;
}

static void check_one(verifier *v, size_t i)
{
    const cn_statement *s = v->statement[i];
    uint64_t index = v->dossier.statement[i].log_index;
    char where[96];
    cn_err err = {0};
    verify_where(v, i, where);
    known_key *k = verify_find_key(v, &s->body.key_id);
    if (!k) {
        verify_fault(v, CN_STEP_AUTHORITY, CN_UNKNOWN_KEY, where, "no registration of key %s before it is here",
                     cn_digest_hex(&s->body.key_id).s);
        return;
    }
    if (cn_statement_verify(s, &k->key, &err) != CN_OK)
        verify_fault(v, CN_STEP_SIGNATURE, err.code, where, "%s", err.text);
    if (k->ended && !(k->revoked && is_salvaged(k, &s->id)))
        verify_fault(v, CN_STEP_AUTHORITY, CN_KEY_NOT_ACTIVE, where, "its key was %s before, at log index %llu",
                     k->revoked ? "revoked" : "replaced", (unsigned long long)k->ended);
    check_chain(v, k, s, where);
    if (s->body.kind == CN_PAYLOAD_REGISTRY)
        apply_registry(v, s, index, where);
    verify_governance(v, s, verify_find_key(v, &s->body.key_id), index, where);
    verify_erasure(v, s, verify_find_key(v, &s->body.key_id), where);
    verify_foreign(v, s, verify_find_key(v, &s->body.key_id), index, where);
}

void verify_keys(verifier *v)
{
    verify_collect_decisions(v);
    verify_collect_networks(v);
    for (size_t i = 0; i < v->genesis.member_count; i++)
        add_key(v, &v->genesis.member[i].capture_key, CN_PURPOSE_CAPTURE, &v->genesis.member[i].id);
    for (size_t i = 0; i < v->dossier.statement_count; i++)
        if (v->statement[i])
            check_one(v, i);
    verify_replays(v);
}

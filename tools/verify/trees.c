/* Completeness: each subject's record is in the state of the checkpoint, its leaves are all of it, and each leaf's
 * statement is here; and the trees that must be here are. */
#include "node/formats/subject.h"
#include "tools/verify/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const cn_dossier_subject *verify_find_subject(const verifier *v, const cn_digest *tag)
{
    size_t low = 0, high = v->dossier.subject_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = cn_digest_cmp(&v->dossier.subjects[middle].tag, tag);
        if (order == 0)
            return &v->dossier.subjects[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int find_statement(const verifier *v, uint64_t index)
{
    size_t low = 0, high = v->dossier.statement_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint64_t here = v->dossier.statement[middle].log_index;
        if (here == index)
            return (int)middle;
        if (here < index)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* ---- what a statement declares ---- */

static bool registry_declares(const verifier *v, const cn_statement *s, const cn_digest *tag)
{
    const cn_registry_change *c = &s->body.registry;
    const uint8_t *salt = v->genesis.subject_salt;
    const known_key *signer = verify_find_key(v, &s->body.key_id), *target = verify_find_key(v, &c->key_id);
    cn_digest named = cn_key_subject(salt, &c->key_id), fresh_id = cn_key_id(&c->new_key.key);
    cn_digest fresh = cn_key_subject(salt, &fresh_id);
    if (c->op >= CN_REG_KEY_ROTATE && c->op <= CN_REG_KEY_SALVAGE && cn_digest_eq(&named, tag))
        return true;
    if (c->new_key.key.type && cn_digest_eq(&fresh, tag))
        return true;
    cn_digest member = signer ? cn_member_subject(salt, &signer->owner) : cn_digest_zero;
    if (cn_digest_eq(&member, tag))
        return true;
    member = target ? cn_member_subject(salt, &target->owner) : cn_digest_zero;
    if (cn_digest_eq(&member, tag))
        return true;
    if (c->op != CN_REG_MEMBER_REGISTER)
        return false;
    cn_digest id = cn_member_id(c->name);
    member = cn_member_subject(salt, &id);
    return cn_digest_eq(&member, tag);
}

/* R11: the member or the network that the change is about, the signer's own, and what is decided at all. */
static bool governance_declares(const verifier *v, const cn_statement *s, const cn_digest *about, bool network,
                                const cn_digest *tag)
{
    const uint8_t *salt = v->genesis.subject_salt;
    const known_key *signer = verify_find_key(v, &s->body.key_id);
    cn_digest member = network ? cn_network_subject(salt, about) : cn_member_subject(salt, about),
              all = cn_governance_subject(salt);
    if (cn_digest_eq(&member, tag) || cn_digest_eq(&all, tag))
        return true;
    member = signer ? cn_member_subject(salt, &signer->owner) : cn_digest_zero;
    return cn_digest_eq(&member, tag);
}

bool verify_declares(const verifier *v, const cn_statement *s, const cn_digest *tag)
{
    const cn_body *b = &s->body;
    switch (b->kind) {
    case CN_PAYLOAD_EVENT_BATCH:
        for (size_t i = 0; i < b->batch.entry_count; i++)
            if (cn_digest_eq(&b->batch.entry[i].subject, tag))
                return true;
        return false;
    case CN_PAYLOAD_REGISTRY:
        return registry_declares(v, s, tag);
    case CN_PAYLOAD_PAIRING:
        return cn_digest_eq(&b->pairing.container, tag) || cn_digest_eq(&b->pairing.consignment, tag);
    case CN_PAYLOAD_DOCUMENT: {
        cn_digest own = cn_document_subject(v->genesis.subject_salt, &b->document.digest);
        for (size_t i = 0; i < b->document.subject_count; i++)
            if (cn_digest_eq(&b->document.subject[i], tag))
                return true;
        return cn_digest_eq(&own, tag);
    }
    case CN_PAYLOAD_PROPOSAL:
        return governance_declares(v, s, &b->proposal.member, b->proposal.action == CN_CHANGE_FOREIGN, tag);
    case CN_PAYLOAD_BALLOT:
        return governance_declares(v, s, &b->ballot.member, verify_is_about_network(v, &b->ballot.proposal), tag);
    case CN_PAYLOAD_READINESS:
        return governance_declares(v, s, &b->readiness.member, false, tag);
    case CN_PAYLOAD_FOREIGN: {
        cn_digest network = cn_network_subject(v->genesis.subject_salt, &b->foreign.network);
        for (size_t i = 0; i < b->foreign.subject_count; i++)
            if (cn_digest_eq(&b->foreign.subject[i], tag))
                return true;
        return b->foreign.kind == CN_FOREIGN_ADVANCE && cn_digest_eq(&network, tag);
    }
    }
    return false;
}

/* ---- one subject ---- */

static void check_leaf(verifier *v, const cn_dossier_subject *s, const cn_subject_leaf *leaf, const char *where)
{
    int place = find_statement(v, leaf->log_index);
    if (place < 0) {
        verify_fault(v, CN_STEP_COMPLETENESS, CN_NOT_FOUND, where,
                     "the statement at log index %llu is missing from the dossier",
                     (unsigned long long)leaf->log_index);
        return;
    }
    const cn_statement *st = v->statement[place];
    if (!st)
        return; /* reported with the statement */
    if (!cn_digest_eq(&st->record_digest, &leaf->record))
        verify_fault(v, CN_STEP_COMPLETENESS, CN_CONFLICT, where,
                     "the statement at log index %llu is not the one recorded", (unsigned long long)leaf->log_index);
    if (!verify_declares(v, st, &s->tag) && !verify_is_tied(v, st, leaf->log_index, &s->tag))
        verify_fault(v, CN_STEP_COMPLETENESS, CN_CONFLICT, where,
                     "the statement at log index %llu does not declare this subject",
                     (unsigned long long)leaf->log_index);
}

static void check_leaves(verifier *v, const cn_dossier_subject *s, const cn_state_subject *record, const char *where)
{
    cn_frontier tree;
    uint64_t last = 0;
    cn_subject_leaf leaf = {0};
    cn_frontier_init(&tree);
    for (uint64_t i = 0; i < s->count; i++) {
        const uint8_t *bytes = s->leaves + i * CN_SUBJECT_LEAF_LEN;
        CN_ASSERT(cn_subject_leaf_decode(bytes, CN_SUBJECT_LEAF_LEN, &leaf));
        cn_digest hash = cn_leaf_hash(bytes, CN_SUBJECT_LEAF_LEN);
        cn_frontier_append(&tree, &hash);
        if (i > 0 && leaf.log_index <= last)
            verify_fault(v, CN_STEP_COMPLETENESS, CN_NOT_CANONICAL, where, "leaf %llu is out of order",
                         (unsigned long long)i);
        last = leaf.log_index;
        check_leaf(v, s, &leaf, where);
    }
    cn_digest root = cn_frontier_root(&tree);
    if (s->count != record->count || !cn_digest_eq(&root, &record->root))
        verify_fault(v, CN_STEP_COMPLETENESS, CN_CONFLICT, where,
                     "its %llu leaves do not hash to the record of %llu statements: one was left out, added or changed",
                     (unsigned long long)s->count, (unsigned long long)record->count);
    if (s->count && leaf.height != record->last_height)
        verify_fault(v, CN_STEP_COMPLETENESS, CN_CONFLICT, where, "the last leaf is not at the recorded height");
}

static void check_present(verifier *v, const cn_dossier_subject *s, const cn_state_key *key, const char *where)
{
    cn_state_subject record;
    cn_err err = {0};
    cn_ics23_existence *proof = calloc(1, sizeof *proof);
    if (!proof)
        verify_fault(v, CN_STEP_COMPLETENESS, CN_NO_MEMORY, where, "out of memory");
    else if (cn_ics23_decode_existence(s->proof.p, s->proof.n, proof, &err) != CN_OK)
        verify_fault(v, CN_STEP_COMPLETENESS, err.code, where, "%s", err.text);
    else if (!cn_ics23_verify_existence(proof, &v->dossier.header[0].state_root, key, proof->value, proof->value_len) ||
             !cn_state_subject_decode(proof->value, proof->value_len, &record))
        verify_fault(v, CN_STEP_COMPLETENESS, CN_INVALID, where,
                     "its completeness record is not in the state of the checkpoint");
    else
        check_leaves(v, s, &record, where);
    free(proof);
}

static void check_absent(verifier *v, const cn_dossier_subject *s, const cn_state_key *key, const char *where)
{
    cn_err err = {0};
    cn_ics23_absence *proof = calloc(1, sizeof *proof);
    if (!proof)
        verify_fault(v, CN_STEP_COMPLETENESS, CN_NO_MEMORY, where, "out of memory");
    else if (cn_ics23_decode_absence(s->proof.p, s->proof.n, proof, &err) != CN_OK)
        verify_fault(v, CN_STEP_COMPLETENESS, err.code, where, "%s", err.text);
    else if (!cn_ics23_verify_absence(proof, &v->dossier.header[0].state_root, key))
        verify_fault(v, CN_STEP_COMPLETENESS, CN_INVALID, where,
                     "its absence is not proved by the state of the checkpoint");
    free(proof);
}

static void check_subject(verifier *v, const cn_dossier_subject *s)
{
    char where[96];
    snprintf(where, sizeof where, "subjects/%s.bin", cn_digest_hex(&s->tag).s);
    cn_state_key key = cn_state_key_of(v->genesis.subject_salt, CN_STATE_SUBJECT, s->tag.b, CN_DIGEST_LEN);
    if (s->present)
        check_present(v, s, &key, where);
    else
        check_absent(v, s, &key, where);
}

/* ---- the closure ---- */

/* A statement about a subject whose tree is here must be a leaf of it. */
bool verify_is_leaf(const cn_dossier_subject *s, uint64_t index)
{
    uint64_t low = 0, high = s->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t here = cn_load_u64(s->leaves + middle * CN_SUBJECT_LEAF_LEN + CN_DIGEST_LEN);
        if (here == index)
            return true;
        if (here < index)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void check_closure(verifier *v, size_t i)
{
    const cn_statement *s = v->statement[i];
    uint64_t index = v->dossier.statement[i].log_index;
    char where[96];
    verify_where(v, i, where);
    cn_digest about = cn_key_subject(v->genesis.subject_salt, &s->body.key_id);
    if (!verify_find_subject(v, &about))
        verify_fault(v, CN_STEP_REGISTRY_CLOSURE, CN_NOT_FOUND, where, "the tree about its key %s is missing",
                     cn_digest_hex(&s->body.key_id).s);
    cn_digest decided = cn_governance_subject(v->genesis.subject_salt);
    if (verify_leans_on_governance(v, s) && !verify_find_subject(v, &decided))
        verify_fault(v, CN_STEP_REGISTRY_CLOSURE, CN_NOT_FOUND, where,
                     "the tree of what members decided by ballot is missing");
    cn_digest network = cn_network_subject(v->genesis.subject_salt, &s->body.foreign.network);
    if (s->body.kind == CN_PAYLOAD_FOREIGN && !verify_find_subject(v, &network))
        verify_fault(v, CN_STEP_REGISTRY_CLOSURE, CN_NOT_FOUND, where,
                     "the tree about the foreign network %s is missing", cn_digest_hex(&s->body.foreign.network).s);
    for (size_t k = 0; k < v->dossier.subject_count; k++) {
        const cn_dossier_subject *subject = &v->dossier.subjects[k];
        if (verify_declares(v, s, &subject->tag) && !(subject->present && verify_is_leaf(subject, index)))
            verify_fault(v, CN_STEP_COMPLETENESS, CN_CONFLICT, where,
                         "it declares subject %s, whose tree does not hold it", cn_digest_hex(&subject->tag).s);
    }
}

static void check_statement_scope(verifier *v)
{
    for (size_t i = 0; i < v->dossier.statement_count; i++)
        if (v->statement[i] && cn_digest_eq(&v->statement[i]->id, &v->dossier.tag))
            return;
    verify_fault(v, CN_STEP_COMPLETENESS, CN_NOT_FOUND, "manifest.json", "the statement it is about is not here");
}

/* Another spelling of the same subject has another tag, under which nothing is ever recorded: its absence says nothing.
 */
static void check_subject_scope(verifier *v)
{
    const cn_dossier *d = &v->dossier;
    char canonical[CN_SUBJECT_MAX];
    cn_err err = {0};
    cn_digest tag = cn_subject_tag(v->genesis.subject_salt, d->subject);
    const cn_dossier_subject *main_subject = verify_find_subject(v, &d->tag);
    if (cn_subject_canonical(d->subject, canonical, sizeof canonical, NULL, &err) != CN_OK)
        verify_fault(v, CN_STEP_COMPLETENESS, err.code, "manifest.json", "the subject is no subject: %s", err.text);
    else if (strcmp(canonical, d->subject) != 0)
        verify_fault(v, CN_STEP_COMPLETENESS, CN_NOT_CANONICAL, "manifest.json",
                     "the subject is not in its canonical form, under which statements are recorded");
    if (!cn_digest_eq(&tag, &d->tag))
        verify_fault(v, CN_STEP_COMPLETENESS, CN_CONFLICT, "manifest.json", "the subject's name does not give its tag");
    if (!main_subject) {
        verify_fault(v, CN_STEP_COMPLETENESS, CN_NOT_FOUND, "manifest.json",
                     "the tree of the subject itself is missing");
        return;
    }
    v->report->absent = !main_subject->present;
    v->report->subject_statements = main_subject->count;
}

void verify_trees(verifier *v)
{
    const cn_dossier *d = &v->dossier;
    for (size_t i = 0; i < d->subject_count; i++)
        check_subject(v, &d->subjects[i]);
    for (size_t i = 0; i < d->statement_count; i++)
        if (v->statement[i])
            check_closure(v, i);
    if (d->kind == CN_DOSSIER_SUBJECT)
        check_subject_scope(v);
    else
        check_statement_scope(v);
}

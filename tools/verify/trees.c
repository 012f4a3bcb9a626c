/* Completeness: each subject's record is in the state of the checkpoint, its leaves are all of it, and each leaf's
 * statement is here; and the trees that must be here are. */
#include "node/formats/subject.h"
#include "proto/limits.h"
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

/* One statement's worth: document and foreign proof declare CN_MAX_SUBJECTS and one more, registry changes fewer. */
typedef struct tag_list {
    cn_digest tag[CN_MAX_SUBJECTS + 1];
    size_t count;
} tag_list;

static void add_tag(tag_list *list, cn_digest tag)
{
    CN_ASSERT(list->count < sizeof list->tag / sizeof list->tag[0]);
    list->tag[list->count++] = tag;
}

static void add_owner(tag_list *list, const verifier *v, const cn_digest *key_id)
{
    const known_key *k = verify_find_key(v, key_id);
    if (k)
        add_tag(list, cn_member_subject(v->genesis.subject_salt, &k->owner));
}

static void add_registry(tag_list *list, const verifier *v, const cn_statement *s)
{
    const cn_registry_change *c = &s->body.registry;
    const uint8_t *salt = v->genesis.subject_salt;
    if (c->op >= CN_REG_KEY_ROTATE && c->op <= CN_REG_KEY_SALVAGE)
        add_tag(list, cn_key_subject(salt, &c->key_id));
    if (c->new_key.key.type) {
        cn_digest fresh = cn_key_id(&c->new_key.key);
        add_tag(list, cn_key_subject(salt, &fresh));
    }
    add_owner(list, v, &s->body.key_id);
    add_owner(list, v, &c->key_id);
    if (c->op == CN_REG_MEMBER_REGISTER) {
        cn_digest id = cn_member_id(c->name);
        add_tag(list, cn_member_subject(salt, &id));
    }
}

/* R11: the member or the network that the change is about, the signer's own, and what is decided at all. */
static void add_governance(tag_list *list, const verifier *v, const cn_statement *s, const cn_digest *about,
                           bool network)
{
    const uint8_t *salt = v->genesis.subject_salt;
    add_tag(list, network ? cn_network_subject(salt, about) : cn_member_subject(salt, about));
    add_tag(list, cn_governance_subject(salt));
    add_owner(list, v, &s->body.key_id);
}

static void list_tags(tag_list *list, const verifier *v, const cn_statement *s)
{
    const cn_body *b = &s->body;
    switch (b->kind) {
    case CN_PAYLOAD_EVENT_BATCH: /* its entries are in order by themselves */
        break;
    case CN_PAYLOAD_REGISTRY:
        add_registry(list, v, s);
        break;
    case CN_PAYLOAD_PAIRING:
        add_tag(list, b->pairing.container);
        add_tag(list, b->pairing.consignment);
        break;
    case CN_PAYLOAD_DOCUMENT:
        for (size_t i = 0; i < b->document.subject_count; i++)
            add_tag(list, b->document.subject[i]);
        add_tag(list, cn_document_subject(v->genesis.subject_salt, &b->document.digest));
        break;
    case CN_PAYLOAD_PROPOSAL:
        add_governance(list, v, s, &b->proposal.member, b->proposal.action == CN_CHANGE_FOREIGN);
        break;
    case CN_PAYLOAD_BALLOT:
        add_governance(list, v, s, &b->ballot.member, verify_is_about_network(v, &b->ballot.proposal));
        break;
    case CN_PAYLOAD_READINESS:
        add_governance(list, v, s, &b->readiness.member, false);
        break;
    case CN_PAYLOAD_ERASURE:
    case CN_PAYLOAD_PURGE: {
        const cn_statement *order = b->kind == CN_PAYLOAD_ERASURE ? s : verify_find_order(v, &b->purge.erasure);
        for (size_t i = 0; order && i < order->body.erasure.subject_count; i++)
            add_tag(list, order->body.erasure.subject[i]);
        add_tag(list, cn_erasures_subject(v->genesis.subject_salt));
        break;
    }
    case CN_PAYLOAD_FOREIGN:
        for (size_t i = 0; i < b->foreign.subject_count; i++)
            add_tag(list, b->foreign.subject[i]);
        if (b->foreign.kind == CN_FOREIGN_ADVANCE)
            add_tag(list, cn_network_subject(v->genesis.subject_salt, &b->foreign.network));
        break;
    }
}

static int by_tag(const void *a, const void *b)
{
    return cn_digest_cmp(a, b);
}

/* Once for each statement: leaves and trees are held against it many times. */
static void collect_declared(verifier *v)
{
    v->declared = verify_grow(v, NULL, v->dossier.statement_count, sizeof *v->declared);
    for (size_t i = 0; v->declared && i < v->dossier.statement_count; i++) {
        declared *d = &v->declared[i];
        tag_list list = {.count = 0};
        *d = (declared){0};
        if (v->statement[i])
            list_tags(&list, v, v->statement[i]);
        if (list.count == 0 || !(d->tag = verify_grow(v, NULL, list.count, sizeof *d->tag)))
            continue;
        qsort(list.tag, list.count, sizeof list.tag[0], by_tag);
        for (size_t k = 0; k < list.count; k++)
            if (k == 0 || !cn_digest_eq(&list.tag[k], &list.tag[k - 1]))
                d->tag[d->count++] = list.tag[k];
    }
}

void verify_trees_free(verifier *v)
{
    for (size_t i = 0; v->declared && i < v->dossier.statement_count; i++)
        free(v->declared[i].tag);
    free(v->declared);
}

const cn_batch_entry *verify_entries_of(const cn_event_batch *batch, const cn_digest *tag, size_t *ret_count)
{
    size_t low = 0, high = batch->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cn_digest_cmp(&batch->entry[middle].subject, tag) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low;
    while (end < batch->entry_count && cn_digest_eq(&batch->entry[end].subject, tag))
        end++;
    *ret_count = end - low;
    return end > low ? &batch->entry[low] : NULL;
}

bool verify_declares(const verifier *v, size_t place, const cn_digest *tag)
{
    const cn_statement *s = v->statement[place];
    size_t n;
    if (s->body.kind == CN_PAYLOAD_EVENT_BATCH)
        return verify_entries_of(&s->body.batch, tag, &n) != NULL;
    for (size_t i = 0; v->declared && i < v->declared[place].count; i++)
        if (cn_digest_eq(&v->declared[place].tag[i], tag))
            return true;
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
    if (!verify_declares(v, (size_t)place, &s->tag) && !verify_is_tied(v, (size_t)place, s))
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

static void check_entered(verifier *v, const cn_digest *tag, uint64_t index, const char *where)
{
    const cn_dossier_subject *s = verify_find_subject(v, tag);
    if (s && !(s->present && verify_is_leaf(s, index)))
        verify_fault(v, CN_STEP_COMPLETENESS, CN_CONFLICT, where, "it declares subject %s, whose tree does not hold it",
                     cn_digest_hex(&s->tag).s);
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
    if (s->body.kind == CN_PAYLOAD_EVENT_BATCH)
        for (size_t k = 0; k < s->body.batch.entry_count; k++) {
            const cn_batch_entry *e = &s->body.batch.entry[k];
            if (k == 0 || !cn_digest_eq(&e->subject, &e[-1].subject))
                check_entered(v, &e->subject, index, where);
        }
    for (size_t k = 0; v->declared && k < v->declared[i].count; k++)
        check_entered(v, &v->declared[i].tag[k], index, where);
}

/* The name that people read is the statement's own: under another one, a statement would pass for all that is recorded
 * about a subject whose tree is not here. */
static void check_statement_scope(verifier *v)
{
    const cn_dossier *d = &v->dossier;
    bool here = false;
    for (size_t i = 0; i < d->statement_count; i++)
        here = here || (v->statement[i] && cn_digest_eq(&v->statement[i]->id, &d->tag));
    if (!here)
        verify_fault(v, CN_STEP_COMPLETENESS, CN_NOT_FOUND, "manifest.json", "the statement it is about is not here");
    if (strcmp(d->subject, cn_digest_hex(&d->tag).s) != 0)
        verify_fault(v, CN_STEP_COMPLETENESS, CN_CONFLICT, "manifest.json",
                     "it is about one statement, and names another subject than that statement's id");
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
    collect_declared(v);
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

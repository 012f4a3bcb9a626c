/* Strict parsing of StatementBody: protobuf-c accepts swapped and repeated fields, non-minimal varints and unknown
 * fields, so the message must re-pack to the very bytes that came, and no message may hold unknown fields. */
#include "proto/statement_parse.h"

#include "proto/carnet.pb-c.h"
#include "proto/foreign.h"
#include "proto/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cn_status no_unknown(const ProtobufCMessage *m, const char *field, cn_err *err)
{
    if (m->n_unknown_fields)
        return cn_fail(err, CN_INVALID, field, "holds field %u, which version 1 does not know",
                       m->unknown_fields[0].tag);
    return CN_OK;
}

static cn_status take_digest(const ProtobufCBinaryData *data, const char *field, cn_digest *ret, cn_err *err)
{
    if (data->len != CN_DIGEST_LEN)
        return cn_fail(err, CN_INVALID, field, "has %zu bytes, must have %d", data->len, CN_DIGEST_LEN);
    memcpy(ret->b, data->data, CN_DIGEST_LEN);
    return CN_OK;
}

/* ---- event batch ---- */

static cn_status fail_entry(cn_err *err, cn_status code, size_t i, const char *part, const char *text)
{
    char field[64];
    snprintf(field, sizeof field, "event_batch.entries[%zu].%s", i, part);
    return cn_fail(err, code, field, "%s", text);
}

static cn_status check_ranges(const cn_event_batch *batch, cn_err *err)
{
    uint8_t covered[CN_MAX_ITEMS] = {0};
    size_t subjects = 0;
    for (size_t i = 0; i < batch->entry_count; i++) {
        const cn_batch_entry *e = &batch->entry[i], *before = i ? e - 1 : NULL;
        int order = before ? cn_digest_cmp(&before->subject, &e->subject) : -1;
        if (order > 0 || (order == 0 && before->start >= e->start))
            return fail_entry(err, CN_NOT_CANONICAL, i, order > 0 ? "subject" : "start",
                              "entries must ascend by (subject, start)");
        if (e->start >= batch->item_count)
            return fail_entry(err, CN_INVALID, i, "start", "lies beyond the items of the batch");
        if (e->count == 0 || e->count > batch->item_count - e->start)
            return fail_entry(err, CN_INVALID, i, "count", "must be at least 1 and end within the items of the batch");
        if (e->first_ms > e->last_ms)
            return fail_entry(err, CN_INVALID, i, "first_ms", "is after last_ms");
        subjects += order != 0;
        memset(covered + e->start, 1, e->count);
    }
    if (subjects > CN_MAX_SUBJECTS)
        return cn_fail(err, CN_TOO_LARGE, "event_batch.entries", "declares %zu subjects, the limit is %u", subjects,
                       CN_MAX_SUBJECTS);
    for (uint32_t i = 0; i < batch->item_count; i++)
        if (!covered[i])
            return cn_fail(err, CN_INVALID, "event_batch.entries", "item %u is covered by no entry", i);
    return CN_OK;
}

static cn_status parse_batch(const Carnet__V1__EventBatch *m, cn_arena *arena, cn_event_batch *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "event_batch", err);
    if (st == CN_OK)
        st = take_digest(&m->items_root, "event_batch.items_root", &ret->items_root, err);
    if (st != CN_OK)
        return st;
    if (m->item_count == 0 || m->item_count > CN_MAX_ITEMS)
        return cn_fail(err, CN_TOO_LARGE, "event_batch.item_count", "%u items; a batch has 1 to %u", m->item_count,
                       CN_MAX_ITEMS);
    if (m->n_entries == 0 || m->n_entries > CN_MAX_ENTRIES)
        return cn_fail(err, CN_TOO_LARGE, "event_batch.entries", "%zu entries; a batch has 1 to %u", m->n_entries,
                       CN_MAX_ENTRIES);
    ret->item_count = m->item_count;
    ret->entry_count = m->n_entries;
    ret->entry = cn_arena_alloc(arena, m->n_entries * sizeof *ret->entry);
    if (!ret->entry)
        return cn_fail(err, CN_NO_MEMORY, "event_batch.entries", "the memory budget of one statement is used up");
    for (size_t i = 0; i < m->n_entries; i++) {
        const Carnet__V1__BatchEntry *from = m->entries[i];
        cn_batch_entry *e = &ret->entry[i];
        char field[64];
        snprintf(field, sizeof field, "event_batch.entries[%zu]", i);
        st = no_unknown(&from->base, field, err);
        if (st == CN_OK && from->subject.len != CN_DIGEST_LEN)
            st = fail_entry(err, CN_INVALID, i, "subject", "must have 32 bytes");
        if (st == CN_OK)
            memcpy(e->subject.b, from->subject.data, CN_DIGEST_LEN);
        if (st != CN_OK)
            return st;
        e->start = from->start;
        e->count = from->count;
        e->first_ms = from->first_ms;
        e->last_ms = from->last_ms;
    }
    return check_ranges(ret, err);
}

/* ---- registry changes ---- */

static cn_status parse_new_key(const Carnet__V1__KeyRegister *m, cn_registry_change *ret, cn_err *err)
{
    if (!m)
        return cn_fail(err, CN_INVALID, "registry_change", "the new key is missing");
    cn_status st = no_unknown(&m->base, "registry_change.key", err);
    if (st != CN_OK)
        return st;
    if (m->type < CN_KEY_SECP256K1 || m->type > CN_KEY_P256)
        return cn_fail(err, CN_INVALID, "registry_change.key.type", "key type %u is not known; use 1, 2 or 3", m->type);
    if (m->purpose < CN_PURPOSE_CAPTURE || m->purpose > CN_PURPOSE_GATEWAY)
        return cn_fail(err, CN_INVALID, "registry_change.key.purpose",
                       "purpose %u is not 1 (capture), 2 (device) or 3 (gateway)", m->purpose);
    if (m->possession.len != CN_SIGNATURE_LEN)
        return cn_fail(err, CN_INVALID, "registry_change.key.possession", "has %zu bytes, must have %d",
                       m->possession.len, CN_SIGNATURE_LEN);
    memcpy(ret->new_key.possession.b, m->possession.data, CN_SIGNATURE_LEN);
    ret->new_key.purpose = m->purpose;
    cn_err why;
    st = cn_public_key_parse((uint8_t)m->type, m->public_key.data, m->public_key.len, &ret->new_key.key, &why);
    return st == CN_OK ? CN_OK : cn_fail(err, st, "registry_change.key.public_key", "%s", why.text);
}

static cn_status parse_rotate(const Carnet__V1__KeyRotate *m, cn_registry_change *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "registry_change.key_rotate", err);
    if (st == CN_OK)
        st = take_digest(&m->key_id, "registry_change.key_rotate.key_id", &ret->key_id, err);
    return st == CN_OK ? parse_new_key(m->replacement, ret, err) : st;
}

static cn_status parse_revoke(const Carnet__V1__KeyRevoke *m, cn_registry_change *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "registry_change.key_revoke", err);
    if (st == CN_OK)
        st = take_digest(&m->key_id, "registry_change.key_revoke.key_id", &ret->key_id, err);
    if (st == CN_OK && (m->reason < 1 || m->reason > 4))
        st = cn_fail(err, CN_INVALID, "registry_change.key_revoke.reason", "reason %u is not 1 to 4", m->reason);
    ret->sequence = m->last_good;
    ret->reason = m->reason;
    return st;
}

static cn_status parse_gap(const Carnet__V1__KeyGap *m, cn_registry_change *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "registry_change.key_gap", err);
    if (st == CN_OK)
        st = take_digest(&m->key_id, "registry_change.key_gap.key_id", &ret->key_id, err);
    if (st == CN_OK)
        st = take_digest(&m->previous, "registry_change.key_gap.previous", &ret->previous, err);
    if (st == CN_OK && (m->reason < 1 || m->reason > 3))
        st = cn_fail(err, CN_INVALID, "registry_change.key_gap.reason", "reason %u is not 1 to 3", m->reason);
    if (st == CN_OK && (m->sequence == 0 || m->sequence == UINT64_MAX))
        st = cn_fail(err, CN_INVALID, "registry_change.key_gap.sequence", "is out of range");
    ret->sequence = m->sequence;
    ret->reason = m->reason;
    return st;
}

/* A list of digests; chain order or ascending order is the caller's rule. */
static cn_status take_digests(const ProtobufCBinaryData *data, size_t count, size_t max, const char *field,
                              cn_arena *arena, cn_digest **ret, cn_err *err)
{
    if (count > max)
        return cn_fail(err, CN_TOO_LARGE, field, "%zu entries, the limit is %zu", count, max);
    cn_digest *list = cn_arena_alloc(arena, (count ? count : 1) * sizeof *list);
    if (!list)
        return cn_fail(err, CN_NO_MEMORY, field, "the memory budget of one statement is used up");
    for (size_t i = 0; i < count; i++) {
        cn_status st = take_digest(&data[i], field, &list[i], err);
        if (st != CN_OK)
            return st;
    }
    *ret = list;
    return CN_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return cn_digest_cmp(a, b);
}

static cn_status check_distinct(const cn_digest *list, size_t count, cn_arena *arena, cn_err *err)
{
    static const char field[] = "registry_change.key_salvage.statement_ids";
    cn_digest *sorted = cn_arena_alloc(arena, count * sizeof *sorted);
    if (!sorted)
        return cn_fail(err, CN_NO_MEMORY, field, "the memory budget of one statement is used up");
    memcpy(sorted, list, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_bytes);
    for (size_t i = 1; i < count; i++)
        if (cn_digest_eq(&sorted[i - 1], &sorted[i]))
            return cn_fail(err, CN_INVALID, field, "%s is listed twice", cn_digest_hex(&sorted[i]).s);
    return CN_OK;
}

static cn_status parse_salvage(const Carnet__V1__KeySalvage *m, cn_arena *arena, cn_registry_change *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "registry_change.key_salvage", err);
    if (st == CN_OK)
        st = take_digest(&m->key_id, "registry_change.key_salvage.key_id", &ret->key_id, err);
    if (st == CN_OK && m->n_statement_ids == 0)
        st = cn_fail(err, CN_INVALID, "registry_change.key_salvage.statement_ids", "the list is empty");
    if (st == CN_OK)
        st = take_digests(m->statement_ids, m->n_statement_ids, CN_MAX_SALVAGED,
                          "registry_change.key_salvage.statement_ids", arena, &ret->salvaged, err);
    ret->salvaged_count = m->n_statement_ids;
    return st == CN_OK ? check_distinct(ret->salvaged, ret->salvaged_count, arena, err) : st;
}

static bool valid_name(const uint8_t *p, size_t n)
{
    if (n == 0 || n > CN_MAX_NAME || p[0] == '-' || p[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') || p[i] == '-'))
            return false;
    return true;
}

static cn_status parse_member(const Carnet__V1__MemberRegister *m, cn_registry_change *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "registry_change.member_register", err);
    if (st != CN_OK)
        return st;
    if (!valid_name(m->name.data, m->name.len))
        return cn_fail(err, CN_INVALID, "registry_change.member_register.name",
                       "a name has 1 to %u of a-z, 0-9 and - and neither begins nor ends with -", CN_MAX_NAME);
    if (m->country.len != 2 || m->country.data[0] < 'A' || m->country.data[0] > 'Z' || m->country.data[1] < 'A' ||
        m->country.data[1] > 'Z')
        return cn_fail(err, CN_INVALID, "registry_change.member_register.country", "must be two letters (ISO 3166-1)");
    if (m->roles == 0 || (m->roles & ~CN_ROLES_ALL))
        return cn_fail(err, CN_INVALID, "registry_change.member_register.roles", "0x%x is not a set of known roles",
                       m->roles);
    memcpy(ret->name, m->name.data, m->name.len);
    memcpy(ret->country, m->country.data, 2);
    ret->roles = m->roles;
    st = parse_new_key(m->capture_key, ret, err);
    if (st == CN_OK && ret->new_key.purpose != CN_PURPOSE_CAPTURE)
        st = cn_fail(err, CN_INVALID, "registry_change.member_register.capture_key.purpose", "must be 1 (capture)");
    return st;
}

static cn_status parse_channel(const Carnet__V1__ChannelKey *m, cn_registry_change *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "registry_change.channel_key", err);
    if (st == CN_OK && m->public_key.len != 32)
        st = cn_fail(err, CN_INVALID, "registry_change.channel_key.public_key", "must have 32 bytes");
    if (st == CN_OK)
        memcpy(ret->channel_key, m->public_key.data, 32);
    return st;
}

static cn_status parse_registry(const Carnet__V1__RegistryChange *m, cn_arena *arena, cn_registry_change *ret,
                                cn_err *err)
{
    cn_status st = no_unknown(&m->base, "registry_change", err);
    if (st != CN_OK)
        return st;
    ret->op = (cn_registry_op)m->change_case;
    switch (m->change_case) {
    case CARNET__V1__REGISTRY_CHANGE__CHANGE_KEY_REGISTER:
        return parse_new_key(m->key_register, ret, err);
    case CARNET__V1__REGISTRY_CHANGE__CHANGE_KEY_ROTATE:
        return parse_rotate(m->key_rotate, ret, err);
    case CARNET__V1__REGISTRY_CHANGE__CHANGE_KEY_REVOKE:
        return parse_revoke(m->key_revoke, ret, err);
    case CARNET__V1__REGISTRY_CHANGE__CHANGE_KEY_GAP:
        return parse_gap(m->key_gap, ret, err);
    case CARNET__V1__REGISTRY_CHANGE__CHANGE_KEY_SALVAGE:
        return parse_salvage(m->key_salvage, arena, ret, err);
    case CARNET__V1__REGISTRY_CHANGE__CHANGE_MEMBER_REGISTER:
        return parse_member(m->member_register, ret, err);
    case CARNET__V1__REGISTRY_CHANGE__CHANGE_CHANNEL_KEY:
        return parse_channel(m->channel_key, ret, err);
    default:
        return cn_fail(err, CN_INVALID, "registry_change", "no change is given");
    }
}

/* ---- the rest ---- */

static cn_status parse_pairing(const Carnet__V1__Pairing *m, cn_pairing *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "pairing", err);
    if (st == CN_OK)
        st = take_digest(&m->container, "pairing.container", &ret->container, err);
    if (st == CN_OK)
        st = take_digest(&m->consignment, "pairing.consignment", &ret->consignment, err);
    if (st == CN_OK && cn_digest_eq(&ret->container, &ret->consignment))
        st = cn_fail(err, CN_INVALID, "pairing", "container and consignment are the same subject");
    if (st == CN_OK && m->end_ms != 0 && m->end_ms < m->start_ms)
        st = cn_fail(err, CN_INVALID, "pairing.end_ms", "is before start_ms");
    ret->start_ms = m->start_ms;
    ret->end_ms = m->end_ms;
    return st;
}

static cn_status parse_document(const Carnet__V1__DocumentAnchor *m, cn_arena *arena, cn_document_anchor *ret,
                                cn_err *err)
{
    cn_status st = no_unknown(&m->base, "document_anchor", err);
    if (st == CN_OK)
        st = take_digest(&m->digest, "document_anchor.digest", &ret->digest, err);
    if (st == CN_OK && (m->kind < 1 || m->kind > 6))
        st = cn_fail(err, CN_INVALID, "document_anchor.kind", "kind %u is not 1 to 6", m->kind);
    if (st == CN_OK) /* the document's own subject counts too */
        st = take_digests(m->subjects, m->n_subjects, CN_MAX_SUBJECTS - 1, "document_anchor.subjects", arena,
                          &ret->subject, err);
    ret->subject_count = m->n_subjects;
    for (size_t i = 1; st == CN_OK && i < ret->subject_count; i++)
        if (cn_digest_cmp(&ret->subject[i - 1], &ret->subject[i]) >= 0)
            st = cn_fail(err, CN_NOT_CANONICAL, "document_anchor.subjects", "tags must ascend");
    ret->size = m->size;
    ret->kind = m->kind;
    ret->issued_ms = m->issued_ms;
    return st;
}

/* ---- membership ---- */

static cn_status parse_row(const Carnet__V1__Proposal *m, cn_proposal_payload *ret, cn_err *err)
{
    cn_validator_set *alone = NULL;
    cn_err why;
    if (m->row.len != CN_SET_ROW_LEN)
        return cn_fail(err, CN_INVALID, "proposal.row", "has %zu bytes, must have %d", m->row.len, CN_SET_ROW_LEN);
    if (m->n_possession != CN_ROW_KEYS)
        return cn_fail(err, CN_INVALID, "proposal.possession", "%zu signatures, must be %d", m->n_possession,
                       CN_ROW_KEYS);
    for (size_t i = 0; i < CN_ROW_KEYS; i++) {
        if (m->possession[i].len != CN_SIGNATURE_LEN)
            return cn_fail(err, CN_INVALID, "proposal.possession", "a signature has %zu bytes, must have %d",
                           m->possession[i].len, CN_SIGNATURE_LEN);
        memcpy(ret->possession[i].b, m->possession[i].data, CN_SIGNATURE_LEN);
    }
    alone = calloc(1, sizeof *alone);
    if (!alone)
        return cn_fail(err, CN_NO_MEMORY, "proposal.row", "out of memory");
    cn_status st = cn_validator_set_decode(m->row.data, m->row.len, alone, &why);
    ret->row = alone->row[0];
    free(alone);
    if (st != CN_OK)
        return cn_fail(err, st, "proposal.row", "%s", why.text);
    return cn_digest_eq(&ret->row.member, &ret->member)
               ? CN_OK
               : cn_fail(err, CN_INVALID, "proposal.row", "is the row of another member than proposal.member");
}

static cn_status parse_foreign(const Carnet__V1__ForeignNetwork *m, cn_foreign_network *ret, cn_err *err)
{
    if (!m)
        return cn_fail(err, CN_INVALID, "proposal.foreign", "is missing");
    cn_status st = no_unknown(&m->base, "proposal.foreign", err);
    if (st != CN_OK)
        return st;
    ret->withdraw = m->withdraw == 1;
    if (m->withdraw > 1 || (ret->withdraw && (m->name.len || m->epoch || m->set.len || m->height || m->log_size)))
        return cn_fail(err, CN_INVALID, "proposal.foreign.withdraw", "is 1 and alone, or absent");
    if (ret->withdraw)
        return CN_OK;
    if (!valid_name(m->name.data, m->name.len))
        return cn_fail(err, CN_INVALID, "proposal.foreign.name",
                       "a name has 1 to %u of a-z, 0-9 and - and neither begins nor ends with -", CN_MAX_NAME);
    memcpy(ret->name, m->name.data, m->name.len);
    st = take_digest(&m->set, "proposal.foreign.set", &ret->set, err);
    /* an epoch begins with a closing block, the first with block 0, whose log has the two entries of genesis */
    if (st == CN_OK && (m->epoch == 0 || (m->epoch == 1) != (m->height == 0) || m->log_size < 2))
        st = cn_fail(err, CN_INVALID, "proposal.foreign.epoch",
                     "epoch, height and log size are not those of a block that begins an epoch");
    ret->epoch = m->epoch;
    ret->height = m->height;
    ret->log_size = m->log_size;
    return st;
}

static cn_status parse_proposal(const Carnet__V1__Proposal *m, cn_proposal_payload *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "proposal", err);
    if (st == CN_OK)
        st = take_digest(&m->member, "proposal.member", &ret->member, err);
    if (st == CN_OK && (m->action < CN_CHANGE_JOIN || m->action > CN_CHANGE_FOREIGN))
        st = cn_fail(err, CN_INVALID, "proposal.action",
                     "action %u is not 1 (join), 2 (leave), 3 (rotate), 4 (roles) or 5 (foreign)", m->action);
    if (st != CN_OK)
        return st;
    bool with_row = m->action == CN_CHANGE_JOIN || m->action == CN_CHANGE_ROTATE, roles = m->action == CN_CHANGE_ROLES;
    if (!with_row && (m->row.len || m->n_possession))
        return cn_fail(err, CN_INVALID, "proposal.row", "belongs to join and rotate only");
    if (!roles && (m->roles || m->registrar))
        return cn_fail(err, CN_INVALID, "proposal.roles", "belong to the action roles only");
    if (roles && (m->roles == 0 || (m->roles & ~CN_ROLES_ALL) || m->registrar > 1))
        return cn_fail(err, CN_INVALID, "proposal.roles", "0x%x is not a set of known roles", m->roles);
    ret->action = (cn_change_action)m->action;
    ret->roles = m->roles;
    ret->registrar = m->registrar == 1;
    if (m->action == CN_CHANGE_FOREIGN)
        return parse_foreign(m->foreign, &ret->foreign, err);
    if (m->foreign)
        return cn_fail(err, CN_INVALID, "proposal.foreign", "belongs to the action foreign only");
    return with_row ? parse_row(m, ret, err) : CN_OK;
}

static cn_status parse_ballot(const Carnet__V1__Ballot *m, cn_ballot_payload *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "ballot", err);
    if (st == CN_OK)
        st = take_digest(&m->proposal, "ballot.proposal", &ret->proposal, err);
    if (st == CN_OK)
        st = take_digest(&m->member, "ballot.member", &ret->member, err);
    if (st == CN_OK && (m->approve < 1 || m->approve > 2))
        st = cn_fail(err, CN_INVALID, "ballot.approve", "is neither 1 (yes) nor 2 (no)");
    ret->approve = m->approve == 1;
    return st;
}

static cn_status parse_readiness(const Carnet__V1__Readiness *m, cn_readiness_payload *ret, cn_err *err)
{
    cn_status st = no_unknown(&m->base, "readiness", err);
    if (st == CN_OK)
        st = take_digest(&m->proposal, "readiness.proposal", &ret->proposal, err);
    if (st == CN_OK)
        st = take_digest(&m->member, "readiness.member", &ret->member, err);
    if (st == CN_OK)
        st = take_digest(&m->block, "readiness.block", &ret->block, err);
    if (st == CN_OK && m->signature.len != CN_SIGNATURE_LEN)
        st = cn_fail(err, CN_INVALID, "readiness.signature", "has %zu bytes, must have %d", m->signature.len,
                     CN_SIGNATURE_LEN);
    if (st == CN_OK)
        memcpy(ret->signature.b, m->signature.data, CN_SIGNATURE_LEN);
    ret->height = m->height;
    return st;
}

static cn_status parse_foreign_proof(const Carnet__V1__ForeignProof *m, cn_arena *arena, cn_foreign_payload *ret,
                                     cn_err *err)
{
    cn_foreign_proof *proof = calloc(1, sizeof *proof);
    cn_status st = proof ? no_unknown(&m->base, "foreign_proof", err)
                         : cn_fail(err, CN_NO_MEMORY, "foreign_proof", "out of memory");
    if (st == CN_OK)
        st = cn_foreign_read(m->proof.data, m->proof.len, proof, err);
    if (st == CN_OK && (proof->kind == CN_FOREIGN_STATEMENT) != (m->n_subjects > 0))
        st = cn_fail(err, CN_INVALID, "foreign_proof.subjects",
                     "a foreign statement is relied on for at least one subject, a change of validators for none");
    if (st == CN_OK)
        st = take_digests(m->subjects, m->n_subjects, CN_MAX_SUBJECTS, "foreign_proof.subjects", arena, &ret->subject,
                          err);
    ret->subject_count = m->n_subjects;
    for (size_t i = 1; st == CN_OK && i < ret->subject_count; i++)
        if (cn_digest_cmp(&ret->subject[i - 1], &ret->subject[i]) >= 0)
            st = cn_fail(err, CN_NOT_CANONICAL, "foreign_proof.subjects", "tags must ascend");
    uint8_t *copy = st == CN_OK ? cn_arena_alloc(arena, m->proof.len) : NULL;
    if (st == CN_OK && !copy)
        st = cn_fail(err, CN_NO_MEMORY, "foreign_proof", "the memory budget of one statement is used up");
    if (st == CN_OK) {
        memcpy(copy, m->proof.data, m->proof.len);
        ret->proof = CN_SPAN(copy, m->proof.len);
        ret->kind = (uint8_t)proof->kind;
        ret->network = proof->network;
    }
    free(proof);
    return st;
}

/* ---- erasure ---- */

static cn_status body_parse(const void *p, size_t n, bool batch_only, cn_arena *arena, cn_body *ret, cn_err *err);

/* The subjects of the entries that share an item with the range. Entries ascend by subject. */
static cn_status take_covering(const cn_event_batch *b, cn_arena *arena, cn_erasure_payload *ret, cn_err *err)
{
    ret->subject = cn_arena_alloc(arena, (b->entry_count + 1) * sizeof *ret->subject);
    if (!ret->subject)
        return cn_fail(err, CN_NO_MEMORY, "erasure", "the memory budget of one statement is used up");
    for (size_t i = 0; i < b->entry_count; i++) {
        const cn_batch_entry *e = &b->entry[i];
        bool shares = e->start < ret->start + ret->count && ret->start < e->start + e->count;
        if (shares && (ret->subject_count == 0 || !cn_digest_eq(&ret->subject[ret->subject_count - 1], &e->subject)))
            ret->subject[ret->subject_count++] = e->subject;
    }
    return CN_OK;
}

static cn_status parse_erasure(const Carnet__V1__Erasure *m, const cn_digest *network, cn_arena *arena,
                               cn_erasure_payload *ret, cn_err *err)
{
    cn_body *batch = calloc(1, sizeof *batch);
    uint8_t *copy = cn_arena_alloc(arena, m->record.len + 1);
    cn_status st = batch && copy
                       ? no_unknown(&m->base, "erasure", err)
                       : cn_fail(err, CN_NO_MEMORY, "erasure", "the memory budget of one statement is used up");
    if (st != CN_OK) {
        free(batch);
        return st;
    }
    if (m->record.len) /* an absent field has no bytes to point at */
        memcpy(copy, m->record.data, m->record.len);
    cn_reader r = cn_reader_of(copy, m->record.len);
    cn_span body = cn_read_signed_field(&r, 0x0a), signature = cn_read_signed_field(&r, 0x12);
    if (!cn_reader_done(&r) || signature.n != CN_SIGNATURE_LEN || body.n == 0)
        st = cn_fail(err, CN_NOT_CANONICAL, "erasure.record", "is not fields 1 and 2 of a SignedStatement");
    else /* only a batch has items; an order within an order would nest without end */
        st = body_parse(body.p, body.n, true, arena, batch, err);
    if (st == CN_OK && !cn_digest_eq(&batch->network, network))
        st = cn_fail(err, CN_WRONG_NETWORK, "erasure.record", "was signed for another network");
    if (st == CN_OK &&
        (m->count == 0 || m->start >= batch->batch.item_count || m->count > batch->batch.item_count - m->start))
        st = cn_fail(err, CN_INVALID, "erasure.count", "the batch has items 0 to %u", batch->batch.item_count - 1);
    if (st == CN_OK && (m->reason == 0 || m->reason > CN_ERASURE_REASONS))
        st = cn_fail(err, CN_INVALID, "erasure.reason", "reason %u is not 1 to %u", m->reason, CN_ERASURE_REASONS);
    if (st == CN_OK) {
        *ret = (cn_erasure_payload){.record = CN_SPAN(copy, m->record.len),
                                    .target = cn_tagged("carnet/statement-id", body.p, body.n),
                                    .record_digest = cn_sha256(copy, m->record.len),
                                    .key_id = batch->key_id,
                                    .start = m->start,
                                    .count = m->count,
                                    .reason = m->reason};
        st = take_covering(&batch->batch, arena, ret, err);
    }
    free(batch);
    return st;
}

static cn_status parse_payload(const Carnet__V1__StatementBody *m, bool batch_only, cn_arena *arena, cn_body *ret,
                               cn_err *err)
{
    if (batch_only && m->payload_case != CARNET__V1__STATEMENT_BODY__PAYLOAD_EVENT_BATCH)
        return cn_fail(err, CN_INVALID, "erasure.record", "is not a batch of events: nothing else has items");
    ret->kind = (cn_payload_kind)m->payload_case;
    switch (m->payload_case) {
    case CARNET__V1__STATEMENT_BODY__PAYLOAD_EVENT_BATCH:
        return parse_batch(m->event_batch, arena, &ret->batch, err);
    case CARNET__V1__STATEMENT_BODY__PAYLOAD_REGISTRY_CHANGE:
        return parse_registry(m->registry_change, arena, &ret->registry, err);
    case CARNET__V1__STATEMENT_BODY__PAYLOAD_PAIRING:
        return parse_pairing(m->pairing, &ret->pairing, err);
    case CARNET__V1__STATEMENT_BODY__PAYLOAD_DOCUMENT_ANCHOR:
        return parse_document(m->document_anchor, arena, &ret->document, err);
    case CARNET__V1__STATEMENT_BODY__PAYLOAD_PROPOSAL:
        return parse_proposal(m->proposal, &ret->proposal, err);
    case CARNET__V1__STATEMENT_BODY__PAYLOAD_BALLOT:
        return parse_ballot(m->ballot, &ret->ballot, err);
    case CARNET__V1__STATEMENT_BODY__PAYLOAD_READINESS:
        return parse_readiness(m->readiness, &ret->readiness, err);
    case CARNET__V1__STATEMENT_BODY__PAYLOAD_FOREIGN_PROOF:
        return parse_foreign_proof(m->foreign_proof, arena, &ret->foreign, err);
    case CARNET__V1__STATEMENT_BODY__PAYLOAD_ERASURE:
        return parse_erasure(m->erasure, &ret->network, arena, &ret->erasure, err);
    case CARNET__V1__STATEMENT_BODY__PAYLOAD_PURGE_ATTESTATION: {
        cn_status st = no_unknown(&m->purge_attestation->base, "purge_attestation", err);
        return st == CN_OK
                   ? take_digest(&m->purge_attestation->erasure, "purge_attestation.erasure", &ret->purge.erasure, err)
                   : st;
    }
    default:
        return cn_fail(err, CN_INVALID, "body.payload", "no payload that version 1 knows is present");
    }
}

static bool repacks(const Carnet__V1__StatementBody *m, const void *p, size_t n, cn_arena *arena)
{
    if (carnet__v1__statement_body__get_packed_size(m) != n)
        return false;
    uint8_t *again = cn_arena_alloc(arena, n);
    return again && carnet__v1__statement_body__pack(m, again) == n && memcmp(again, p, n) == 0;
}

static cn_status parse_message(const Carnet__V1__StatementBody *m, bool batch_only, cn_arena *arena, cn_body *ret,
                               cn_err *err)
{
    cn_status st = no_unknown(&m->base, "body", err);
    if (st == CN_OK && m->version != CN_PROTOCOL_VERSION)
        st = cn_fail(err, CN_INVALID, "body.version", "version %u is not known here; use %u", m->version,
                     CN_PROTOCOL_VERSION);
    if (st == CN_OK)
        st = take_digest(&m->network, "body.network", &ret->network, err);
    if (st == CN_OK)
        st = take_digest(&m->key_id, "body.key_id", &ret->key_id, err);
    if (st == CN_OK)
        st = take_digest(&m->previous, "body.previous", &ret->previous, err);
    if (st == CN_OK && (m->sequence == 0 || m->sequence == UINT64_MAX))
        st = cn_fail(err, CN_INVALID, "body.sequence", "sequences run from 1");
    ret->version = m->version;
    ret->sequence = m->sequence;
    ret->created_ms = m->created_ms;
    return st == CN_OK ? parse_payload(m, batch_only, arena, ret, err) : st;
}

/* protobuf-c's messages are gone when this returns; only the arrays of the result stay, in the caller's arena. */
static cn_status body_parse(const void *p, size_t n, bool batch_only, cn_arena *arena, cn_body *ret, cn_err *err)
{
    cn_arena scratch;
    cn_arena_init(&scratch, CN_BODY_SCRATCH(n));
    ProtobufCAllocator allocator = cn_arena_allocator(&scratch);
    Carnet__V1__StatementBody *m = carnet__v1__statement_body__unpack(&allocator, n, p);
    cn_status st = CN_OK;
    memset(ret, 0, sizeof *ret);
    if (!m)
        st = cn_fail(err, CN_INVALID, "body", "the bytes are not a StatementBody (or exceed its memory budget)");
    if (st == CN_OK)
        st = parse_message(m, batch_only, arena, ret, err);
    if (st == CN_OK && !repacks(m, p, n, &scratch))
        st = cn_fail(
            err, CN_NOT_CANONICAL, "body",
            "the bytes are not the canonical protobuf encoding (ascending fields, minimal varints, no defaults)");
    cn_arena_free(&scratch);
    return st;
}

cn_status cn_body_parse(const void *p, size_t n, cn_arena *arena, cn_body *ret, cn_err *err)
{
    return body_parse(p, n, false, arena, ret, err);
}

#include "proto/state.h"

#include "proto/bytes.h"

#include <string.h>

#define VALUE_VERSION 1

cn_state_key cn_state_key_of(const uint8_t salt[32], cn_state_type type, const void *id, size_t id_len)
{
    cn_state_key key;
    uint8_t number = (uint8_t)type;
    cn_span spans[] = {CN_SPAN(salt, 32), CN_SPAN(&number, 1), CN_SPAN(id, id_len)};
    cn_digest d = cn_taggedv("carnet/state", spans, 3);
    key.b[0] = number;
    memcpy(key.b + 1, d.b, sizeof d.b);
    return key;
}

static uint8_t *store(uint8_t *p, const void *from, size_t n)
{
    memcpy(p, from, n);
    return p + n;
}

static cn_reader open_value(const void *p, size_t n)
{
    cn_reader r = cn_reader_of(p, n);
    if (cn_read_u8(&r) != VALUE_VERSION)
        r.fault = true;
    return r;
}

size_t cn_state_parameters_encode(const cn_state_parameters *v, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = VALUE_VERSION;
    p = cn_store_u64(p, v->checkpoint_interval_ms);
    p = cn_store_u64(p, v->heartbeat_ms);
    p = cn_store_u32(p, v->block_bytes);
    p = cn_store_u16(p, v->ballot_threshold);
    return (size_t)(p - out);
}

bool cn_state_parameters_decode(const void *p, size_t n, cn_state_parameters *ret)
{
    cn_reader r = open_value(p, n);
    cn_state_parameters v;
    v.checkpoint_interval_ms = cn_read_u64(&r);
    v.heartbeat_ms = cn_read_u64(&r);
    v.block_bytes = cn_read_u32(&r);
    v.ballot_threshold = cn_read_u16(&r);
    if (!cn_reader_done(&r) || v.checkpoint_interval_ms == 0)
        return false;
    *ret = v;
    return true;
}

size_t cn_state_set_encode(const cn_state_set *v, uint8_t *out)
{
    out[0] = VALUE_VERSION;
    out[1] = v->n;
    memcpy(out + 2, v->digest.b, sizeof v->digest.b);
    return 2 + sizeof v->digest.b;
}

bool cn_state_set_decode(const void *p, size_t n, cn_state_set *ret)
{
    cn_reader r = open_value(p, n);
    cn_state_set v;
    v.n = cn_read_u8(&r);
    v.digest = cn_read_digest(&r);
    if (!cn_reader_done(&r) || v.n == 0 || v.n > CN_MAX_VALIDATORS)
        return false;
    *ret = v;
    return true;
}

size_t cn_state_member_encode(const cn_state_member *v, uint8_t *out)
{
    size_t name_len = strlen(v->name);
    CN_ASSERT(name_len >= 1 && name_len <= CN_MAX_NAME);
    uint8_t *p = out;
    *p++ = VALUE_VERSION;
    p = cn_store_u32(p, v->roles);
    p = store(p, v->country, 2);
    *p++ = v->is_registrar;
    p = cn_store_u64(p, v->registered);
    *p++ = (uint8_t)name_len;
    memset(p, 0, CN_MAX_NAME);
    memcpy(p, v->name, name_len);
    p = store(p + CN_MAX_NAME, v->channel_key, sizeof v->channel_key);
    return (size_t)(p - out);
}

bool cn_state_member_decode(const void *p, size_t n, cn_state_member *ret)
{
    cn_reader r = open_value(p, n);
    cn_state_member v;
    memset(&v, 0, sizeof v);
    v.roles = cn_read_u32(&r);
    cn_read_bytes(&r, v.country, 2);
    uint8_t registrar = cn_read_u8(&r);
    v.is_registrar = registrar == 1;
    v.registered = cn_read_u64(&r);
    uint8_t name_len = cn_read_u8(&r);
    cn_read_bytes(&r, v.name, CN_MAX_NAME);
    cn_read_bytes(&r, v.channel_key, sizeof v.channel_key);
    if (!cn_reader_done(&r) || registrar > 1 || name_len == 0 || name_len > CN_MAX_NAME || strlen(v.name) != name_len ||
        (v.roles & ~CN_ROLES_ALL))
        return false;
    for (size_t i = name_len; i < CN_MAX_NAME; i++)
        if (v.name[i] != 0)
            return false;
    *ret = v;
    return true;
}

size_t cn_state_key_encode(const cn_state_device_key *v, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = VALUE_VERSION;
    *p++ = v->key.type;
    *p++ = v->purpose;
    *p++ = v->status;
    p = store(p, v->key.b, sizeof v->key.b);
    p = store(p, v->owner.b, sizeof v->owner.b);
    p = cn_store_u64(p, v->registered);
    p = cn_store_u64(p, v->ended);
    p = cn_store_u64(p, v->last_good);
    p = cn_store_u64(p, v->last_sequence);
    p = store(p, v->last_id.b, sizeof v->last_id.b);
    return (size_t)(p - out);
}

bool cn_state_key_decode(const void *p, size_t n, cn_state_device_key *ret)
{
    cn_reader r = open_value(p, n);
    cn_state_device_key v;
    v.key.type = cn_read_u8(&r);
    v.purpose = cn_read_u8(&r);
    v.status = cn_read_u8(&r);
    cn_read_bytes(&r, v.key.b, sizeof v.key.b);
    v.owner = cn_read_digest(&r);
    v.registered = cn_read_u64(&r);
    v.ended = cn_read_u64(&r);
    v.last_good = cn_read_u64(&r);
    v.last_sequence = cn_read_u64(&r);
    v.last_id = cn_read_digest(&r);
    if (!cn_reader_done(&r) || cn_public_key_len(v.key.type) == 0 || v.purpose < CN_PURPOSE_CAPTURE ||
        v.purpose > CN_PURPOSE_GATEWAY || v.status < CN_KEY_ACTIVE || v.status > CN_KEY_ROTATED)
        return false;
    if (v.key.type == CN_KEY_ED25519 && v.key.b[CN_PUBLIC_KEY_MAX - 1] != 0)
        return false;
    *ret = v;
    return true;
}

size_t cn_state_subject_encode(const cn_state_subject *v, uint8_t *out)
{
    uint8_t *p = cn_store_u64(out, v->count);
    p = store(p, v->root.b, sizeof v->root.b);
    p = cn_store_u64(p, v->first_height);
    p = cn_store_u64(p, v->last_height);
    p = store(p, v->last_id.b, sizeof v->last_id.b);
    CN_ASSERT(p == out + CN_STATE_SUBJECT_LEN);
    return CN_STATE_SUBJECT_LEN;
}

bool cn_state_subject_decode(const void *p, size_t n, cn_state_subject *ret)
{
    cn_reader r = cn_reader_of(p, n);
    cn_state_subject v;
    v.count = cn_read_u64(&r);
    v.root = cn_read_digest(&r);
    v.first_height = cn_read_u64(&r);
    v.last_height = cn_read_u64(&r);
    v.last_id = cn_read_digest(&r);
    if (!cn_reader_done(&r) || v.count == 0 || v.first_height > v.last_height)
        return false;
    *ret = v;
    return true;
}

size_t cn_state_pairing_encode(const cn_state_pairing *v, uint8_t *out)
{
    CN_ASSERT(v->count <= CN_MAX_PAIRINGS);
    uint8_t *p = out;
    *p++ = VALUE_VERSION;
    *p++ = (uint8_t)v->count;
    for (unsigned i = 0; i < v->count; i++) {
        p = store(p, v->row[i].consignment.b, CN_DIGEST_LEN);
        p = cn_store_u64(p, v->row[i].start_ms);
        p = cn_store_u64(p, v->row[i].end_ms);
    }
    return (size_t)(p - out);
}

bool cn_state_pairing_decode(const void *p, size_t n, cn_state_pairing *ret)
{
    cn_reader r = open_value(p, n);
    unsigned count = cn_read_u8(&r);
    if (!cn_reader_ok(&r) || count == 0 || count > CN_MAX_PAIRINGS || r.n != count * (size_t)(CN_DIGEST_LEN + 16))
        return false;
    cn_state_pairing_row row[CN_MAX_PAIRINGS];
    for (unsigned i = 0; i < count; i++) {
        row[i].consignment = cn_read_digest(&r);
        row[i].start_ms = cn_read_u64(&r);
        row[i].end_ms = cn_read_u64(&r);
        int order = i ? cn_digest_cmp(&row[i - 1].consignment, &row[i].consignment) : -1;
        if (order > 0 || (order == 0 && row[i - 1].start_ms >= row[i].start_ms) ||
            (row[i].end_ms != 0 && row[i].end_ms < row[i].start_ms))
            return false;
    }
    ret->count = count;
    memcpy(ret->row, row, count * sizeof row[0]);
    return true;
}

void cn_subject_leaf_encode(const cn_subject_leaf *leaf, uint8_t out[CN_SUBJECT_LEAF_LEN])
{
    uint8_t *p = store(out, leaf->record.b, CN_DIGEST_LEN);
    p = cn_store_u64(p, leaf->log_index);
    p = cn_store_u64(p, leaf->height);
    cn_store_u64(p, leaf->time_ms);
}

bool cn_subject_leaf_decode(const void *p, size_t n, cn_subject_leaf *ret)
{
    cn_reader r = cn_reader_of(p, n);
    cn_subject_leaf leaf;
    leaf.record = cn_read_digest(&r);
    leaf.log_index = cn_read_u64(&r);
    leaf.height = cn_read_u64(&r);
    leaf.time_ms = cn_read_u64(&r);
    if (!cn_reader_done(&r))
        return false;
    *ret = leaf;
    return true;
}

size_t cn_state_proposal_encode(const cn_state_proposal *v, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = VALUE_VERSION;
    *p++ = v->status;
    *p++ = v->action;
    p = cn_store_u64(p, v->epoch);
    p = cn_store_u32(p, v->approvals);
    p = cn_store_u32(p, v->refusals);
    *p++ = v->ready;
    p = store(p, v->proposer.b, sizeof v->proposer.b);
    p = store(p, v->member.b, sizeof v->member.b);
    p = cn_store_u32(p, v->roles);
    *p++ = v->registrar;
    p = cn_store_u64(p, v->log_index);
    p = store(p, v->row, sizeof v->row);
    return (size_t)(p - out);
}

bool cn_state_proposal_decode(const void *p, size_t n, cn_state_proposal *ret)
{
    cn_reader r = open_value(p, n);
    cn_state_proposal v;
    memset(&v, 0, sizeof v);
    v.status = cn_read_u8(&r);
    v.action = cn_read_u8(&r);
    v.epoch = cn_read_u64(&r);
    v.approvals = cn_read_u32(&r);
    v.refusals = cn_read_u32(&r);
    uint8_t ready = cn_read_u8(&r);
    v.ready = ready == 1;
    v.proposer = cn_read_digest(&r);
    v.member = cn_read_digest(&r);
    v.roles = cn_read_u32(&r);
    uint8_t registrar = cn_read_u8(&r);
    v.registrar = registrar == 1;
    v.log_index = cn_read_u64(&r);
    cn_read_bytes(&r, v.row, sizeof v.row);
    if (!cn_reader_done(&r) || v.status < CN_PROPOSAL_OPEN || v.status > CN_PROPOSAL_REJECTED || v.action < 1 ||
        v.action > 5 || ready > 1 || registrar > 1 || (v.approvals & v.refusals) || (v.roles & ~CN_ROLES_ALL))
        return false;
    *ret = v;
    return true;
}

size_t cn_state_foreign_encode(const cn_state_foreign *v, uint8_t *out)
{
    size_t name_len = strlen(v->name);
    CN_ASSERT(name_len >= 1 && name_len <= CN_MAX_NAME);
    uint8_t *p = out;
    *p++ = VALUE_VERSION;
    *p++ = v->status;
    p = cn_store_u64(p, v->epoch);
    p = store(p, v->set.b, sizeof v->set.b);
    p = cn_store_u64(p, v->height);
    p = cn_store_u64(p, v->log_size);
    p = cn_store_u64(p, v->log_index);
    p = store(p, v->network.b, sizeof v->network.b);
    *p++ = (uint8_t)name_len;
    memset(p, 0, CN_MAX_NAME);
    memcpy(p, v->name, name_len);
    CN_ASSERT(p + CN_MAX_NAME == out + CN_STATE_FOREIGN_LEN);
    return CN_STATE_FOREIGN_LEN;
}

bool cn_state_foreign_decode(const void *p, size_t n, cn_state_foreign *ret)
{
    cn_reader r = open_value(p, n);
    cn_state_foreign v;
    memset(&v, 0, sizeof v);
    v.status = cn_read_u8(&r);
    v.epoch = cn_read_u64(&r);
    v.set = cn_read_digest(&r);
    v.height = cn_read_u64(&r);
    v.log_size = cn_read_u64(&r);
    v.log_index = cn_read_u64(&r);
    v.network = cn_read_digest(&r);
    uint8_t name_len = cn_read_u8(&r);
    cn_read_bytes(&r, v.name, CN_MAX_NAME);
    if (!cn_reader_done(&r) || v.status < CN_FOREIGN_ACTIVE || v.status > CN_FOREIGN_WITHDRAWN || v.epoch == 0 ||
        name_len == 0 || name_len > CN_MAX_NAME || strlen(v.name) != name_len)
        return false;
    for (size_t i = name_len; i < CN_MAX_NAME; i++)
        if (v.name[i] != 0)
            return false;
    *ret = v;
    return true;
}

size_t cn_state_erasure_encode(const cn_state_erasure *v, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = VALUE_VERSION;
    p = cn_store_u64(p, v->log_index);
    p = store(p, v->target.b, sizeof v->target.b);
    p = cn_store_u32(p, v->start);
    p = cn_store_u32(p, v->count);
    *p++ = v->subject_count;
    p = store(p, v->subject, v->subject_count * sizeof v->subject[0]);
    return (size_t)(p - out);
}

bool cn_state_erasure_decode(const void *p, size_t n, cn_state_erasure *ret)
{
    cn_reader r = open_value(p, n);
    cn_state_erasure v = {.log_index = cn_read_u64(&r)};
    v.target = cn_read_digest(&r);
    v.start = cn_read_u32(&r);
    v.count = cn_read_u32(&r);
    v.subject_count = cn_read_u8(&r);
    for (unsigned i = 0; i < v.subject_count && i < CN_MAX_SUBJECTS; i++)
        v.subject[i] = cn_read_digest(&r);
    if (!cn_reader_done(&r) || v.subject_count > CN_MAX_SUBJECTS || v.count == 0)
        return false;
    *ret = v;
    return true;
}

size_t cn_state_relied_encode(const cn_state_relied *v, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = VALUE_VERSION;
    p = store(p, v->statement.b, sizeof v->statement.b);
    p = cn_store_u64(p, v->log_index);
    return (size_t)(p - out);
}

bool cn_state_relied_decode(const void *p, size_t n, cn_state_relied *ret)
{
    cn_reader r = open_value(p, n);
    cn_state_relied v;
    v.statement = cn_read_digest(&r);
    v.log_index = cn_read_u64(&r);
    if (!cn_reader_done(&r))
        return false;
    *ret = v;
    return true;
}

size_t cn_state_change_encode(const cn_state_change *v, uint8_t *out)
{
    out[0] = VALUE_VERSION;
    out[1] = v->phase;
    memcpy(out + 2, v->proposal.b, sizeof v->proposal.b);
    return 2 + sizeof v->proposal.b;
}

bool cn_state_change_decode(const void *p, size_t n, cn_state_change *ret)
{
    static const cn_digest none;
    cn_reader r = open_value(p, n);
    cn_state_change v;
    v.phase = cn_read_u8(&r);
    v.proposal = cn_read_digest(&r);
    if (!cn_reader_done(&r) || v.phase > CN_CHANGE_READY ||
        (v.phase == CN_CHANGE_NONE) != cn_digest_eq(&v.proposal, &none))
        return false;
    *ret = v;
    return true;
}

#include "node/api/signed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_AGAIN_MS 20u
#define SIGNATURES_WAIT_MS 5000u /* they come within milliseconds, or their validators are down */

cn_status cn_signed_name(cn_snapshot *snap, const cn_api_backend *backend, const cn_digest *member,
                         char ret[CN_MAX_NAME + 1], cn_err *err)
{
    uint8_t value[CN_STATE_VALUE_MAX];
    size_t n = 0;
    cn_state_member row;
    cn_state_key key = cn_state_key_of(backend->subject_salt, CN_STATE_MEMBER, member->b, CN_DIGEST_LEN);
    cn_status st = cn_snapshot_state(snap, &key, value, &n, err);
    if (st == CN_OK && !cn_state_member_decode(value, n, &row))
        st = cn_fail(err, CN_CORRUPT, "state", "a member does not decode; run carnet fsck");
    if (st == CN_OK)
        snprintf(ret, CN_MAX_NAME + 1, "%s", row.name);
    return st;
}

cn_status cn_signed_read(cn_snapshot *snap, const cn_api_backend *backend, uint64_t height, cn_signed *ret, cn_err *err)
{
    cn_span rows;
    uint64_t closing;
    cn_checkpoint_signatures *stored = calloc(CN_MAX_VALIDATORS, sizeof *stored);
    size_t count = 0;
    if (!stored)
        return cn_fail(err, CN_NO_MEMORY, "checkpoint", "out of memory");
    memset(ret, 0, sizeof *ret);
    cn_status st = height ? cn_snapshot_header(snap, height, &ret->header, err)
                          : cn_fail(err, CN_NOT_FOUND, "checkpoint",
                                    "the network has made no checkpoint yet; submit something first");
    if (st == CN_OK && ret->header.kind == CN_BLOCK_NORMAL)
        st = cn_fail(err, CN_NOT_FOUND, "height", "block %llu is not a checkpoint", (unsigned long long)height);
    if (st == CN_OK)
        st = cn_checkpoint_of(&ret->header, &backend->network, backend->origin, &ret->checkpoint, err);
    if (st == CN_OK)
        st = cn_snapshot_epoch(snap, ret->header.epoch, &closing, &rows, err);
    if (st == CN_OK)
        st = cn_validator_set_decode(rows.p, rows.n, &ret->set, err);
    if (st == CN_OK)
        st = cn_snapshot_signatures(snap, height, stored, CN_MAX_VALIDATORS, &count, err);
    for (size_t i = 0; i < count && st == CN_OK; i++) {
        int place = cn_validator_set_find(&ret->set, &stored[i].member);
        if (place < 0)
            continue;
        ret->signature[ret->count] = stored[i];
        ret->place[ret->count] = (unsigned)place;
        st = cn_signed_name(snap, backend, &stored[i].member, ret->name[ret->count], err);
        ret->count += st == CN_OK;
    }
    free(stored);
    return st;
}

/* False: there may be more signatures soon. */
static bool enough(cn_signed *s, bool at_the_end, bool none_will_do)
{
    unsigned quorum = cn_quorum(s->set.n), honest = cn_max_faults(s->set.n) + 1;
    if (s->count >= quorum) {
        s->count = quorum;
        return true;
    }
    if (!at_the_end || (s->count < honest && !none_will_do))
        return false;
    s->count = s->count < honest ? 0 : honest;
    return true;
}

cn_status cn_signed_open(const cn_api_backend *backend, uint64_t wait_ms, bool none_will_do, cn_snapshot **ret_snap,
                         cn_signed *ret, cn_err *err)
{
    if (!backend->wait_checkpoint(backend->ctx, wait_ms))
        return cn_fail(err, CN_TIMEOUT, "checkpoint", "no checkpoint covered what is final in time; see /v1/why");
    cn_tip tip;
    wait_ms = wait_ms < SIGNATURES_WAIT_MS ? wait_ms : SIGNATURES_WAIT_MS;
    for (uint64_t waited = 0;; waited += LOOK_AGAIN_MS) {
        cn_status st = cn_snapshot_open(backend->store, ret_snap, err);
        if (st == CN_OK)
            st = cn_snapshot_tip(*ret_snap, &tip, err);
        if (st == CN_OK)
            st = cn_signed_read(*ret_snap, backend, tip.checkpoint, ret, err);
        if (st == CN_OK && enough(ret, waited >= wait_ms, none_will_do))
            return CN_OK;
        if (st == CN_OK && waited >= wait_ms)
            st = cn_fail(err, CN_TIMEOUT, "checkpoint",
                         "only %zu of %u validators have signed checkpoint %llu; %u are needed", ret->count, ret->set.n,
                         (unsigned long long)ret->header.height, cn_max_faults(ret->set.n) + 1);
        cn_snapshot_close(*ret_snap);
        *ret_snap = NULL;
        if (st != CN_OK)
            return st;
        struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

void cn_signed_receipt(const cn_signed *s, size_t i, const cn_receipt_proof *proof, cn_buf *out)
{
    char signer[CN_SIGNER_NAME_MAX + 1];
    cn_digest kid = cn_receipt_kid(s->set.row[s->place[i]].receipt_key);
    cn_signer_name(&s->checkpoint, s->name[i], signer);
    cn_receipt_write(out, &s->checkpoint, signer, &kid, proof, &s->signature[i].receipt);
}

void cn_signed_note(const cn_signed *s, cn_buf *out)
{
    cn_note_begin(out, &s->checkpoint);
    for (size_t i = 0; i < s->count; i++)
        cn_note_add(out, &s->checkpoint, s->name[i], &s->set.row[s->place[i]], &s->signature[i]);
}

#include "proto/epoch.h"

#include <stdlib.h>

cn_status cn_epoch_check_finalization(const cn_epoch *e, const cn_digest *network, cn_span finalization,
                                      const cn_digest *block, cn_err *err)
{
    static const char field[] = "finalization";
    cn_certificate *c = calloc(1, sizeof *c);
    cn_vote_keys *keys = cn_vote_keys_new(&e->set);
    cn_reader r = cn_reader_of(finalization.p, finalization.n);
    cn_err why = {0};
    cn_status st = c && keys ? cn_certificate_read(&r, c, &why) : cn_fail(&why, CN_NO_MEMORY, "", "out of memory");
    if (st == CN_OK && !cn_reader_done(&r))
        st = cn_fail(&why, CN_NOT_CANONICAL, "", "bytes follow the certificate");
    if (st == CN_OK && (c->kind != CN_FINALIZE || c->epoch != e->epoch || !cn_digest_eq(&c->block, block)))
        st = cn_fail(&why, CN_INVALID, "", "the certificate is not a finalization of this block in epoch %llu",
                     (unsigned long long)e->epoch);
    if (st == CN_OK)
        st = cn_certificate_verify(c, network, &e->set, keys, &why);
    cn_vote_keys_free(keys);
    free(c);
    return st == CN_OK ? CN_OK : cn_fail(err, st, field, "%s", why.text);
}

cn_status cn_epoch_advance(cn_epoch *e, const cn_digest *network, const cn_header *closing, cn_span finalization,
                           cn_span rows, cn_err *err)
{
    cn_digest block = cn_header_digest(closing), next = cn_tagged("carnet/set", rows.p, rows.n),
              empty = cn_body_digest(NULL, 0);
    cn_err why = {0};
    if (closing->kind != CN_BLOCK_CLOSING || closing->epoch != e->epoch || closing->height <= e->height ||
        !cn_digest_eq(&closing->set, &e->digest) || !cn_digest_eq(&closing->body, &empty))
        return cn_fail(err, CN_INVALID, "header", "is not a closing block of epoch %llu under the validators before it",
                       (unsigned long long)e->epoch);
    if (!cn_digest_eq(&closing->next_set, &next))
        return cn_fail(err, CN_INVALID, "rows", "are not those that the closing block names");
    cn_status st = cn_epoch_check_finalization(e, network, finalization, &block, err);
    cn_validator_set *set = calloc(1, sizeof *set);
    if (st == CN_OK && !set)
        st = cn_fail(err, CN_NO_MEMORY, "rows", "out of memory");
    if (st == CN_OK && (st = cn_validator_set_decode(rows.p, rows.n, set, &why)) != CN_OK)
        cn_fail(err, st, "rows", "%s", why.text);
    if (st == CN_OK)
        *e =
            (cn_epoch){.epoch = e->epoch + 1, .height = closing->height, .opening = block, .digest = next, .set = *set};
    free(set);
    return st;
}

bool cn_ballot_cast(uint32_t *approvals, uint32_t *refusals, unsigned place, bool approve, bool waiting)
{
    uint32_t bit = UINT32_C(1) << place;
    uint32_t *to = approve ? approvals : refusals, *from = approve ? refusals : approvals;
    if ((*to & bit) || ((*from & bit) && !waiting))
        return false;
    *to |= bit;
    *from &= ~bit;
    return true;
}

cn_outcome cn_ballot_outcome(uint32_t approvals, uint32_t refusals, unsigned n, unsigned threshold, bool waiting)
{
    unsigned yes = (unsigned)__builtin_popcount(approvals), no = (unsigned)__builtin_popcount(refusals);
    if (2u * no > n)
        return CN_OUTCOME_REJECTED;
    if (yes >= threshold)
        return CN_OUTCOME_ACCEPTED;
    return waiting || no + threshold > n ? CN_OUTCOME_REJECTED : CN_OUTCOME_OPEN;
}

/* RFC 3161 tokens: an authority outside the network says when a checkpoint, or the end of an epoch, existed. */
#include "proto/timestamp.h"
#include "tools/verify/internal.h"

#include <stdio.h>
#include <string.h>

/* A block that claims to be younger than its token by more than this: the network's clock ran ahead. */
#define AHEAD_MS 60000u
/* The end of an epoch that an authority saw so soon was not dated back. */
#define SOON_MS (24u * 3600u * 1000u)

static const cn_header *header_of(const cn_dossier *d, uint64_t height)
{
    if (d->header[0].height == height)
        return &d->header[0];
    for (size_t i = 0; i < d->epoch_count; i++)
        if (d->epoch[i].closing.height == height)
            return &d->epoch[i].closing;
    return NULL;
}

/* Whether the token is over this header and, where authorities are trusted, by one of them. */
static bool check_token(verifier *v, const cn_dossier_part *part, const cn_header *h, cn_span ca, cn_timestamp *ret)
{
    uint8_t bytes[CN_HEADER_LEN];
    cn_err err = {0};
    cn_header_encode(h, bytes);
    cn_digest imprint = cn_sha256(bytes, sizeof bytes);
    cn_status st =
        ca.n ? cn_timestamp_verify(part->bytes, &imprint, ca, ret, &err) : cn_timestamp_read(part->bytes, ret, &err);
    if (st == CN_OK && !cn_digest_eq(&ret->imprint, &imprint))
        st = cn_fail(&err, CN_CONFLICT, "time token", "it is over another digest");
    if (st == CN_OK && h->time_ms > ret->time_ms + AHEAD_MS)
        st = cn_fail(&err, CN_CONFLICT, "time token", "the block claims a time after the one at which it was seen");
    if (st != CN_OK)
        verify_fault(v, CN_STEP_TIME, err.code, part->name, "%s: %s", err.field, err.text);
    return st == CN_OK;
}

/* An earlier token of the checkpoint says more. */
static void note_witness(cn_verify_report *r, const cn_timestamp *t)
{
    if (r->witnessed_ms && r->witnessed_ms <= t->time_ms)
        return;
    r->witnessed_ms = t->time_ms;
    snprintf(r->time_authority, sizeof r->time_authority, "%s", t->authority);
}

bool verify_time(verifier *v, const cn_verify_options *options)
{
    const cn_dossier *d = &v->dossier;
    size_t tokens = 0, ends = 0;
    uint64_t last_end = 0;
    for (size_t i = 0; i < d->part_count; i++) {
        const cn_dossier_part *part = &d->part[i];
        const cn_header *h = part->kind == CN_PART_TOKEN ? header_of(d, part->number) : NULL;
        cn_timestamp t;
        if (part->kind == CN_PART_TOKEN && !h)
            verify_fault(v, CN_STEP_TIME, CN_NOT_FOUND, part->name, "no block of this height is proved here");
        if (!h || !check_token(v, part, h, options->tsa_ca, &t))
            continue;
        tokens++;
        if (options->tsa_ca.n && h == &d->header[0])
            note_witness(v->report, &t);
        else if (options->tsa_ca.n && t.time_ms <= h->time_ms + SOON_MS && part->number != last_end) {
            ends++; /* parts ascend by height: each closing block counts once */
            last_end = part->number;
        }
    }
    v->ends_witnessed = d->epoch_count > 0 && ends == d->epoch_count;
    if (v->report->witnessed_ms)
        return true;
    verify_not_checked(v, CN_STEP_TIME,
                       options->tsa_ca.n ? "no time authority saw the checkpoint: its time is what a quorum agreed on"
                       : tokens ? "there are time tokens; give the authorities that you trust to have them verified"
                                : "no time token is in it: the times are what a quorum of validators agreed on");
    return false;
}

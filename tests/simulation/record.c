/* What honest hosts were told and what they did, a line each, for rules.pl, which judges it without any code of ours:
 *
 *   world SEED                                  set EPOCH KEY...          block HEADER
 *   begin NODE EPOCH SELF MAY_VOTE FINAL_VIEW FINAL_DIGEST FLOOR_VIEW     a core, with what is on the disk
 *   in NODE MESSAGE    valid NODE DIGEST        synced NODE TOKEN         durable NODE VIEW    fetched NODE VIEW DIGEST
 *   row NODE TOKEN EPOCH VIEW NOTARIZED NULLIFIED FINALIZED BLOCK         asked to be made durable, as is
 *   body NODE TOKEN DIGEST
 *   out NODE MESSAGE   final NODE CERTIFICATE DIGEST...                   floor NODE EPOCH VIEW
 *   crash NODE EPOCH VIEW DIGEST...             the floor that is left on its disk, and bodies
 *   rotted NODE                                                           its safety table is gone */
#include "world.h"

#include <inttypes.h>

static void hex(FILE *f, const void *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) {
        putc(digits[b[i] >> 4], f);
        putc(digits[b[i] & 15], f);
    }
}

static void line(FILE *f, const void *p, size_t n)
{
    hex(f, p, n);
    putc('\n', f);
}

/* Faulty hosts break the rules on purpose. */
static FILE *listens(const sim *s, unsigned i)
{
    return s->node[i].fault == HONEST ? s->opt.record : NULL;
}

void record_world(const sim *s)
{
    if (s->opt.record)
        fprintf(s->opt.record, "world %" PRIu64 "\n", s->opt.seed);
}

void record_set(const sim *s, uint64_t epoch, const member_set *set)
{
    if (!s->opt.record)
        return;
    fprintf(s->opt.record, "set %" PRIu64, epoch);
    for (unsigned i = 0; i < set->n; i++)
        fprintf(s->opt.record, " %u", member_key(set, i));
    putc('\n', s->opt.record);
}

void record_block(const sim *s, const cn_header *h)
{
    uint8_t bytes[CN_HEADER_LEN];
    if (!s->opt.record)
        return;
    cn_header_encode(h, bytes);
    fputs("block ", s->opt.record);
    line(s->opt.record, bytes, sizeof bytes);
}

void record_begin(const sim *s, unsigned i, const cn_consensus_config *cfg)
{
    FILE *f = listens(s, i);
    if (!f)
        return;
    fprintf(f, "begin %u %" PRIu64 " %u %d %" PRIu64 " ", i, cfg->epoch, cfg->self, cfg->may_vote, cfg->final_view);
    hex(f, cfg->final_block.digest.b, CN_DIGEST_LEN);
    fprintf(f, " %" PRIu64 "\n", cfg->floor_view);
}

void record_event(const sim *s, unsigned i, const cn_event *ev)
{
    FILE *f = listens(s, i);
    if (!f)
        return;
    if (ev->kind == CN_EV_MESSAGE) {
        fprintf(f, "in %u ", i);
        line(f, ev->bytes, ev->n);
    } else if ((ev->kind == CN_EV_EXECUTED || ev->kind == CN_EV_BUILT) && ev->ok) {
        fprintf(f, "valid %u ", i);
        line(f, ev->block.digest.b, CN_DIGEST_LEN);
    } else if (ev->kind == CN_EV_DURABLE) {
        fprintf(f, "durable %u %" PRIu64 "\n", i, ev->view);
    } else if (ev->kind == CN_EV_SYNCED) {
        fprintf(f, "fetched %u %" PRIu64 " ", i, ev->view);
        line(f, ev->block.digest.b, CN_DIGEST_LEN);
    }
}

static void persist(FILE *f, unsigned i, const cn_action *a)
{
    if (a->store_body) {
        fprintf(f, "body %u %" PRIu64 " ", i, a->token);
        line(f, a->block->digest.b, CN_DIGEST_LEN);
    }
    if (a->has_row) {
        fprintf(f, "row %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %d %d %d ", i, a->token, a->row.epoch, a->row.view,
                a->row.notarized, a->row.nullified, a->row.finalized);
        line(f, a->row.block.b, CN_DIGEST_LEN);
    }
}

void record_action(const sim *s, unsigned i, const cn_action *a)
{
    FILE *f = listens(s, i);
    if (!f)
        return;
    if (a->kind == CN_ACT_PERSIST) {
        persist(f, i, a);
    } else if (a->kind == CN_ACT_SEND) {
        fprintf(f, "out %u ", i);
        line(f, a->bytes, a->n);
    } else if (a->kind == CN_ACT_FINAL) {
        fprintf(f, "final %u ", i);
        hex(f, a->bytes, a->n);
        for (size_t k = 0; k < a->count; k++) {
            putc(' ', f);
            hex(f, a->blocks[k]->digest.b, CN_DIGEST_LEN);
        }
        putc('\n', f);
    }
}

void record_synced(const sim *s, unsigned i, uint64_t token)
{
    if (listens(s, i))
        fprintf(s->opt.record, "synced %u %" PRIu64 "\n", i, token);
}

void record_crash(const sim *s, unsigned i)
{
    const node *nd = &s->node[i];
    FILE *f = listens(s, i);
    if (!f)
        return;
    fprintf(f, "crash %u %" PRIu64 " %" PRIu64, i, nd->safe_epoch, nd->safe_view);
    for (size_t k = 0; k < nd->bodies; k++) {
        putc(' ', f);
        hex(f, nd->body[k].digest.b, CN_DIGEST_LEN);
    }
    putc('\n', f);
}

void record_floor(const sim *s, unsigned i)
{
    const node *nd = &s->node[i];
    if (listens(s, i))
        fprintf(s->opt.record, "floor %u %" PRIu64 " %" PRIu64 "\n", i, nd->floor_epoch, nd->floor_view);
}

void record_rotted(const sim *s, unsigned i)
{
    if (listens(s, i))
        fprintf(s->opt.record, "rotted %u\n", i);
}

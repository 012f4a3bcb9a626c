/* may_sign over every state of a row, every kind, and every relation of the view to the floor (R2-R5). */
#include "harness.h"

static const cn_digest block_a = {{0xaa}}, block_b = {{0xbb}};

/* The rule written a second time, as a table in words. */
static bool allowed(uint8_t kind, bool notarized, bool nullified, bool finalized, bool same_block, bool above_floor)
{
    if (!above_floor)
        return false;
    if (kind == CN_NOTARIZE) {
        if (notarized)
            return same_block;
        return !nullified && (!finalized || same_block);
    }
    if (kind == CN_NULLIFY)
        return !finalized;
    if (nullified)
        return false;
    return notarized || finalized ? same_block : true;
}

Test(may_sign, exhaustive)
{
    unsigned checked = 0;
    for (unsigned flags = 0; flags < 8; flags++)
        for (uint8_t kind = CN_NOTARIZE; kind <= CN_FINALIZE; kind++)
            for (unsigned same = 0; same < 2; same++)
                for (uint64_t view = 5; view <= 9; view++) {
                    cn_consensus_config cfg = config_of(4, 1);
                    cfg.final_view = 3;
                    cfg.floor_view = 7;
                    cn_sign_row row = {.epoch = 1,
                                       .view = view,
                                       .notarized = flags & 1,
                                       .nullified = flags & 2,
                                       .finalized = flags & 4,
                                       .block = block_a};
                    cfg.row = &row;
                    cfg.row_count = 1;
                    cn_consensus *c = cn_consensus_new(&cfg, T0);
                    bool expected = allowed(kind, row.notarized, row.nullified, row.finalized, same, view > 7);
                    cr_expect_eq(cn_may_sign(c, kind, view, same ? &block_a : &block_b), expected,
                                 "flags %u kind %u same %u view %llu", flags, kind, same, (unsigned long long)view);
                    cn_consensus_free(c);
                    checked++;
                }
    cr_expect_eq(checked, 8u * 3 * 2 * 5);
}

Test(may_sign, an_observer_or_a_node_without_its_table_never_votes)
{
    cn_consensus_config cfg = config_of(4, 1);
    cfg.may_vote = false;
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    for (uint8_t kind = CN_NOTARIZE; kind <= CN_FINALIZE; kind++)
        cr_expect_not(cn_may_sign(c, kind, 1, &block_a));
    cn_consensus_free(c);
    cfg = config_of(4, 4);
    c = cn_consensus_new(&cfg, T0);
    for (uint8_t kind = CN_NOTARIZE; kind <= CN_FINALIZE; kind++)
        cr_expect_not(cn_may_sign(c, kind, 1, &block_a));
    cn_consensus_free(c);
}

Test(may_sign, an_unknown_kind_is_never_signed)
{
    cn_consensus_config cfg = config_of(4, 1);
    cn_consensus *c = cn_consensus_new(&cfg, T0);
    cr_expect_not(cn_may_sign(c, 0, 1, &block_a));
    cr_expect_not(cn_may_sign(c, 4, 1, &block_a));
    cn_consensus_free(c);
}

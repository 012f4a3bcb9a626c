/* Foreign proofs: one encoding, and nothing that was not signed holds. */
#include "fuzz.h"

#include "proto/foreign.h"
#include "tests/unit/proto/kit.h"

#include <stdlib.h>

static cn_buf seed; /* a proof that holds */

static void make_seed(void)
{
    if (seed.n)
        return;
    cn_buf_init(&seed, CN_MAX_FOREIGN_BYTES);
    kit_foreign_proof(&seed);
}

void fuzz_seeds(void)
{
    make_seed();
    fuzz_seed("statement", seed.p, seed.n);
    static cn_foreign_proof p;
    cn_buf advance;
    FUZZ_REQUIRE(cn_foreign_read(seed.p, seed.n, &p, NULL) == CN_OK);
    p.kind = CN_FOREIGN_ADVANCE;
    p.step_count = 1;
    p.step[0] = (cn_foreign_step){p.header[0], p.finalization, p.rows};
    p.step[0].closing.kind = CN_BLOCK_CLOSING;
    cn_buf_init(&advance, CN_MAX_FOREIGN_BYTES);
    FUZZ_REQUIRE(cn_foreign_write(&p, &advance, NULL) == CN_OK);
    fuzz_seed("advance", advance.p, advance.n);
    cn_buf_free(&advance);
}

static void try_statement(const cn_foreign_proof *p, const uint8_t *bytes, size_t n)
{
    cn_digest id;
    FUZZ_REQUIRE(p->header_count >= 1 && p->header_count <= CN_MAX_FOREIGN_HEADERS && p->path_len <= CN_PROOF_MAX);
    if (cn_foreign_statement(p, &id, NULL) == CN_OK && cn_foreign_check(p, NULL) == CN_OK)
        FUZZ_REQUIRE(fuzz_same(bytes, n, seed.p, seed.n));
    FUZZ_PLANT(p->log_index > 7);
}

/* The seed's votes are for no closing block: no advance holds. */
static void try_advance(const cn_foreign_proof *p)
{
    FUZZ_REQUIRE(p->step_count >= 1 && p->step_count <= CN_MAX_FOREIGN_STEPS);
    FUZZ_REQUIRE(cn_foreign_check(p, NULL) != CN_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static cn_foreign_proof proof;
    cn_buf again;
    make_seed();
    if (cn_foreign_read(p, n, &proof, NULL) != CN_OK)
        return 0;
    cn_buf_init(&again, 2u * CN_MAX_FOREIGN_BYTES);
    FUZZ_REQUIRE(cn_foreign_write(&proof, &again, NULL) == CN_OK);
    FUZZ_REQUIRE(fuzz_same(again.p, again.n, p, n));
    cn_buf_free(&again);
    if (proof.kind == CN_FOREIGN_STATEMENT)
        try_statement(&proof, p, n);
    else
        try_advance(&proof);
    return 0;
}

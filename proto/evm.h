/* Calls of the verifier contract (tools/evm/CarnetVerifier.sol), in the contract ABI of Ethereum: a selector of four
 * bytes, then words of 32 bytes; what has no fixed length is named by its offset. docs/evm.md has the signatures.
 *
 * The contract recovers who voted (ecrecover), so that each signature comes with 27 or 28, which the ledger does not
 * store: it is found here by recovering with both. */
#ifndef CARNET_PROTO_EVM_H
#define CARNET_PROTO_EVM_H

#include "proto/header.h"
#include "proto/ics23.h"
#include "proto/merkle.h"
#include "proto/quorum.h"

#define CN_EVM_CALL_MAX (1u << 20)

/* A final block as the contract takes it: the header that proofs lead to, those that link it to the finalized one, the
 * finalization's bytes, and the set that voted. Memory stays the caller's. */
typedef struct cn_evm_finality {
    const cn_digest *network;
    const cn_header *header;
    size_t header_count;
    cn_span certificate;
    const cn_validator_set *set;
} cn_evm_finality;

/* 27 or 28: with which ecrecover gives the address; 0: with neither. */
uint8_t cn_evm_v(const cn_digest *vote, const cn_signature *signature, const uint8_t address[20]);

/* Each writes one call; CN_INVALID: the finalization is not one by this set. Faults of `out` stay in it. */
cn_status cn_evm_statement(const cn_evm_finality *f, const cn_digest *entry, uint64_t index, const cn_digest *path,
                           size_t path_len, cn_buf *out, cn_err *err);
cn_status cn_evm_state(const cn_evm_finality *f, const cn_ics23_existence *proof, cn_buf *out, cn_err *err);
cn_status cn_evm_absence(const cn_evm_finality *f, const cn_ics23_absence *proof, cn_buf *out, cn_err *err);
/* f has the closing header alone; rows: of the set that it names. */
cn_status cn_evm_advance(const cn_evm_finality *f, cn_span rows, cn_buf *out, cn_err *err);
/* What the constructor takes, to be put behind the contract's bytecode. */
void cn_evm_constructor(const cn_digest *network, uint64_t epoch, uint64_t closing_height, cn_span rows, cn_buf *out);

#endif

/* What validators say to each other: proposals, votes, certificates, requests for certificates (docs/consensus.md).
 * All begin with u8 version (1) | u8 kind. Strict: every byte must be used. */
#ifndef CARNET_CONSENSUS_MESSAGE_H
#define CARNET_CONSENSUS_MESSAGE_H

#include "consensus/consensus.h"

typedef enum cn_message_kind {
    CN_MSG_PROPOSAL = 1,
    CN_MSG_VOTE = 2,
    CN_MSG_CERTIFICATE = 3,
    CN_MSG_CERT_REQUEST = 4, /* the nullifications (or notarizations) of views [from, to] */
} cn_message_kind;

#define CN_MAX_PROPOSAL_EVIDENCE (1u + CN_MAX_INLINE_NULLIFICATIONS)

typedef struct cn_vote {
    uint8_t kind; /* cn_vote_kind */
    uint64_t epoch, view;
    cn_digest block;
    uint16_t signer;
    cn_signature signature;
} cn_vote;

/* version | kind | epoch u64 | view u64 | parent view u64 | header 229 | u32 count | records | u8 evidence count |
 * certificates | leader's notarize signature 64 | leader's signature 64 over T("carnet/proposal", all before it) */
typedef struct cn_proposal {
    uint64_t epoch, view, parent_view;
    uint8_t header_bytes[CN_HEADER_LEN];
    cn_header header;
    size_t record_count;
    cn_digest *record; /* owned */
    size_t evidence_count;
    cn_certificate
        *evidence; /* owned; the parent's (absent at view 1 and over the final tip of a start), then nullifications */
    cn_signature vote, signature;
    cn_digest signed_digest; /* what signature signs */
} cn_proposal;

void cn_vote_write(const cn_vote *v, cn_buf *out);
bool cn_vote_read(const uint8_t *p, size_t n, cn_vote *ret);
void cn_certificate_message_write(const cn_certificate *cert, cn_buf *out);
bool cn_certificate_message_read(const uint8_t *p, size_t n, cn_certificate *ret);
void cn_cert_request_write(uint64_t epoch, uint64_t from, uint64_t to, cn_buf *out);
bool cn_cert_request_read(const uint8_t *p, size_t n, uint64_t *epoch, uint64_t *from, uint64_t *to);
/* Everything but the last signature; the digest to sign is T("carnet/proposal", network | bytes so far). */
void cn_proposal_write_unsigned(const cn_proposal *p, cn_buf *out);
cn_digest cn_proposal_digest(const cn_digest *network, const void *p, size_t n);
bool cn_proposal_read(const cn_digest *network, const uint8_t *p, size_t n,
                      cn_proposal *ret); /* ret is to be cleared */
void cn_proposal_clear(cn_proposal *p);
/* 0 when the bytes are no message of version 1. */
uint8_t cn_message_kind_of(const uint8_t *p, size_t n);

#endif

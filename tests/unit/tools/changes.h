/* Changes of the validators on the fixture's ledger, statement by statement: a fifth member joins, others leave, rotate
 * their keys, get other roles. */
#ifndef CARNET_TESTS_UNIT_TOOLS_CHANGES_H
#define CARNET_TESTS_UNIT_TOOLS_CHANGES_H

#include "fixture.h"

cn_body *ch_body(cn_payload_kind kind); /* one for all: used up by the next call */
cn_body *ch_ballot(const cn_digest *proposal, const cn_digest *member, bool approve);
/* Of the tip, signed by this vote key. */
cn_body *ch_readiness(fixture *fx, const cn_digest *proposal, const cn_digest *member, unsigned slot);
/* A row with fresh keys; its vote key goes into slot. */
void ch_fill_row(fixture *fx, cn_proposal_payload *p, const cn_digest *member, unsigned slot);
cn_digest ch_commit(fixture *fx, fx_signer *s, cn_body *body); /* in a block of its own; the statement's id */

/* The name becomes a member by a registrar, without a channel key. */
cn_statement *ch_admit(fixture *fx, fx_signer *registrar, const char *name, fx_signer *ret);
void ch_register_fifth(fixture *fx, fx_signer *fifth); /* admitted by the exporter, with a channel key */
cn_digest ch_propose_join(fixture *fx, fx_signer *fifth);
void ch_approve(fixture *fx, const cn_digest *proposal, const cn_digest *member, unsigned from, unsigned to);
void ch_join(fixture *fx, fx_signer *fifth);
void ch_leave(fixture *fx, unsigned member, unsigned from, unsigned to); /* approved by members from..to-1 */
/* All keys of its row; approved by members 0 and 3 and the fifth. The new vote key goes into slot. */
void ch_rotate(fixture *fx, unsigned member, unsigned slot, fx_signer *fifth);
/* Proposed by member 3, approved by members 0 to 2. */
void ch_roles(fixture *fx, const cn_digest *member, uint32_t roles, bool registrar);

#endif

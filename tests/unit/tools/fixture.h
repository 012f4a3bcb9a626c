/* A network of four, or of some more, in one process: real keys, ledger and store, certificates signed by a quorum;
 * dossiers by the node's own code, and the means to take them apart and put them together changed. */
#ifndef CARNET_TESTS_UNIT_TOOLS_FIXTURE_H
#define CARNET_TESTS_UNIT_TOOLS_FIXTURE_H

#include "node/formats/dossier.h"
#include "node/ledger/ledger.h"
#include "tools/verify/verify.h"

typedef struct fx_signer {
    cn_secret_key key;
    cn_digest id, previous, owner;
    uint64_t sequence;
} fx_signer;

#define FX_MEMBERS 8u
#define FX_VOTE_KEYS 128u

typedef struct fixture {
    char dir[64];
    cn_genesis genesis;
    cn_buf genesis_bytes;
    cn_secret_key vote[FX_VOTE_KEYS]; /* the first are those of genesis */
    fx_signer member[FX_MEMBERS];     /* capture keys */
    cn_store *store;
    cn_ledger *ledger;
    cn_stmt *waiting[64];
    size_t waiting_count, given;
} fixture;

void fx_open(fixture *fx); /* four validators; three of them decide */
void fx_open_of(fixture *fx, unsigned validators, uint16_t ballot_threshold);
void fx_reopen(fixture *fx); /* store and ledger, as after a restart */
void fx_close(fixture *fx);
void fx_key(fx_signer *ret, uint8_t type);
/* One event about uri, of EPCIS form; number makes it unlike others. */
cn_statement *fx_event(fixture *fx, fx_signer *s, const char *uri, unsigned number);
cn_statement *fx_sign(fixture *fx, fx_signer *s, cn_body *body); /* a body without items */
cn_statement *fx_change(fixture *fx, fx_signer *s, cn_registry_change *change);
void fx_register(fixture *fx, fx_signer *owner, fx_signer *fresh);
void fx_wait(fixture *fx, cn_statement *s); /* takes it: it goes into the next block */
/* A block with what waits, and a checkpoint over it. False: a statement did not execute. */
bool fx_commit(fixture *fx);
/* By members of the set in force, given by their places in it. */
void fx_certify(fixture *fx, const cn_digest *block, const unsigned *signers, unsigned count, cn_certificate *ret);
void fx_audit(fixture *fx, const char *uri, cn_buf *zip);
/* Writes what d holds, with this certificate and a manifest that fits. */
void fx_rebuild(const cn_dossier *d, const cn_certificate *certificate, cn_buf *zip);
cn_verify_report *fx_verify(const fixture *fx, const cn_buf *zip); /* to be freed */

#endif

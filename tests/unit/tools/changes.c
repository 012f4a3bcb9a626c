#include "changes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* ---- statements ---- */

cn_body *ch_body(cn_payload_kind kind)
{
    static cn_body body;
    memset(&body, 0, sizeof body);
    body.kind = kind;
    return &body;
}

cn_body *ch_ballot(const cn_digest *proposal, const cn_digest *member, bool approve)
{
    cn_body *b = ch_body(CN_PAYLOAD_BALLOT);
    b->ballot = (cn_ballot_payload){*proposal, *member, approve};
    return b;
}

cn_body *ch_readiness(fixture *fx, const cn_digest *proposal, const cn_digest *member, unsigned slot)
{
    const cn_ledger_block *tip = cn_ledger_tip(fx->ledger);
    cn_body *b = ch_body(CN_PAYLOAD_READINESS);
    b->readiness = (cn_readiness_payload){.proposal = *proposal,
                                          .member = *member,
                                          .height = cn_ledger_block_header(tip)->height,
                                          .block = *cn_ledger_block_digest(tip)};
    cn_digest digest = cn_readiness_digest(&fx->genesis.network, proposal, b->readiness.height, &b->readiness.block);
    cr_assert_eq(cn_sign(&fx->vote[slot], &digest, &b->readiness.signature, NULL), CN_OK);
    return b;
}

void ch_fill_row(fixture *fx, cn_proposal_payload *p, const cn_digest *member, unsigned slot)
{
    static const uint8_t types[CN_ROW_KEYS] = {CN_KEY_SECP256K1, CN_KEY_P256, CN_KEY_ED25519, CN_KEY_ED25519};
    cn_secret_key key[CN_ROW_KEYS];
    p->member = p->row.member = *member;
    for (unsigned i = 0; i < CN_ROW_KEYS; i++) {
        cr_assert_eq(cn_secret_key_generate(types[i], &key[i], NULL), CN_OK);
        cn_digest id = cn_key_id(&key[i].public_key), digest = cn_possession_digest(&fx->genesis.network, member, &id);
        cr_assert_eq(cn_sign(&key[i], &digest, &p->possession[i], NULL), CN_OK);
    }
    fx->vote[slot] = key[0];
    memcpy(p->row.vote_key, key[0].public_key.b, 33);
    cr_assert_eq(cn_evm_address(&key[0].public_key, p->row.evm_address, NULL), CN_OK);
    memcpy(p->row.receipt_key, key[1].public_key.b, 33);
    memcpy(p->row.cosignature_key, key[2].public_key.b, 32);
    memcpy(p->row.log_key, key[3].public_key.b, 32);
}

cn_digest ch_commit(fixture *fx, fx_signer *s, cn_body *body)
{
    cn_statement *statement = fx_sign(fx, s, body);
    cn_digest id = statement->id;
    fx_wait(fx, statement);
    cr_assert(fx_commit(fx));
    return id;
}

/* ---- what members do ---- */

cn_statement *ch_admit(fixture *fx, fx_signer *registrar, const char *name, fx_signer *ret)
{
    cn_registry_change c;
    fx_key(ret, CN_KEY_SECP256K1);
    ret->owner = cn_member_id(name);
    memset(&c, 0, sizeof c);
    c.op = CN_REG_MEMBER_REGISTER;
    snprintf(c.name, sizeof c.name, "%s", name);
    memcpy(c.country, "SG", 3);
    c.roles = CN_ROLE_FORWARDER;
    c.new_key.key = ret->key.public_key;
    c.new_key.purpose = CN_PURPOSE_CAPTURE;
    cn_digest digest = cn_possession_digest(&fx->genesis.network, &ret->owner, &ret->id);
    cr_assert_eq(cn_sign(&ret->key, &digest, &c.new_key.possession, NULL), CN_OK);
    return fx_change(fx, registrar, &c);
}

void ch_register_fifth(fixture *fx, fx_signer *fifth)
{
    cn_registry_change c;
    fx_wait(fx, ch_admit(fx, &fx->member[0], "member-5", fifth));
    cr_assert(fx_commit(fx));
    memset(&c, 0, sizeof c);
    c.op = CN_REG_CHANNEL_KEY;
    memset(c.channel_key, 5, sizeof c.channel_key);
    fx_wait(fx, fx_change(fx, fifth, &c));
    cr_assert(fx_commit(fx));
}

cn_digest ch_propose_join(fixture *fx, fx_signer *fifth)
{
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_JOIN;
    ch_fill_row(fx, &b->proposal, &fifth->owner, 4);
    return ch_commit(fx, fifth, b);
}

void ch_approve(fixture *fx, const cn_digest *proposal, const cn_digest *member, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        ch_commit(fx, &fx->member[i], ch_ballot(proposal, member, true));
}

void ch_join(fixture *fx, fx_signer *fifth)
{
    cn_digest id = ch_propose_join(fx, fifth);
    ch_approve(fx, &id, &fifth->owner, 0, 3);
    cr_assert_eq(cn_ledger_epoch_of(fx->ledger, NULL), 1u, "accepted, not ready");
    ch_commit(fx, fifth, ch_readiness(fx, &id, &fifth->owner, 4));
}

void ch_leave(fixture *fx, unsigned member, unsigned from, unsigned to)
{
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_LEAVE;
    b->proposal.member = fx->member[member].owner;
    cn_digest id = ch_commit(fx, &fx->member[member], b);
    ch_approve(fx, &id, &fx->member[member].owner, from, to);
}

void ch_rotate(fixture *fx, unsigned member, unsigned slot, fx_signer *fifth)
{
    fx_signer *own = &fx->member[member], *voters[] = {&fx->member[0], &fx->member[3], fifth};
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    uint64_t epoch = cn_ledger_epoch_of(fx->ledger, NULL);
    b->proposal.action = CN_CHANGE_ROTATE;
    ch_fill_row(fx, &b->proposal, &own->owner, slot);
    cn_digest id = ch_commit(fx, own, b);
    for (unsigned i = 0; i < 3; i++)
        ch_commit(fx, voters[i], ch_ballot(&id, &own->owner, true));
    cr_assert_eq(cn_ledger_epoch_of(fx->ledger, NULL), epoch, "the new key has not said that it is ready");
    ch_commit(fx, own, ch_readiness(fx, &id, &own->owner, slot));
}

void ch_roles(fixture *fx, const cn_digest *member, uint32_t roles, bool registrar)
{
    cn_body *b = ch_body(CN_PAYLOAD_PROPOSAL);
    b->proposal.action = CN_CHANGE_ROLES;
    b->proposal.member = *member;
    b->proposal.roles = roles;
    b->proposal.registrar = registrar;
    cn_digest id = ch_commit(fx, &fx->member[3], b);
    ch_approve(fx, &id, member, 0, 3);
}

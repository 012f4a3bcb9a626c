#include "vectors.h"

#include "kit.h"
#include "proto/header.h"
#include "proto/ics23.h"
#include "proto/merkle.h"

#include <stdlib.h>
#include <string.h>

static void hex(FILE *out, const char *name, const void *p, size_t n)
{
    char *text = malloc(2 * n + 1);
    cr_assert_not_null(text);
    cn_hex(p, n, text);
    fprintf(out, n ? "%s = %s\n" : "%s =%s\n", name, text);
    free(text);
}

static void digest(FILE *out, const char *name, cn_digest d)
{
    hex(out, name, d.b, sizeof d.b);
}

static void title(FILE *out, const char *text)
{
    fprintf(out, "\n# %s\n", text);
}

static void names(FILE *out)
{
    static const char genesis[] = "{\"carnet\":\"vectors\"}\n", member[] = "exporter";
    static const char uri[] = "https://id.gs1.org/00/340123451111111111";
    cn_digest salt = kit_fill(0x51), id = kit_fill(0x44);
    title(out, "names: network id = T(carnet/genesis, G), member id, subject tag = T(carnet/subject, salt | URI)");
    hex(out, "genesis", genesis, sizeof genesis - 1);
    digest(out, "network", cn_network_id(genesis, sizeof genesis - 1));
    hex(out, "member.name", member, sizeof member - 1);
    digest(out, "member.id", cn_member_id(member));
    digest(out, "subject.salt", salt);
    hex(out, "subject.uri", uri, sizeof uri - 1);
    digest(out, "subject.tag", cn_subject_tag(salt.b, uri));
    digest(out, "subject.id", id);
    digest(out, "subject.of_key", cn_key_subject(salt.b, &id));
    digest(out, "subject.of_member", cn_member_subject(salt.b, &id));
    digest(out, "subject.of_governance", cn_governance_subject(salt.b));
    digest(out, "subject.of_document", cn_document_subject(salt.b, &id));
    digest(out, "subject.of_network", cn_network_subject(salt.b, &id));
}

static void keys(FILE *out)
{
    static const uint8_t types[] = {CN_KEY_SECP256K1, CN_KEY_ED25519, CN_KEY_P256};
    title(out, "keys: key id = T(carnet/key, type u8 | public key)");
    for (size_t i = 0; i < 3; i++) {
        cn_secret_key key = kit_key(types[i], 1);
        char name[64];
        snprintf(name, sizeof name, "key.%u.secret", types[i]);
        hex(out, name, key.secret, 32);
        snprintf(name, sizeof name, "key.%u.public", types[i]);
        hex(out, name, key.public_key.b, cn_public_key_len(types[i]));
        snprintf(name, sizeof name, "key.%u.id", types[i]);
        digest(out, name, cn_key_id(&key.public_key));
        uint8_t address[20];
        if (cn_evm_address(&key.public_key, address, NULL) == CN_OK)
            hex(out, "key.1.evm_address", address, sizeof address);
    }
}

static void statements(FILE *out)
{
    cn_secret_key key = kit_key(CN_KEY_SECP256K1, 1);
    title(out,
          "statements, signed by key.1: signing digest = T(carnet/statement, network | body), id ="
          " T(carnet/statement-id, body),\n# record = fields 1 and 2 of the whole, record digest = SHA-256(record);"
          " items = fields 3, leaf = SHA-256(00 | item)");
    for (int kind = 0; kind < KIT_KINDS; kind++) {
        cn_buf b;
        cn_statement *s = NULL;
        char name[80];
        kit_sign((enum kit_kind)kind, &key, &b, NULL);
        cr_assert_eq(cn_statement_decode(b.p, b.n, &s, NULL), CN_OK);
#define NAME(part) (snprintf(name, sizeof name, "statement.%s." part, kit_kind_name[kind]), name)
        hex(out, NAME("body"), s->body_bytes.p, s->body_bytes.n);
        digest(out, NAME("signing_digest"),
               cn_statement_signing_digest(&s->body.network, s->body_bytes.p, s->body_bytes.n));
        hex(out, NAME("signature"), s->signature.p, s->signature.n);
        digest(out, NAME("id"), s->id);
        digest(out, NAME("record_digest"), s->record_digest);
        hex(out, NAME("whole"), s->whole.p, s->whole.n);
#undef NAME
        cn_statement_free(s);
        cn_buf_free(&b);
    }
    cn_buf whole, erased;
    cn_statement *s = NULL;
    bool changed = false;
    kit_sign(KIT_BATCH, &key, &whole, NULL);
    cr_assert_eq(cn_statement_decode(whole.p, whole.n, &s, NULL), CN_OK);
    cn_buf_init(&erased, CN_MAX_STATEMENT_BYTES);
    cr_assert_eq(cn_items_erase(CN_SPAN(whole.p + s->record.n, whole.n - s->record.n), 1, 2, &erased, &changed, NULL),
                 CN_OK);
    title(out, "fields 3 of the batch after items 1 and 2 were erased: 00 | leaf stands in the place of each");
    hex(out, "statement.event-batch.erased_items", erased.p, erased.n);
    cn_statement_free(s);
    cn_buf_free(&whole);
    cn_buf_free(&erased);
    cn_digest secret = kit_fill(0x5a);
    uint8_t salt[16];
    cn_item_salt(secret.b, CN_ITEM_EPCIS, "{\"t\":1}", 7, salt);
    title(out, "item salt = first 16 bytes of HMAC-SHA256(secret, format | content), of the batch's first item");
    digest(out, "item.secret", secret);
    hex(out, "item.salt", salt, sizeof salt);
    cn_digest owner = cn_member_id("exporter"), network = kit_network(), key_id = cn_key_id(&key.public_key);
    title(out, "proof of possession: T(carnet/possession, network | owner member id | key id), here of key.1");
    digest(out, "possession.owner", owner);
    digest(out, "possession.digest", cn_possession_digest(&network, &owner, &key_id));
}

static void headers(FILE *out)
{
    cn_digest records[2] = {kit_fill(1), kit_fill(2)};
    cn_header h = {.version = 1,
                   .kind = CN_BLOCK_NORMAL,
                   .epoch = 1,
                   .height = 258,
                   .time_ms = 1700000010000,
                   .parent = kit_fill(3),
                   .log_size = 515,
                   .log_root = kit_fill(4),
                   .state_root = kit_fill(5),
                   .body = cn_body_digest(records, 2),
                   .set = kit_fill(6),
                   .next_set = kit_fill(6)};
    uint8_t bytes[CN_HEADER_LEN];
    title(out, "block: body digest = T(carnet/body, record digests), block digest = T(carnet/block, header)");
    hex(out, "block.records", records, sizeof records);
    digest(out, "block.body_digest", h.body);
    digest(out, "block.empty_body_digest", cn_body_digest(NULL, 0));
    cn_header_encode(&h, bytes);
    hex(out, "block.header", bytes, sizeof bytes);
    digest(out, "block.digest", cn_header_digest(&h));
}

static void certificate(FILE *out, const char *name, const kit_set *s, uint8_t kind, uint32_t signers)
{
    cn_certificate c = kit_certificate(s, kind, 9, signers);
    cn_buf b;
    cn_buf_init(&b, CN_CERTIFICATE_MAX);
    cn_certificate_encode(&c, &b);
    hex(out, name, b.p, b.n);
    cn_buf_free(&b);
}

static void quorums(FILE *out)
{
    kit_set s;
    cn_buf rows;
    cn_digest network = kit_network(), block = kit_fill(0xb1);
    kit_set_make(&s, 4);
    cn_buf_init(&rows, sizeof s.set.row);
    cn_validator_set_encode(&s.set, &rows);
    title(out, "validator set of four: digest = T(carnet/set, rows)");
    hex(out, "set.rows", rows.p, rows.n);
    digest(out, "set.digest", cn_validator_set_digest(&s.set));
    cn_buf_free(&rows);
    title(out,
          "votes in epoch 1 and view 9 of `network` for block b1b1..: T(carnet/vote, network | epoch u64 | kind u8 |"
          " view u64 | block)");
    digest(out, "vote.notarize", cn_vote_digest(&network, 1, CN_NOTARIZE, 9, &block));
    digest(out, "vote.nullify", cn_vote_digest(&network, 1, CN_NULLIFY, 9, &cn_digest_zero));
    digest(out, "vote.finalize", cn_vote_digest(&network, 1, CN_FINALIZE, 9, &block));
    title(out, "certificates of the set over these votes: rows 0, 1, 2; rows 1, 2, 3; rows 0, 2, 3");
    certificate(out, "certificate.notarize", &s, CN_NOTARIZE, 0x7);
    certificate(out, "certificate.nullify", &s, CN_NULLIFY, 0xe);
    certificate(out, "certificate.finalize", &s, CN_FINALIZE, 0xd);
}

static void state_row(FILE *out, const char *name, cn_state_type type, const void *id, size_t id_len,
                      const uint8_t *value, size_t n)
{
    cn_digest salt = kit_fill(0x51);
    cn_state_key key = cn_state_key_of(salt.b, type, id, id_len);
    char line[64];
    snprintf(line, sizeof line, "state.%s.id", name);
    hex(out, line, id, id_len);
    snprintf(line, sizeof line, "state.%s.key", name);
    hex(out, line, key.b, sizeof key.b);
    if (n == 0)
        return;
    snprintf(line, sizeof line, "state.%s.value", name);
    hex(out, line, value, n);
    snprintf(line, sizeof line, "state.%s.leaf", name);
    digest(out, line, cn_state_leaf_hash(&key, value, n));
}

static void states(FILE *out)
{
    uint8_t v[CN_STATE_VALUE_MAX], id[64];
    cn_digest tag = kit_fill(0x22);
    title(out,
          "state map: key = type u8 | T(carnet/state, subject.salt | type u8 | id); leaf = SHA-256(00 | 21 | key | 20 |"
          " SHA-256(value))");
    cn_state_parameters parameters = {1000, 30000, 1048576, 75};
    state_row(out, "parameters", CN_STATE_PARAMETERS, "", 0, v, cn_state_parameters_encode(&parameters, v));
    kit_set s;
    kit_set_make(&s, 4);
    cn_state_set set = {4, cn_validator_set_digest(&s.set)};
    cn_store_u64(id, 1);
    state_row(out, "set", CN_STATE_SET, id, 8, v, cn_state_set_encode(&set, v));
    cn_state_member member = {.roles = CN_ROLE_TERMINAL | CN_ROLE_CUSTOMS,
                              .country = "KE",
                              .is_registrar = true,
                              .registered = 19,
                              .name = "mombasa-terminal"};
    cn_digest member_id = cn_member_id(member.name);
    memset(member.channel_key, 0x2b, 32);
    state_row(out, "member", CN_STATE_MEMBER, member_id.b, 32, v, cn_state_member_encode(&member, v));
    cn_state_device_key key = {.key = kit_key(CN_KEY_ED25519, 1).public_key,
                               .purpose = CN_PURPOSE_DEVICE,
                               .status = CN_KEY_REVOKED,
                               .owner = member_id,
                               .registered = 20,
                               .ended = 31,
                               .last_good = 5,
                               .last_sequence = 8,
                               .last_id = kit_fill(0x99)};
    cn_digest key_id = cn_key_id(&key.key);
    state_row(out, "key", CN_STATE_KEY, key_id.b, 32, v, cn_state_key_encode(&key, v));
    cn_state_subject subject = {3, kit_fill(0x77), 10, 12, kit_fill(0x99)};
    state_row(out, "subject", CN_STATE_SUBJECT, tag.b, 32, v, cn_state_subject_encode(&subject, v));
    cn_state_pairing pairing = {.count = 2,
                                .row = {{kit_fill(0x11), 1700000000000, 1700000600000}, {tag, 1700000000000, 0}}};
    cn_digest container = kit_fill(0x55);
    state_row(out, "pairing", CN_STATE_PAIRING, container.b, 32, v, cn_state_pairing_encode(&pairing, v));
    cn_digest statement = kit_fill(0x33);
    memcpy(id, key_id.b, 32);
    memcpy(id + 32, statement.b, 32);
    state_row(out, "salvage", CN_STATE_SALVAGE, id, 64, v, 0);
    cn_state_proposal proposal = {.status = CN_PROPOSAL_ACCEPTED,
                                  .action = 3,
                                  .epoch = 2,
                                  .approvals = 11,
                                  .refusals = 4,
                                  .ready = true,
                                  .proposer = member_id,
                                  .member = kit_fill(0x66),
                                  .log_index = 515};
    memset(proposal.row, 0x5c, sizeof proposal.row);
    state_row(out, "proposal", CN_STATE_PROPOSAL, statement.b, 32, v, cn_state_proposal_encode(&proposal, v));
    cn_state_change change = {CN_CHANGE_READY, statement};
    state_row(out, "change", CN_STATE_CHANGE, "", 0, v, cn_state_change_encode(&change, v));
    cn_state_foreign foreign = {.status = CN_FOREIGN_ACTIVE,
                                .epoch = 3,
                                .set = kit_fill(0x5e),
                                .height = 900,
                                .log_size = 1200,
                                .log_index = 77,
                                .network = kit_fill(0xf0),
                                .name = "bank-net"};
    state_row(out, "foreign", CN_STATE_FOREIGN, foreign.network.b, 32, v, cn_state_foreign_encode(&foreign, v));
    cn_state_relied relied = {kit_fill(0x44), 78};
    memcpy(id, foreign.network.b, 32);
    memcpy(id + 32, statement.b, 32);
    state_row(out, "relied", CN_STATE_RELIED, id, 64, v, cn_state_relied_encode(&relied, v));
    cn_state_erasure erasure = {.log_index = 79,
                                .target = kit_fill(0x44),
                                .start = 1,
                                .count = 2,
                                .subject_count = 2,
                                .subject = {kit_fill(0x11), kit_fill(0x22)}};
    state_row(out, "erasure", CN_STATE_ERASURE, statement.b, 32, v, cn_state_erasure_encode(&erasure, v));
    cn_state_relied purge = {kit_fill(0x47), 80};
    memcpy(id, statement.b, 32);
    memcpy(id + 32, member_id.b, 32);
    state_row(out, "purge", CN_STATE_PURGE, id, 64, v, cn_state_relied_encode(&purge, v));
    cn_subject_leaf leaf = {kit_fill(0x88), 515, 258, 1700000010000};
    uint8_t bytes[CN_SUBJECT_LEAF_LEN];
    cn_subject_leaf_encode(&leaf, bytes);
    title(out, "leaf data of a subject's tree: record digest | log index u64 | height u64 | time_ms u64; hash = "
               "SHA-256(00 | it)");
    hex(out, "subject_leaf.data", bytes, sizeof bytes);
    digest(out, "subject_leaf.hash", cn_leaf_hash(bytes, sizeof bytes));
}

static void trees(FILE *out)
{
    cn_digest leaf[7], path[CN_PROOF_MAX];
    cn_frontier f;
    cn_buf b;
    cn_frontier_init(&f);
    for (uint8_t i = 0; i < 7; i++) {
        cn_digest entry = kit_fill(i);
        leaf[i] = cn_leaf_hash(entry.b, 32);
        cn_frontier_append(&f, &leaf[i]);
    }
    title(out, "log of seven entries 00.., 01.., ... 06..: RFC 9162 root, inclusion path of entry 5, frontier");
    digest(out, "log.root", cn_frontier_root(&f));
    hex(out, "log.path_of_5", path, 32 * cn_merkle_path(leaf, 7, 5, path));
    cn_buf_init(&b, 1000);
    cn_frontier_write(&f, &b);
    hex(out, "log.frontier", b.p, b.n);
    cn_buf_free(&b);
}

static void proofs(FILE *out)
{
    cn_ics23_absence *a = calloc(1, sizeof *a);
    cr_assert_not_null(a);
    cn_digest low = kit_fill(0x10), high = kit_fill(0x90), middle = kit_fill(0x40);
    a->has_left = a->has_right = true;
    a->key.b[0] = a->left.key.b[0] = a->right.key.b[0] = CN_STATE_SUBJECT;
    memcpy(a->left.key.b + 1, low.b, 32);
    memcpy(a->right.key.b + 1, high.b, 32);
    memcpy(a->key.b + 1, middle.b, 32);
    memcpy(a->left.value, "left", 4);
    memcpy(a->right.value, "right", 5);
    a->left.value_len = 4;
    a->right.value_len = 5;
    a->left.depth = a->right.depth = 1;
    cn_digest l = cn_state_leaf_hash(&a->left.key, "left", 4), r = cn_state_leaf_hash(&a->right.key, "right", 5);
    a->left.step[0] = (cn_ics23_step){true, r};
    a->right.step[0] = (cn_ics23_step){false, l};
    cn_digest root = cn_node_hash(&l, &r);
    cr_assert(cn_ics23_verify_absence(a, &root, &a->key));
    title(out, "ICS-23 CommitmentProof over a map of two leaves: \"left\" under 05 10.., \"right\" under 05 90..;"
               " 05 40.. is absent");
    digest(out, "ics23.root", root);
    cn_buf b;
    cn_buf_init(&b, 2000);
    cr_assert_eq(cn_ics23_encode_existence(&a->left, &b), CN_OK);
    hex(out, "ics23.existence", b.p, b.n);
    cn_buf_clear(&b);
    cr_assert_eq(cn_ics23_encode_absence(a, &b), CN_OK);
    hex(out, "ics23.absence", b.p, b.n);
    cn_buf_free(&b);
    free(a);
}

void vectors_print(FILE *out)
{
    fputs("# Byte layouts of Carnet: fixed inputs, what they encode and hash to. Explained in docs/byte-layouts.md.\n"
          "# T(tag, m) = SHA-256(SHA-256(tag) | SHA-256(tag) | m). Integers are big-endian. xx.. is 32 bytes of xx.\n",
          out);
    names(out);
    keys(out);
    statements(out);
    headers(out);
    quorums(out);
    states(out);
    trees(out);
    proofs(out);
}

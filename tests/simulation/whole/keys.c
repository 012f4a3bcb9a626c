/* Fixed keys and the genesis they stand in, the same for every seed: making them costs more than a run. */
#include "whole.h"

#include "storage/safety.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cn_secret_key votes[HOSTS][GENERATIONS], receipts[HOSTS][GENERATIONS], cosignatures[HOSTS][GENERATIONS],
    logs[HOSTS][GENERATIONS], captures[HOSTS];
static uint8_t channels[HOSTS][32];
static uint8_t addresses[HOSTS][GENERATIONS][20];
static const char *names[HOSTS] = {"exporter", "bank", "carrier", "customs", "terminal"};
static cn_buf written;
static cn_genesis parsed;

static cn_secret_key key_of(const char *purpose, unsigned member, unsigned generation, uint8_t type)
{
    char text[64];
    cn_secret_key key;
    int n = snprintf(text, sizeof text, "%s of %u, %u", purpose, member, generation);
    cn_digest secret = cn_tagged("simulated key", text, (size_t)n);
    CN_ASSERT(cn_secret_key_from_bytes(type, secret.b, &key, NULL) == CN_OK);
    return key;
}

static int by_id(const void *a, const void *b)
{
    cn_digest x = cn_member_id(*(const char *const *)a), y = cn_member_id(*(const char *const *)b);
    return cn_digest_cmp(&x, &y);
}

static void make_keys(void)
{
    qsort(names, HOSTS, sizeof names[0], by_id); /* a member's number is its place among them all */
    for (unsigned i = 0; i < HOSTS; i++) {
        captures[i] = key_of("capture", i, 0, CN_KEY_SECP256K1);
        cn_digest secret = cn_tagged("simulated channel", &i, sizeof i);
        memcpy(channels[i], secret.b, 32);
        for (unsigned g = 0; g < GENERATIONS; g++) {
            votes[i][g] = key_of("vote", i, g, CN_KEY_SECP256K1);
            receipts[i][g] = key_of("receipt", i, g, CN_KEY_P256);
            cosignatures[i][g] = key_of("cosignature", i, g, CN_KEY_ED25519);
            logs[i][g] = key_of("log", i, g, CN_KEY_ED25519);
            CN_ASSERT(cn_evm_address(&votes[i][g].public_key, addresses[i][g], NULL) == CN_OK);
        }
    }
}

void row_of(unsigned member, unsigned generation, cn_set_row *ret)
{
    ret->member = cn_member_id(names[member]);
    memcpy(ret->vote_key, votes[member][generation].public_key.b, 33);
    memcpy(ret->evm_address, addresses[member][generation], 20);
    memcpy(ret->receipt_key, receipts[member][generation].public_key.b, 33);
    memcpy(ret->cosignature_key, cosignatures[member][generation].public_key.b, 32);
    memcpy(ret->log_key, logs[member][generation].public_key.b, 32);
}

void keys_make(void)
{
    cn_genesis_member member[HOSTS];
    cn_genesis g = {.name = "whole",
                    .origin = "whole.example",
                    .time_ms = T0 - 1000,
                    .member_count = HOSTS,
                    .member = member,
                    .parameters = {300, 3000, CN_MAX_BLOCK_BYTES, 3}};
    cn_err err = {0};
    make_keys();
    memset(member, 0, sizeof member);
    for (unsigned i = 0; i < HOSTS; i++) {
        cn_genesis_member *m = &member[i];
        snprintf(m->name, sizeof m->name, "%s", names[i]);
        memcpy(m->country, "NL", 3);
        m->roles = CN_ROLE_CARRIER;
        m->registrar = true;
        m->capture_key = captures[i].public_key;
        cn_x25519_public(channels[i], m->channel_key);
        m->validator = i < VOTERS;
        if (m->validator)
            row_of(i, 0, &m->row);
    }
    cn_buf_init(&written, CN_MAX_GENESIS_BYTES);
    CN_ASSERT(cn_genesis_write(&g, &written, &err) == CN_OK);
    CN_ASSERT(cn_genesis_parse(written.p, written.n, &parsed, &err) == CN_OK);
}

const cn_buf *genesis_bytes(void)
{
    return &written;
}

const cn_genesis *genesis(void)
{
    return &parsed;
}

const cn_secret_key *vote_key(unsigned member, unsigned generation)
{
    return &votes[member][generation];
}

const cn_secret_key *capture_key(unsigned member)
{
    return &captures[member];
}

const uint8_t *channel_secret(unsigned member)
{
    return channels[member];
}

cn_signature possession(unsigned member, unsigned generation, unsigned key)
{
    const cn_secret_key *all[CN_ROW_KEYS] = {&votes[member][generation], &receipts[member][generation],
                                             &cosignatures[member][generation], &logs[member][generation]};
    cn_digest owner = cn_member_id(names[member]), id = cn_key_id(&all[key]->public_key);
    cn_digest digest = cn_possession_digest(&parsed.network, &owner, &id);
    cn_signature s;
    CN_ASSERT(cn_sign(all[key], &digest, &s, NULL) == CN_OK);
    return s;
}

/* Only fresh tables know these: no vote of an older key can pass for one of a newer. */
int vote_key_number(const uint8_t key[33])
{
    for (unsigned i = 0; i < HOSTS; i++)
        for (unsigned g = 0; g < GENERATIONS; g++)
            if (memcmp(votes[i][g].public_key.b, key, 33) == 0)
                return (int)(i * 16 + g);
    return -1;
}

unsigned member_key(const member_set *set, unsigned index)
{
    return set->member[index] * 16u + set->generation[index];
}

void set_of_rows(cn_span rows, member_set *ret)
{
    const uint8_t *p = rows.p;
    memset(ret, 0, sizeof *ret);
    ret->n = (unsigned)(rows.n / CN_SET_ROW_LEN);
    for (unsigned i = 0; i < ret->n; i++) {
        int number = vote_key_number(p + (size_t)i * CN_SET_ROW_LEN + CN_DIGEST_LEN);
        CN_ASSERT(number >= 0);
        ret->member[i] = (uint8_t)(number / 16);
        ret->generation[i] = (uint8_t)(number % 16);
    }
    ret->digest = cn_tagged("carnet/set", rows.p, rows.n);
}

/* ---- files ---- */

static void put_file(const host *h, const char *name, const void *p, size_t n)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", h->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CN_ASSERT(fd >= 0 && write(fd, p, n) == (ssize_t)n && close(fd) == 0);
}

static void put_key(const host *h, const char *purpose, const char *suffix, const cn_secret_key *key)
{
    char name[64], text[CN_KEY_FILE_MAX];
    cn_key_file file = {.key = *key};
    snprintf(file.purpose, sizeof file.purpose, "%s", purpose);
    snprintf(name, sizeof name, "keys/%s%s.key", purpose, suffix);
    put_file(h, name, text, cn_key_file_format(&file, text));
}

static void put_validator_keys(const host *h, const char *suffix)
{
    char path[192];
    const cn_secret_key *vote = &votes[h->index][h->generation];
    put_key(h, "vote", suffix, vote);
    put_key(h, "receipt", suffix, &receipts[h->index][h->generation]);
    put_key(h, "cosignature", suffix, &cosignatures[h->index][h->generation]);
    put_key(h, "log", suffix, &logs[h->index][h->generation]);
    snprintf(path, sizeof path, "%s/keys/safety%s.journal", h->dir, suffix);
    CN_ASSERT(cn_safety_create(path, vote->public_key.b, NULL) == CN_OK);
}

void files_make(host *h)
{
    char path[192], text[CN_KEY_FILE_MAX];
    cn_key_file channel = {.purpose = "channel", .is_x25519 = true};
    memcpy(channel.x25519_secret, channels[h->index], 32);
    cn_x25519_public(channel.x25519_secret, channel.x25519_public);
    CN_ASSERT(mkdir(h->dir, 0700) == 0 || errno == EEXIST);
    snprintf(path, sizeof path, "%s/keys", h->dir);
    CN_ASSERT(mkdir(path, 0700) == 0 || errno == EEXIST);
    files_remove(h);
    put_file(h, "genesis.json", written.p, written.n);
    put_file(h, "keys/channel.key", text, cn_key_file_format(&channel, text));
    put_validator_keys(h, "");
}

/* The keys of a rotation, as keygen --next makes them. After an earlier one its files have taken the old names. */
void files_add_next(host *h)
{
    char from[192], to[192];
    static const char *const moved[][2] = {{"keys/vote.next.key", "keys/vote.key"},
                                           {"keys/receipt.next.key", "keys/receipt.key"},
                                           {"keys/cosignature.next.key", "keys/cosignature.key"},
                                           {"keys/log.next.key", "keys/log.key"},
                                           {"keys/safety.next.journal", "keys/safety.journal"}};
    for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++) {
        snprintf(from, sizeof from, "%s/%s", h->dir, moved[i][0]);
        snprintf(to, sizeof to, "%s/%s", h->dir, moved[i][1]);
        (void)rename(from, to);
    }
    put_validator_keys(h, ".next");
}

void files_remove(host *h)
{
    static const char *const files[] = {"data/data.mdb",
                                        "data/lock.mdb",
                                        "data/writer.lock",
                                        "keys/vote.key",
                                        "keys/vote.next.key",
                                        "keys/channel.key",
                                        "keys/safety.journal",
                                        "keys/safety.next.journal",
                                        "keys/safety.journal.new",
                                        "keys/safety.next.journal.new",
                                        "keys/receipt.key",
                                        "keys/receipt.next.key",
                                        "keys/cosignature.key",
                                        "keys/cosignature.next.key",
                                        "keys/log.key",
                                        "keys/log.next.key",
                                        "genesis.json"};
    char path[192];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", h->dir, files[i]);
        (void)unlink(path);
    }
}

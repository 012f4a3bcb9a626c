/* liar: a Byzantine validator, for evidence.sh. With the keys of a node that is stopped it links to another node as
 * that member and signs two conflicting votes of each kind that R10 names; then come a hundred messages that nobody can
 * read. Usage: liar GENESIS KEYS MEMBER ADDRESS VIEW */
#include "consensus/message.h"
#include "node/formats/genesis.h"
#include "node/peer/links.h"
#include "proto/statement.h"
#include "tools/cli/cli.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_bool up;

static void on_message(void *ctx, unsigned slot, uint8_t type, const uint8_t *payload, size_t n)
{
    (void)ctx;
    (void)slot;
    (void)type;
    (void)payload;
    (void)n;
}

static void on_change(void *ctx, unsigned slot, bool is_up)
{
    (void)ctx;
    (void)slot;
    atomic_store(&up, is_up);
}

static void say(cn_links *links, const cn_genesis *g, const cn_secret_key *key, unsigned signer, uint8_t kind,
                uint64_t view, uint8_t block)
{
    cn_vote vote = {.kind = kind, .epoch = 1, .view = view, .signer = (uint16_t)signer};
    cn_buf bytes;
    if (kind != CN_NULLIFY)
        memset(vote.block.b, block, CN_DIGEST_LEN);
    cn_digest digest = cn_vote_digest(&g->network, 1, kind, view, &vote.block);
    CN_ASSERT(cn_sign(key, &digest, &vote.signature, NULL) == CN_OK);
    cn_buf_init(&bytes, 1024);
    cn_vote_write(&vote, &bytes);
    (void)cn_links_send(links, 0, 1, bytes.p, bytes.n, true); /* 1: a message of consensus */
    cn_buf_free(&bytes);
}

static cn_status load(const char *dir, const char *name, cn_key_file *ret, cn_err *err)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s.key", dir, name);
    return cli_read_key(path, ret, err);
}

int main(int argc, char **argv)
{
    cn_buf bytes;
    cn_genesis g;
    cn_key_file vote, channel;
    cn_links *links = NULL;
    cn_peer_address peer = {.name = "victim", .dials = true};
    cn_err err = {0};
    if (argc != 6)
        return cli_say(EXIT_USE, "usage: liar GENESIS KEYS MEMBER ADDRESS VIEW");
    cn_digest self = cn_member_id(argv[3]);
    cn_status st = cli_read_file(argv[1], CN_MAX_GENESIS_BYTES, &bytes, &err);
    if (st == CN_OK)
        st = cn_genesis_parse(bytes.p, bytes.n, &g, &err);
    if (st == CN_OK)
        st = load(argv[2], "vote", &vote, &err);
    if (st == CN_OK)
        st = load(argv[2], "channel", &channel, &err);
    if (st != CN_OK)
        return cli_complain(EXIT_NO, &err);
    int signer = cn_validator_set_find(&g.set, &self);
    snprintf(peer.address, sizeof peer.address, "%s", argv[4]);
    for (size_t i = 0; i < g.member_count; i++) /* the victim is the exporter, the first member of a test network */
        if (strcmp(g.member[i].name, "exporter") == 0)
            memcpy(peer.channel_key, g.member[i].channel_key, 32);
    cn_links_options o = {.network = g.network,
                          .listen = "127.0.0.1:0",
                          .queue_bytes = 1u << 20,
                          .on_message = on_message,
                          .on_change = on_change};
    memcpy(o.channel_secret, channel.x25519_secret, 32);
    st = signer < 0 ? cn_fail(&err, CN_INVALID, argv[3], "is no validator") : cn_links_start(&o, &links, &err);
    if (st != CN_OK)
        return cli_complain(EXIT_NO, &err);
    cn_links_set_peer(links, 0, &peer);
    for (int i = 0; i < 500 && !atomic_load(&up); i++)
        usleep(20000);
    if (!atomic_load(&up))
        return cli_say(EXIT_NO, "no link");
    uint64_t view = strtoull(argv[5], NULL, 10);
    say(links, &g, &vote.key, (unsigned)signer, CN_NOTARIZE, view, 0xa1);
    say(links, &g, &vote.key, (unsigned)signer, CN_NOTARIZE, view, 0xa2);
    say(links, &g, &vote.key, (unsigned)signer, CN_FINALIZE, view, 0xa1);
    say(links, &g, &vote.key, (unsigned)signer, CN_FINALIZE, view, 0xa2);
    say(links, &g, &vote.key, (unsigned)signer, CN_NULLIFY, view, 0);
    usleep(500000);
    for (int i = 0; i < 100; i++)
        (void)cn_links_send(links, 0, 1, "\377garbage", 8, true);
    usleep(500000);
    cn_links_stop(links);
    return EXIT_GOOD;
}

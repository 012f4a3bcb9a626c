/* One more node in a running test network: what an operator of a new member does, on one machine. */
#include "proto/state.h"
#include "tools/cli/keygen.h"
#include "tools/cli/signer.h"
#include "tools/cli/testnet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What an earlier attempt has made stays: its keys may be registered already. */
static cn_status make_dir(const char *path, cn_err *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return CN_OK;
    return cn_fail(err, CN_IO, path, "cannot be made: %s", strerror(errno));
}

static bool is_registered(const testnet *net, const testnet_node *node)
{
    char path[4300];
    cli_signer self = {0};
    snprintf(path, sizeof path, "%s/keys/capture.key", node->dir);
    cn_status st = cli_signer_open(net->node[0].api, path, &self, NULL);
    cli_signer_close(&self);
    return st == CN_OK;
}

static cn_status post_change(cli_signer *s, const cn_registry_change *change, cn_err *err)
{
    cn_body *body = calloc(1, sizeof *body);
    cn_buf statement;
    json_t *answer = NULL;
    CN_ASSERT(body);
    body->kind = CN_PAYLOAD_REGISTRY;
    body->created_ms = 1;
    body->registry = *change;
    cn_buf_init(&statement, CN_MAX_STATEMENT_BYTES);
    cn_status st = cli_signer_sign(s, body, NULL, 0, &statement, err);
    cli_group g = {.count = 1, .statement = &statement};
    if (st == CN_OK)
        st = cli_group_post(s->api, &g, true, &answer, err);
    if (st == CN_OK && cli_check_final(answer) != EXIT_GOOD)
        st = cn_fail(err, CN_TIMEOUT, s->api, "a registration did not become final in time");
    json_decref(answer);
    cn_buf_free(&statement);
    free(body);
    return st;
}

/* By the first node's member, which is a registrar. */
static cn_status register_member(const testnet *net, const testnet_node *node, cn_err *err)
{
    char path[4300];
    cli_signer registrar = {0};
    cn_key_file capture;
    cn_registry_change change;
    memset(&change, 0, sizeof change);
    change.op = CN_REG_MEMBER_REGISTER;
    change.roles = CN_ROLE_FORWARDER;
    snprintf(change.name, sizeof change.name, "%s", node->name);
    memcpy(change.country, "SG", 3);
    snprintf(path, sizeof path, "%s/keys/capture.key", node->dir);
    cn_status st = cli_read_key(path, &capture, err);
    if (st != CN_OK)
        return st;
    snprintf(path, sizeof path, "%s/keys/capture.key", net->node[0].dir);
    st = cli_signer_open(net->node[0].api, path, &registrar, err);
    change.new_key.key = capture.key.public_key;
    change.new_key.purpose = CN_PURPOSE_CAPTURE;
    cn_digest owner = cn_member_id(node->name), id = cn_key_id(&capture.key.public_key);
    cn_digest digest = cn_possession_digest(&registrar.network, &owner, &id);
    if (st == CN_OK)
        st = cn_sign(&capture.key, &digest, &change.new_key.possession, err);
    if (st == CN_OK)
        st = post_change(&registrar, &change, err);
    cli_signer_close(&registrar);
    cn_key_file_wipe(&capture);
    return st;
}

static cn_status register_channel(const testnet *net, const testnet_node *node, cn_err *err)
{
    char path[4300];
    cli_signer self = {0};
    cn_key_file channel;
    cn_registry_change change;
    memset(&change, 0, sizeof change);
    change.op = CN_REG_CHANNEL_KEY;
    snprintf(path, sizeof path, "%s/keys/channel.key", node->dir);
    cn_status st = cli_read_key(path, &channel, err);
    if (st != CN_OK)
        return st;
    memcpy(change.channel_key, channel.x25519_public, 32);
    cn_key_file_wipe(&channel);
    snprintf(path, sizeof path, "%s/keys/capture.key", node->dir);
    st = cli_signer_open(net->node[0].api, path, &self, err);
    if (st == CN_OK)
        st = post_change(&self, &change, err);
    cli_signer_close(&self);
    return st;
}

static cn_status write_config(const testnet *net, const testnet_node *node, unsigned port, cn_err *err)
{
    char text[8192], path[4300], from[4300];
    cn_buf genesis;
    size_t n = 0;
    snprintf(from, sizeof from, "%s/genesis.json", net->dir);
    cn_status st = cli_read_file(from, CN_MAX_GENESIS_BYTES, &genesis, err);
    if (st != CN_OK)
        return st;
    cn_digest digest = cn_network_id(genesis.p, genesis.n);
    snprintf(path, sizeof path, "%s/genesis.json", node->dir);
    st = cli_write_file(path, genesis.p, genesis.n, 0644, err);
    cn_buf_free(&genesis);
    n += (size_t)snprintf(text + n, sizeof text - n,
                          "; a node that joined a local test network; docs/configuration.md explains each key\n"
                          "node.name = %s\nnetwork.genesis = genesis.json\nnetwork.digest = %s\ndata.dir = data\n"
                          "keys.dir = keys\npeer.listen = 127.0.0.1:%u\napi.listen = 127.0.0.1:%u\npeer.addresses = ",
                          node->name, cn_digest_hex(&digest).s, port, port + 1);
    for (unsigned i = 0; i < net->count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s=%s", i ? "," : "", net->node[i].name, net->node[i].peer);
    n += (size_t)snprintf(text + n, sizeof text - n, "\n");
    snprintf(path, sizeof path, "%s/carnetd.conf", node->dir);
    return st == CN_OK ? cli_write_file(path, text, n, 0644, err) : st;
}

cn_status testnet_add(testnet *net, cn_err *err)
{
    char buffer[32], keys[4200], dir[4000], path[4300];
    const char *colon = strrchr(net->node[net->count - 1].peer, ':');
    if (net->count == TESTNET_MAX)
        return cn_fail(err, CN_TOO_LARGE, net->dir, "a test network has at most %d nodes", TESTNET_MAX);
    testnet_node *node = &net->node[net->count];
    snprintf(node->name, sizeof node->name, "%s", testnet_name(net->count, buffer));
    memcpy(dir, net->dir, sizeof dir);
    snprintf(node->dir, sizeof node->dir, "%.3990s/%s", dir, testnet_name(net->count, buffer));
    snprintf(keys, sizeof keys, "%s/keys", node->dir);
    cn_status st = make_dir(node->dir, err);
    if (st == CN_OK)
        st = make_dir(keys, err);
    snprintf(path, sizeof path, "%s/capture.key", keys); /* the last one that is made */
    if (st == CN_OK && access(path, F_OK) != 0)
        st = cli_make_node_keys(keys, false, err);
    if (st == CN_OK && !is_registered(net, node))
        st = register_member(net, node, err);
    if (st == CN_OK)
        st = register_channel(net, node, err);
    if (st == CN_OK)
        st = write_config(net, node, (unsigned)(colon ? strtoul(colon + 1, NULL, 10) : 7400) + 2, err);
    return st == CN_OK ? testnet_load(dir, net, err) : st;
}

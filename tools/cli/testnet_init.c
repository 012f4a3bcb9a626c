/* Genesis, keys and configuration of every node, made in memory and written once. */
#include "node/config/config.h"
#include "node/formats/genesis.h"
#include "proto/statement.h"
#include "storage/safety.h"
#include "tools/cli/keygen.h"
#include "tools/cli/testnet.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct party {
    const char *name, *country;
    uint32_t roles;
} party;

static const party parties[] = {{"exporter", "KE", CN_ROLE_EXPORTER},
                                {"bank", "GB", CN_ROLE_BANK},
                                {"carrier", "DK", CN_ROLE_CARRIER | CN_ROLE_TERMINAL},
                                {"customs", "NL", CN_ROLE_CUSTOMS}};
static const char *const purposes[] = {"vote", "receipt", "cosignature", "log", "channel", "capture"};
static const char *const types[] = {"secp256k1", "p256", "ed25519", "ed25519", "x25519", "secp256k1"};
#define PURPOSES (sizeof purposes / sizeof purposes[0])

const char *testnet_name(unsigned index, char buffer[32])
{
    if (index < sizeof parties / sizeof parties[0])
        return parties[index].name;
    snprintf(buffer, 32, "member-%u", index + 1);
    return buffer;
}

static cn_status make_dir(const char *path, cn_err *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return CN_OK;
    return cn_fail(err, CN_IO, path, "cannot be made: %s", strerror(errno));
}

static cn_status check_empty(const char *dir, cn_err *err)
{
    char mark[4200];
    snprintf(mark, sizeof mark, "%.4000s/" TESTNET_MARK, dir);
    if (access(mark, F_OK) == 0)
        return cn_fail(err, CN_CONFLICT, dir,
                       "holds a test network already; carnet testnet reset --dir %.100s removes it", dir);
    DIR *d = opendir(dir);
    cn_status st = CN_OK;
    if (!d)
        return errno == ENOENT ? CN_OK : cn_fail(err, CN_IO, dir, "cannot be read: %s", strerror(errno));
    for (struct dirent *e; (e = readdir(d)) && st == CN_OK;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            st = cn_fail(err, CN_CONFLICT, dir,
                         "holds files that are no whole test network (%s); empty it or choose another folder",
                         e->d_name);
    closedir(d);
    return st;
}

/* Two consecutive ports that nobody uses: peers, API. */
static bool port_free(unsigned port)
{
    struct sockaddr_in where = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool free_port = bind(fd, (struct sockaddr *)&where, sizeof where) == 0;
    close(fd);
    return free_port;
}

static cn_status check_ports(const testnet_plan *plan, cn_err *err)
{
    for (unsigned i = 0; !plan->compose && i < 2 * plan->nodes; i++)
        if (!port_free(plan->base_port + i))
            return cn_fail(err, CN_CONFLICT, "--base-port",
                           "port %u is taken; stop its owner or choose another with --base-port", plan->base_port + i);
    return CN_OK;
}

typedef struct maker {
    const testnet_plan *plan;
    cn_genesis genesis;
    cn_key_file *keys; /* nodes x PURPOSES */
} maker;

static cn_status make_member(maker *m, unsigned i, cn_err *err)
{
    char buffer[32];
    cn_genesis_member *member = &m->genesis.member[i];
    cn_key_file *key = &m->keys[i * PURPOSES];
    const char *name = testnet_name(i, buffer);
    bool known = i < sizeof parties / sizeof parties[0];
    snprintf(member->name, sizeof member->name, "%s", name);
    snprintf(member->country, sizeof member->country, "%s", known ? parties[i].country : "SG");
    member->roles = known ? parties[i].roles : CN_ROLE_FORWARDER;
    member->registrar = member->validator = true;
    for (size_t k = 0; k < PURPOSES; k++) {
        cn_status st = cli_make_key(purposes[k], types[k], &key[k], err);
        if (st != CN_OK)
            return st;
    }
    memcpy(member->row.vote_key, key[0].key.public_key.b, 33);
    memcpy(member->row.receipt_key, key[1].key.public_key.b, 33);
    memcpy(member->row.cosignature_key, key[2].key.public_key.b, 32);
    memcpy(member->row.log_key, key[3].key.public_key.b, 32);
    memcpy(member->channel_key, key[4].x25519_public, 32);
    member->capture_key = key[5].key.public_key;
    return cn_evm_address(&key[0].key.public_key, member->row.evm_address, err);
}

static void addresses(const testnet_plan *plan, unsigned i, char *peer, char *api, char *listen, size_t cap)
{
    char buffer[32];
    if (plan->compose) {
        snprintf(peer, cap, "%s:7000", testnet_name(i, buffer));
        snprintf(api, cap, "127.0.0.1:8080");
        snprintf(listen, cap, "0.0.0.0:7000");
    } else {
        snprintf(peer, cap, "127.0.0.1:%u", plan->base_port + 2 * i);
        snprintf(api, cap, "127.0.0.1:%u", plan->base_port + 2 * i + 1);
        snprintf(listen, cap, "%s", peer);
    }
}

static cn_status write_config(const maker *m, unsigned i, const char *dir, const char *digest, cn_err *err)
{
    char text[16384], path[4200], page[4200], peer[64], api[64], listen[64], buffer[32];
    size_t n = 0;
    addresses(m->plan, i, peer, api, listen, sizeof peer);
    n += (size_t)snprintf(text + n, sizeof text - n,
                          "; a node of a local test network; docs/configuration.md explains each key\n"
                          "node.name = %s\nnetwork.genesis = genesis.json\nnetwork.digest = %s\ndata.dir = data\n"
                          "keys.dir = keys\npeer.listen = %s\napi.listen = %s\npeer.addresses = ",
                          testnet_name(i, buffer), digest, listen, api);
    for (unsigned k = 0; k < m->plan->nodes; k++) {
        addresses(m->plan, k, peer, api, listen, sizeof peer);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s=%s", k ? "," : "", testnet_name(k, buffer), peer);
    }
    n += (size_t)snprintf(text + n, sizeof text - n, "\n");
    cn_status st = testnet_beside("../share/carnet/verify.html", page, sizeof page, err);
    if (st == CN_OK && realpath(page, path) && strlen(path) < CN_CONFIG_TEXT_MAX)
        n += (size_t)snprintf(text + n, sizeof text - n, "audit.page = %s\n", path);
    if (st != CN_OK)
        return st;
    snprintf(path, sizeof path, "%s/carnetd.conf", dir);
    return cli_write_file(path, text, n, 0644, err);
}

static cn_status write_node(const maker *m, unsigned i, const cn_buf *genesis, const char *digest, cn_err *err)
{
    char dir[4100], path[4200], buffer[32];
    snprintf(dir, sizeof dir, "%s/%s", m->plan->dir, testnet_name(i, buffer));
    cn_status st = make_dir(dir, err);
    snprintf(path, sizeof path, "%s/keys", dir);
    if (st == CN_OK)
        st = make_dir(path, err);
    snprintf(path, sizeof path, "%s/keys/safety.journal", dir);
    if (st == CN_OK)
        st = cn_safety_create(path, m->keys[i * PURPOSES].key.public_key.b, err);
    for (size_t k = 0; k < PURPOSES && st == CN_OK; k++) {
        snprintf(path, sizeof path, "%s/keys/%s.key", dir, purposes[k]);
        st = cli_write_key(path, &m->keys[i * PURPOSES + k], err);
    }
    snprintf(path, sizeof path, "%s/genesis.json", dir);
    if (st == CN_OK)
        st = cli_write_file(path, genesis->p, genesis->n, 0644, err);
    return st == CN_OK ? write_config(m, i, dir, digest, err) : st;
}

static cn_status write_all(maker *m, cn_err *err)
{
    cn_buf genesis;
    char path[4200], line[80];
    cn_buf_init(&genesis, CN_MAX_GENESIS_BYTES);
    cn_status st = cn_genesis_write(&m->genesis, &genesis, err);
    cn_digest digest = cn_network_id(genesis.p, genesis.n);
    if (st == CN_OK)
        st = make_dir(m->plan->dir, err);
    for (unsigned i = 0; i < m->plan->nodes && st == CN_OK; i++)
        st = write_node(m, i, &genesis, cn_digest_hex(&digest).s, err);
    snprintf(path, sizeof path, "%s/genesis.json", m->plan->dir);
    if (st == CN_OK)
        st = cli_write_file(path, genesis.p, genesis.n, 0644, err);
    snprintf(path, sizeof path, "%s/" TESTNET_MARK, m->plan->dir); /* last: it says that the network is whole */
    int n = snprintf(line, sizeof line, "%s\n", cn_digest_hex(&digest).s);
    if (st == CN_OK)
        st = cli_write_file(path, line, (size_t)n, 0644, err);
    cn_buf_free(&genesis);
    return st;
}

cn_status testnet_init(const testnet_plan *plan, cn_err *err)
{
    maker m = {.plan = plan};
    struct timespec now;
    cn_status st = check_empty(plan->dir, err);
    if (st == CN_OK)
        st = check_ports(plan, err);
    if (st != CN_OK)
        return st;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(m.genesis.name, sizeof m.genesis.name, "carnet-testnet");
    snprintf(m.genesis.origin, sizeof m.genesis.origin, "testnet.carnet.example");
    m.genesis.time_ms = (uint64_t)now.tv_sec * 1000;
    m.genesis.parameters =
        (cn_state_parameters){plan->checkpoint_ms, 60000, CN_MAX_BLOCK_BYTES, (uint16_t)(plan->nodes / 2 + 1)};
    m.genesis.member_count = plan->nodes;
    m.genesis.member = calloc(plan->nodes, sizeof *m.genesis.member);
    m.keys = calloc(plan->nodes * PURPOSES, sizeof *m.keys);
    if (!m.genesis.member || !m.keys)
        st = cn_fail(err, CN_NO_MEMORY, "testnet", "out of memory");
    for (unsigned i = 0; i < plan->nodes && st == CN_OK; i++)
        st = make_member(&m, i, err);
    if (st == CN_OK) {
        randombytes_buf(m.genesis.nonce, sizeof m.genesis.nonce);
        randombytes_buf(m.genesis.subject_salt, sizeof m.genesis.subject_salt);
        st = write_all(&m, err);
    }
    for (size_t i = 0; m.keys && i < plan->nodes * PURPOSES; i++)
        cn_key_file_wipe(&m.keys[i]);
    free(m.keys);
    free(m.genesis.member);
    return st;
}

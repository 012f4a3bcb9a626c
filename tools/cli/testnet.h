/* A network on this machine. Private to tools/cli.
 *
 *   init.c     genesis, keys and configuration of every node      process.c  starting and stopping them */
#ifndef CARNET_TOOLS_CLI_TESTNET_H
#define CARNET_TOOLS_CLI_TESTNET_H

#include "tools/cli/cli.h"

#define TESTNET_MAX 16
#define TESTNET_MARK "genesis.digest"

typedef struct testnet_node {
    char name[32], dir[4096], api[64], peer[64];
    const char *role;
    int pid; /* 0: not running */
} testnet_node;

typedef struct testnet {
    char dir[4000];
    unsigned count;
    testnet_node node[TESTNET_MAX];
} testnet;

typedef struct testnet_plan {
    const char *dir;
    unsigned nodes, base_port;
    bool compose;
    uint64_t checkpoint_ms;
} testnet_plan;

/* A path that begins in the folder of this program; it need not exist. */
cn_status testnet_beside(const char *relative, char *out, size_t cap, cn_err *err);
const char *testnet_name(unsigned index, char buffer[32]);
cn_status testnet_init(const testnet_plan *plan, cn_err *err);
/* Reads what init made; CN_NOT_FOUND when there is no network. */
cn_status testnet_load(const char *dir, testnet *ret, cn_err *err);
cn_status testnet_start(testnet_node *node, cn_err *err);       /* running already: fine */
bool testnet_wait_ready(const testnet_node *node, unsigned ms); /* its API answers */
cn_status testnet_stop(testnet_node *node, bool hard, cn_err *err);
/* Makes one more node with its keys and configuration, registers its member and channel key through the running
 * network, and loads the network again: the node follows, and votes after carnet propose join. */
cn_status testnet_add(testnet *net, cn_err *err);
cn_status testnet_remove(const testnet *net, cn_err *err);

#endif

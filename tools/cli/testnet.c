/* carnet testnet ... */
#include "tools/cli/testnet.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_NODES 4
#define DEFAULT_PORT 7400

static const char *default_dir(char *buffer, size_t cap)
{
    const char *home = getenv("CARNET_HOME");
    if (home)
        return home;
    if (geteuid() == 0)
        return "/var/lib/carnet/testnet";
    snprintf(buffer, cap, "%s/.carnet/testnet", getenv("HOME") ? getenv("HOME") : ".");
    return buffer;
}

static json_t *node_json(const testnet_node *node)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", node->name, "role", node->role, "dir", node->dir,
                             "api", node->api, "peer", node->peer);
    json_object_set_new(json, "pid", node->pid ? json_integer(node->pid) : json_null());
    json_t *status = NULL;
    if (node->pid && cli_get_json(node->api, "/v1/status", &status, NULL) == CN_OK) {
        json_object_set(json, "height", json_object_get(status, "height"));
        json_object_set(json, "header", json_object_get(status, "header"));
        json_object_set(json, "statements", json_object_get(status, "statements"));
        json_decref(status);
    }
    return json;
}

static int print_status(const testnet *net, bool as_json)
{
    char path[4200], digest[80] = "";
    snprintf(path, sizeof path, "%s/" TESTNET_MARK, net->dir);
    FILE *f = fopen(path, "re");
    if (f && fgets(digest, sizeof digest, f))
        digest[strcspn(digest, "\n")] = '\0';
    if (f)
        fclose(f);
    json_t *nodes = json_array();
    bool all_up = true;
    for (unsigned i = 0; i < net->count; i++) {
        json_array_append_new(nodes, node_json(&net->node[i]));
        all_up = all_up && net->node[i].pid;
    }
    if (as_json) {
        cli_print_json(json_pack("{s:s, s:s, s:O}", "dir", net->dir, "genesis", digest, "nodes", nodes));
    } else {
        printf("network in %s, genesis digest %s\n", net->dir, digest);
        for (unsigned i = 0; i < net->count; i++) {
            const json_t *node = json_array_get(nodes, i), *height = json_object_get(node, "height");
            printf("  %-10s %-9s %-8d %-26s peers %-22s height %lld\n", net->node[i].name,
                   net->node[i].pid ? "running" : "stopped", net->node[i].pid, net->node[i].api, net->node[i].peer,
                   (long long)json_integer_value(height));
        }
    }
    json_decref(nodes);
    return all_up ? EXIT_GOOD : EXIT_NO;
}

static bool wait_ready(const testnet_node *node, int seconds)
{
    json_t *ready = NULL;
    for (int tries = 0; tries < seconds * 20 && !ready; tries++)
        if (cli_get_json(node->api, "/readyz?verbose", &ready, NULL) != CN_OK)
            usleep(50000);
    bool ok = ready != NULL;
    json_decref(ready);
    if (!ok)
        cli_say(EXIT_NO, "%s runs but is not ready; carnet why --api %s says why", node->name, node->api);
    return ok;
}

static int bring_up(testnet *net)
{
    cn_err err = {0};
    for (unsigned i = 0; i < net->count; i++)
        if (testnet_start(&net->node[i], &err) != CN_OK)
            return cli_complain(EXIT_NO, &err);
    for (unsigned i = 0; i < net->count; i++) /* linked up: statements can be committed */
        if (!wait_ready(&net->node[i], 10))
            return EXIT_NO;
    return EXIT_GOOD;
}

static int take_down(testnet *net)
{
    cn_err err = {0};
    int status = EXIT_GOOD;
    for (unsigned i = 0; i < net->count; i++)
        if (testnet_stop(&net->node[i], false, &err) != CN_OK)
            status = cli_complain(EXIT_NO, &err);
    return status;
}

static int one_node(testnet *net, const char *action, const char *name)
{
    cn_err err = {0};
    for (unsigned i = 0; i < net->count; i++) {
        testnet_node *node = &net->node[i];
        if (strcmp(node->name, name) != 0)
            continue;
        cn_status st = strcmp(action, "start") == 0 ? testnet_start(node, &err)
                                                    : testnet_stop(node, strcmp(action, "kill") == 0, &err);
        return st == CN_OK ? EXIT_GOOD : cli_complain(EXIT_NO, &err);
    }
    return cli_say(EXIT_USE, "%s is not a node of this network; see carnet testnet status", name);
}

static int make(const cli_args *args, const char *dir)
{
    uint64_t nodes, port, checkpoint;
    cn_err err = {0};
    if (!cli_number(args, "--nodes", DEFAULT_NODES, 1, TESTNET_MAX, &nodes) ||
        !cli_number(args, "--base-port", DEFAULT_PORT, 1024, 65000, &port) ||
        !cli_number(args, "--checkpoint-ms", 1000, 10, 3600000, &checkpoint))
        return EXIT_USE;
    if (nodes < 4 && !cli_flag(args, "--force"))
        return cli_say(EXIT_USE, "%llu nodes tolerate no fault; use at least 4, or --force", (unsigned long long)nodes);
    testnet_plan plan = {.dir = dir,
                         .nodes = (unsigned)nodes,
                         .base_port = (unsigned)port,
                         .compose = cli_flag(args, "--compose"),
                         .checkpoint_ms = checkpoint};
    return testnet_init(&plan, &err) == CN_OK ? EXIT_GOOD : cli_complain(EXIT_USE, &err);
}

static int add(testnet *net)
{
    cn_err err = {0};
    cn_status st = testnet_add(net, &err);
    if (st == CN_OK)
        st = testnet_start(&net->node[net->count - 1], &err);
    if (st != CN_OK)
        return cli_complain(EXIT_NO, &err);
    if (!wait_ready(&net->node[net->count - 1], 60)) /* its peers learn of it at the next checkpoint */
        return EXIT_NO;
    const testnet_node *node = &net->node[net->count - 1];
    printf(
        "%s runs at %s and follows; to let it vote:\n  carnet propose join --api %s --key %s/keys/capture.key --keys "
        "%s/keys\n",
        node->name, node->api, net->node[0].api, node->dir, node->dir);
    return EXIT_GOOD;
}

static int reset(testnet *net)
{
    cn_err err = {0};
    int status = take_down(net);
    if (status != EXIT_GOOD)
        return status;
    return testnet_remove(net, &err) == CN_OK ? EXIT_GOOD : cli_complain(EXIT_NO, &err);
}

int cmd_testnet(int argc, char **argv)
{
    cli_option options[] = {{"--dir", false, false, "folder of the network (default: $CARNET_HOME)", NULL},
                            {"--nodes", false, false, "how many nodes (default 4)", NULL},
                            {"--force", true, false, "allow fewer than 4 nodes", NULL},
                            {"--base-port", false, false, "first of two ports a node (default 7400)", NULL},
                            {"--checkpoint-ms", false, false, "interval of checkpoints (default 1000)", NULL},
                            {"--compose", true, false, "init: addresses for docker-compose", NULL},
                            {"--json", true, false, "print JSON", NULL},
                            {0}};
    cli_args args;
    int status;
    char buffer[4096];
    testnet *net = NULL;
    cn_err err = {0};
    if (!cli_parse(argc, argv,
                   "testnet init|up|down|add|reset|status [--dir D] [--nodes N]\n       carnet testnet start|stop|kill "
                   "NODE [--dir D]",
                   options, &args, &status))
        return status;
    const char *action = args.count ? args.positional[0] : "", *given = cli_value(&args, "--dir");
    const char *dir = given ? given : default_dir(buffer, sizeof buffer);
    bool named = strcmp(action, "start") == 0 || strcmp(action, "stop") == 0 || strcmp(action, "kill") == 0;
    if (args.count != (named ? 2 : 1))
        return cli_say(EXIT_USE, "testnet needs an action; see carnet testnet --help");
    if (strcmp(action, "init") == 0)
        return make(&args, dir);
    net = calloc(1, sizeof *net);
    if (!net)
        return EXIT_NO;
    cn_status st = testnet_load(dir, net, &err);
    if (st == CN_NOT_FOUND && strcmp(action, "up") == 0) {
        status = make(&args, dir);
        st = status == EXIT_GOOD ? testnet_load(dir, net, &err) : st;
        if (status != EXIT_GOOD) {
            free(net);
            return status;
        }
    }
    if (st != CN_OK)
        status = cli_complain(EXIT_USE, &err);
    else if (strcmp(action, "up") == 0)
        status = bring_up(net) == EXIT_GOOD ? print_status(net, cli_flag(&args, "--json")) : EXIT_NO;
    else if (strcmp(action, "down") == 0)
        status = take_down(net);
    else if (strcmp(action, "add") == 0)
        status = add(net);
    else if (strcmp(action, "reset") == 0)
        status = reset(net);
    else if (strcmp(action, "status") == 0)
        status = print_status(net, cli_flag(&args, "--json"));
    else if (named)
        status = one_node(net, action, args.positional[1]);
    else
        status = cli_say(EXIT_USE, "testnet %s is not known; see carnet testnet --help", action);
    free(net);
    return status;
}

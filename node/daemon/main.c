/* carnetd --config FILE [--key value]... */
#include "node/daemon/node.h"
#include "storage/guard.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cn_node *running;

static void on_signal(int number)
{
    (void)number;
    if (running)
        cn_node_ask_stop(running);
}

static int usage(FILE *out, int status)
{
    fprintf(out, "carnetd " CARNET_VERSION
                 " - a node of a Carnet network\n\nusage: carnetd --config FILE [--KEY VALUE]...\n\n"
                 "Keys (also environment variables CARNET_...):\n");
    cn_config_print_keys(out);
    return status;
}

static int complain(const cn_err *err)
{
    fprintf(stderr, "carnetd: %s%s%s\n", err->field, err->field[0] ? ": " : "", err->text);
    return err->code == CN_INVALID ? 2 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout, 0);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("carnetd " CARNET_VERSION);
        return 0;
    }
    if (argc < 3 || strcmp(argv[1], "--config") != 0)
        return usage(stderr, 2);
    cn_config *config = calloc(1, sizeof *config);
    cn_err err = {0};
    if (!config)
        return 1;
    if (cn_config_load(argv[2], argc - 3, argv + 3, config, &err) != CN_OK) {
        free(config);
        return complain(&err);
    }
    /* Fixed, since glibc else raises it after the first large block that is freed, and keeps such blocks for ever: what
     * one large request took goes back to the system. */
    cn_store_guard("carnetd", config->data_dir, 1);
    (void)mallopt(M_MMAP_THRESHOLD, 512 * 1024);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    cn_node *node = NULL;
    cn_status st = cn_node_start(config, &node, &err);
    free(config);
    if (st != CN_OK)
        return complain(&err);
    running = node;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    st = cn_node_wait(node, &err);
    running = NULL;
    cn_node_free(node);
    return st == CN_OK ? 0 : complain(&err);
}

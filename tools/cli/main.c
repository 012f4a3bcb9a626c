/* carnet COMMAND ... */
#include "tools/cli/cli.h"

#include <string.h>

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} command;

static const command commands[] = {
#define CLI_ROW(name, function, summary) {name, function, summary},
    CLI_COMMANDS(CLI_ROW)
#undef CLI_ROW
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static int usage(FILE *out, int status)
{
    fprintf(out, "carnet " CARNET_VERSION " - a ledger of shipment records that no single party owns\n\n"
                 "usage: carnet COMMAND [--help] ...\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\nExit status: 0 good, 1 the answer is no, 2 wrong use or unreadable input.\n");
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage(stderr, EXIT_USE);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return usage(stdout, EXIT_GOOD);
    if (strcmp(argv[1], "--version") == 0) {
        puts("carnet " CARNET_VERSION);
        return EXIT_GOOD;
    }
    cli_http_begin();
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 2, argv + 2);
    return cli_say(EXIT_USE, "%s is not a command; see carnet --help", argv[1]);
}

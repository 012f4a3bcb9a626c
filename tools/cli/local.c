/* Commands that need no node: fsck, compact, config. */
#include "node/config/config.h"
#include "node/formats/genesis.h"
#include "storage/guard.h"
#include "storage/store.h"
#include "tools/cli/cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct fsck_print {
    bool as_json;
    json_t *faults;
} fsck_print;

static void on_line(void *ctx, bool fault, const char *text)
{
    fsck_print *p = ctx;
    if (fault)
        json_array_append_new(p->faults, json_string_nocheck(text));
    if (!p->as_json)
        printf("%s%s\n", fault ? "FAULT  " : "checking ", text);
    fflush(stdout);
}

/* A fault of the processor may end the check at any moment (cn_store_guard): what was found before it is out already.
 */
static int report(const fsck_print *p, const cn_fsck_report *r)
{
    if (p->as_json)
        cli_print_json(json_pack("{s:I, s:I, s:I, s:I, s:O}", "blocks", (json_int_t)r->blocks, "statements",
                                 (json_int_t)r->statements, "subjects", (json_int_t)r->subjects, "state_entries",
                                 (json_int_t)r->state_entries, "faults", p->faults));
    else
        printf("%llu blocks, %llu statements, %llu subjects, %llu state entries: %llu faults\n",
               (unsigned long long)r->blocks, (unsigned long long)r->statements, (unsigned long long)r->subjects,
               (unsigned long long)r->state_entries, (unsigned long long)r->faults);
    return r->faults ? EXIT_NO : EXIT_GOOD;
}

int cmd_fsck(int argc, char **argv)
{
    cli_option options[] = {{"--json", true, false, "print JSON", NULL}, {0}};
    cli_args args;
    int status;
    cn_err err = {0};
    cn_genesis genesis;
    cn_fsck_report result = {0};
    cn_buf bytes;
    if (!cli_parse(argc, argv, "fsck DATA-DIR", options, &args, &status))
        return status;
    if (args.count != 1)
        return cli_say(EXIT_USE, "fsck needs the folder of one ledger (data.dir of the node)");
    cn_store_options where = {.dir = args.positional[0], .read_only = true};
    cn_buf_init(&bytes, CN_MAX_GENESIS_BYTES);
    cn_store_guard("FAULT", where.dir, EXIT_NO);
    cn_status st = cn_store_read_genesis(&where, &bytes, &err);
    if (st == CN_OK)
        st = cn_genesis_parse(bytes.p, bytes.n, &genesis, &err);
    cn_buf_free(&bytes);
    if (st != CN_OK)
        return cli_complain(EXIT_USE, &err);
    fsck_print print = {.as_json = cli_flag(&args, "--json"), .faults = json_array()};
    st = cn_store_fsck(&where, genesis.subject_salt, on_line, &print, &result, &err);
    cn_genesis_free(&genesis);
    status = st == CN_OK ? report(&print, &result) : cli_complain(EXIT_USE, &err);
    json_decref(print.faults);
    return status;
}

/* A ledger without freed pages: what was erased is then on this disk no more, once the old one is deleted. */
int cmd_compact(int argc, char **argv)
{
    cli_option options[] = {{"--to", false, true, "empty folder for the copy", NULL}, {0}};
    cli_args args;
    int status;
    cn_err err = {0};
    if (!cli_parse(argc, argv, "compact --to DIR DATA-DIR", options, &args, &status))
        return status;
    if (args.count != 1)
        return cli_say(EXIT_USE, "compact needs the folder of one ledger (data.dir of a node that is stopped)");
    cn_store_options where = {.dir = args.positional[0], .read_only = true};
    if (cn_store_compact(&where, cli_value(&args, "--to"), &err) != CN_OK)
        return cli_complain(EXIT_NO, &err);
    printf("%s: put it in the place of %s while the node is stopped, and delete that\n", cli_value(&args, "--to"),
           args.positional[0]);
    return EXIT_GOOD;
}

static json_t *config_json(const cn_config *config)
{
    json_t *json = json_object();
#define JSON_OF_TEXT(field) json_string_nocheck(config->field)
#define JSON_OF_NUMBER(field) json_integer((json_int_t)config->field)
#define JSON_KEY(key, field, kind, initial, least, most, help) json_object_set_new(json, key, JSON_OF_##kind(field));
    CN_CONFIG_KEYS(JSON_KEY)
#undef JSON_KEY
#undef JSON_OF_NUMBER
#undef JSON_OF_TEXT
    return json;
}

int cmd_config(int argc, char **argv)
{
    cli_option options[] = {{"--json", true, false, "print JSON", NULL}, {0}};
    cli_args args;
    int status;
    cn_err err = {0};
    if (!cli_parse(argc, argv, "config check FILE", options, &args, &status))
        return status;
    if (args.count != 2 || strcmp(args.positional[0], "check") != 0)
        return cli_say(EXIT_USE, "use: carnet config check FILE");
    cn_config *config = calloc(1, sizeof *config);
    if (!config)
        return EXIT_NO;
    cn_status st = cn_config_load(args.positional[1], 0, NULL, config, &err);
    if (st == CN_OK && cli_flag(&args, "--json"))
        cli_print_json(config_json(config));
    else if (st == CN_OK)
        cn_config_print(config, stdout);
    free(config);
    return st == CN_OK ? EXIT_GOOD : cli_complain(EXIT_USE, &err);
}

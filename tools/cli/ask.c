/* Commands that ask a node: status, why, query, audit, export, member list. */
#include "node/formats/dossier.h"
#include "tools/cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define API_OPTION                                                                                                     \
    {                                                                                                                  \
        "--api", false, true, "URL of a node, e.g. http://127.0.0.1:7401", NULL                                        \
    }
#define JSON_OPTION                                                                                                    \
    {                                                                                                                  \
        "--json", true, false, "print JSON", NULL                                                                      \
    }

int cmd_status(int argc, char **argv)
{
    cli_option options[] = {API_OPTION, JSON_OPTION, {0}};
    cli_args args;
    int status;
    json_t *json = NULL;
    cn_err err = {0};
    if (!cli_parse(argc, argv, "status --api URL", options, &args, &status))
        return status;
    if (cli_get_json(cli_value(&args, "--api"), "/v1/status", &json, &err) != CN_OK)
        return cli_complain(EXIT_NO, &err);
    if (cli_flag(&args, "--json")) {
        cli_print_json(json);
        return EXIT_GOOD;
    }
    printf("%s of %s: height %lld, %lld statements final, %lld wait, view %lld\n",
           json_string_value(json_object_get(json, "name")), json_string_value(json_object_get(json, "network")),
           (long long)json_integer_value(json_object_get(json, "height")),
           (long long)json_integer_value(json_object_get(json, "statements")),
           (long long)json_integer_value(json_object_get(json, "pending")),
           (long long)json_integer_value(json_object_get(json, "view")));
    printf("header  %s\ngenesis %s\n", json_string_value(json_object_get(json, "header")),
           json_string_value(json_object_get(json, "genesis")));
    size_t i;
    json_t *peer;
    json_array_foreach(json_object_get(json, "peers"), i, peer)
    {
        const char *error = json_string_value(json_object_get(peer, "last_error"));
        printf("  %-12s %s%s%s\n", json_string_value(json_object_get(peer, "name")),
               json_is_true(json_object_get(peer, "up")) ? "linked" : "not linked", error ? ": " : "",
               error ? error : "");
    }
    json_decref(json);
    return EXIT_GOOD;
}

int cmd_why(int argc, char **argv)
{
    cli_option options[] = {API_OPTION, JSON_OPTION, {0}};
    cli_args args;
    int status;
    json_t *json = NULL;
    cn_err err = {0};
    if (!cli_parse(argc, argv, "why --api URL", options, &args, &status))
        return status;
    if (cli_get_json(cli_value(&args, "--api"), "/v1/why", &json, &err) != CN_OK)
        return cli_complain(EXIT_NO, &err);
    bool can = json_is_true(json_object_get(json, "can_commit"));
    if (cli_flag(&args, "--json")) {
        cli_print_json(json);
        return can ? EXIT_GOOD : EXIT_NO;
    }
    const char *summary = json_string_value(json_object_get(json, "summary"));
    puts(summary ? summary : "the node gave no reason");
    size_t i;
    json_t *missing;
    json_array_foreach(json_object_get(json, "missing"), i, missing)
        printf("  missing %-12s %s\n", json_string_value(json_object_get(missing, "name")),
               json_string_value(json_object_get(missing, "reason")));
    json_decref(json);
    return can ? EXIT_GOOD : EXIT_NO;
}

/* ---- query ---- */

static void print_event(const json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "type"));
    const char *content = json_string_value(json_object_get(event, "content"));
    const char *time = json_string_value(json_object_get(event, "claimed_from"));
    printf("%8lld  %-24s %-20s %s\n", (long long)json_integer_value(json_object_get(event, "log_index")),
           time ? time : json_string_value(json_object_get(event, "recorded")), type ? type : "registry",
           content ? "" : json_string_value(json_object_get(event, "statement")));
    json_t *parsed = content ? json_loads(content, 0, NULL) : NULL;
    const char *step = json_string_value(json_object_get(parsed, "bizStep"));
    const char *place = json_string_value(json_object_get(json_object_get(parsed, "readPoint"), "id"));
    if (step || place)
        printf("          %s%s%s\n", step ? step : "", step && place ? " at " : "", place ? place : "");
    json_decref(parsed);
}

static cn_status query_page(const cli_args *args, const char *subject, uint64_t cursor, json_t **ret, cn_err *err)
{
    static const char *const filters[] = {"from", "to", "type"};
    char path[8192], encoded[2048], value[1024];
    if (!cli_encode(subject, encoded, sizeof encoded))
        return cn_fail(err, CN_TOO_LARGE, "--subject", "the URI is too long");
    size_t n = (size_t)snprintf(path, sizeof path, "/v1/subjects/%s/events?limit=500&cursor=%llu", encoded,
                                (unsigned long long)cursor);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        char option[16];
        snprintf(option, sizeof option, "--%s", filters[i]);
        const char *text = cli_value(args, option);
        if (text && cli_encode(text, value, sizeof value))
            n += (size_t)snprintf(path + n, sizeof path - n, "&%s=%s", filters[i], value);
    }
    return cli_get_json(cli_value(args, "--api"), path, ret, err);
}

int cmd_query(int argc, char **argv)
{
    cli_option options[] = {API_OPTION,
                            {"--subject", false, true, "URI of a consignment, container, device, document, ...", NULL},
                            {"--from", false, false, "events that claim a time at or after, RFC 3339", NULL},
                            {"--to", false, false, "events that claim a time at or before", NULL},
                            {"--type", false, false, "event type, e.g. ObjectEvent", NULL},
                            JSON_OPTION,
                            {0}};
    cli_args args;
    int status;
    cn_err err = {0};
    uint64_t cursor = 0;
    size_t count = 0;
    if (!cli_parse(argc, argv, "query --api URL --subject URI [--from T] [--to T] [--type X]", options, &args, &status))
        return status;
    json_t *all = json_array();
    for (bool more = true; more;) {
        json_t *page = NULL;
        cn_status st = query_page(&args, cli_value(&args, "--subject"), cursor, &page, &err);
        if (st != CN_OK) {
            json_decref(all);
            return cli_complain(EXIT_NO, &err);
        }
        size_t i;
        json_t *event;
        json_array_foreach(json_object_get(page, "events"), i, event)
        {
            if (cli_flag(&args, "--json"))
                json_array_append(all, event);
            else
                print_event(event);
            count++;
        }
        const json_t *next = json_object_get(page, "next_cursor");
        more = json_is_integer(next);
        cursor = (uint64_t)json_integer_value(next);
        json_decref(page);
    }
    if (cli_flag(&args, "--json"))
        cli_print_json(json_pack("{s:s, s:O}", "subject", cli_value(&args, "--subject"), "events", all));
    else
        printf("%zu events\n", count);
    json_decref(all);
    return EXIT_GOOD;
}

/* ---- files ---- */

/* A dossier, once more from disk's side: what is in it, not whether it holds. */
static json_t *contents_of(const char *file, const cn_buf *zip)
{
    cn_dossier d;
    cn_err err = {0};
    if (cn_dossier_read(zip->p, zip->n, &d, &err) != CN_OK) {
        cli_complain(EXIT_NO, &err);
        return NULL;
    }
    json_t *json = json_pack("{s:s, s:I, s:s, s:I, s:I, s:I}", "file", file, "bytes", (json_int_t)zip->n, "subject",
                             d.subject, "checkpoint", (json_int_t)d.checkpoint, "statements",
                             (json_int_t)d.statement_count, "subjects", (json_int_t)d.subject_count);
    cn_dossier_clear(&d);
    return json;
}

static int print_contents(json_t *json, bool as_json)
{
    if (!json)
        return EXIT_NO;
    if (as_json) {
        cli_print_json(json);
        return EXIT_GOOD;
    }
    printf("%s: %lld bytes about %s: %lld statements and the records of %lld subjects up to height %lld\n"
           "verify it with carnet verify --genesis DIGEST\n",
           json_string_value(json_object_get(json, "file")),
           (long long)json_integer_value(json_object_get(json, "bytes")),
           json_string_value(json_object_get(json, "subject")),
           (long long)json_integer_value(json_object_get(json, "statements")),
           (long long)json_integer_value(json_object_get(json, "subjects")),
           (long long)json_integer_value(json_object_get(json, "checkpoint")));
    json_decref(json);
    return EXIT_GOOD;
}

static int fetch_dossier(const cli_args *args, const char *path)
{
    cli_answer a;
    cn_err err = {0};
    const char *out = cli_value(args, "--out");
    if (cli_http(cli_value(args, "--api"), path, NULL, NULL, 0, 300, &a, &err) != CN_OK)
        return cli_complain(EXIT_NO, &err);
    if (cli_problem(&a, &err) != CN_OK) {
        cli_answer_free(&a);
        return cli_complain(EXIT_NO, &err);
    }
    json_t *contents = contents_of(out, &a.body);
    cn_status st = contents ? cli_write_file(out, a.body.p, a.body.n, 0644, &err) : CN_OK;
    cli_answer_free(&a);
    if (st == CN_OK)
        return print_contents(contents, cli_flag(args, "--json"));
    json_decref(contents);
    return cli_complain(EXIT_USE, &err);
}

int cmd_audit(int argc, char **argv)
{
    cli_option options[] = {API_OPTION,
                            {"--subject", false, true, "URI of the subject", NULL},
                            {"--out", false, true, "file to write (ZIP)", NULL},
                            {"--legal-basis", false, false, "why it is asked for; stands in the dossier", NULL},
                            {"--case", false, false, "case number; stands in the dossier", NULL},
                            {"--redact", false, false,
                             "STATEMENT:ITEMS,...: items to leave out, as ID:3 or ID:3-5; the dossier names them",
                             NULL},
                            JSON_OPTION,
                            {0}};
    static const char *const more[][2] = {{"--legal-basis", "legal_basis"}, {"--case", "case"}, {"--redact", "redact"}};
    cli_args args;
    int status;
    char path[32768], encoded[8192];
    if (!cli_parse(argc, argv, "audit --api URL --subject URI [--redact ID:ITEMS,...] --out FILE.zip", options, &args,
                   &status))
        return status;
    if (!cli_encode(cli_value(&args, "--subject"), encoded, sizeof encoded))
        return cli_say(EXIT_USE, "--subject: the URI is too long");
    snprintf(path, sizeof path, "/v1/subjects/%s/audit", encoded);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        const char *value = cli_value(&args, more[i][0]);
        size_t at = strlen(path);
        if (value && !cli_encode(value, encoded, sizeof encoded))
            return cli_say(EXIT_USE, "%s: too long", more[i][0]);
        if (value)
            snprintf(path + at, sizeof path - at, "%c%s=%s", strchr(path, '?') ? '&' : '?', more[i][1], encoded);
    }
    return fetch_dossier(&args, path);
}

/* A proof in somebody else's format: the bytes as they come. */
static int fetch_proof(const cli_args *args, const char *path)
{
    cli_answer a;
    cn_err err = {0};
    const char *out = cli_value(args, "--out"), *format = cli_value(args, "--format");
    cn_status st = cli_http(cli_value(args, "--api"), path, NULL, NULL, 0, 60, &a, &err);
    if (st != CN_OK)
        return cli_complain(EXIT_NO, &err);
    if ((st = cli_problem(&a, &err)) == CN_OK)
        st = cli_write_file(out, a.body.p, a.body.n, 0644, &err);
    if (st == CN_OK && cli_flag(args, "--json"))
        cli_print_json(json_pack("{s:s, s:s, s:I}", "file", out, "format", format, "bytes", (json_int_t)a.body.n));
    else if (st == CN_OK)
        printf("%s: %s, %zu bytes\n", out, format, a.body.n);
    cli_answer_free(&a);
    return st == CN_OK ? EXIT_GOOD : cli_complain(EXIT_NO, &err);
}

/* Which formats there are of what. */
typedef struct exported {
    const char *option, *formats;
} exported;

static const exported exports[] = {{"--statement", " native cose tlog evm item "},
                                   {"--subject", " ics23 evm "},
                                   {"--consistency-from", " cose "},
                                   {"--epochs", " evm "},
                                   {"--policy", " tlog "}};
#define EXPORTS (sizeof exports / sizeof exports[0])

/* Path of the API for what is asked; false: the combination makes no sense. */
static bool export_path(const cli_args *args, char *path, size_t cap)
{
    const char *format = cli_value(args, "--format"), *member = cli_value(args, "--member"), *what = NULL,
               *item = cli_value(args, "--item");
    char encoded[2048], wanted[64];
    size_t kind = EXPORTS;
    for (size_t i = 0; i < EXPORTS; i++) {
        const char *value = cli_value(args, exports[i].option);
        if (value && what)
            return false;
        if (value) {
            what = value;
            kind = i;
        }
    }
    snprintf(wanted, sizeof wanted, " %.40s ", format);
    if (!what || strchr(format, ' ') || !strstr(exports[kind].formats, wanted) ||
        (member && strcmp(format, "cose") != 0) || (item != NULL) != (strcmp(format, "item") == 0) ||
        (item && strspn(item, "0123456789") != strlen(item)) || !cli_encode(what, encoded, sizeof encoded))
        return false;
    if (kind == 0)
        snprintf(path, cap, "/v1/statements/%.100s/proof?format=%s", encoded, format);
    else if (kind == 1)
        snprintf(path, cap, "/v1/subjects/%s/proof?format=%s", encoded, format);
    else if (kind == 2)
        snprintf(path, cap, "/v1/checkpoints/latest?format=cose&from=%.20s", encoded);
    else
        snprintf(path, cap, kind == 3 ? "/v1/epochs?format=evm" : "/v1/policy");
    if (item)
        snprintf(path + strlen(path), cap - strlen(path), "&item=%.10s", item);
    if (member)
        snprintf(path + strlen(path), cap - strlen(path), "&member=%.64s", member);
    return true;
}

int cmd_export(int argc, char **argv)
{
    cli_option options[] = {
        API_OPTION,
        {"--statement", false, false, "statement id: native, cose, tlog, evm, item", NULL},
        {"--subject", false, false, "URI of a subject: ics23, evm", NULL},
        {"--epochs", true, false, "the changes of validators: evm", NULL},
        {"--policy", true, false, "the network's own policy for checkpoints (C2SP tlog-policy): tlog", NULL},
        {"--consistency-from", false, false, "an older size of the log: cose", NULL},
        {"--format", false, true,
         "native (dossier), cose (RFC 9942 receipts), tlog (C2SP tlog-proof), ics23 (completeness record, or absence), "
         "evm (call of the verifier contract), item (one item and all that leads from it to the checkpoint)",
         NULL},
        {"--item", false, false, "with item: which one, counted from 0", NULL},
        {"--member", false, false, "with cose: the receipt of this validator alone", NULL},
        {"--out", false, true, "file to write", NULL},
        JSON_OPTION,
        {0}};
    cli_args args;
    int status;
    char path[8192];
    if (!cli_parse(argc, argv,
                   "export --api URL --statement ID|--subject URI|--consistency-from SIZE|--epochs|--policy --format F "
                   "--out FILE",
                   options, &args, &status))
        return status;
    if (!export_path(&args, path, sizeof path))
        return cli_say(
            EXIT_USE,
            "one of --statement (native, cose, tlog, evm, item), --subject (ics23, evm), --consistency-from (cose) and "
            "--epochs (evm) and --policy (tlog); --member goes with cose");
    return strcmp(cli_value(&args, "--format"), "native") == 0 ? fetch_dossier(&args, path) : fetch_proof(&args, path);
}

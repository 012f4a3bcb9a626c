/* carnet submit: documents become signed statements. A malformed document is named and nothing of it is submitted; all
 * parts of a document are admitted together. The journal beside the key keeps what was signed, so that the same
 * document is the same statements again. */
#include "node/formats/plan.h"
#include "tools/cli/signer.h"

#include <stdlib.h>
#include <string.h>

typedef struct building {
    cli_signer *signer;
    cli_group group;
    size_t cap;
    const char *path;
} building;

static cn_buf *next_statement(building *b)
{
    if (b->group.count == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 8;
        b->group.statement = realloc(b->group.statement, b->cap * sizeof *b->group.statement);
        CN_ASSERT(b->group.statement);
    }
    cn_buf *out = &b->group.statement[b->group.count++];
    cn_buf_init(out, CN_MAX_STATEMENT_BYTES);
    return out;
}

/* ---- EPCIS ---- */

static cn_status sign_part(building *b, const cn_plan_part *part, uint64_t created_ms, cn_err *err)
{
    cn_body *body = calloc(1, sizeof *body);
    cn_buf bytes;
    cn_span *item = calloc(part->item_count, sizeof *item);
    size_t *start = calloc(part->item_count + 1, sizeof *start);
    CN_ASSERT(body && item && start);
    cn_buf_init(&bytes, 2u * CN_MAX_STATEMENT_BYTES);
    for (size_t i = 0; i < part->item_count; i++) {
        start[i] = bytes.n;
        cn_item_write(&bytes, b->signer->key.item_salt_secret, part->item[i].format, part->item[i].content.p,
                      part->item[i].content.n);
    }
    start[part->item_count] = bytes.n;
    for (size_t i = 0; i < part->item_count; i++)
        item[i] = CN_SPAN(bytes.p + start[i], start[i + 1] - start[i]);
    body->kind = CN_PAYLOAD_EVENT_BATCH;
    body->created_ms = created_ms;
    body->batch.entry_count = part->entry_count;
    body->batch.entry = (cn_batch_entry *)(uintptr_t)part->entry;
    cn_status st = bytes.fault ? cn_fail(err, CN_TOO_LARGE, b->path, "a part exceeds the limits")
                               : cli_signer_sign(b->signer, body, item, part->item_count, next_statement(b), err);
    cn_buf_free(&bytes);
    free(start);
    free(item);
    free(body);
    return st;
}

/* A tie that ends names the same start again; the plan's own ties give it. */
static uint64_t start_of(const cn_plan *plan, size_t until, const cn_plan_pairing *ending)
{
    for (size_t i = until; i > 0; i--) {
        const cn_plan_pairing *p = cn_plan_pairing_at(plan, i - 1);
        if (p->add && cn_digest_eq(&p->container_tag, &ending->container_tag) &&
            cn_digest_eq(&p->consignment_tag, &ending->consignment_tag))
            return p->time_ms;
    }
    return ending->time_ms;
}

static cn_status sign_pairing(building *b, const cn_plan *plan, size_t index, uint64_t created_ms, cn_err *err)
{
    const cn_plan_pairing *p = cn_plan_pairing_at(plan, index);
    if (!p->consignment)
        return CN_OK; /* an end of all ties names none; they stay open until each is ended */
    cn_body *body = calloc(1, sizeof *body);
    CN_ASSERT(body);
    body->kind = CN_PAYLOAD_PAIRING;
    body->created_ms = created_ms;
    body->pairing.container = p->container_tag;
    body->pairing.consignment = p->consignment_tag;
    body->pairing.start_ms = p->add ? p->time_ms : start_of(plan, index, p);
    body->pairing.end_ms = p->add ? 0 : p->time_ms;
    cn_status st = cli_signer_sign(b->signer, body, NULL, 0, next_statement(b), err);
    free(body);
    return st;
}

/* Pairings come first: what the same document says about the container counts for the consignment then. */
static cn_status sign_epcis(building *b, const cn_buf *text, cn_err *err)
{
    cn_epcis_doc *doc = NULL;
    cn_plan *plan = NULL;
    cn_err own = {0};
    cn_status st = cn_epcis_parse(text->p, text->n, CN_EPCIS_MAX_BYTES, &doc, &own);
    if (st == CN_OK)
        st = cn_plan_document(doc, b->signer->salt, &plan, &own);
    if (st != CN_OK) {
        cn_epcis_free(doc);
        return cn_fail(err, st, b->path, "%s%s%s", own.field, own.field[0] ? ": " : "", own.text);
    }
    uint64_t created_ms = cn_epcis_created_ms(doc);
    for (size_t i = 0; i < cn_plan_pairing_count(plan) && st == CN_OK; i++)
        st = sign_pairing(b, plan, i, created_ms, err);
    for (size_t i = 0; i < cn_plan_part_count(plan) && st == CN_OK; i++)
        st = sign_part(b, cn_plan_part_at(plan, i), created_ms, err);
    cn_plan_free(plan);
    cn_epcis_free(doc);
    return st;
}

/* ---- native: files that hold one SignedStatement each ---- */

static cn_status take_native(building *b, const cn_buf *bytes, cn_err *err)
{
    cn_statement *s = NULL;
    cn_err own = {0};
    cn_status st = cn_statement_decode(bytes->p, bytes->n, &s, &own);
    if (st == CN_OK)
        st = cn_statement_check_whole(s, &own);
    cn_statement_free(s);
    if (st != CN_OK)
        return cn_fail(err, st, b->path, "%s: %s", own.field, own.text);
    cn_put_bytes(next_statement(b), bytes->p, bytes->n);
    return CN_OK;
}

/* ---- one file ---- */

/* The ids; with wait, 1 when one of them did not become final in time. */
static int print_ids(const json_t *answer, bool as_json, bool wait, json_t *all)
{
    size_t i, late = 0;
    json_t *one;
    json_array_foreach(answer, i, one)
    {
        const char *status = json_string_value(json_object_get(one, "status"));
        late += !status || strcmp(status, "final") != 0;
        if (as_json)
            json_array_append(all, one);
        else
            puts(json_string_value(json_object_get(one, "id")));
    }
    if (wait && late)
        return cli_say(EXIT_NO,
                       "%zu of %zu statements are not final yet; they are kept. carnet why says what is missing", late,
                       json_array_size(answer));
    return EXIT_GOOD;
}

/* Whether the first statement of the group is known to the network already. */
static bool recorded(const cli_signer *s, const cli_group *g)
{
    cn_statement *first = NULL;
    char path[160];
    json_t *json = NULL;
    if (cn_statement_decode(g->statement[0].p, g->statement[0].n, &first, NULL) != CN_OK)
        return false;
    snprintf(path, sizeof path, "/v1/statements/%s", cn_digest_hex(&first->id).s);
    const char *status =
        cli_get_json(s->api, path, &json, NULL) == CN_OK ? json_string_value(json_object_get(json, "status")) : NULL;
    bool known = status && strcmp(status, "refused") != 0;
    json_decref(json);
    cn_statement_free(first);
    return known;
}

static cn_status submit_file(cli_signer *s, const char *path, const char *format, bool wait, json_t **ret, cn_err *err)
{
    building b = {.signer = s, .path = path};
    cn_buf text;
    cli_signer before = *s;
    cn_status st = cli_read_file(path, CN_EPCIS_MAX_BYTES, &text, err);
    if (st != CN_OK)
        return st;
    cn_digest what = cn_sha256(text.p, text.n);
    bool native = strcmp(format, "native") == 0, again = !native && cli_journal_read(s, &what, &b.group);
    if (again && !recorded(s, &b.group) && b.group.count) {
        /* signed earlier, but the chain may have gone on since: good only if it continues it now */
        cn_statement *first = NULL;
        if (cn_statement_decode(b.group.statement[0].p, b.group.statement[0].n, &first, NULL) != CN_OK ||
            first->body.sequence != s->sequence + 1 || !cn_digest_eq(&first->body.previous, &s->previous)) {
            cli_group_free(&b.group);
            again = false;
        }
        cn_statement_free(first);
    }
    if (!again) {
        st = native ? take_native(&b, &text, err) : sign_epcis(&b, &text, err);
        if (st == CN_OK && !native) /* before it leaves: a crash behind this line repeats the same bytes */
            st = cli_journal_write(s, &what, &b.group, err);
    }
    if (st == CN_OK)
        st = cli_group_post(s->api, &b.group, wait, ret, err);
    if (st != CN_OK)
        *s = before; /* nothing of it was admitted */
    cli_group_free(&b.group);
    cn_buf_free(&text);
    return st;
}

int cmd_submit(int argc, char **argv)
{
    cli_option options[] = {{"--api", false, true, "URL of a node", NULL},
                            {"--key", false, true, "capture or device key file of the signer", NULL},
                            {"--format", false, false, "epcis (default) or native", NULL},
                            {"--wait", true, false, "until the statements are final", NULL},
                            {"--json", true, false, "print JSON with log index, height and time", NULL},
                            {0}};
    cli_args args;
    int status;
    cli_signer s;
    cn_err err = {0};
    if (!cli_parse(argc, argv, "submit --api URL --key FILE [--format epcis|native] [--wait] FILE...", options, &args,
                   &status))
        return status;
    const char *format = cli_value(&args, "--format") ? cli_value(&args, "--format") : "epcis";
    if (strcmp(format, "epcis") != 0 && strcmp(format, "native") != 0)
        return cli_say(EXIT_USE, "--format %s is not read by this version; use epcis or native", format);
    if (args.count == 0)
        return cli_say(EXIT_USE, "submit needs files; see carnet submit --help");
    if (cli_signer_open(cli_value(&args, "--api"), cli_value(&args, "--key"), &s, &err) != CN_OK) {
        cli_signer_close(&s);
        return cli_complain(EXIT_USE, &err);
    }
    json_t *all = json_array();
    status = EXIT_GOOD;
    for (int i = 0; i < args.count && status == EXIT_GOOD; i++) {
        json_t *answer = NULL;
        cn_status st = submit_file(&s, args.positional[i], format, cli_flag(&args, "--wait"), &answer, &err);
        if (st == CN_OK)
            status = print_ids(answer, cli_flag(&args, "--json"), cli_flag(&args, "--wait"), all);
        else
            status = cli_complain(st == CN_FULL || st == CN_DENIED || st == CN_IO ? EXIT_NO : EXIT_USE, &err);
        json_decref(answer);
    }
    if (cli_flag(&args, "--json"))
        cli_print_json(json_incref(all));
    json_decref(all);
    cli_signer_close(&s);
    return status;
}

/* carnet erase: a member orders that items which it signed are erased on every node (docs/erasure.md). */
#include "tools/cli/cli.h"
#include "tools/cli/signer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const reasons[] = {"", "unspecified", "asked", "term-over", "mistake"};

static uint32_t reason_of(const char *name)
{
    for (uint32_t i = 1; i <= CN_ERASURE_REASONS; i++)
        if (strcmp(name, reasons[i]) == 0)
            return i;
    return 0;
}

/* "3", or "3-5" */
static bool read_range(const char *text, uint32_t *ret_start, uint32_t *ret_count)
{
    char *end;
    errno = 0;
    unsigned long first = strtoul(text, &end, 10), last = first;
    if (text[0] < '0' || text[0] > '9' || end == text)
        return false;
    if (*end == '-') {
        const char *second = end + 1;
        last = strtoul(second, &end, 10);
        if (second[0] < '0' || second[0] > '9')
            return false;
    }
    if (*end || errno || last < first || last >= CN_MAX_ITEMS)
        return false;
    *ret_start = (uint32_t)first;
    *ret_count = (uint32_t)(last - first + 1);
    return true;
}

/* The record of a final statement, as the node has it. */
static cn_status fetch_record(const char *api, const char *id, cn_buf *ret, cn_err *err)
{
    char path[160], encoded[128];
    json_t *view = NULL;
    cn_statement *s = NULL;
    if (!cli_encode(id, encoded, sizeof encoded))
        return cn_fail(err, CN_INVALID, "--statement", "is no statement id");
    snprintf(path, sizeof path, "/v1/statements/%s", encoded);
    cn_status st = cli_get_json(api, path, &view, err);
    const char *text = json_string_value(json_object_get(view, "bytes_base64"));
    size_t n = 0, len = text ? strlen(text) : 0;
    uint8_t *bytes = malloc(len + 1);
    if (st == CN_OK && (!text || !bytes || !cn_unbase64(text, len, bytes, len, &n)))
        st = cn_fail(err, CN_NOT_FOUND, "--statement", "%s is not final there", id);
    if (st == CN_OK)
        st = cn_statement_decode(bytes, n, &s, err);
    /* what a node answers is signed for erasing, for ever: it must be what was meant */
    if (st == CN_OK && strcmp(cn_digest_hex(&s->id).s, id) != 0)
        st = cn_fail(err, CN_INVALID, "--statement", "the node answers with statement %s", cn_digest_hex(&s->id).s);
    if (st == CN_OK && s->body.kind != CN_PAYLOAD_EVENT_BATCH)
        st = cn_fail(err, CN_INVALID, "--statement", "is no batch of events: nothing else has items");
    if (st == CN_OK)
        cn_put_bytes(ret, s->record.p, s->record.n);
    cn_statement_free(s);
    free(bytes);
    json_decref(view);
    return st;
}

static cn_status order(cli_signer *signer, const cn_buf *record, uint32_t start, uint32_t count, uint32_t reason,
                       json_t **ret, cn_err *err)
{
    cn_body *body = calloc(1, sizeof *body);
    cli_group group = {.count = 1, .statement = calloc(1, sizeof *group.statement)};
    cn_status st = body && group.statement ? CN_OK : cn_fail(err, CN_NO_MEMORY, "erase", "out of memory");
    if (st == CN_OK) {
        cn_buf_init(&group.statement[0], CN_MAX_STATEMENT_BYTES);
        body->kind = CN_PAYLOAD_ERASURE;
        body->erasure = (cn_erasure_payload){
            .record = CN_SPAN(record->p, record->n), .start = start, .count = count, .reason = reason};
        st = cli_signer_sign(signer, body, NULL, 0, &group.statement[0], err);
    }
    if (st == CN_OK)
        st = cli_group_post(signer->api, &group, true, ret, err);
    cli_group_free(&group);
    free(body);
    return st;
}

int cmd_erase(int argc, char **argv)
{
    cli_option options[] = {
        {"--api", false, true, "URL of the node's API", NULL},
        {"--key", false, true, "file of the member's capture key", NULL},
        {"--statement", false, true, "id of the statement whose items are erased", NULL},
        {"--items", false, true, "N, or FIRST-LAST, counted from 0", NULL},
        {"--reason", false, false, "unspecified, asked (by the person concerned), term-over, mistake", NULL},
        {"--json", true, false, "print JSON", NULL},
        {0}};
    cli_args args;
    int status;
    cn_err err = {0};
    cli_signer signer;
    cn_buf record;
    json_t *answer = NULL;
    uint32_t start = 0, count = 0;
    if (!cli_parse(argc, argv, "erase --api URL --key FILE --statement ID --items FIRST-LAST", options, &args, &status))
        return status;
    uint32_t reason = reason_of(cli_value(&args, "--reason") ? cli_value(&args, "--reason") : reasons[1]);
    if (!read_range(cli_value(&args, "--items"), &start, &count))
        return cli_say(EXIT_USE, "--items must be a number or FIRST-LAST, counted from 0");
    if (!reason)
        return cli_say(EXIT_USE, "--reason must be unspecified, asked, term-over or mistake");
    cn_buf_init(&record, CN_MAX_STATEMENT_BYTES);
    cn_status st = cli_signer_open(cli_value(&args, "--api"), cli_value(&args, "--key"), &signer, &err);
    if (st == CN_OK) {
        st = fetch_record(signer.api, cli_value(&args, "--statement"), &record, &err);
        if (st == CN_OK)
            st = order(&signer, &record, start, count, reason, &answer, &err);
        cli_signer_close(&signer);
    }
    cn_buf_free(&record);
    if (st != CN_OK)
        return cli_complain(EXIT_NO, &err);
    status = cli_check_final(answer);
    const char *id = json_string_value(json_object_get(json_array_get(answer, 0), "id"));
    if (status == EXIT_GOOD && cli_flag(&args, "--json"))
        cli_print_json(json_incref(json_array_get(answer, 0)));
    else if (status == EXIT_GOOD)
        printf("%s\n", id ? id : "");
    json_decref(answer);
    return status;
}

#include "tools/cli/signer.h"

#include "node/formats/genesis.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FULL_TRIES 60

static cn_status ask_network(cli_signer *s, cn_err *err)
{
    cli_answer a;
    cn_genesis genesis;
    cn_status st = cli_http(s->api, "/v1/genesis", NULL, NULL, 0, 30, &a, err);
    if (st != CN_OK)
        return st;
    st = cli_problem(&a, err);
    if (st == CN_OK)
        st = cn_genesis_parse(a.body.p, a.body.n, &genesis, err);
    cli_answer_free(&a);
    if (st != CN_OK)
        return st;
    s->network = genesis.network;
    memcpy(s->salt, genesis.subject_salt, 32);
    cn_genesis_free(&genesis);
    return CN_OK;
}

static bool read_digest(const json_t *json, const char *name, cn_digest *ret)
{
    const char *hex = json_string_value(json_object_get(json, name));
    return hex && cn_unhex(hex, strlen(hex), ret->b, CN_DIGEST_LEN);
}

static cn_status ask_head(cli_signer *s, cn_err *err)
{
    char path[128];
    json_t *json = NULL;
    snprintf(path, sizeof path, "/v1/keys/%s", cn_digest_hex(&s->key_id).s);
    cn_status st = cli_get_json(s->api, path, &json, err);
    if (st != CN_OK)
        return st;
    s->sequence = (uint64_t)json_integer_value(json_object_get(json, "pending_sequence"));
    if (!read_digest(json, "pending_id", &s->previous) || !read_digest(json, "owner", &s->owner))
        st = cn_fail(err, CN_INVALID, path, "the node's answer lacks the head of the key's chain");
    json_decref(json);
    return st;
}

cn_status cli_signer_open(const char *api, const char *key_path, cli_signer *ret, cn_err *err)
{
    memset(ret, 0, sizeof *ret);
    ret->api = api;
    cn_status st = cli_read_key(key_path, &ret->key, err);
    if (st == CN_OK && !ret->key.has_item_salt)
        st = cn_fail(err, CN_INVALID, key_path, "is a %s key; documents are signed with a capture or device key",
                     ret->key.purpose);
    if (st != CN_OK)
        return st;
    ret->key_id = cn_key_id(&ret->key.key.public_key);
    snprintf(ret->journal, sizeof ret->journal, "%s.journal", key_path);
    st = ask_network(ret, err);
    return st == CN_OK ? ask_head(ret, err) : st;
}

void cli_signer_close(cli_signer *s)
{
    cn_key_file_wipe(&s->key);
}

cn_status cli_signer_sign(cli_signer *s, cn_body *body, const cn_span *items, size_t count, cn_buf *out, cn_err *err)
{
    cn_digest id;
    body->network = s->network;
    body->key_id = s->key_id;
    body->sequence = s->sequence + 1;
    body->previous = s->previous;
    cn_status st = cn_statement_sign(body, items, count, &s->key.key, out, &id, err);
    if (st == CN_OK) {
        s->sequence++;
        s->previous = id;
    }
    return st;
}

void cli_group_free(cli_group *g)
{
    for (size_t i = 0; i < g->count; i++)
        cn_buf_free(&g->statement[i]);
    free(g->statement);
    *g = (cli_group){0};
}

/* ---- journal: u32 count, (u32 length, SignedStatement)* in <key>.journal/<network><digest of what was signed> ---- */

static void journal_path(const cli_signer *s, const cn_digest *what, char *out, size_t cap)
{
    snprintf(out, cap, "%s/%.16s-%s", s->journal, cn_digest_hex(&s->network).s, cn_digest_hex(what).s);
}

bool cli_journal_read(const cli_signer *s, const cn_digest *what, cli_group *ret)
{
    char path[4400];
    cn_buf bytes;
    journal_path(s, what, path, sizeof path);
    if (access(path, R_OK) != 0 || cli_read_file(path, CLI_ANSWER_MAX, &bytes, NULL) != CN_OK)
        return false;
    cn_reader r = cn_reader_of(bytes.p, bytes.n);
    uint32_t count = cn_read_u32(&r);
    cli_group g = {0};
    if (count > 0 && count <= 100000)
        g.statement = calloc(count, sizeof *g.statement);
    bool ok = g.statement != NULL;
    for (uint32_t i = 0; ok && i < count; i++) {
        size_t n = cn_read_u32(&r);
        const uint8_t *p = cn_read_view(&r, n);
        cn_buf_init(&g.statement[i], CN_MAX_STATEMENT_BYTES);
        g.count = i + 1;
        ok = p != NULL;
        if (ok)
            cn_put_bytes(&g.statement[i], p, n);
    }
    ok = ok && cn_reader_done(&r);
    cn_buf_free(&bytes);
    if (ok)
        *ret = g;
    else
        cli_group_free(&g);
    return ok;
}

cn_status cli_journal_write(const cli_signer *s, const cn_digest *what, const cli_group *g, cn_err *err)
{
    char path[4400];
    cn_buf bytes;
    if (mkdir(s->journal, 0700) != 0 && errno != EEXIST)
        return cn_fail(err, CN_IO, s->journal, "the submit journal cannot be made: %s", strerror(errno));
    cn_buf_init(&bytes, CLI_ANSWER_MAX);
    cn_put_u32(&bytes, (uint32_t)g->count);
    for (size_t i = 0; i < g->count; i++) {
        cn_put_u32(&bytes, (uint32_t)g->statement[i].n);
        cn_put_bytes(&bytes, g->statement[i].p, g->statement[i].n);
    }
    journal_path(s, what, path, sizeof path);
    cn_status st = bytes.fault ? cn_fail(err, CN_TOO_LARGE, path, "too much for one journal entry")
                               : cli_write_file(path, bytes.p, bytes.n, 0600, err);
    cn_buf_free(&bytes);
    return st;
}

void cli_journal_forget(const cli_signer *s, const cn_digest *what)
{
    char path[4400];
    journal_path(s, what, path, sizeof path);
    unlink(path);
}

/* ---- posting ---- */

static char *base64_array(const cli_group *g, size_t *ret_len)
{
    json_t *array = json_array();
    for (size_t i = 0; i < g->count; i++) {
        char *text = malloc(4 * ((g->statement[i].n + 2) / 3) + 1);
        if (text) {
            cn_base64(g->statement[i].p, g->statement[i].n, text);
            json_array_append_new(array, json_string(text));
        }
        free(text);
    }
    char *out = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    *ret_len = out ? strlen(out) : 0;
    return out;
}

cn_status cli_group_post(const char *api, const cli_group *g, bool wait, json_t **ret, cn_err *err)
{
    size_t n = 0;
    char *body = base64_array(g, &n);
    cn_status st = body ? CN_FULL : cn_fail(err, CN_NO_MEMORY, "submit", "out of memory");
    for (int tries = 0; st == CN_FULL && tries < FULL_TRIES; tries++) {
        cli_answer a;
        st = cli_http(api, wait ? "/v1/statements?wait=final" : "/v1/statements", "application/json", body, n, 60, &a,
                      err);
        if (st != CN_OK)
            break;
        st = cli_problem(&a, err);
        if (st == CN_OK && !(*ret = json_loadb((const char *)a.body.p, a.body.n, 0, NULL)))
            st = cn_fail(err, CN_INVALID, "submit", "the node's answer is not JSON");
        unsigned again = a.retry_after ? a.retry_after : 1;
        cli_answer_free(&a);
        if (st == CN_FULL)
            sleep(again < 10 ? again : 10);
    }
    free(body);
    return st;
}

int cli_check_final(const json_t *answer)
{
    size_t i;
    json_t *one;
    json_array_foreach(answer, i, one)
    {
        const char *status = json_string_value(json_object_get(one, "status"));
        if (!status || strcmp(status, "final") != 0)
            return cli_say(EXIT_NO, "statement %s was taken but is not final in time; carnet why says what is missing",
                           json_string_value(json_object_get(one, "id")));
    }
    return EXIT_GOOD;
}

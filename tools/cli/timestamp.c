/* carnet timestamp: asks a time authority (RFC 3161) about checkpoints, and gives its tokens to the node. */
#include "proto/timestamp.h"

#include "proto/digest.h"
#include "proto/header.h"
#include "tools/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUERY_TYPE "application/timestamp-query"
#define REPLY_TYPE "application/timestamp-reply"

typedef struct stamping {
    const char *api, *tsa;
    bool json;
    size_t given;
} stamping;

static cn_status random_nonce(uint64_t *ret, cn_err *err)
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && read(fd, ret, sizeof *ret) == (ssize_t)sizeof *ret;
    if (fd >= 0)
        close(fd);
    *ret |= 1; /* 0 stands for none */
    return ok ? CN_OK : cn_fail(err, CN_IO, "/dev/urandom", "cannot be read: %s", strerror(errno));
}

/* What the authority answers must be over what was asked, and for this question. */
static cn_status ask(const char *tsa, const cn_digest *imprint, cn_buf *token, cn_timestamp *ret, cn_err *err)
{
    uint8_t query[CN_TIMESTAMP_QUERY_MAX];
    size_t n = 0;
    uint64_t nonce = 0;
    cn_span found;
    cli_answer a = {0};
    cn_status st = random_nonce(&nonce, err);
    if (st == CN_OK)
        st = cn_timestamp_query(imprint, nonce, query, &n, err);
    if (st == CN_OK)
        st = cli_http(tsa, "", QUERY_TYPE, query, n, 30, &a, err);
    if (st == CN_OK && a.status != 200)
        st = cn_fail(err, CN_IO, tsa, "the time authority answered with HTTP status %ld", a.status);
    if (st == CN_OK)
        st = cn_timestamp_token(a.body.p, a.body.n, &found, err);
    if (st == CN_OK)
        st = cn_timestamp_read(found, ret, err);
    if (st == CN_OK && (!cn_digest_eq(&ret->imprint, imprint) || ret->nonce != nonce))
        st = cn_fail(err, CN_CONFLICT, tsa, "the token is over another digest or answers another request");
    if (st == CN_OK)
        cn_put_bytes(token, found.p, found.n);
    cli_answer_free(&a);
    return st;
}

static cn_status stamp(stamping *r, const json_t *checkpoint, cn_err *err)
{
    const char *text = json_string_value(json_object_get(checkpoint, "header_base64"));
    long long height = (long long)json_integer_value(json_object_get(checkpoint, "height"));
    uint8_t header[CN_HEADER_LEN + 3];
    size_t n = 0;
    char path[96];
    cn_buf token;
    cn_timestamp t;
    cli_answer a = {0};
    if (!text || !cn_unbase64(text, strlen(text), header, sizeof header, &n) || n != CN_HEADER_LEN)
        return cn_fail(err, CN_INVALID, "checkpoint", "the node's answer has no header");
    cn_digest imprint = cn_sha256(header, n);
    cn_buf_init(&token, CN_TIMESTAMP_MAX);
    snprintf(path, sizeof path, "/v1/checkpoints/%lld/tokens", height);
    cn_status st = ask(r->tsa, &imprint, &token, &t, err);
    if (st == CN_OK)
        st = cli_http(r->api, path, REPLY_TYPE, token.p, token.n, 30, &a, err);
    if (st == CN_OK)
        st = cli_problem(&a, err);
    if (st == CN_OK) {
        time_t seconds = (time_t)(t.time_ms / 1000);
        char when[32] = "";
        struct tm tm;
        if (gmtime_r(&seconds, &tm))
            strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
        r->given++;
        if (r->json)
            cli_print_json(
                json_pack("{s:I, s:s, s:s}", "height", (json_int_t)height, "time", when, "authority", t.authority));
        else
            printf("checkpoint %lld: %s by %s\n", height, when, t.authority);
    }
    cli_answer_free(&a);
    cn_buf_free(&token);
    return st;
}

static cn_status stamp_height(stamping *r, json_int_t height, cn_err *err)
{
    char path[96];
    json_t *checkpoint = NULL;
    snprintf(path, sizeof path, "/v1/checkpoints/%lld", (long long)height);
    cn_status st = cli_get_json(r->api, path, &checkpoint, err);
    if (st == CN_OK)
        st = stamp(r, checkpoint, err);
    json_decref(checkpoint);
    return st;
}

/* Every closing block that has none yet, then the newest checkpoint. */
static cn_status once(stamping *r, cn_err *err)
{
    json_t *epochs = NULL, *newest = NULL, *e;
    size_t i;
    cn_status st = cli_get_json(r->api, "/v1/epochs", &epochs, err);
    json_array_foreach(json_object_get(epochs, "epochs"), i,
                       e) if (st == CN_OK && json_integer_value(json_object_get(e, "tokens")) == 0) st =
        stamp_height(r, json_integer_value(json_object_get(e, "closing_height")), err);
    if (st == CN_OK)
        st = cli_get_json(r->api, "/v1/checkpoints/latest", &newest, err);
    if (st == CN_OK && json_array_size(json_object_get(newest, "tokens")) == 0)
        st = stamp(r, newest, err);
    json_decref(epochs);
    json_decref(newest);
    return st;
}

int cmd_timestamp(int argc, char **argv)
{
    cli_option options[] = {{"--api", false, true, "URL of the node's API", NULL},
                            {"--tsa", false, true, "URL of the time authority (RFC 3161 over HTTP)", NULL},
                            {"--watch", false, false, "ask again every so many seconds, until stopped", NULL},
                            {"--json", true, false, "print JSON", NULL},
                            {0}};
    cli_args args;
    int status;
    uint64_t pause = 0;
    cn_err err = {0};
    if (!cli_parse(argc, argv, "timestamp --api URL --tsa URL", options, &args, &status))
        return status;
    if (!cli_number(&args, "--watch", 0, 1, 86400, &pause))
        return cli_say(EXIT_USE, "--watch must be 1 to 86400 seconds");
    stamping r = {
        .api = cli_value(&args, "--api"), .tsa = cli_value(&args, "--tsa"), .json = cli_flag(&args, "--json")};
    for (;;) {
        cn_status st = once(&r, &err);
        if (st != CN_OK)
            cli_complain(EXIT_NO, &err);
        if (!pause)
            return st == CN_OK ? EXIT_GOOD : EXIT_NO;
        fflush(stdout);
        sleep((unsigned)pause);
    }
}

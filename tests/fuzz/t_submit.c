/* Bodies of POST /v1/statements, as the handler takes them: the backend gets whole statements, at most as many and as
 * long as the request, and every request has an answer. */
#include "fuzz.h"

#include "node/api/request.h"
#include "tests/unit/proto/kit.h"

#include <stdlib.h>

#define MAX_STATEMENTS 1000u

enum MHD_Result __wrap_MHD_lookup_connection_value_n(struct MHD_Connection *c, enum MHD_ValueKind kind, const char *key,
                                                     size_t key_n, const char **value, size_t *value_n);
const char *__wrap_MHD_lookup_connection_value(struct MHD_Connection *c, enum MHD_ValueKind kind, const char *key);

static const char *media, *wait;
static size_t body_len;

enum MHD_Result __wrap_MHD_lookup_connection_value_n(struct MHD_Connection *c, enum MHD_ValueKind kind, const char *key,
                                                     size_t key_n, const char **value, size_t *value_n)
{
    (void)c;
    if (kind != MHD_GET_ARGUMENT_KIND || !fuzz_same(key, key_n, "wait", 4) || !wait)
        return MHD_NO;
    *value = wait;
    *value_n = strlen(wait);
    return MHD_YES;
}

const char *__wrap_MHD_lookup_connection_value(struct MHD_Connection *c, enum MHD_ValueKind kind, const char *key)
{
    (void)c;
    (void)kind;
    return strcmp(key, MHD_HTTP_HEADER_CONTENT_TYPE) == 0 ? media : NULL;
}

static cn_status submit(void *ctx, const cn_span *statements, size_t count, uint64_t wait_ms, cn_submit_result *results,
                        cn_err *err)
{
    (void)ctx;
    FUZZ_REQUIRE(count >= 1 && count <= MAX_STATEMENTS && (wait_ms > 0) == (wait != NULL));
    size_t bytes = 0;
    cn_digest first = {{0}};
    for (size_t i = 0; i < count; i++) {
        cn_statement *s = NULL;
        bytes += statements[i].n;
        FUZZ_REQUIRE(bytes <= body_len);
        cn_err why = {0};
        if (cn_statement_decode(statements[i].p, statements[i].n, &s, &why) != CN_OK) {
            results[i].phase = CN_PHASE_REFUSED;
            results[i].err = why;
            *err = why;
            return why.code;
        }
        results[i].id = s->id;
        results[i].phase = i % 2 ? CN_PHASE_PENDING : CN_PHASE_FINAL;
        first = i == 0 ? s->record_digest : first;
        FUZZ_PLANT(!cn_digest_eq(&first, &s->record_digest));
        cn_statement_free(s);
    }
    return CN_OK;
}

enum { PROTOBUF, JSON, JSON_WAIT, OTHER, KINDS };

void fuzz_seeds(void)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const uint8_t bad[] = "[\"\",\"AA==\",\"\\u0041AAA\"]";
    cn_secret_key key = kit_key(CN_KEY_ED25519, 1);
    cn_buf s, json;
    kit_sign(KIT_CHANNEL_KEY, &key, &s, NULL);
    fuzz_seed_kind("one", PROTOBUF, s.p, s.n);
    cn_buf_init(&json, 1u << 16);
    cn_put_u8(&json, '[');
    for (int copies = 0; copies < 2; copies++) {
        cn_put_bytes(&json, copies ? ",\"" : "\"", copies ? 2 : 1);
        for (size_t i = 0; i < s.n; i += 3) {
            uint32_t v = (uint32_t)s.p[i] << 16 | (i + 1 < s.n ? (uint32_t)s.p[i + 1] << 8 : 0) |
                         (i + 2 < s.n ? s.p[i + 2] : 0u);
            for (unsigned k = 0; k < 4; k++)
                cn_put_u8(&json, i + k > s.n ? '=' : (uint8_t)base64[v >> (18 - 6 * k) & 63]);
        }
        cn_put_u8(&json, '"');
    }
    cn_put_u8(&json, ']');
    fuzz_seed_kind("two", JSON, json.p, json.n);
    fuzz_seed_kind("two-wait", JSON_WAIT, json.p, json.n);
    fuzz_seed_kind("bad", JSON, bad, sizeof bad - 1);
    cn_buf_free(&s);
    cn_buf_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static cn_api_backend backend = {.submit = submit};
    static cn_request r;
    if (n == 0)
        return 0;
    memset(&r, 0, sizeof r);
    uint8_t kind = p[0] % KINDS;
    media = kind == PROTOBUF ? "application/x-protobuf"
            : kind == OTHER  ? "text/plain"
                             : "application/json; charset=utf-8";
    wait = kind == JSON_WAIT ? "final" : NULL;
    r.backend = &backend;
    r.method = "POST";
    r.body = malloc(n);
    FUZZ_REQUIRE(r.body != NULL);
    memcpy(r.body, p + 1, n - 1);
    r.body_len = body_len = n - 1;
    r.body_cap = n;
    cn_api_post_statements(&r);
    FUZZ_REQUIRE(r.response != NULL && r.http_status >= 200 && r.http_status < 600);
    MHD_destroy_response(r.response);
    free(r.body);
    return 0;
}

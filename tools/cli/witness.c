/* carnet witness: asks a witness of transparency logs (C2SP tlog-witness, add-checkpoint) to cosign the newest
 * checkpoint. Any stock witness will do; it keeps the size it saw last, so that the log cannot be rewritten behind it.
 */
#include "proto/cbor.h"
#include "proto/receipt.h"
#include "tools/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 5u
#define ANSWER_MAX 65536u

typedef struct asking {
    const char *api, *witness;
    char name[CN_SIGNER_NAME_MAX + 1];
    uint8_t public_key[32];
    cn_buf note;
    cn_note parsed; /* points into note */
    cn_receipt receipt;
} asking;

static cn_status get(const char *api, const char *path, cli_answer *ret, cn_err *err)
{
    cn_status st = cli_http(api, path, NULL, NULL, 0, 30, ret, err);
    return st == CN_OK ? cli_problem(ret, err) : st;
}

static cn_status get_note(asking *a, cn_err *err)
{
    cli_answer answer = {0};
    cn_status st = get(a->api, "/v1/checkpoints/latest?format=note", &answer, err);
    a->note.n = 0;
    if (st == CN_OK)
        cn_put_bytes(&a->note, answer.body.p, answer.body.n);
    if (st == CN_OK)
        st = cn_note_parse(a->note.p, a->note.n, &a->parsed, err);
    cli_answer_free(&answer);
    return st;
}

/* The path from the witness's size to the note's: out of a consistency receipt. */
static cn_status get_path(asking *a, uint64_t from, cn_err *err)
{
    char path[96];
    cli_answer answer = {0};
    snprintf(path, sizeof path, "/v1/checkpoints/latest?format=cose&from=%llu", (unsigned long long)from);
    cn_status st = get(a->api, path, &answer, err);
    if (st == CN_OK) {
        cn_reader r = cn_reader_of(answer.body.p, answer.body.n);
        if (cn_cbor_read_head(&r, CN_CBOR_ARRAY) == 0)
            st = cn_fail(err, CN_INVALID, "consistency", "the node's answer holds no receipt");
        else
            st = cn_receipt_read(&r, &a->receipt, err);
    }
    cli_answer_free(&answer);
    return st;
}

static cn_status post(asking *a, uint64_t old, const cn_digest *path, size_t len, cli_answer *ret, cn_err *err)
{
    cn_buf body;
    char line[64];
    cn_buf_init(&body, 2 * CN_MAX_NOTE_BYTES);
    cn_put_bytes(&body, line, (size_t)snprintf(line, sizeof line, "old %llu\n", (unsigned long long)old));
    for (size_t i = 0; i < len; i++) {
        size_t n = cn_base64(path[i].b, CN_DIGEST_LEN, line);
        line[n] = '\n';
        cn_put_bytes(&body, line, n + 1);
    }
    cn_put_u8(&body, '\n');
    cn_put_bytes(&body, a->note.p, a->note.n);
    cn_status st = cli_http(a->witness, "/add-checkpoint", "text/plain", body.p, body.n, 30, ret, err);
    cn_buf_free(&body);
    return st;
}

/* 409 names the size that the witness saw last. */
static bool size_of(const cli_answer *a, uint64_t *ret)
{
    char text[24];
    char *end;
    if (a->status != 409 || a->body.n < 2 || a->body.n >= sizeof text)
        return false;
    memcpy(text, a->body.p, a->body.n);
    text[a->body.n] = 0;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && strcmp(end, "\n") == 0 && errno == 0;
}

static cn_status refusal(const asking *a, const cli_answer *answer, cn_err *err)
{
    static const struct {
        long status;
        const char *why;
    } known[] = {{403, "it knows the log, but not the key that signed for it"},
                 {404, "it does not know this log: register the log's origin and keys there"},
                 {409, "another one asked it meanwhile; try again"},
                 {422, "the log does not continue what it saw before: somebody shows two histories"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == answer->status)
            return cn_fail(err, CN_CONFLICT, a->witness, "the witness refuses (%ld): %s", answer->status, known[i].why);
    char said[81]; /* the witness's words are bytes of any kind, and end where the body does */
    size_t n = answer->body.n < sizeof said ? answer->body.n : sizeof said - 1;
    for (size_t i = 0; i < n; i++)
        said[i] = answer->body.p[i] >= ' ' && answer->body.p[i] <= '~' ? (char)answer->body.p[i] : ' ';
    said[n] = '\0';
    return cn_fail(err, CN_IO, a->witness, "the witness answered with status %ld: %s", answer->status, said);
}

/* The cosignature goes behind the note's lines once it verifies. Other lines of the answer are ignored, as C2SP asks.
 */
static cn_status take(asking *a, const cli_answer *answer, uint64_t *ret_time, cn_err *err)
{
    size_t before = a->note.n;
    if (answer->body.n == 0 || answer->body.n > ANSWER_MAX)
        return cn_fail(err, CN_INVALID, a->witness, "the answer has no signature line");
    cn_put_bytes(&a->note, answer->body.p, answer->body.n);
    cn_status st = cn_note_parse(a->note.p, a->note.n, &a->parsed, err);
    if (st == CN_OK && !cn_note_signed_by(&a->parsed, a->name, CN_NOTE_COSIGNATURE_V1, a->public_key, ret_time))
        st = cn_fail(err, CN_BAD_SIGNATURE, a->witness, "the answer holds no cosignature of %.120s that verifies",
                     a->name);
    if (st != CN_OK)
        a->note.n = before;
    return st;
}

static cn_status ask_once(asking *a, uint64_t old, bool *ret_again, uint64_t *ret_old, uint64_t *ret_time, cn_err *err)
{
    cli_answer answer = {0};
    const cn_digest *path = NULL;
    size_t len = 0;
    *ret_again = false;
    cn_status st = get_note(a, err);
    if (st == CN_OK && old > a->parsed.size)
        return cn_fail(err, CN_CONFLICT, a->witness,
                       "the witness has seen %llu entries, this node has %llu: it lags behind", (unsigned long long)old,
                       (unsigned long long)a->parsed.size);
    if (st == CN_OK && old > 0 && old < a->parsed.size) {
        st = get_path(a, old, err);
        *ret_again = st == CN_OK && a->receipt.proof.size != a->parsed.size; /* a checkpoint came between */
        path = a->receipt.proof.path;
        len = a->receipt.proof.path_len;
    }
    *ret_old = old;
    if (st != CN_OK || *ret_again)
        return st;
    st = post(a, old, path, len, &answer, err);
    if (st == CN_OK && answer.status == 200)
        st = take(a, &answer, ret_time, err);
    else if (st == CN_OK && size_of(&answer, ret_old))
        *ret_again = true;
    else if (st == CN_OK)
        st = refusal(a, &answer, err);
    cli_answer_free(&answer);
    return st;
}

int cmd_witness(int argc, char **argv)
{
    cli_option options[] = {{"--api", false, true, "URL of the node's API", NULL},
                            {"--witness", false, true, "submission prefix of the witness (C2SP tlog-witness)", NULL},
                            {"--key", false, true, "its verifier key (vkey) for cosignature/v1", NULL},
                            {"--out", false, true, "file for the signed note with its cosignature", NULL},
                            {0}};
    cli_args args;
    int status;
    cn_err err = {0};
    cn_note_type type = CN_NOTE_ED25519;
    uint64_t old = 0, seconds = 0;
    bool again = true;
    static asking a;
    if (!cli_parse(argc, argv, "witness --api URL --witness URL --key VKEY --out FILE", options, &args, &status))
        return status;
    a.api = cli_value(&args, "--api");
    a.witness = cli_value(&args, "--witness");
    if (cn_note_vkey_parse(cli_value(&args, "--key"), a.name, &type, a.public_key, &err) != CN_OK ||
        type != CN_NOTE_COSIGNATURE_V1)
        return cli_say(EXIT_USE, "--key is not a verifier key for cosignature/v1 (type 0x04)");
    cn_buf_init(&a.note, 2 * CN_MAX_NOTE_BYTES);
    cn_status st = CN_OK;
    for (unsigned i = 0; st == CN_OK && again && i < TRIES; i++)
        st = ask_once(&a, old, &again, &old, &seconds, &err);
    if (st == CN_OK && again)
        st = cn_fail(&err, CN_TIMEOUT, a.witness, "checkpoints come faster than they can be shown to it; try again");
    if (st == CN_OK)
        st = cli_write_file(cli_value(&args, "--out"), a.note.p, a.note.n, 0644, &err);
    if (st == CN_OK)
        printf("%s: log of %llu entries, cosigned by %s at %llu\n", cli_value(&args, "--out"),
               (unsigned long long)a.parsed.size, a.name, (unsigned long long)seconds);
    cn_buf_free(&a.note);
    return st == CN_OK ? EXIT_GOOD : cli_complain(EXIT_NO, &err);
}

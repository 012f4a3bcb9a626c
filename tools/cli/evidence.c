/* carnet evidence: proofs of misbehaviour by validators (R10), exported from a node and verified without one. */
#include "proto/evidence.h"
#include "node/formats/genesis.h"
#include "proto/epoch.h"
#include "proto/statement.h"
#include "tools/cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define EPOCHS_MAX 100000u

static int export(const cli_args *args)
{
    cli_answer answer;
    cn_err err = {0};
    const char *out = cli_value(args, "--out"), *api = cli_value(args, "--api");
    if (!out || !api)
        return cli_say(EXIT_USE, "evidence export needs --api and --out");
    cn_status st = cli_http(api, "/v1/evidence", NULL, NULL, 0, 60, &answer, &err);
    if (st != CN_OK)
        return cli_complain(EXIT_NO, &err);
    st = cli_problem(&answer, &err);
    if (st == CN_OK)
        st = cli_write_file(out, answer.body.p, answer.body.n, 0644, &err);
    json_t *bundle = st == CN_OK ? json_loadb((const char *)answer.body.p, answer.body.n, 0, NULL) : NULL;
    size_t count = json_array_size(json_object_get(bundle, "evidence"));
    json_decref(bundle);
    cli_answer_free(&answer);
    if (st != CN_OK)
        return cli_complain(EXIT_NO, &err);
    printf("%s: %zu proof%s\n", out, count, count == 1 ? "" : "s");
    return EXIT_GOOD;
}

/* ---- verifying ---- */

static cn_status take(const json_t *from, const char *field, cn_buf *out, cn_err *err)
{
    const char *text = json_string_value(field ? json_object_get(from, field) : from);
    size_t n = text ? strlen(text) : 0, len = 0;
    cn_buf_init(out, n + 1);
    uint8_t *bytes = malloc(n + 1);
    bool ok = bytes && text && cn_unbase64(text, n, bytes, n + 1, &len);
    if (ok)
        cn_put_bytes(out, bytes, len);
    free(bytes);
    return ok ? CN_OK : cn_fail(err, CN_INVALID, field ? field : "evidence", "is missing or not base64");
}

typedef struct bundle {
    json_t *json;
    cn_genesis genesis;
    bool has_genesis;
    cn_epoch *epoch; /* all that the chain shows, from the first */
    size_t epochs;
} bundle;

static void bundle_free(bundle *b)
{
    json_decref(b->json);
    if (b->has_genesis)
        cn_genesis_free(&b->genesis);
    free(b->epoch);
}

static cn_status read_genesis(bundle *b, const cn_digest *network, cn_err *err)
{
    cn_buf bytes;
    cn_status st = take(b->json, "genesis", &bytes, err);
    cn_digest digest = cn_network_id(bytes.p, bytes.n);
    if (st == CN_OK && !cn_digest_eq(&digest, network))
        st = cn_fail(err, CN_WRONG_NETWORK, "genesis", "has digest %s, not the one given", cn_digest_hex(&digest).s);
    if (st == CN_OK)
        st = cn_genesis_parse(bytes.p, bytes.n, &b->genesis, err);
    b->has_genesis = st == CN_OK;
    cn_buf_free(&bytes);
    return st;
}

static cn_status follow(bundle *b, const json_t *link, cn_err *err)
{
    cn_buf closing, finalization = {0}, rows = {0};
    cn_header header;
    cn_epoch *e = &b->epoch[b->epochs];
    *e = b->epoch[b->epochs - 1];
    cn_status st = take(link, "closing", &closing, err);
    if (st == CN_OK)
        st = take(link, "finalization", &finalization, err);
    if (st == CN_OK)
        st = take(link, "rows", &rows, err);
    if (st == CN_OK)
        st = cn_header_decode(closing.p, closing.n, &header, err);
    if (st == CN_OK)
        st = cn_epoch_advance(e, &b->genesis.network, &header, CN_SPAN(finalization.p, finalization.n),
                              CN_SPAN(rows.p, rows.n), err);
    b->epochs += st == CN_OK;
    cn_buf_free(&closing);
    cn_buf_free(&finalization);
    cn_buf_free(&rows);
    return st;
}

static cn_status read_bundle(const cn_buf *file, const cn_digest *network, bundle *b, cn_err *err)
{
    b->json = json_loadb((const char *)file->p, file->n, JSON_REJECT_DUPLICATES, NULL);
    const char *format = json_string_value(json_object_get(b->json, "format"));
    const json_t *epochs = json_object_get(b->json, "epochs");
    if (!format || strcmp(format, "carnet-evidence-1") != 0 || !json_is_array(epochs) ||
        json_array_size(epochs) > EPOCHS_MAX || !json_is_array(json_object_get(b->json, "evidence")))
        return cn_fail(err, CN_INVALID, "format", "this is no carnet-evidence-1 document");
    cn_status st = read_genesis(b, network, err);
    b->epoch = calloc(json_array_size(epochs) + 1, sizeof *b->epoch);
    if (st == CN_OK && !b->epoch)
        st = cn_fail(err, CN_NO_MEMORY, "epochs", "out of memory");
    if (st != CN_OK)
        return st;
    b->epoch[0] = (cn_epoch){.epoch = 1, .digest = b->genesis.set_digest, .set = b->genesis.set};
    b->epochs = 1;
    for (size_t i = 0; i < json_array_size(epochs) && st == CN_OK; i++)
        st = follow(b, json_array_get(epochs, i), err);
    return st;
}

static cn_status check_one(const bundle *b, const json_t *text, cn_err *err)
{
    cn_buf bytes;
    cn_evidence e;
    cn_status st = take(text, NULL, &bytes, err);
    if (st == CN_OK)
        st = cn_evidence_decode(bytes.p, bytes.n, &e, err);
    cn_buf_free(&bytes);
    if (st == CN_OK && (e.epoch == 0 || e.epoch > b->epochs))
        st = cn_fail(err, CN_INVALID, "evidence", "the set of epoch %llu is not proved here",
                     (unsigned long long)e.epoch);
    if (st == CN_OK)
        st = cn_evidence_verify(&e, &b->genesis.network, &b->epoch[e.epoch - 1].set, err);
    if (st == CN_OK)
        printf("proved: member %s %s in view %llu of epoch %llu\n",
               cn_digest_hex(&b->epoch[e.epoch - 1].set.row[e.signer].member).s, cn_evidence_text(&e),
               (unsigned long long)e.view, (unsigned long long)e.epoch);
    return st;
}

static int verify(const cli_args *args)
{
    cn_digest network;
    cn_buf file;
    bundle b = {0};
    cn_err err = {0};
    const char *digest = cli_value(args, "--genesis");
    if (!digest || !cn_unhex(digest, strlen(digest), network.b, CN_DIGEST_LEN) || args->count != 2)
        return cli_say(EXIT_USE, "use: carnet evidence verify --genesis DIGEST FILE");
    cn_status st = cli_read_file(args->positional[1], CLI_ANSWER_MAX, &file, &err);
    if (st != CN_OK)
        return cli_complain(EXIT_USE, &err);
    st = read_bundle(&file, &network, &b, &err);
    const json_t *list = json_object_get(b.json, "evidence");
    for (size_t i = 0; st == CN_OK && i < json_array_size(list); i++)
        st = check_one(&b, json_array_get(list, i), &err);
    if (st == CN_OK)
        printf("%zu proof%s verified from the genesis digest alone\n", json_array_size(list),
               json_array_size(list) == 1 ? "" : "s");
    bundle_free(&b);
    cn_buf_free(&file);
    return st == CN_OK ? EXIT_GOOD : cli_complain(EXIT_NO, &err);
}

int cmd_evidence(int argc, char **argv)
{
    cli_option options[] = {{"--api", false, false, "export: URL of a node", NULL},
                            {"--out", false, false, "export: file to write", NULL},
                            {"--genesis", false, false, "verify: the network's genesis digest", NULL},
                            {0}};
    cli_args args;
    int status;
    if (!cli_parse(argc, argv,
                   "evidence export --api URL --out FILE\n       carnet evidence verify --genesis DIGEST FILE", options,
                   &args, &status))
        return status;
    if (args.count >= 1 && strcmp(args.positional[0], "export") == 0)
        return export(&args);
    if (args.count >= 1 && strcmp(args.positional[0], "verify") == 0)
        return verify(&args);
    return cli_say(EXIT_USE, "use: carnet evidence export|verify; see --help");
}

/* carnet foreign: proofs from another Carnet network, made there and relied on here (docs/foreign-proofs.md). */
#include "tools/cli/foreign.h"

#include "node/formats/genesis.h"
#include "node/formats/subject.h"
#include "proto/foreign.h"
#include "tools/cli/proposal.h"
#include "tools/cli/signer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EPOCHS_MAX 1000u /* advances of up to 16 each that are followed in one go */

/* ---- asking nodes ---- */

/* The bytes of a GET; a problem document or another status fills err. */
static cn_status get(const char *api, const char *path, cli_answer *ret, cn_err *err)
{
    cn_status st = cli_http(api, path, NULL, NULL, 0, 60, ret, err);
    if (st != CN_OK)
        return st;
    st = cli_problem(ret, err);
    if (st != CN_OK)
        cli_answer_free(ret);
    return st;
}

/* CN_NOT_FOUND: no epoch after the one that is known has begun there. */
static cn_status get_advance(const char *from, uint64_t epoch, cli_answer *ret, cn_foreign_proof *proof, cn_err *err)
{
    char path[64];
    snprintf(path, sizeof path, "/v1/epochs/%llu/advance", (unsigned long long)epoch);
    cn_status st = get(from, path, ret, err);
    if (st != CN_OK)
        return st;
    st = cn_foreign_read(ret->body.p, ret->body.n, proof, err);
    if (st == CN_OK && proof->kind != CN_FOREIGN_ADVANCE)
        st = cn_fail(err, CN_INVALID, path, "the node's answer is no advance");
    if (st != CN_OK)
        cli_answer_free(ret);
    return st;
}

/* ---- propose foreign ---- */

/* What the genesis digest says, and from there every change of the validators up to the newest. */
static cn_status follow(const char *from, const cn_digest *network, cn_state_foreign *ret, cn_err *err)
{
    cli_answer a;
    cn_genesis g;
    cn_status st = get(from, "/v1/genesis", &a, err);
    if (st != CN_OK)
        return st;
    cn_digest digest = cn_network_id(a.body.p, a.body.n);
    if (!cn_digest_eq(&digest, network))
        st = cn_fail(err, CN_WRONG_NETWORK, "--from", "the node belongs to network %s", cn_digest_hex(&digest).s);
    if (st == CN_OK && (st = cn_genesis_parse(a.body.p, a.body.n, &g, err)) == CN_OK) {
        *ret = (cn_state_foreign){
            .status = CN_FOREIGN_ACTIVE, .epoch = 1, .set = g.set_digest, .log_size = 2, .network = *network};
        memcpy(ret->name, g.name, sizeof ret->name);
        cn_genesis_free(&g);
    }
    cli_answer_free(&a);
    cn_foreign_proof *proof = calloc(1, sizeof *proof);
    if (st == CN_OK && !proof)
        st = cn_fail(err, CN_NO_MEMORY, "--from", "out of memory");
    for (unsigned i = 0; st == CN_OK && i < EPOCHS_MAX; i++) {
        st = get_advance(from, ret->epoch, &a, proof, err);
        if (st != CN_OK)
            break;
        st = cn_foreign_fits(proof, ret, err);
        if (st == CN_OK)
            st = cn_foreign_check(proof, err);
        if (st == CN_OK)
            cn_foreign_move(proof, ret);
        cli_answer_free(&a);
    }
    free(proof);
    return st == CN_NOT_FOUND ? CN_OK : st;
}

static cn_status fill_network(const cli_args *args, const cn_digest *network, cn_foreign_network *ret, cn_err *err)
{
    const char *from = cli_value(args, "--from"), *name = cli_value(args, "--name");
    cn_state_foreign known = {0};
    ret->withdraw = cli_flag(args, "--withdraw");
    if (ret->withdraw)
        return CN_OK;
    cn_status st = follow(from, network, &known, err);
    if (st == CN_OK && name && strlen(name) > CN_MAX_NAME)
        st = cn_fail(err, CN_TOO_LARGE, "--name", "has more than %u letters", CN_MAX_NAME);
    if (st != CN_OK)
        return st;
    snprintf(ret->name, sizeof ret->name, "%s", name ? name : known.name);
    ret->epoch = known.epoch;
    ret->set = known.set;
    ret->height = known.height;
    ret->log_size = known.log_size;
    return CN_OK;
}

int cli_propose_foreign(const cli_args *args)
{
    cli_signer s = {0};
    cn_err err = {0};
    cn_digest network;
    const char *key = cli_value(args, "--key"), *id = cli_value(args, "--network");
    if (!key || !id || !cn_unhex(id, strlen(id), network.b, CN_DIGEST_LEN) ||
        (cli_value(args, "--from") != NULL) == cli_flag(args, "--withdraw"))
        return cli_say(EXIT_USE,
                       "propose foreign needs --key, --network DIGEST, and --from URL or --withdraw; see --help");
    cn_body *body = calloc(1, sizeof *body);
    if (!body)
        return EXIT_NO;
    body->kind = CN_PAYLOAD_PROPOSAL;
    body->proposal.action = CN_CHANGE_FOREIGN;
    body->proposal.member = network;
    cn_status st = fill_network(args, &network, &body->proposal.foreign, &err);
    if (st == CN_OK)
        st = cli_signer_open(cli_value(args, "--api"), key, &s, &err);
    int status = st == CN_OK ? cli_send_body(&s, body, args) : cli_complain(EXIT_USE, &err);
    cli_signer_close(&s);
    free(body);
    return status;
}

/* ---- prove ---- */

/* What the node gives is checked before it is written: its quorum, path and signature, and that it is the statement
 * asked for. Whether its set is the true one only the other network can say. */
static cn_status check_answer(const cli_answer *a, const char *id, cn_foreign_proof *proof, cn_err *err)
{
    cn_digest statement;
    cn_status st = cn_foreign_read(a->body.p, a->body.n, proof, err);
    if (st == CN_OK && proof->kind != CN_FOREIGN_STATEMENT)
        st = cn_fail(err, CN_INVALID, "--api", "the node's answer is no proof of a statement");
    if (st == CN_OK)
        st = cn_foreign_statement(proof, &statement, err);
    if (st == CN_OK && strcmp(cn_digest_hex(&statement).s, id) != 0)
        st = cn_fail(err, CN_CONFLICT, "--statement", "the node proves another statement");
    return st == CN_OK ? cn_foreign_check(proof, err) : st;
}

static cn_status fetch_proof(const char *api, const char *id, cli_answer *a, cn_foreign_proof *proof, cn_err *err)
{
    char path[160];
    snprintf(path, sizeof path, "/v1/statements/%s/proof?format=foreign", id);
    cn_status st = get(api, path, a, err);
    if (st != CN_OK)
        return st;
    st = check_answer(a, id, proof, err);
    if (st != CN_OK)
        cli_answer_free(a);
    return st;
}

/* The checkpoint that covers the statement takes a moment. One that closes an epoch is of the validators who go: others
 * may know the next ones already, so the checkpoint after it is waited for, but not for ever on a network at rest. */
static cn_status wait_for_proof(const char *api, const char *id, cli_answer *a, cn_foreign_proof *proof, cn_err *err)
{
    cn_status st = fetch_proof(api, id, a, proof, err);
    for (int tries = 1; tries < 100; tries++) {
        bool closing = st == CN_OK && proof->header[0].kind == CN_BLOCK_CLOSING;
        if (st != CN_NOT_FOUND && !(closing && tries < 25))
            break;
        if (st == CN_OK)
            cli_answer_free(a);
        usleep(200000);
        st = fetch_proof(api, id, a, proof, err);
    }
    return st;
}

static int prove(const cli_args *args)
{
    const char *api = cli_value(args, "--api"), *id = cli_value(args, "--statement"), *out = cli_value(args, "--out");
    cli_answer a;
    cn_err err = {0};
    if (!api || !id || !out || strlen(id) != 64)
        return cli_say(EXIT_USE, "foreign prove needs --api, --statement and --out; see --help");
    cn_foreign_proof *proof = calloc(1, sizeof *proof);
    if (!proof)
        return EXIT_NO;
    cn_status st = wait_for_proof(api, id, &a, proof, &err);
    if (st != CN_OK) {
        free(proof);
        return cli_complain(EXIT_NO, &err);
    }
    st = cli_write_file(out, a.body.p, a.body.n, 0644, &err);
    if (st == CN_OK)
        printf("%s: %zu bytes, statement at log index %llu of network %s, checkpoint %llu, epoch %llu\n", out, a.body.n,
               (unsigned long long)proof->log_index, cn_digest_hex(&proof->network).s,
               (unsigned long long)proof->header[0].height, (unsigned long long)proof->epoch);
    free(proof);
    cli_answer_free(&a);
    return st == CN_OK ? EXIT_GOOD : cli_complain(EXIT_NO, &err);
}

/* ---- submit and advance ---- */

static int by_bytes(const void *a, const void *b)
{
    return cn_digest_cmp(a, b);
}

/* URIs separated by spaces: tags, ascending, each once. */
static cn_status read_subjects(const cli_signer *s, const char *text, cn_foreign_payload *ret, cn_err *err)
{
    char uri[CN_SUBJECT_MAX], canonical[CN_SUBJECT_MAX];
    size_t n = 0;
    while (*(text += strspn(text, " "))) {
        size_t len = strcspn(text, " ");
        if (len >= sizeof uri || n == CN_MAX_SUBJECTS)
            return cn_fail(err, CN_TOO_LARGE, "--subject", "a statement has at most %u subjects", CN_MAX_SUBJECTS);
        memcpy(uri, text, len);
        uri[len] = '\0';
        text += len;
        cn_status st = cn_subject_canonical(uri, canonical, sizeof canonical, NULL, err);
        if (st != CN_OK)
            return st;
        ret->subject[n++] = cn_subject_tag(s->salt, canonical);
    }
    qsort(ret->subject, n, sizeof *ret->subject, by_bytes);
    for (size_t i = 0; i < n; i++)
        if (ret->subject_count == 0 || !cn_digest_eq(&ret->subject[ret->subject_count - 1], &ret->subject[i]))
            ret->subject[ret->subject_count++] = ret->subject[i];
    return ret->subject_count ? CN_OK : cn_fail(err, CN_INVALID, "--subject", "names no subject");
}

static int send_proof(cli_signer *s, const cn_buf *bytes, const char *subjects, const cli_args *args)
{
    cn_digest tag[CN_MAX_SUBJECTS];
    cn_err err = {0};
    cn_status st = CN_OK;
    cn_body *body = calloc(1, sizeof *body);
    if (!body)
        return EXIT_NO;
    body->kind = CN_PAYLOAD_FOREIGN;
    body->foreign.proof = CN_SPAN(bytes->p, bytes->n);
    body->foreign.subject = tag;
    if (subjects)
        st = read_subjects(s, subjects, &body->foreign, &err);
    int status = st == CN_OK ? cli_send_body(s, body, args) : cli_complain(EXIT_USE, &err);
    free(body);
    return status;
}

static int submit(const cli_args *args)
{
    cli_signer s = {0};
    cn_buf file;
    cn_err err = {0};
    const char *api = cli_value(args, "--api"), *key = cli_value(args, "--key"),
               *subjects = cli_value(args, "--subject");
    if (!api || !key || !subjects || args->count != 2)
        return cli_say(EXIT_USE, "use: carnet foreign submit --api URL --key FILE --subject URI[ URI...] FILE");
    cn_status st = cli_read_file(args->positional[1], CN_MAX_FOREIGN_BYTES, &file, &err);
    if (st != CN_OK)
        return cli_complain(EXIT_USE, &err);
    st = cli_signer_open(api, key, &s, &err);
    int status = st == CN_OK ? send_proof(&s, &file, subjects, args) : cli_complain(EXIT_USE, &err);
    cli_signer_close(&s);
    cn_buf_free(&file);
    return status;
}

/* What this network knows of the other. */
static cn_status find_network(const char *api, const char *id, uint64_t *ret_epoch, cn_err *err)
{
    json_t *list = NULL, *one;
    size_t i;
    cn_status st = cli_get_json(api, "/v1/networks", &list, err);
    *ret_epoch = 0;
    json_array_foreach(list, i, one)
    {
        const char *known = json_string_value(json_object_get(one, "id"));
        if (known && strcmp(known, id) == 0)
            *ret_epoch = (uint64_t)json_integer_value(json_object_get(one, "epoch"));
    }
    json_decref(list);
    if (st == CN_OK && *ret_epoch == 0)
        st = cn_fail(err, CN_NOT_FOUND, "--network", "%.64s is not registered here; see carnet foreign list", id);
    return st;
}

static cn_status network_of(const char *from, cn_digest *ret, cn_err *err)
{
    cli_answer a;
    cn_status st = get(from, "/v1/genesis", &a, err);
    if (st != CN_OK)
        return st;
    *ret = cn_network_id(a.body.p, a.body.n);
    cli_answer_free(&a);
    return CN_OK;
}

/* One statement for each 16 changes that the network here has not seen. */
static int advance_from(cli_signer *s, const char *from, uint64_t epoch, const cli_args *args)
{
    cn_foreign_proof *proof = calloc(1, sizeof *proof);
    cn_err err = {0};
    cn_status st = proof ? CN_OK : cn_fail(&err, CN_NO_MEMORY, "--from", "out of memory");
    int status = EXIT_GOOD;
    unsigned sent = 0;
    for (; st == CN_OK && status == EXIT_GOOD && sent < EPOCHS_MAX; sent++) {
        cli_answer a;
        st = get_advance(from, epoch, &a, proof, &err);
        if (st != CN_OK)
            break;
        epoch += proof->step_count;
        status = send_proof(s, &a.body, NULL, args);
        cli_answer_free(&a);
    }
    free(proof);
    if (st != CN_OK && st != CN_NOT_FOUND)
        return cli_complain(EXIT_NO, &err);
    if (sent == 0)
        printf("epoch %llu is the newest there too\n", (unsigned long long)epoch);
    return status;
}

static int advance(const cli_args *args)
{
    cli_signer s = {0};
    cn_err err = {0};
    cn_digest network;
    uint64_t epoch = 0;
    const char *api = cli_value(args, "--api"), *key = cli_value(args, "--key"), *from = cli_value(args, "--from");
    if (!api || !key || !from || args->count != 1)
        return cli_say(EXIT_USE, "use: carnet foreign advance --api URL --key FILE --from URL");
    cn_status st = network_of(from, &network, &err);
    if (st == CN_OK)
        st = find_network(api, cn_digest_hex(&network).s, &epoch, &err);
    if (st == CN_OK)
        st = cli_signer_open(api, key, &s, &err);
    int status = st == CN_OK ? advance_from(&s, from, epoch, args) : cli_complain(EXIT_NO, &err);
    cli_signer_close(&s);
    return status;
}

/* ---- list ---- */

static int list_networks(const cli_args *args)
{
    json_t *list = NULL, *one;
    cn_err err = {0};
    size_t i;
    if (!cli_value(args, "--api"))
        return cli_say(EXIT_USE, "foreign list needs --api");
    if (cli_get_json(cli_value(args, "--api"), "/v1/networks", &list, &err) != CN_OK)
        return cli_complain(EXIT_NO, &err);
    if (cli_flag(args, "--json")) {
        cli_print_json(list);
        return EXIT_GOOD;
    }
    json_array_foreach(list, i, one) printf(
        "%s %-9s %s, epoch %lld, set %.16s\n", json_string_value(json_object_get(one, "id")),
        json_string_value(json_object_get(one, "status")), json_string_value(json_object_get(one, "name")),
        (long long)json_integer_value(json_object_get(one, "epoch")), json_string_value(json_object_get(one, "set")));
    json_decref(list);
    return EXIT_GOOD;
}

int cmd_foreign(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const cli_args *);
    } verbs[] = {{"prove", prove}, {"submit", submit}, {"advance", advance}, {"list", list_networks}};
    cli_option options[] = {
        {"--api", false, false, "URL of a node; prove: of the network where the statement is", NULL},
        {"--key", false, false, "submit, advance: capture key file of a member here", NULL},
        {"--statement", false, false, "prove: its id", NULL},
        {"--out", false, false, "prove: file to write", NULL},
        {"--subject", false, false, "submit: what it is relied on for here; several are separated by spaces", NULL},
        {"--from", false, false, "advance: URL of a node of the other network", NULL},
        {"--json", true, false, "print JSON", NULL},
        {0}};
    cli_args args;
    int status;
    if (!cli_parse(argc, argv,
                   "foreign prove --api URL --statement ID --out FILE\n"
                   "       carnet foreign submit --api URL --key FILE --subject URI FILE\n"
                   "       carnet foreign advance --api URL --key FILE --from URL\n"
                   "       carnet foreign list --api URL",
                   options, &args, &status))
        return status;
    for (size_t i = 0; args.count >= 1 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(args.positional[0], verbs[i].name) == 0)
            return verbs[i].run(&args);
    return cli_say(EXIT_USE, "use: carnet foreign prove|submit|advance|list; see --help");
}

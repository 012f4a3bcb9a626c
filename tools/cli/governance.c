/* carnet propose, ballot, ready: who votes changes by statements on the ledger (docs/membership.md). */
#include "proto/state.h"
#include "tools/cli/foreign.h"
#include "tools/cli/keygen.h"
#include "tools/cli/proposal.h"
#include "tools/cli/registry.h"
#include "tools/cli/signer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

int cli_send_body(cli_signer *s, cn_body *body, const cli_args *args)
{
    cn_err err = {0};
    cn_buf statement;
    json_t *answer = NULL;
    cn_buf_init(&statement, CN_MAX_STATEMENT_BYTES);
    body->created_ms = now_ms();
    cn_status st = cli_signer_sign(s, body, NULL, 0, &statement, &err);
    cli_group g = {.count = 1, .statement = &statement};
    if (st == CN_OK)
        st = cli_group_post(s->api, &g, true, &answer, &err);
    if (st == CN_OK && cli_flag(args, "--json"))
        cli_print_json(json_incref(json_array_get(answer, 0)));
    else if (st == CN_OK)
        puts(json_string_value(json_object_get(json_array_get(answer, 0), "id")));
    int status = st == CN_OK ? cli_check_final(answer) : cli_complain(EXIT_NO, &err);
    json_decref(answer);
    cn_buf_free(&statement);
    return status;
}

/* ---- a validator's row ---- */

/* DIR/purpose.next.key where a rotation has prepared one, else DIR/purpose.key. */
static cn_status read_node_key(const char *dir, const char *purpose, cn_key_file *ret, cn_err *err)
{
    char path[4300];
    snprintf(path, sizeof path, "%.4000s/%s.next.key", dir, purpose);
    if (access(path, F_OK) != 0)
        snprintf(path, sizeof path, "%.4000s/%s.key", dir, purpose);
    cn_status st = cli_read_key(path, ret, err);
    if (st == CN_OK && strcmp(ret->purpose, purpose) != 0)
        st = cn_fail(err, CN_INVALID, path, "holds a %s key, not a %s key", ret->purpose, purpose);
    return st;
}

static bool next_exists(const char *dir, const char *purpose)
{
    char path[4300];
    snprintf(path, sizeof path, "%.4000s/%s.next.key", dir, purpose);
    return access(path, F_OK) == 0;
}

static cn_status fill_row(const cli_signer *s, const char *dir, cn_proposal_payload *p, cn_err *err)
{
    static const char *const purposes[CN_ROW_KEYS] = {"vote", "receipt", "cosignature", "log"};
    cn_key_file file[CN_ROW_KEYS];
    cn_status st = CN_OK;
    unsigned have = 0;
    p->row.member = p->member;
    while (have < CN_ROW_KEYS && (st = read_node_key(dir, purposes[have], &file[have], err)) == CN_OK)
        have++;
    if (st == CN_OK) {
        memcpy(p->row.vote_key, file[0].key.public_key.b, sizeof p->row.vote_key);
        memcpy(p->row.receipt_key, file[1].key.public_key.b, sizeof p->row.receipt_key);
        memcpy(p->row.cosignature_key, file[2].key.public_key.b, sizeof p->row.cosignature_key);
        memcpy(p->row.log_key, file[3].key.public_key.b, sizeof p->row.log_key);
        st = cn_evm_address(&file[0].key.public_key, p->row.evm_address, err);
    }
    for (unsigned i = 0; i < CN_ROW_KEYS && st == CN_OK; i++) {
        cn_digest id = cn_key_id(&file[i].key.public_key), digest = cn_possession_digest(&s->network, &p->member, &id);
        st = cn_sign(&file[i].key, &digest, &p->possession[i], err);
    }
    for (unsigned i = 0; i < have; i++)
        cn_key_file_wipe(&file[i]);
    return st;
}

/* ---- propose ---- */

static int list_proposals(const cli_args *args)
{
    json_t *list = NULL, *one;
    cn_err err = {0};
    size_t i;
    if (cli_get_json(cli_value(args, "--api"), "/v1/proposals", &list, &err) != CN_OK)
        return cli_complain(EXIT_NO, &err);
    if (cli_flag(args, "--json")) {
        cli_print_json(list);
        return EXIT_GOOD;
    }
    json_array_foreach(list, i, one)
    {
        printf("%s %-7s %-8s %s %.16s, epoch %lld, approved by", json_string_value(json_object_get(one, "id")),
               json_string_value(json_object_get(one, "action")), json_string_value(json_object_get(one, "status")),
               json_object_get(one, "network") ? "network" : "member",
               json_string_value(json_object_get(one, "member")),
               (long long)json_integer_value(json_object_get(one, "epoch")));
        cli_print_voters(one, "approved_by");
        if (json_array_size(json_object_get(one, "refused_by")) > 0) {
            printf("; refused by");
            cli_print_voters(one, "refused_by");
        }
        printf("%s\n", json_is_true(json_object_get(one, "ready")) ? "; ready" : "");
    }
    json_decref(list);
    return EXIT_GOOD;
}

static bool parse_action(const char *text, cn_change_action *ret)
{
    static const char *const names[] = {"join", "leave", "rotate", "roles"};
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = (cn_change_action)(i + 1);
            return true;
        }
    return false;
}

static int propose(const cli_args *args, cn_change_action action)
{
    cli_signer s;
    cn_err err = {0};
    const char *key = cli_value(args, "--key"), *keys = cli_value(args, "--keys"), *name = cli_value(args, "--member");
    bool with_row = action == CN_CHANGE_JOIN || action == CN_CHANGE_ROTATE;
    if (!key || (with_row && !keys) || (action == CN_CHANGE_ROLES && (!name || !cli_value(args, "--roles"))))
        return cli_say(EXIT_USE, "propose %s needs --key%s; see carnet propose --help", args->positional[0],
                       with_row                    ? " and --keys"
                       : action == CN_CHANGE_ROLES ? ", --member and --roles"
                                                   : "");
    cn_body *body = calloc(1, sizeof *body);
    if (!body)
        return EXIT_NO;
    cn_status st = cli_signer_open(cli_value(args, "--api"), key, &s, &err);
    body->kind = CN_PAYLOAD_PROPOSAL;
    body->proposal.action = action;
    body->proposal.member = name ? cn_member_id(name) : s.owner;
    body->proposal.registrar = action == CN_CHANGE_ROLES && cli_flag(args, "--registrar");
    if (st == CN_OK && action == CN_CHANGE_ROLES && !cli_parse_roles(cli_value(args, "--roles"), &body->proposal.roles))
        st = cn_fail(&err, CN_INVALID, "--roles", "names a role that is not known; see docs/cli.md");
    if (st == CN_OK && action == CN_CHANGE_ROTATE && !next_exists(keys, "vote"))
        st = cli_make_node_keys(keys, true, &err);
    if (st == CN_OK && with_row)
        st = fill_row(&s, keys, &body->proposal, &err);
    int status = st == CN_OK ? cli_send_body(&s, body, args) : cli_complain(EXIT_USE, &err);
    cli_signer_close(&s);
    free(body);
    return status;
}

int cmd_propose(int argc, char **argv)
{
    cli_option options[] = {
        {"--api", false, true, "URL of a node", NULL},
        {"--key", false, false, "capture key file of the proposing member", NULL},
        {"--keys", false, false, "join, rotate: folder with the node's keys; rotate makes NAME.next.key where none are",
         NULL},
        {"--member", false, false, "name of the member it is about (default: the proposing one)", NULL},
        {"--roles", false, false, "roles: e.g. forwarder,insurer", NULL},
        {"--registrar", true, false, "roles: it may register members", NULL},
        {"--network", false, false, "foreign: genesis digest of the other network", NULL},
        {"--from", false, false, "foreign: URL of a node of the other network", NULL},
        {"--name", false, false, "foreign: what it is called here (default: its own name)", NULL},
        {"--withdraw", true, false, "foreign: nothing of it is admitted any more", NULL},
        {"--json", true, false, "print JSON", NULL},
        {0}};
    cli_args args;
    cn_change_action action;
    int status;
    if (!cli_parse(argc, argv, "propose join|leave|rotate|roles|foreign|list|show ID --api URL ...", options, &args,
                   &status))
        return status;
    if (args.count == 1 && strcmp(args.positional[0], "list") == 0)
        return list_proposals(&args);
    if (args.count == 2 && strcmp(args.positional[0], "show") == 0)
        return cli_show_proposal(&args, args.positional[1]);
    if (args.count == 1 && strcmp(args.positional[0], "foreign") == 0)
        return cli_propose_foreign(&args);
    if (args.count != 1 || !parse_action(args.positional[0], &action))
        return cli_say(EXIT_USE,
                       "use: carnet propose join|leave|rotate|roles|foreign|list|show ID --api URL; see --help");
    return propose(&args, action);
}

/* ---- ballots and readiness ---- */

/* What the ledger says of a proposal, from a checkpoint; a fresh one takes a moment to be in it. */
static cn_status find_proposal(const char *api, const char *id, cn_digest *ret_member, cn_err *err)
{
    for (int tries = 0; tries < 100; tries++) {
        json_t *list = NULL, *one;
        size_t i;
        bool found = false;
        cn_status st = cli_get_json(api, "/v1/proposals", &list, err);
        if (st != CN_OK)
            return st;
        json_array_foreach(list, i, one)
        {
            const char *known = json_string_value(json_object_get(one, "id")),
                       *member = json_string_value(json_object_get(one, "member"));
            if (known && member && strcmp(known, id) == 0)
                found = cn_unhex(member, strlen(member), ret_member->b, CN_DIGEST_LEN);
        }
        json_decref(list);
        if (found)
            return CN_OK;
        usleep(100000);
    }
    return cn_fail(err, CN_NOT_FOUND, "--proposal", "%s is not a proposal of this network; see carnet propose list",
                   id);
}

static bool open_proposal(const cli_args *args, cli_signer *s, cn_digest *ret_id, cn_digest *ret_member, cn_err *err)
{
    const char *id = cli_value(args, "--proposal");
    if (!cn_unhex(id, strlen(id), ret_id->b, CN_DIGEST_LEN)) {
        cn_fail(err, CN_INVALID, "--proposal", "needs 64 lower-case hexadecimal digits");
        return false;
    }
    return cli_signer_open(cli_value(args, "--api"), cli_value(args, "--key"), s, err) == CN_OK &&
           find_proposal(s->api, id, ret_member, err) == CN_OK;
}

int cmd_ballot(int argc, char **argv)
{
    cli_option options[] = {{"--api", false, true, "URL of a node", NULL},
                            {"--key", false, true, "capture key file of the voting member", NULL},
                            {"--proposal", false, true, "id of the proposal", NULL},
                            {"--approve", true, false, "yes", NULL},
                            {"--refuse", true, false, "no", NULL},
                            {"--json", true, false, "print JSON", NULL},
                            {0}};
    cli_args args;
    cli_signer s = {0};
    cn_err err = {0};
    int status;
    if (!cli_parse(argc, argv, "ballot --api URL --key FILE --proposal ID --approve|--refuse", options, &args, &status))
        return status;
    if (args.count || cli_flag(&args, "--approve") == cli_flag(&args, "--refuse"))
        return cli_say(EXIT_USE, "ballot needs one of --approve and --refuse");
    cn_body *body = calloc(1, sizeof *body);
    if (!body)
        return EXIT_NO;
    body->kind = CN_PAYLOAD_BALLOT;
    body->ballot.approve = cli_flag(&args, "--approve");
    bool ok = open_proposal(&args, &s, &body->ballot.proposal, &body->ballot.member, &err);
    status = ok ? cli_send_body(&s, body, &args) : cli_complain(EXIT_USE, &err);
    cli_signer_close(&s);
    free(body);
    return status;
}

/* The newest final block of the member's own node: what readiness is about. */
static cn_status own_tip(const char *api, cn_readiness_payload *ret, cn_err *err)
{
    json_t *status = NULL;
    cn_status st = cli_get_json(api, "/v1/status", &status, err);
    const char *header = json_string_value(json_object_get(status, "header"));
    if (st == CN_OK && (!header || !cn_unhex(header, strlen(header), ret->block.b, CN_DIGEST_LEN)))
        st = cn_fail(err, CN_INVALID, "/v1/status", "the node's answer lacks its newest header");
    ret->height = (uint64_t)json_integer_value(json_object_get(status, "height"));
    json_decref(status);
    return st;
}

/* The member's own node may still be catching up with the proposal: that is what readiness is about. */
static bool wait_for_node(const cli_args *args, cn_err *err)
{
    for (int tries = 0; tries < 600; tries++) {
        cli_signer s = {0};
        cn_status st = cli_signer_open(cli_value(args, "--api"), cli_value(args, "--key"), &s, err);
        cli_signer_close(&s);
        if (st != CN_NOT_FOUND)
            return st == CN_OK;
        usleep(100000);
    }
    return false;
}

/* Readiness says that the node has what is final: its place in the next quorum is no slack otherwise (R11). */
static bool wait_until_synced(const char *api, cn_err *err)
{
    json_t *status = NULL;
    cn_status st = CN_OK;
    bool synced = false;
    for (int tries = 0; tries < 100 && st == CN_OK && !synced; tries++) {
        cli_answer a;
        if (tries)
            usleep(100000);
        st = cli_http(api, "/readyz?verbose", NULL, NULL, 0, 60, &a, err); /* 503 while anything is not well */
        json_t *answer = st == CN_OK ? json_loadb((const char *)a.body.p, a.body.n, 0, NULL) : NULL;
        const char *word = json_string_value(json_object_get(json_object_get(answer, "checks"), "synced"));
        synced = word && strcmp(word, "ok") == 0;
        json_decref(answer);
        cli_answer_free(&a);
    }
    if (st != CN_OK || synced)
        return synced;
    if (cli_get_json(api, "/v1/status", &status, err) == CN_OK)
        cn_fail(err, CN_DENIED, "--api",
                "the node lags behind its peers: it is at height %lld and still fetches final blocks. Wait until "
                "/readyz?verbose says that it is synced, then sign readiness",
                (long long)json_integer_value(json_object_get(status, "height")));
    json_decref(status);
    return false;
}

/* With --all: the channel key of the rotation, and then the capture key itself, which signs nothing after that. */
static int rotate_others(cli_signer *s, const char *dir, const cli_args *args)
{
    char path[4300];
    cn_key_file file;
    cn_err err = {0};
    int status = EXIT_GOOD;
    if (next_exists(dir, "channel")) {
        snprintf(path, sizeof path, "%.4000s/channel.next.key", dir);
        status = cli_change_channel_key(s, path, args);
    }
    snprintf(path, sizeof path, "%.4000s/capture.next.key", dir);
    if (status == EXIT_GOOD && !next_exists(dir, "capture")) {
        cn_status st = cli_make_key("capture", cn_key_type_name(s->key.key.public_key.type), &file, &err);
        if (st == CN_OK)
            st = cli_write_key(path, &file, &err);
        cn_key_file_wipe(&file);
        if (st != CN_OK)
            return cli_complain(EXIT_USE, &err);
    }
    return status == EXIT_GOOD ? cli_replace_key(s, path, args) : status;
}

int cmd_ready(int argc, char **argv)
{
    cli_option options[] = {
        {"--api", false, true, "URL of the member's own node", NULL},
        {"--key", false, true, "capture key file of the member", NULL},
        {"--keys", false, true, "folder with the vote key that was proposed", NULL},
        {"--proposal", false, true, "id of the proposal", NULL},
        {"--all", true, false, "then also replace the channel key and the capture key, from KEYS/*.next.key", NULL},
        {"--json", true, false, "print JSON", NULL},
        {0}};
    cli_args args;
    cli_signer s = {0};
    cn_err err = {0};
    cn_key_file vote;
    int status;
    if (!cli_parse(argc, argv, "ready --api URL --key FILE --keys DIR --proposal ID [--all]", options, &args, &status))
        return status;
    if (args.count)
        return cli_say(EXIT_USE, "ready takes options only; see --help");
    cn_body *body = calloc(1, sizeof *body);
    if (!body)
        return EXIT_NO;
    cn_readiness_payload *r = &body->readiness;
    body->kind = CN_PAYLOAD_READINESS;
    bool ok = wait_for_node(&args, &err) && wait_until_synced(cli_value(&args, "--api"), &err) &&
              open_proposal(&args, &s, &r->proposal, &r->member, &err) && own_tip(s.api, r, &err) == CN_OK &&
              read_node_key(cli_value(&args, "--keys"), "vote", &vote, &err) == CN_OK;
    if (ok) {
        cn_digest digest = cn_readiness_digest(&s.network, &r->proposal, r->height, &r->block);
        ok = cn_sign(&vote.key, &digest, &r->signature, &err) == CN_OK;
        cn_key_file_wipe(&vote);
    }
    status = ok ? cli_send_body(&s, body, &args) : cli_complain(EXIT_USE, &err);
    if (status == EXIT_GOOD && cli_flag(&args, "--all"))
        status = rotate_others(&s, cli_value(&args, "--keys"), &args);
    cli_signer_close(&s);
    free(body);
    return status;
}

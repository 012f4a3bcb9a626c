/* carnet propose show: everything about one proposal, and what it still needs (docs/ledger-rules.md, R11). */
#include "tools/cli/proposal.h"

#include "proto/quorum.h"
#include "proto/statement.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct about {
    json_t *proposal, *members, *status, *genesis;
} about;

static const char *text(const json_t *object, const char *field)
{
    const char *s = json_string_value(json_object_get(object, field));
    return s ? s : "";
}

static const char *member_name(const about *a, const char *id)
{
    size_t i;
    json_t *member;
    json_array_foreach(a->members, i, member) if (strcmp(text(member, "id"), id) == 0) return text(member, "name");
    return id;
}

/* Names, but for this one (NULL: all). */
static size_t count_names(const json_t *list, const char *but)
{
    size_t i, n = 0;
    json_t *name;
    json_array_foreach(list, i, name) n += !but || !json_is_string(name) || strcmp(json_string_value(name), but) != 0;
    return n;
}

static void need(json_t *needs, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void need(json_t *needs, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    json_array_append_new(needs, json_string(line));
}

/* An approving validator of the next set counts as ready; the member itself by its readiness alone. */
static void needs_of_accepted(const about *a, const char *member, json_t *needs)
{
    const char *action = text(a->proposal, "action");
    bool joins = strcmp(action, "join") == 0, leaves = strcmp(action, "leave") == 0;
    bool ready = json_is_true(json_object_get(a->proposal, "ready"));
    size_t n = json_array_size(json_object_get(a->status, "validators")) + joins - leaves;
    size_t have = count_names(json_object_get(a->proposal, "approved_by"), member) + ready;
    size_t quorum = n > 0 && n <= CN_MAX_VALIDATORS ? cn_quorum((unsigned)n) : 0, coming = !leaves && !ready;
    if (coming)
        need(needs, "readiness of %s: carnet ready", member);
    if (have + coming < quorum)
        need(needs, "%zu more approvals of the next %zu validators%s%s: %zu of them make a quorum",
             quorum - have - coming, n, leaves ? "" : ", not counting ", leaves ? "" : member, quorum);
    if (json_array_size(needs) == 0)
        need(needs, "the closing block, which comes next");
}

static json_t *needs_of(const about *a, const char *member)
{
    json_t *needs = json_array();
    const char *status = text(a->proposal, "status");
    long long epoch = json_integer_value(json_object_get(a->proposal, "epoch")),
              now = json_integer_value(json_object_get(a->status, "epoch")),
              threshold =
                  json_integer_value(json_object_get(json_object_get(a->genesis, "parameters"), "ballot_threshold"));
    bool open = strcmp(status, "open") == 0, accepted = strcmp(status, "accepted") == 0;
    if ((open || accepted) && epoch != now)
        need(needs, "another proposal: this one is of epoch %lld and void in epoch %lld", epoch, now);
    else if (open)
        need(needs, "%lld more approvals of the %zu validators: %lld accept it",
             threshold - (long long)count_names(json_object_get(a->proposal, "approved_by"), NULL),
             json_array_size(json_object_get(a->status, "validators")), threshold);
    else if (accepted)
        needs_of_accepted(a, member, needs);
    return needs;
}

void cli_print_voters(const json_t *proposal, const char *field)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(proposal, field), i, name)
        printf(" %s", json_is_string(name) ? json_string_value(name) : "(of an earlier set)");
}

static void print(const about *a, const char *member)
{
    static const char *const keys[] = {"vote", "receipt", "cosignature", "log", "evm_address"};
    const json_t *p = a->proposal, *row = json_object_get(p, "keys"), *network = json_object_get(p, "network");
    size_t i;
    json_t *line;
    printf("proposal  %s\naction    %s\n%-9s %s (%s)\nproposed  by %s, epoch %lld, log index %lld\nstatus    %s%s\n",
           text(p, "id"), text(p, "action"), network ? "network" : "member", member, text(p, "member"),
           text(p, "proposer_name"), (long long)json_integer_value(json_object_get(p, "epoch")),
           (long long)json_integer_value(json_object_get(p, "log_index")), text(p, "status"),
           json_is_true(json_object_get(p, "ready")) ? "; the member has signed readiness" : "");
    printf("approved ");
    cli_print_voters(p, "approved_by");
    printf("\nrefused  ");
    cli_print_voters(p, "refused_by");
    printf("\n");
    json_array_foreach(json_object_get(p, "roles"), i, line) printf("role      %s\n", json_string_value(line));
    if (json_is_true(json_object_get(p, "registrar")))
        printf("role      registrar\n");
    for (i = 0; row && i < sizeof keys / sizeof keys[0]; i++)
        printf("key       %-11s %s\n", keys[i], text(row, keys[i]));
    if (network && strcmp(text(network, "status"), "withdrawn") == 0)
        printf("becomes   withdrawn: nothing of it is admitted any more\n");
    else if (network)
        printf("becomes   known up to epoch %lld, set %s\n",
               (long long)json_integer_value(json_object_get(network, "epoch")), text(network, "set"));
    json_array_foreach(json_object_get(p, "needs"), i, line) printf("needs     %s\n", json_string_value(line));
}

static cn_status fetch(const char *api, const char *id, about *ret, json_t **list, cn_err *err)
{
    size_t i;
    json_t *one;
    cn_status st = cli_get_json(api, "/v1/proposals", list, err);
    if (st == CN_OK)
        st = cli_get_json(api, "/v1/members", &ret->members, err);
    if (st == CN_OK)
        st = cli_get_json(api, "/v1/status", &ret->status, err);
    if (st == CN_OK)
        st = cli_get_json(api, "/v1/genesis", &ret->genesis, err);
    if (st != CN_OK)
        return st;
    json_array_foreach(*list, i, one) if (strcmp(text(one, "id"), id) == 0) ret->proposal = one;
    return ret->proposal ? CN_OK
                         : cn_fail(err, CN_NOT_FOUND, "propose show",
                                   "%s is not a proposal of this network; see carnet propose list", id);
}

int cli_show_proposal(const cli_args *args, const char *id)
{
    about a = {0};
    json_t *list = NULL;
    cn_err err = {0};
    cn_status st = fetch(cli_value(args, "--api"), id, &a, &list, &err);
    if (st == CN_OK) {
        const json_t *network = json_object_get(a.proposal, "network");
        const char *member = network ? text(network, "name") : member_name(&a, text(a.proposal, "member"));
        json_object_set_new(a.proposal, "member_name", json_string(member));
        json_object_set_new(a.proposal, "proposer_name", json_string(member_name(&a, text(a.proposal, "proposer"))));
        json_object_set_new(a.proposal, "needs", needs_of(&a, member));
        if (cli_flag(args, "--json"))
            cli_print_json(json_incref(a.proposal));
        else
            print(&a, member);
    }
    json_decref(list);
    json_decref(a.members);
    json_decref(a.status);
    json_decref(a.genesis);
    return st == CN_OK ? EXIT_GOOD : cli_complain(EXIT_NO, &err);
}

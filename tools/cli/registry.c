/* carnet device ..., carnet member ...: registry statements. */
#include "tools/cli/registry.h"

#include "proto/state.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static int send_change(cli_signer *s, cn_registry_change *change, const cli_args *args)
{
    cn_err err = {0};
    cn_body *body = calloc(1, sizeof *body);
    cn_buf statement;
    json_t *answer = NULL;
    if (!body)
        return EXIT_NO;
    cn_buf_init(&statement, CN_MAX_STATEMENT_BYTES);
    body->kind = CN_PAYLOAD_REGISTRY;
    body->created_ms = now_ms();
    body->registry = *change;
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
    free(body);
    return status;
}

static cn_status check_known(const cli_signer *s, const cn_digest *id, cn_err *err)
{
    char path[128];
    json_t *known = NULL;
    snprintf(path, sizeof path, "/v1/keys/%s", cn_digest_hex(id).s);
    cn_status st = cli_get_json(s->api, path, &known, err);
    json_decref(known);
    return st;
}

/* Said before anything is signed: a key is registered once, for one member. */
static cn_status check_unregistered(const cli_signer *s, const cn_digest *id, const char *file, cn_err *err)
{
    cn_status st = check_known(s, id, err);
    if (st == CN_NOT_FOUND)
        return CN_OK;
    return st == CN_OK ? cn_fail(err, CN_CONFLICT, file,
                                 "its key %s is registered already; make another with carnet "
                                 "keygen",
                                 cn_digest_hex(id).s)
                       : st;
}

/* The new key proves that its holder wants it registered for this member. */
static cn_status fill_new_key(const cli_signer *s, const char *path, const cn_digest *owner, cn_registry_change *change,
                              cn_err *err)
{
    cn_key_file file;
    cn_status st = cli_read_key(path, &file, err);
    if (st != CN_OK)
        return st;
    if (!file.has_item_salt) {
        cn_key_file_wipe(&file);
        return cn_fail(err, CN_INVALID, path, "is not a capture or device key");
    }
    cn_digest id = cn_key_id(&file.key.public_key), digest = cn_possession_digest(&s->network, owner, &id);
    change->new_key.key = file.key.public_key;
    change->new_key.purpose = strcmp(file.purpose, "capture") == 0 ? CN_PURPOSE_CAPTURE : CN_PURPOSE_DEVICE;
    st = check_unregistered(s, &id, path, err);
    if (st == CN_OK)
        st = cn_sign(&file.key, &digest, &change->new_key.possession, err);
    cn_key_file_wipe(&file);
    return st;
}

static bool parse_digest(const char *text, const char *option, cn_digest *ret)
{
    if (text && cn_unhex(text, strlen(text), ret->b, CN_DIGEST_LEN))
        return true;
    cli_say(EXIT_USE, "%s needs 64 lower-case hexadecimal digits", option);
    return false;
}

static int device_change(cli_signer *s, const cli_args *args, const char *action)
{
    cn_registry_change change;
    cn_err err = {0};
    uint64_t number = 0;
    const char *new_key = cli_value(args, "--new-key");
    bool registers = strcmp(action, "register") == 0, rotates = strcmp(action, "rotate") == 0;
    memset(&change, 0, sizeof change);
    change.reason = 1;
    if ((registers || rotates) && !new_key)
        return cli_say(EXIT_USE, "device %s needs --new-key FILE", action);
    if (!registers && !parse_digest(cli_value(args, "--id"), "--id", &change.key_id))
        return EXIT_USE;
    if (!registers && check_known(s, &change.key_id, &err) != CN_OK)
        return cli_complain(EXIT_USE, &err);
    if ((registers || rotates) && fill_new_key(s, new_key, &s->owner, &change, &err) != CN_OK)
        return cli_complain(EXIT_USE, &err);
    if (!cli_number(args, "--sequence", 0, 0, UINT64_MAX - 1, &number))
        return EXIT_USE;
    change.sequence = number;
    if (registers) {
        change.op = CN_REG_KEY_REGISTER;
    } else if (rotates) {
        change.op = CN_REG_KEY_ROTATE;
    } else if (strcmp(action, "revoke") == 0) {
        change.op = CN_REG_KEY_REVOKE;
    } else if (strcmp(action, "gap") == 0) {
        change.op = CN_REG_KEY_GAP;
        if (!parse_digest(cli_value(args, "--previous"), "--previous", &change.previous))
            return EXIT_USE;
    } else if (strcmp(action, "salvage") == 0) {
        change.op = CN_REG_KEY_SALVAGE;
        change.salvaged_count = (size_t)args->count - 1;
        change.salvaged = calloc(change.salvaged_count + 1, sizeof *change.salvaged);
        for (size_t i = 0; change.salvaged && i < change.salvaged_count; i++)
            if (!parse_digest(args->positional[1 + i], "a statement id", &change.salvaged[i])) {
                free(change.salvaged);
                return EXIT_USE;
            }
    } else {
        return cli_say(EXIT_USE, "device %s is not known; see carnet device --help", action);
    }
    int status = send_change(s, &change, args);
    free(change.salvaged);
    return status;
}

int cmd_device(int argc, char **argv)
{
    cli_option options[] = {{"--api", false, true, "URL of a node", NULL},
                            {"--key", false, true, "capture key file of the owner", NULL},
                            {"--new-key", false, false, "register, rotate: the new key's file", NULL},
                            {"--id", false, false, "rotate, revoke, gap, salvage: id of the key meant", NULL},
                            {"--sequence", false, false, "revoke: last good one; gap: the one it jumps to", NULL},
                            {"--previous", false, false, "gap: id of the statement before the next one", NULL},
                            {"--json", true, false, "print JSON", NULL},
                            {0}};
    cli_args args;
    int status;
    cli_signer s;
    cn_err err = {0};
    if (!cli_parse(argc, argv, "device register|rotate|revoke|gap|salvage --api URL --key FILE ...", options, &args,
                   &status))
        return status;
    if (args.count < 1)
        return cli_say(EXIT_USE, "device needs an action; see carnet device --help");
    if (cli_signer_open(cli_value(&args, "--api"), cli_value(&args, "--key"), &s, &err) != CN_OK)
        status = cli_complain(EXIT_USE, &err);
    else
        status = device_change(&s, &args, args.positional[0]);
    cli_signer_close(&s);
    return status;
}

/* ---- members ---- */

static int list_members(const cli_args *args)
{
    json_t *members = NULL, *member;
    cn_err err = {0};
    size_t i;
    if (cli_get_json(cli_value(args, "--api"), "/v1/members", &members, &err) != CN_OK)
        return cli_complain(EXIT_NO, &err);
    if (cli_flag(args, "--json")) {
        cli_print_json(members);
        return EXIT_GOOD;
    }
    json_array_foreach(members, i, member)
        printf("%-16s %s %s\n", json_string_value(json_object_get(member, "name")),
               json_string_value(json_object_get(member, "country")),
               json_is_true(json_object_get(member, "validator")) ? "validator" : "member");
    json_decref(members);
    return EXIT_GOOD;
}

bool cli_parse_roles(const char *text, uint32_t *ret)
{
    static const char *const names[] = {
#define ROLE_NAME(name, bit, label) label,
        CN_ROLES(ROLE_NAME)
#undef ROLE_NAME
    };
    char copy[256], *save = NULL;
    snprintf(copy, sizeof copy, "%s", text ? text : "");
    *ret = 0;
    for (char *one = strtok_r(copy, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
        size_t k = 0;
        while (k < sizeof names / sizeof names[0] && strcmp(names[k], one) != 0)
            k++;
        if (k == sizeof names / sizeof names[0])
            return false;
        *ret |= 1u << k;
    }
    return *ret != 0;
}

static int register_member(const cli_args *args)
{
    cli_signer s;
    cn_err err = {0};
    cn_registry_change change;
    const char *name = cli_value(args, "--name"), *country = cli_value(args, "--country"),
               *key = cli_value(args, "--key");
    const char *new_key = cli_value(args, "--new-key");
    memset(&change, 0, sizeof change);
    change.op = CN_REG_MEMBER_REGISTER;
    if (!name || strlen(name) > CN_MAX_NAME || !country || strlen(country) != 2 || !key || !new_key ||
        !cli_parse_roles(cli_value(args, "--roles"), &change.roles))
        return cli_say(EXIT_USE, "member register needs --key, --name, --country, --roles and --new-key; see --help");
    memcpy(change.name, name, strlen(name) + 1);
    memcpy(change.country, country, 3);
    int status;
    cn_digest id = cn_member_id(name);
    if (cli_signer_open(cli_value(args, "--api"), key, &s, &err) != CN_OK ||
        fill_new_key(&s, new_key, &id, &change, &err) != CN_OK)
        status = cli_complain(EXIT_USE, &err);
    else
        status = send_change(&s, &change, args);
    cli_signer_close(&s);
    return status;
}

int cli_change_channel_key(cli_signer *s, const char *path, const cli_args *args)
{
    cn_err err = {0};
    cn_key_file file;
    cn_registry_change change;
    memset(&change, 0, sizeof change);
    change.op = CN_REG_CHANNEL_KEY;
    cn_status st = cli_read_key(path, &file, &err);
    if (st == CN_OK && !file.is_x25519)
        st = cn_fail(&err, CN_INVALID, path, "is not a channel key; make one with carnet keygen --purpose channel");
    if (st != CN_OK)
        return cli_complain(EXIT_USE, &err);
    memcpy(change.channel_key, file.x25519_public, 32);
    cn_key_file_wipe(&file);
    return send_change(s, &change, args);
}

int cli_replace_key(cli_signer *s, const char *path, const cli_args *args)
{
    cn_err err = {0};
    cn_registry_change change;
    memset(&change, 0, sizeof change);
    change.op = CN_REG_KEY_ROTATE;
    change.key_id = s->key_id;
    change.reason = 1;
    if (fill_new_key(s, path, &s->owner, &change, &err) != CN_OK)
        return cli_complain(EXIT_USE, &err);
    return send_change(s, &change, args);
}

static int channel_key(const cli_args *args)
{
    cli_signer s;
    cn_err err = {0};
    const char *key = cli_value(args, "--key"), *new_key = cli_value(args, "--new-key");
    if (!key || !new_key)
        return cli_say(EXIT_USE, "member channel-key needs --key and --new-key; see --help");
    int status = cli_signer_open(cli_value(args, "--api"), key, &s, &err) == CN_OK
                     ? cli_change_channel_key(&s, new_key, args)
                     : cli_complain(EXIT_USE, &err);
    cli_signer_close(&s);
    return status;
}

int cmd_member(int argc, char **argv)
{
    cli_option options[] = {
        {"--api", false, true, "URL of a node", NULL},
        {"--key", false, false, "capture key file: of a registrar, or of the member whose channel key changes", NULL},
        {"--name", false, false, "register: name of the new member", NULL},
        {"--country", false, false, "register: two letters", NULL},
        {"--roles", false, false, "register: e.g. forwarder,insurer", NULL},
        {"--new-key", false, false, "register: the new member's capture key file; channel-key: the channel key file",
         NULL},
        {"--json", true, false, "print JSON", NULL},
        {0}};
    cli_args args;
    int status;
    if (!cli_parse(argc, argv, "member list|register|channel-key --api URL ...", options, &args, &status))
        return status;
    if (args.count == 1 && strcmp(args.positional[0], "list") == 0)
        return list_members(&args);
    if (args.count == 1 && strcmp(args.positional[0], "register") == 0)
        return register_member(&args);
    if (args.count == 1 && strcmp(args.positional[0], "channel-key") == 0)
        return channel_key(&args);
    return cli_say(EXIT_USE, "use: carnet member list|register|channel-key --api URL; see --help");
}

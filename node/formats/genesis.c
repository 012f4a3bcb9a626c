#include "node/formats/genesis.h"

#include "proto/checkpoint.h"
#include "proto/statement.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const role_names[] = {
#define CN_ROLE_NAME(name, bit, text) text,
    CN_ROLES(CN_ROLE_NAME)
#undef CN_ROLE_NAME
};
#define ROLE_COUNT (sizeof role_names / sizeof role_names[0])

/* ---- reading ---- */

static cn_status only_fields(const json_t *object, const char *where, const char *const *allowed, cn_err *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return cn_fail(err, CN_INVALID, where, "must be a JSON object");
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        bool known = false;
        for (size_t i = 0; allowed[i]; i++)
            known = known || strcmp(allowed[i], key) == 0;
        if (!known)
            return cn_fail(err, CN_INVALID, where, "the field \"%.40s\" is not known", key);
    }
    return CN_OK;
}

static cn_status get_hex(const json_t *object, const char *name, const char *where, void *out, size_t n, cn_err *err)
{
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);
    if (!text || !cn_unhex(text, json_string_length(value), out, n))
        return cn_fail(err, CN_INVALID, where, "\"%s\" must be %zu lower-case hexadecimal digits", name, 2 * n);
    return CN_OK;
}

static cn_status get_text(const json_t *object, const char *name, const char *where, char *out, size_t cap, cn_err *err)
{
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);
    if (!text || json_string_length(value) == 0 || json_string_length(value) >= cap ||
        strlen(text) != json_string_length(value))
        return cn_fail(err, CN_INVALID, where, "\"%s\" must be a string of 1 to %zu bytes", name, cap - 1);
    memcpy(out, text, strlen(text) + 1);
    return CN_OK;
}

static cn_status get_number(const json_t *object, const char *name, const char *where, uint64_t min, uint64_t max,
                            uint64_t *ret, cn_err *err)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) < min ||
        (uint64_t)json_integer_value(value) > max)
        return cn_fail(err, CN_INVALID, where, "\"%s\" must be a whole number from %llu to %llu", name,
                       (unsigned long long)min, (unsigned long long)max);
    *ret = (uint64_t)json_integer_value(value);
    return CN_OK;
}

static bool valid_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || name[0] == '-' || name[n - 1] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static cn_status read_roles(const json_t *member, const char *where, uint32_t *ret, cn_err *err)
{
    const json_t *roles = json_object_get(member, "roles");
    uint32_t bits = 0;
    for (size_t i = 0; i < json_array_size(roles); i++) {
        const char *role = json_string_value(json_array_get(roles, i));
        size_t k = 0;
        while (k < ROLE_COUNT && (!role || strcmp(role, role_names[k]) != 0))
            k++;
        if (k == ROLE_COUNT)
            return cn_fail(err, CN_INVALID, where, "the role \"%.30s\" is not known", role ? role : "");
        bits |= 1u << k;
    }
    if (bits == 0)
        return cn_fail(err, CN_INVALID, where, "a member has at least one role");
    *ret = bits;
    return CN_OK;
}

static cn_status read_capture(const json_t *member, const char *where, cn_public_key *ret, cn_err *err)
{
    static const char *const fields[] = {"type", "public", NULL};
    const json_t *key = json_object_get(member, "capture");
    char type[16];
    uint8_t number = 0, bytes[CN_PUBLIC_KEY_MAX];
    cn_status st = only_fields(key, where, fields, err);
    if (st == CN_OK)
        st = get_text(key, "type", where, type, sizeof type, err);
    if (st == CN_OK && !cn_key_type_parse(type, &number))
        st = cn_fail(err, CN_INVALID, where, "the key type \"%s\" is not known", type);
    if (st == CN_OK)
        st = get_hex(key, "public", where, bytes, cn_public_key_len(number), err);
    return st == CN_OK ? cn_public_key_parse(number, bytes, cn_public_key_len(number), ret, err) : st;
}

static cn_status read_validator(const json_t *v, const char *where, cn_set_row *row, cn_err *err)
{
    static const char *const fields[] = {"vote", "evm", "receipt", "cosignature", "log", NULL};
    cn_status st = only_fields(v, where, fields, err);
    if (st == CN_OK)
        st = get_hex(v, "vote", where, row->vote_key, 33, err);
    if (st == CN_OK)
        st = get_hex(v, "evm", where, row->evm_address, 20, err);
    if (st == CN_OK)
        st = get_hex(v, "receipt", where, row->receipt_key, 33, err);
    if (st == CN_OK)
        st = get_hex(v, "cosignature", where, row->cosignature_key, 32, err);
    if (st == CN_OK)
        st = get_hex(v, "log", where, row->log_key, 32, err);
    return st;
}

static cn_status read_member(const json_t *json, size_t index, cn_genesis_member *m, cn_err *err)
{
    static const char *const fields[] = {"name",    "country", "roles",     "registrar",
                                         "channel", "capture", "validator", NULL};
    char where[32], country[8] = "";
    snprintf(where, sizeof where, "/members/%zu", index);
    cn_status st = only_fields(json, where, fields, err);
    if (st == CN_OK)
        st = get_text(json, "name", where, m->name, sizeof m->name, err);
    if (st == CN_OK && !valid_name(m->name))
        st = cn_fail(err, CN_INVALID, where, "a name has a-z, 0-9 and - and neither begins nor ends with -");
    if (st == CN_OK)
        st = get_text(json, "country", where, country, 3, err);
    if (st == CN_OK &&
        (strlen(country) != 2 || country[0] < 'A' || country[0] > 'Z' || country[1] < 'A' || country[1] > 'Z'))
        st = cn_fail(err, CN_INVALID, where, "\"country\" must be two letters (ISO 3166-1)");
    if (st == CN_OK)
        st = read_roles(json, where, &m->roles, err);
    if (st == CN_OK && !json_is_boolean(json_object_get(json, "registrar")))
        st = cn_fail(err, CN_INVALID, where, "\"registrar\" must be true or false");
    if (st == CN_OK)
        st = get_hex(json, "channel", where, m->channel_key, 32, err);
    if (st == CN_OK)
        st = read_capture(json, where, &m->capture_key, err);
    const json_t *validator = json_object_get(json, "validator");
    if (st == CN_OK && validator)
        st = read_validator(validator, where, &m->row, err);
    if (st != CN_OK)
        return st;
    memcpy(m->country, country, 3);
    m->registrar = json_is_true(json_object_get(json, "registrar"));
    m->validator = validator != NULL;
    m->id = m->row.member = cn_member_id(m->name);
    return CN_OK;
}

static cn_status read_members(const json_t *members, cn_genesis *g, cn_err *err)
{
    size_t n = json_array_size(members);
    if (n == 0 || n > CN_MAX_MEMBERS)
        return cn_fail(err, CN_INVALID, "/members", "must be an array of 1 to %u members", CN_MAX_MEMBERS);
    g->member = calloc(n, sizeof *g->member);
    if (!g->member)
        return cn_fail(err, CN_NO_MEMORY, "/members", "out of memory");
    for (size_t i = 0; i < n; i++) {
        cn_status st = read_member(json_array_get(members, i), i, &g->member[i], err);
        if (st != CN_OK)
            return st;
        for (size_t k = 0; k < i; k++)
            if (strcmp(g->member[k].name, g->member[i].name) == 0 ||
                memcmp(&g->member[k].capture_key, &g->member[i].capture_key, sizeof g->member[i].capture_key) == 0)
                return cn_fail(err, CN_INVALID, "/members", "members %zu and %zu share a name or a key", k, i);
        g->member_count = i + 1;
    }
    return CN_OK;
}

static int by_member(const void *a, const void *b)
{
    return cn_digest_cmp(&((const cn_set_row *)a)->member, &((const cn_set_row *)b)->member);
}

static cn_status make_set(cn_genesis *g, cn_err *err)
{
    for (size_t i = 0; i < g->member_count; i++) {
        if (!g->member[i].validator)
            continue;
        if (g->set.n == CN_MAX_VALIDATORS)
            return cn_fail(err, CN_TOO_LARGE, "/members", "more than %u validators", CN_MAX_VALIDATORS);
        g->set.row[g->set.n++] = g->member[i].row;
    }
    qsort(g->set.row, g->set.n, sizeof g->set.row[0], by_member);
    cn_status st = cn_validator_set_check(&g->set, err);
    if (st == CN_OK)
        g->set_digest = cn_validator_set_digest(&g->set);
    return st;
}

static cn_status read_parameters(const json_t *p, cn_state_parameters *ret, cn_err *err)
{
    static const char *const fields[] = {"checkpoint_interval_ms", "heartbeat_ms", "block_bytes", "ballot_threshold",
                                         NULL};
    uint64_t block_bytes = 0, threshold = 0;
    cn_status st = only_fields(p, "/parameters", fields, err);
    if (st == CN_OK)
        st = get_number(p, "checkpoint_interval_ms", "/parameters", 10, 3600000, &ret->checkpoint_interval_ms, err);
    if (st == CN_OK)
        st = get_number(p, "heartbeat_ms", "/parameters", 100, 86400000, &ret->heartbeat_ms, err);
    if (st == CN_OK)
        st = get_number(p, "block_bytes", "/parameters", CN_MAX_STATEMENT_BYTES, CN_MAX_BLOCK_BYTES, &block_bytes, err);
    if (st == CN_OK)
        st = get_number(p, "ballot_threshold", "/parameters", 1, CN_MAX_MEMBERS, &threshold, err);
    ret->block_bytes = (uint32_t)block_bytes;
    ret->ballot_threshold = (uint16_t)threshold;
    return st;
}

static cn_status read_genesis(const json_t *root, cn_genesis *g, cn_err *err)
{
    static const char *const fields[] = {"version", "name",       "origin",  "nonce", "subject_salt",
                                         "time_ms", "parameters", "members", NULL};
    uint64_t version = 0;
    cn_status st = only_fields(root, "/", fields, err);
    if (st == CN_OK)
        st = get_number(root, "version", "/", 1, 1, &version, err);
    if (st == CN_OK)
        st = get_text(root, "name", "/", g->name, sizeof g->name, err);
    if (st == CN_OK)
        st = get_text(root, "origin", "/", g->origin, sizeof g->origin, err);
    if (st == CN_OK && !cn_origin_valid(g->origin))
        st = cn_fail(err, CN_INVALID, "/origin",
                     "an origin is printable ASCII without spaces and +; it names the log in proofs");
    if (st == CN_OK)
        st = get_hex(root, "nonce", "/", g->nonce, 32, err);
    if (st == CN_OK)
        st = get_hex(root, "subject_salt", "/", g->subject_salt, 32, err);
    if (st == CN_OK)
        st = get_number(root, "time_ms", "/", 1, UINT64_C(1) << 50, &g->time_ms, err);
    if (st == CN_OK)
        st = read_parameters(json_object_get(root, "parameters"), &g->parameters, err);
    if (st == CN_OK)
        st = read_members(json_object_get(root, "members"), g, err);
    return st == CN_OK ? make_set(g, err) : st;
}

cn_status cn_genesis_parse(const void *bytes, size_t n, cn_genesis *ret, cn_err *err)
{
    json_error_t where;
    if (n > CN_MAX_GENESIS_BYTES)
        return cn_fail(err, CN_TOO_LARGE, "genesis", "%zu bytes; the limit is %u", n, CN_MAX_GENESIS_BYTES);
    json_t *root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return cn_fail(err, CN_INVALID, "genesis", "not JSON, at line %d column %d: %s", where.line, where.column,
                       where.text);
    cn_genesis *g = calloc(1, sizeof *g);
    cn_status st = g ? read_genesis(root, g, err) : cn_fail(err, CN_NO_MEMORY, "genesis", "out of memory");
    json_decref(root);
    if (st == CN_OK) {
        g->network = cn_network_id(bytes, n);
        *ret = *g;
    } else if (g) {
        cn_genesis_free(g);
    }
    free(g);
    return st;
}

void cn_genesis_free(cn_genesis *g)
{
    free(g->member);
    g->member = NULL;
    g->member_count = 0;
}

/* ---- writing ---- */

static json_t *hex(const void *p, size_t n)
{
    char text[2 * 64 + 1];
    CN_ASSERT(n <= 64);
    cn_hex(p, n, text);
    return json_string(text);
}

static json_t *member_json(const cn_genesis_member *m)
{
    json_t *roles = json_array();
    for (size_t k = 0; k < ROLE_COUNT; k++)
        if (m->roles >> k & 1)
            json_array_append_new(roles, json_string(role_names[k]));
    json_t *json = json_pack("{s:s, s:s, s:o, s:b, s:o, s:{s:s, s:o}}", "name", m->name, "country", m->country, "roles",
                             roles, "registrar", m->registrar, "channel", hex(m->channel_key, 32), "capture", "type",
                             cn_key_type_name(m->capture_key.type), "public",
                             hex(m->capture_key.b, cn_public_key_len(m->capture_key.type)));
    if (m->validator)
        json_object_set_new(json, "validator",
                            json_pack("{s:o, s:o, s:o, s:o, s:o}", "vote", hex(m->row.vote_key, 33), "evm",
                                      hex(m->row.evm_address, 20), "receipt", hex(m->row.receipt_key, 33),
                                      "cosignature", hex(m->row.cosignature_key, 32), "log", hex(m->row.log_key, 32)));
    return json;
}

cn_status cn_genesis_write(const cn_genesis *g, cn_buf *out, cn_err *err)
{
    json_t *members = json_array();
    for (size_t i = 0; i < g->member_count; i++)
        json_array_append_new(members, member_json(&g->member[i]));
    const cn_state_parameters *p = &g->parameters;
    json_t *root =
        json_pack("{s:i, s:s, s:s, s:o, s:o, s:I, s:{s:I, s:I, s:I, s:I}, s:o}", "version", 1, "name", g->name,
                  "origin", g->origin, "nonce", hex(g->nonce, 32), "subject_salt", hex(g->subject_salt, 32), "time_ms",
                  (json_int_t)g->time_ms, "parameters", "checkpoint_interval_ms", (json_int_t)p->checkpoint_interval_ms,
                  "heartbeat_ms", (json_int_t)p->heartbeat_ms, "block_bytes", (json_int_t)p->block_bytes,
                  "ballot_threshold", (json_int_t)p->ballot_threshold, "members", members);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    if (text) {
        cn_put_bytes(out, text, strlen(text));
        cn_put_bytes(out, "\n", 1);
    }
    free(text);
    json_decref(root);
    return text && !out->fault ? CN_OK : cn_fail(err, CN_NO_MEMORY, "genesis", "cannot be written");
}

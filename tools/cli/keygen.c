/* carnet keygen: key files, and with a vote key the safety table that belongs to it (R5). */
#include "tools/cli/keygen.h"
#include "storage/safety.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

cn_status cli_make_key(const char *purpose, const char *type, cn_key_file *ret, cn_err *err)
{
    uint8_t number = 0;
    memset(ret, 0, sizeof *ret);
    snprintf(ret->purpose, sizeof ret->purpose, "%s", purpose);
    if (sodium_init() < 0)
        return cn_fail(err, CN_IO, "keygen", "there is no source of random bytes");
    if (strcmp(type, "x25519") == 0) {
        ret->is_x25519 = true;
        randombytes_buf(ret->x25519_secret, 32);
        cn_x25519_public(ret->x25519_secret, ret->x25519_public);
        return CN_OK;
    }
    if (!cn_key_type_parse(type, &number))
        return cn_fail(err, CN_INVALID, "--type", "\"%s\" is not secp256k1, ed25519, p256 or x25519", type);
    if (strcmp(purpose, "capture") == 0 || strcmp(purpose, "device") == 0) {
        ret->has_item_salt = true;
        randombytes_buf(ret->item_salt_secret, 32);
    }
    return cn_secret_key_generate(number, &ret->key, err);
}

cn_status cli_write_key(const char *path, const cn_key_file *file, cn_err *err)
{
    char text[CN_KEY_FILE_MAX];
    if (access(path, F_OK) == 0)
        return cn_fail(err, CN_CONFLICT, path, "exists already; a key is never overwritten");
    size_t n = cn_key_file_format(file, text);
    cn_status st = cli_write_file(path, text, n, 0600, err);
    explicit_bzero(text, sizeof text);
    return st;
}

static const char *default_type(const char *purpose)
{
    static const char *const rows[][2] = {{"vote", "secp256k1"}, {"receipt", "p256"},   {"cosignature", "ed25519"},
                                          {"log", "ed25519"},    {"channel", "x25519"}, {"capture", "secp256k1"},
                                          {"device", "p256"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i][0], purpose) == 0)
            return rows[i][1];
    return NULL;
}

/* Validators' keys have one type each; whoever signs documents may choose among the signing types. */
static bool type_fits(const char *purpose, const char *type, const char *usual)
{
    bool documents = strcmp(purpose, "capture") == 0 || strcmp(purpose, "device") == 0;
    return documents ? strcmp(type, "x25519") != 0 : strcmp(type, usual) == 0;
}

/* The table first: a vote key without it must not exist (R5). */
static cn_status make_safety_table(const char *out, const cn_key_file *file, cn_err *err)
{
    char path[4200];
    const char *slash = strrchr(out, '/');
    if (access(out, F_OK) == 0)
        return cn_fail(err, CN_CONFLICT, out, "exists already; a key is never overwritten");
    /* vote.key has safety.journal beside it, vote.next.key has safety.next.journal */
    const char *name = slash ? slash + 1 : out, *suffix = strchr(name, '.'), *end = strrchr(name, '.');
    int middle = suffix && end > suffix ? (int)(end - suffix) : 0;
    snprintf(path, sizeof path, "%.*ssafety%.*s.journal", slash ? (int)(slash - out + 1) : 0, out, middle,
             suffix ? suffix : "");
    return cn_safety_create(path, file->key.public_key.b, err);
}

cn_status cli_make_node_keys(const char *dir, bool next, cn_err *err)
{
    static const char *const purposes[] = {"vote", "receipt", "cosignature", "log", "channel", "capture"};
    cn_status st = CN_OK;
    for (size_t i = 0; i < 6 - (next ? 1 : 0) && st == CN_OK; i++) {
        char path[4200];
        cn_key_file file;
        snprintf(path, sizeof path, "%.4000s/%s%s.key", dir, purposes[i], next ? ".next" : "");
        st = cli_make_key(purposes[i], default_type(purposes[i]), &file, err);
        if (st == CN_OK && i == 0)
            st = make_safety_table(path, &file, err);
        if (st == CN_OK)
            st = cli_write_key(path, &file, err);
        cn_key_file_wipe(&file);
    }
    return st;
}

static int print_made(const char *path, const cn_key_file *file, bool as_json)
{
    char hex[67];
    cn_digest id = file->is_x25519 ? cn_digest_zero : cn_key_id(&file->key.public_key);
    if (file->is_x25519)
        cn_hex(file->x25519_public, 32, hex);
    else
        cn_hex(file->key.public_key.b, cn_public_key_len(file->key.public_key.type), hex);
    if (as_json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s}", "file", path, "purpose", file->purpose, "public", hex, "id",
                                 file->is_x25519 ? "" : cn_digest_hex(&id).s));
    else
        printf("%s\npublic %s\n%s%s%s", path, hex, file->is_x25519 ? "" : "id     ",
               file->is_x25519 ? "" : cn_digest_hex(&id).s, file->is_x25519 ? "" : "\n");
    return EXIT_GOOD;
}

int cmd_keygen(int argc, char **argv)
{
    cli_option options[] = {
        {"--purpose", false, true,
         "vote, receipt, cosignature, log, channel, capture or device; node: all but the last, into the folder --out",
         NULL},
        {"--next", true, false, "with node: the keys of a rotation, vote.next.key and so on", NULL},
        {"--type", false, false, "secp256k1, ed25519, p256 or x25519; each purpose has its usual one", NULL},
        {"--out", false, true, "file to write, mode 0600; never overwritten", NULL},
        {"--json", true, false, "print JSON", NULL},
        {0}};
    cli_args args;
    int status;
    cn_key_file file;
    cn_err err = {0};
    if (!cli_parse(argc, argv, "keygen --purpose P --out FILE [--type T]", options, &args, &status))
        return status;
    const char *purpose = cli_value(&args, "--purpose"), *out = cli_value(&args, "--out"),
               *usual = default_type(purpose);
    if (strcmp(purpose, "node") == 0)
        return cli_make_node_keys(out, cli_flag(&args, "--next"), &err) == CN_OK ? EXIT_GOOD
                                                                                 : cli_complain(EXIT_USE, &err);
    if (!usual)
        return cli_say(EXIT_USE, "--purpose %s is not known; see carnet keygen --help", purpose);
    const char *type = cli_value(&args, "--type") ? cli_value(&args, "--type") : usual;
    if (!type_fits(purpose, type, usual))
        return cli_say(EXIT_USE, "--type %s does not fit the purpose %s; leave --type out for %s", type, purpose,
                       usual);
    cn_status st = cli_make_key(purpose, type, &file, &err);
    if (st == CN_OK && strcmp(purpose, "vote") == 0)
        st = make_safety_table(out, &file, &err);
    if (st == CN_OK)
        st = cli_write_key(out, &file, &err);
    status = st == CN_OK ? print_made(out, &file, cli_flag(&args, "--json")) : cli_complain(EXIT_USE, &err);
    cn_key_file_wipe(&file);
    return status;
}

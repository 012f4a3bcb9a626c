/* The text form of key files. Reading and writing files is the caller's. */
#include "proto/bytes.h"
#include "proto/key.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char *const purposes[] = {"vote", "receipt", "cosignature", "log", "channel", "capture", "device"};

static bool known_purpose(const char *purpose)
{
    for (size_t i = 0; i < sizeof purposes / sizeof purposes[0]; i++)
        if (strcmp(purposes[i], purpose) == 0)
            return true;
    return false;
}

/* The value of the next line, which must be "<name>: <value>\n". */
static bool take_line(const char **p, const char *end, const char *name, char *value, size_t cap)
{
    size_t name_len = strlen(name), left = (size_t)(end - *p);
    const char *eol = memchr(*p, '\n', left);
    if (!eol || left < name_len + 2 || memcmp(*p, name, name_len) != 0 || memcmp(*p + name_len, ": ", 2) != 0)
        return false;
    const char *start = *p + name_len + 2;
    if (start > eol || (size_t)(eol - start) >= cap || memchr(start, '\0', (size_t)(eol - start)))
        return false;
    memcpy(value, start, (size_t)(eol - start));
    value[eol - start] = '\0';
    *p = eol + 1;
    return true;
}

static cn_status parse_pair(cn_key_file *f, const char *type, const char *public_hex, const char *secret_hex,
                            cn_err *err)
{
    uint8_t secret[32], public_key[CN_PUBLIC_KEY_MAX], number = 0;
    cn_status st = CN_OK;
    if (!cn_unhex(secret_hex, strlen(secret_hex), secret, sizeof secret))
        return cn_fail(err, CN_INVALID, "secret", "expected 64 lower-case hexadecimal digits");
    if (strcmp(type, "x25519") == 0) {
        f->is_x25519 = true;
        memcpy(f->x25519_secret, secret, 32);
        cn_x25519_public(secret, f->x25519_public);
        if (!cn_unhex(public_hex, strlen(public_hex), public_key, 32) || memcmp(public_key, f->x25519_public, 32) != 0)
            st = cn_fail(err, CN_INVALID, "public", "the public key does not belong to the secret");
    } else if (!cn_key_type_parse(type, &number)) {
        st = cn_fail(err, CN_INVALID, "type", "\"%s\" is not secp256k1, ed25519, p256 or x25519", type);
    } else {
        st = cn_secret_key_from_bytes(number, secret, &f->key, err);
        size_t n = cn_public_key_len(number);
        if (st == CN_OK && (!cn_unhex(public_hex, strlen(public_hex), public_key, n) ||
                            memcmp(public_key, f->key.public_key.b, n) != 0))
            st = cn_fail(err, CN_INVALID, "public", "the public key does not belong to the secret");
    }
    sodium_memzero(secret, sizeof secret);
    return st;
}

cn_status cn_key_file_parse(const char *text, size_t n, cn_key_file *ret, cn_err *err)
{
    static const char first_line[] = "carnet-key 1\n";
    const char *p = text, *end = text + n;
    char type[16], public_hex[80], secret_hex[80], salt_hex[80];
    cn_key_file f;
    memset(&f, 0, sizeof f);
    if (n > CN_KEY_FILE_MAX || n < sizeof first_line - 1 || memcmp(text, first_line, sizeof first_line - 1) != 0)
        return cn_fail(err, CN_INVALID, "key file", "not a carnet key file (its first line is \"carnet-key 1\")");
    p += sizeof first_line - 1;
    if (!take_line(&p, end, "purpose", f.purpose, sizeof f.purpose) || !known_purpose(f.purpose))
        return cn_fail(err, CN_INVALID, "purpose",
                       "line 2 must be \"purpose: \" with vote, receipt, cosignature, log, channel, capture or device");
    if (!take_line(&p, end, "type", type, sizeof type) ||
        !take_line(&p, end, "public", public_hex, sizeof public_hex) ||
        !take_line(&p, end, "secret", secret_hex, sizeof secret_hex))
        return cn_fail(err, CN_INVALID, "key file", "lines 3 to 5 must be type, public and secret");
    cn_status st = parse_pair(&f, type, public_hex, secret_hex, err);
    if (st == CN_OK && p < end) {
        f.has_item_salt = take_line(&p, end, "item-salt", salt_hex, sizeof salt_hex) &&
                          cn_unhex(salt_hex, strlen(salt_hex), f.item_salt_secret, 32) && p == end;
        if (!f.has_item_salt)
            st = cn_fail(err, CN_INVALID, "item-salt", "line 6 must be \"item-salt: \" with 64 hexadecimal digits");
    }
    if (st == CN_OK)
        *ret = f;
    sodium_memzero(secret_hex, sizeof secret_hex);
    sodium_memzero(salt_hex, sizeof salt_hex);
    cn_key_file_wipe(&f);
    return st;
}

size_t cn_key_file_format(const cn_key_file *f, char out[CN_KEY_FILE_MAX])
{
    char public_hex[80], secret_hex[80], salt_hex[80] = "";
    const char *type = f->is_x25519 ? "x25519" : cn_key_type_name(f->key.public_key.type);
    if (f->is_x25519)
        cn_hex(f->x25519_public, 32, public_hex);
    else
        cn_hex(f->key.public_key.b, cn_public_key_len(f->key.public_key.type), public_hex);
    cn_hex(f->is_x25519 ? f->x25519_secret : f->key.secret, 32, secret_hex);
    if (f->has_item_salt)
        cn_hex(f->item_salt_secret, 32, salt_hex);
    int n = snprintf(out, CN_KEY_FILE_MAX, "carnet-key 1\npurpose: %s\ntype: %s\npublic: %s\nsecret: %s\n%s%s%s",
                     f->purpose, type, public_hex, secret_hex, f->has_item_salt ? "item-salt: " : "", salt_hex,
                     f->has_item_salt ? "\n" : "");
    CN_ASSERT(n > 0 && n < CN_KEY_FILE_MAX);
    sodium_memzero(secret_hex, sizeof secret_hex);
    sodium_memzero(salt_hex, sizeof salt_hex);
    return (size_t)n;
}

void cn_key_file_wipe(cn_key_file *f)
{
    sodium_memzero(f, sizeof *f);
}

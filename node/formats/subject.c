#include "node/formats/subject.h"

#include "node/formats/gs1.h"
#include "proto/bytes.h"
#include "proto/limits.h"
#include "proto/statement.h"

#include <string.h>
#include <strings.h>

#define UCR_MAX 35u /* WCO data model, an..35 */

bool cn_uri_valid(const char *s, size_t n)
{
    size_t at = 0;
    while (at < n && ((s[at] >= 'A' && s[at] <= 'Z') || (s[at] >= 'a' && s[at] <= 'z') ||
                      (at > 0 && ((s[at] >= '0' && s[at] <= '9') || strchr("+-.", s[at])) && s[at])))
        at++;
    if (at == 0 || at + 1 >= n || s[at] != ':')
        return false;
    for (size_t i = at; i < n; i++)
        if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f || strchr("<>\"{}|\\^`", s[i]))
            return false;
    return true;
}

static bool begins(const char *s, size_t n, const char *prefix)
{
    size_t len = strlen(prefix);
    return n > len && strncasecmp(s, prefix, len) == 0;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* prefix, then s, with a NUL. */
static cn_status join(const char *prefix, const char *s, size_t n, char *out, size_t cap, cn_err *err)
{
    size_t len = strlen(prefix);
    if (len + n + 1 > cap)
        return cn_fail(err, CN_TOO_LARGE, "subject", "a subject URI has at most %zu bytes", cap - 1);
    memcpy(out, prefix, len);
    memcpy(out + len, s, n);
    out[len + n] = 0;
    return CN_OK;
}

char cn_iso6346_check_digit(const char *s)
{
    static const unsigned char letters[] = {10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24,
                                            25, 26, 27, 28, 29, 30, 31, 32, 34, 35, 36, 37, 38};
    unsigned sum = 0;
    for (unsigned i = 0; i < 10; i++) {
        bool letter = s[i] >= 'A' && s[i] <= 'Z';
        if (i < 4 ? !letter : !(s[i] >= '0' && s[i] <= '9'))
            return 0;
        sum += (letter ? letters[s[i] - 'A'] : (unsigned)(s[i] - '0')) << i;
    }
    return (char)('0' + sum % 11 % 10);
}

static cn_status container(const char *s, size_t n, char *out, size_t cap, unsigned *flags, cn_err *err)
{
    static const char prefix[] = "urn:epc:id:bic:";
    cn_status st = join(prefix, s, n, out, cap, err);
    if (st != CN_OK)
        return st;
    char *code = out + sizeof prefix - 1;
    for (size_t i = 0; i < n; i++)
        code[i] = upper(code[i]);
    char check = n == 11 ? cn_iso6346_check_digit(code) : 0;
    if (!check || !strchr("UJZ", code[3])) /* category: freight container, detachable equipment, trailer */
        *flags |= CN_SUBJECT_FORM;
    if (check && code[10] != check)
        *flags |= CN_SUBJECT_CHECK_DIGIT;
    return CN_OK;
}

static cn_status ucr(const char *s, size_t n, char *out, size_t cap, unsigned *flags, cn_err *err)
{
    static const char prefix[] = "urn:carnet:ucr:";
    cn_status st = join(prefix, s, n, out, cap, err);
    if (st != CN_OK)
        return st;
    char *code = out + sizeof prefix - 1;
    bool form = n >= 4 && n <= UCR_MAX;
    for (size_t i = 0; i < n; i++) {
        code[i] = upper(code[i]);
        bool letter = code[i] >= 'A' && code[i] <= 'Z', digit = code[i] >= '0' && code[i] <= '9';
        /* last digit of the year, ISO 3166 country, then the trader and the reference */
        if (i == 0 ? !digit : i < 3 ? !letter : !letter && !digit && !strchr("-./()+", code[i]))
            form = false;
    }
    if (!form)
        *flags |= CN_SUBJECT_FORM;
    return CN_OK;
}

static cn_status digest_name(const char *prefix, const char *s, size_t n, char *out, size_t cap, cn_err *err)
{
    char hex[64];
    uint8_t bytes[CN_DIGEST_LEN];
    for (size_t i = 0; i < n && n == 64; i++)
        hex[i] = s[i] >= 'A' && s[i] <= 'F' ? (char)(s[i] - 'A' + 'a') : s[i];
    if (n != 64 || !cn_unhex(hex, 64, bytes, sizeof bytes))
        return cn_fail(err, CN_INVALID, "subject", "%s is followed by 64 hexadecimal digits", prefix);
    return join(prefix, hex, 64, out, cap, err);
}

/* A member's name or the hex of its id; 64 hexadecimal digits are always an id. */
static cn_status member(const char *s, size_t n, char *out, size_t cap, cn_err *err)
{
    char name[CN_MAX_NAME + 1];
    uint8_t ignored[CN_DIGEST_LEN];
    if (cn_unhex(s, n, ignored, sizeof ignored))
        return digest_name("urn:carnet:member:", s, n, out, cap, err);
    bool ok = n > 0 && n <= CN_MAX_NAME && s[0] != '-' && s[n - 1] != '-';
    for (size_t i = 0; i < n && ok; i++)
        ok = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-';
    if (!ok)
        return cn_fail(err, CN_INVALID, "subject", "urn:carnet:member: is followed by a member's name (a-z, 0-9, -)");
    memcpy(name, s, n);
    name[n] = 0;
    cn_digest id = cn_member_id(name);
    cn_hex32 hex = cn_digest_hex(&id);
    return join("urn:carnet:member:", hex.s, 64, out, cap, err);
}

/* RFC 4648 base64url without padding: 43 characters are 32 bytes. */
static bool base64url_digest(const char *s, size_t n, uint8_t out[CN_DIGEST_LEN])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned have = 0, used = 0;
    if (n != 43)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *p = s[i] ? strchr(alphabet, s[i]) : NULL;
        if (!p)
            return false;
        bits = (bits << 6 | (uint32_t)(p - alphabet)) & 0xffffu;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[used++] = (uint8_t)(bits >> have);
        }
    }
    return used == CN_DIGEST_LEN && (bits & ((1u << have) - 1)) == 0;
}

/* ni://[authority]/sha-256;<digest>, as hexadecimal (CBV) or base64url (RFC 6920); the authority is only a hint where
 * to look. With a query it is something else: CBV's event hash ids carry ?ver=CBV2.0. False when it is none of these.
 */
static bool named_information(const char *s, size_t n, char *out, size_t cap, cn_status *ret, cn_err *err)
{
    uint8_t bytes[CN_DIGEST_LEN];
    char hex[2 * CN_DIGEST_LEN + 1];
    size_t at = 5;
    while (at < n && s[at] != '/')
        at++;
    if (!begins(s + at, n - at, "/sha-256;"))
        return false;
    const char *value = s + at + 9;
    size_t len = n - at - 9;
    if (len == 64) {
        for (size_t i = 0; i < len; i++)
            if (!((value[i] >= '0' && value[i] <= '9') || (value[i] >= 'a' && value[i] <= 'f') ||
                  (value[i] >= 'A' && value[i] <= 'F')))
                return false;
        *ret = digest_name("urn:carnet:document:", value, len, out, cap, err);
        return true;
    }
    if (!base64url_digest(value, len, bytes))
        return false;
    cn_hex(bytes, sizeof bytes, hex);
    *ret = digest_name("urn:carnet:document:", hex, 64, out, cap, err);
    return true;
}

/* EPC schemes that carry no GS1 key: vessels, the US DoD, aviation, the general identifier. */
static bool other_epc(const char *uri, size_t n)
{
    return begins(uri, n, "urn:epc:id:imovn:") || begins(uri, n, "urn:epc:id:usdod:") ||
           begins(uri, n, "urn:epc:id:adi:") || begins(uri, n, "urn:epc:id:gid:");
}

cn_status cn_subject_canonical_n(const char *uri, size_t n, char *out, size_t cap, unsigned *ret_flags, cn_err *err)
{
    static const char governance[] = "urn:carnet:governance", erasures[] = "urn:carnet:erasures";
    char gs1[CN_GS1_URI_MAX], result[CN_SUBJECT_MAX];
    unsigned flags = 0;
    bool check = true;
    cn_status st = CN_OK;
    size_t max = cap < sizeof result ? cap : sizeof result;
    if (!cn_uri_valid(uri, n))
        return cn_fail(err, CN_INVALID, "subject", "\"%.*s\" is not an absolute URI", (int)(n < 80 ? n : 80), uri);
    if (begins(uri, n, "urn:epc:id:bic:")) {
        st = container(uri + 15, n - 15, result, max, &flags, err);
    } else if (begins(uri, n, "urn:carnet:ucr:")) {
        st = ucr(uri + 15, n - 15, result, max, &flags, err);
    } else if (begins(uri, n, "urn:carnet:key:")) {
        st = digest_name("urn:carnet:key:", uri + 15, n - 15, result, max, err);
    } else if (begins(uri, n, "urn:carnet:member:")) {
        st = member(uri + 18, n - 18, result, max, err);
    } else if (n == strlen(governance) && strncasecmp(uri, governance, n) == 0) {
        st = join(governance, "", 0, result, max, err);
    } else if (n == strlen(erasures) && strncasecmp(uri, erasures, n) == 0) {
        st = join(erasures, "", 0, result, max, err);
    } else if (begins(uri, n, "urn:carnet:document:")) {
        st = digest_name("urn:carnet:document:", uri + 20, n - 20, result, max, err);
    } else if (cn_gs1_canonical(uri, n, gs1, &check) != CN_GS1_NONE) {
        st = join("", gs1, strlen(gs1), result, max, err);
        flags |= check ? 0u : CN_SUBJECT_CHECK_DIGIT;
    } else if (!(begins(uri, n, "ni://") && named_information(uri, n, result, max, &st, err))) {
        st = join("", uri, n, result, max, err);
        flags |= begins(uri, n, "urn:epc:") && !other_epc(uri, n) ? CN_SUBJECT_FORM : 0u;
    }
    if (st != CN_OK)
        return st;
    memcpy(out, result, strlen(result) + 1);
    if (ret_flags)
        *ret_flags = flags;
    return CN_OK;
}

cn_status cn_subject_canonical(const char *uri, char *out, size_t cap, unsigned *ret_flags, cn_err *err)
{
    return cn_subject_canonical_n(uri, strlen(uri), out, cap, ret_flags, err);
}

cn_subject_kind cn_subject_kind_of(const char *canonical)
{
    static const struct {
        const char *prefix;
        cn_subject_kind kind;
    } kinds[] = {
        {"urn:epc:id:bic:", CN_SUBJECT_CONTAINER},
        {"urn:carnet:ucr:", CN_SUBJECT_CONSIGNMENT},
        {"https://id.gs1.org/401/", CN_SUBJECT_CONSIGNMENT},
        {"https://id.gs1.org/402/", CN_SUBJECT_CONSIGNMENT},
        {"https://id.gs1.org/00/", CN_SUBJECT_CONSIGNMENT},
        {"https://id.gs1.org/", CN_SUBJECT_GS1},
        {"urn:carnet:key:", CN_SUBJECT_KEY},
        {"urn:carnet:member:", CN_SUBJECT_MEMBER},
        {"urn:carnet:document:", CN_SUBJECT_DOCUMENT},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(canonical, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return kinds[i].kind;
    return CN_SUBJECT_OTHER;
}

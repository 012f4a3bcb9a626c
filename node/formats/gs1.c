#include "node/formats/gs1.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* ---- building a canonical URI ---- */

typedef struct out {
    char s[CN_GS1_URI_MAX];
    size_t n;
    bool fault; /* sticky */
} out;

static void put(out *o, const char *s, size_t n)
{
    if (o->n + n >= sizeof o->s) {
        o->fault = true;
        return;
    }
    memcpy(o->s + o->n, s, n);
    o->n += n;
}

static void put_str(out *o, const char *s)
{
    put(o, s, strlen(s));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool all_digits(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_digit(s[i]))
            return false;
    return true;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

typedef enum charset { DIGITS, AI82, AI39 } charset;

static bool in_charset(char c, charset set)
{
    if (is_digit(c))
        return true;
    if (set == DIGITS || c == 0)
        return false;
    if (c >= 'A' && c <= 'Z')
        return true;
    if (set == AI39) /* component part identifiers */
        return strchr("#-/", c) != NULL;
    return (c >= 'a' && c <= 'z') || strchr("!\"%&'()*+,-./:;<=>?_", c) != NULL;
}

/* A variable part of 1..max characters, percent-decoded and encoded again in the one way of Digital Link: letters,
 * digits and ' - . ; = _ stand for themselves, all else as %XX in capitals. */
static void put_chars(out *o, const char *s, size_t n, charset set, size_t max)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t count = 0;
    for (size_t i = 0; i < n; i++, count++) {
        char c = s[i];
        if (c == '%') {
            int high = i + 2 < n ? hex_value(s[i + 1]) : -1, low = i + 2 < n ? hex_value(s[i + 2]) : -1;
            if (high < 0 || low < 0) {
                o->fault = true;
                return;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (!in_charset(c, set)) {
            o->fault = true;
            return;
        }
        bool plain = is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("'-.;=_", c);
        char escaped[3] = {'%', hex[(unsigned char)c >> 4], hex[c & 15]};
        if (plain)
            put(o, &c, 1);
        else
            put(o, escaped, 3);
    }
    if (count == 0 || count > max)
        o->fault = true;
}

char cn_gs1_check_digit(const char *digits, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (unsigned)(digits[n - 1 - i] - '0') * (i % 2 ? 1 : 3);
    return (char)('0' + (10 - sum % 10) % 10);
}

static void put_with_check(out *o, const char *digits, size_t n)
{
    char check = cn_gs1_check_digit(digits, n);
    put(o, digits, n);
    put(o, &check, 1);
}

/* ---- EPC URNs (EPC Tag Data Standard, section 6) ---- */

typedef struct parts {
    const char *s;
    size_t n, at;
    bool fault; /* sticky */
} parts;

/* Exactly n digits, or (n == 0) nothing. */
static const char *take_digits(parts *p, size_t n)
{
    const char *s = p->s + p->at;
    if (p->n - p->at < n || !all_digits(s, n)) {
        p->fault = true;
        return s;
    }
    p->at += n;
    return s;
}

static void take_dot(parts *p)
{
    if (p->at < p->n && p->s[p->at] == '.')
        p->at++;
    else
        p->fault = true;
}

/* The GS1 company prefix: 6 to 12 digits before the first dot. */
static size_t take_prefix(parts *p)
{
    size_t n = 0;
    while (n < p->n && is_digit(p->s[n]))
        n++;
    if (n < 6 || n > 12)
        p->fault = true;
    p->at = n;
    take_dot(p);
    return n;
}

typedef enum shape {
    INDICATOR, /* GTIN-14: first digit of the reference, prefix, rest, check digit */
    PLAIN,     /* prefix, reference, check digit */
    ZERO,      /* "0" before it: GRAI */
    OPEN,      /* prefix and a reference of characters, no check digit */
} shape;

typedef struct scheme {
    const char *name; /* behind "urn:epc:" */
    cn_gs1_key key;
    const char *ai;
    shape shape;
    uint8_t digits;        /* prefix and reference together; OPEN: the longest */
    uint8_t middle;        /* two-digit groups behind it: ITIP's piece and total */
    const char *qualifier; /* path before the serial; "" when it follows at once, NULL when there is none */
    charset serial_set;
    uint8_t serial_max;
} scheme;

static const scheme schemes[] = {
    {"id:sgtin:", CN_GS1_GTIN, "01", INDICATOR, 13, 0, "/21/", AI82, 20},
    {"id:sscc:", CN_GS1_SSCC, "00", INDICATOR, 17, 0, NULL, AI82, 0},
    {"id:sgln:", CN_GS1_GLN, "414", PLAIN, 12, 0, "/254/", AI82, 20},
    {"id:grai:", CN_GS1_GRAI, "8003", ZERO, 12, 0, "", AI82, 16},
    {"id:giai:", CN_GS1_GIAI, "8004", OPEN, 30, 0, NULL, AI82, 0},
    {"id:gsrn:", CN_GS1_GSRN, "8018", PLAIN, 17, 0, NULL, AI82, 0},
    {"id:gsrnp:", CN_GS1_GSRNP, "8017", PLAIN, 17, 0, NULL, AI82, 0},
    {"id:gdti:", CN_GS1_GDTI, "253", PLAIN, 12, 0, "", AI82, 17},
    {"id:cpi:", CN_GS1_CPID, "8010", OPEN, 30, 0, "/8011/", DIGITS, 12},
    {"id:sgcn:", CN_GS1_GCN, "255", PLAIN, 12, 0, "", DIGITS, 12},
    {"id:ginc:", CN_GS1_GINC, "401", OPEN, 30, 0, NULL, AI82, 0},
    {"id:gsin:", CN_GS1_GSIN, "402", PLAIN, 16, 0, NULL, AI82, 0},
    {"id:itip:", CN_GS1_ITIP, "8006", INDICATOR, 13, 2, "/21/", AI82, 20},
    {"id:upui:", CN_GS1_GTIN, "01", INDICATOR, 13, 0, "/235/", AI82, 28},
    {"id:pgln:", CN_GS1_PARTY, "417", PLAIN, 12, 0, NULL, AI82, 0},
    {"class:lgtin:", CN_GS1_GTIN, "01", INDICATOR, 13, 0, "/10/", AI82, 20},
    /* patterns: the class of all serials; the serial is "*" */
    {"idpat:sgtin:", CN_GS1_GTIN, "01", INDICATOR, 13, 0, "*", AI82, 0},
    {"idpat:grai:", CN_GS1_GRAI, "8003", ZERO, 12, 0, "*", AI82, 0},
    {"idpat:gdti:", CN_GS1_GDTI, "253", PLAIN, 12, 0, "*", AI82, 0},
    {"idpat:sgcn:", CN_GS1_GCN, "255", PLAIN, 12, 0, "*", AI82, 0},
    {"idpat:cpi:", CN_GS1_CPID, "8010", OPEN, 30, 0, "*", AI82, 0},
    {"idpat:itip:", CN_GS1_ITIP, "8006", INDICATOR, 13, 2, "*", AI82, 0},
    {"idpat:upui:", CN_GS1_GTIN, "01", INDICATOR, 13, 0, "*", AI82, 0},
};

static void put_digit_key(out *o, const scheme *sc, parts *p)
{
    char digits[20];
    size_t prefix = take_prefix(p);
    if (p->fault)
        return;
    size_t reference = sc->digits - prefix;
    const char *ref = take_digits(p, reference);
    if (p->fault)
        return;
    size_t n = 0, first = sc->shape == INDICATOR ? 1 : 0;
    if (sc->shape == ZERO)
        digits[n++] = '0';
    memcpy(digits + n, ref, first);
    memcpy(digits + n + first, p->s, prefix);
    memcpy(digits + n + first + prefix, ref + first, reference - first);
    put_with_check(o, digits, n + sc->digits);
    for (unsigned i = 0; i < sc->middle; i++) {
        take_dot(p);
        const char *group = take_digits(p, 2);
        if (!p->fault)
            put(o, group, 2);
    }
}

static void put_open_key(out *o, const scheme *sc, parts *p)
{
    charset set = sc->key == CN_GS1_CPID ? AI39 : AI82;
    size_t prefix = take_prefix(p), end = p->n;
    if (p->fault)
        return;
    if (sc->qualifier) { /* the serial stands behind the last dot, which this reference cannot contain */
        while (end > p->at && p->s[end - 1] != '.')
            end--;
        if (end == p->at) {
            p->fault = true;
            return;
        }
        end--;
    }
    put(o, p->s, prefix);
    put_chars(o, p->s + p->at, end - p->at, set, sc->digits - prefix);
    p->at = end;
}

static cn_gs1_key from_urn(const char *s, size_t n, out *o)
{
    const scheme *sc = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && !sc; i++)
        if (n > strlen(schemes[i].name) && memcmp(s, schemes[i].name, strlen(schemes[i].name)) == 0)
            sc = &schemes[i];
    if (!sc)
        return CN_GS1_NONE;
    parts p = {.s = s + strlen(sc->name), .n = n - strlen(sc->name)};
    put_str(o, "https://id.gs1.org/");
    put_str(o, sc->ai);
    put_str(o, "/");
    if (sc->shape == OPEN)
        put_open_key(o, sc, &p);
    else
        put_digit_key(o, sc, &p);
    if (sc->qualifier && !p.fault) {
        take_dot(&p);
        const char *serial = p.s + p.at;
        size_t len = p.n - p.at;
        if (sc->qualifier[0] == '*') {
            p.fault = p.fault || len != 1 || serial[0] != '*';
        } else if (!(sc->key == CN_GS1_GLN && len == 1 && serial[0] == '0')) { /* extension 0: the GLN itself */
            put_str(o, sc->qualifier);
            put_chars(o, serial, len, sc->serial_set, sc->serial_max);
        }
        p.at = p.n;
    }
    return p.fault || p.at != p.n || o->fault ? CN_GS1_NONE : sc->key;
}

/* ---- Digital Link URIs ---- */

typedef struct link_key {
    cn_gs1_key key;
    const char *ai, *name;  /* "01", "gtin" */
    uint8_t digits;         /* leading digits of the value */
    uint8_t check_at;       /* digits up to and with the check digit; 0: none */
    charset rest;           /* of what follows the digits */
    uint8_t rest_max;       /* 0: nothing follows */
    const char *qualifiers; /* "AI name AI name ...", in order; those in capitals of `keep` survive */
    const char *keep;       /* AIs in order of fineness, finest first */
} link_key;

static const link_key link_keys[] = {
    {CN_GS1_GTIN, "01", "gtin", 14, 14, AI82, 0, " 22 cpv 10 lot 21 ser 235 tpx ", "21 235 10 "},
    {CN_GS1_ITIP, "8006", "itip", 18, 14, AI82, 0, " 22 cpv 10 lot 21 ser ", "21 10 "},
    {CN_GS1_CPID, "8010", "cpid", 4, 0, AI39, 26, " 8011 cpsn ", "8011 "},
    {CN_GS1_GLN, "414", "gln", 13, 13, AI82, 0, " 254 glnx ", "254 "},
    {CN_GS1_PARTY, "417", "party", 13, 13, AI82, 0, "", ""},
    {CN_GS1_GSRNP, "8017", "gsrnp", 18, 18, AI82, 0, " 8019 srin ", ""},
    {CN_GS1_GSRN, "8018", "gsrn", 18, 18, AI82, 0, " 8019 srin ", ""},
    {CN_GS1_GCN, "255", "gcn", 13, 13, DIGITS, 12, "", ""},
    {CN_GS1_SSCC, "00", "sscc", 18, 18, AI82, 0, "", ""},
    {CN_GS1_GDTI, "253", "gdti", 13, 13, AI82, 17, "", ""},
    {CN_GS1_GINC, "401", "ginc", 4, 0, AI82, 26, "", ""},
    {CN_GS1_GSIN, "402", "gsin", 17, 17, AI82, 0, "", ""},
    {CN_GS1_GRAI, "8003", "grai", 14, 14, AI82, 16, "", ""},
    {CN_GS1_GIAI, "8004", "giai", 4, 0, AI82, 26, "", ""},
};

typedef struct segment {
    const char *s;
    size_t n;
} segment;

#define MAX_SEGMENTS 32u
#define MAX_QUALIFIERS 4u

static bool segment_is(segment g, const char *word)
{
    return g.n == strlen(word) && memcmp(g.s, word, g.n) == 0;
}

/* The numeric AI of a qualifier of this key, or NULL. */
static const char *qualifier_ai(const link_key *k, segment g, char ret_ai[8])
{
    const char *at = k->qualifiers;
    while (*at) {
        const char *ai = at + 1, *name = strchr(ai, ' ') + 1, *end = strchr(name, ' ');
        size_t ai_len = (size_t)(name - 1 - ai), name_len = (size_t)(end - name);
        if ((g.n == ai_len && memcmp(g.s, ai, ai_len) == 0) || (g.n == name_len && memcmp(g.s, name, name_len) == 0)) {
            memcpy(ret_ai, ai, ai_len);
            ret_ai[ai_len] = 0;
            return ret_ai;
        }
        at = end[1] ? end : "";
    }
    return NULL;
}

static void put_key_value(out *o, const link_key *k, segment v, bool *ret_check)
{
    char padded[20] = "00000000000000";
    size_t n = 0;
    while (n < v.n && is_digit(v.s[n]) && n < k->digits)
        n++;
    const char *digits = v.s;
    if (k->key == CN_GS1_GTIN && (n == 8 || n == 12 || n == 13) && n == v.n) {
        memcpy(padded + 14 - n, v.s, n); /* GTIN-8, -12 and -13 are GTIN-14 with zeros before */
        digits = padded;
    } else if (n != k->digits) {
        o->fault = true;
        return;
    }
    put(o, digits, k->digits);
    if (v.n > n) {
        if (k->rest_max)
            put_chars(o, v.s + n, v.n - n, k->rest, k->rest_max);
        else
            o->fault = true;
    }
    *ret_check = !k->check_at || cn_gs1_check_digit(digits, k->check_at - 1u) == digits[k->check_at - 1];
}

static void put_qualifier(out *o, const char *ai, segment v)
{
    put_str(o, "/");
    put_str(o, ai);
    put_str(o, "/");
    bool digits = strcmp(ai, "8011") == 0;
    put_chars(o, v.s, v.n, digits ? DIGITS : AI82, digits ? 12 : strcmp(ai, "235") == 0 ? 28 : 20);
}

/* Key, value, then qualifier pairs up to the end of the path. */
static bool from_segments(const link_key *k, const segment *g, size_t n, out *o, bool *ret_check)
{
    char ai[MAX_QUALIFIERS][8];
    segment value[MAX_QUALIFIERS];
    size_t pairs = (n - 2) / 2;
    if (n % 2 || pairs > MAX_QUALIFIERS)
        return false;
    for (size_t i = 0; i < pairs; i++) {
        if (!qualifier_ai(k, g[2 + 2 * i], ai[i]))
            return false;
        value[i] = g[3 + 2 * i];
    }
    put_str(o, "https://id.gs1.org/");
    put_str(o, k->ai);
    put_str(o, "/");
    put_key_value(o, k, g[1], ret_check);
    for (const char *keep = k->keep; *keep; keep = strchr(keep, ' ') + 1) {
        size_t len = (size_t)(strchr(keep, ' ') - keep);
        for (size_t i = 0; i < pairs; i++)
            if (strlen(ai[i]) == len && memcmp(ai[i], keep, len) == 0) {
                put_qualifier(o, ai[i], value[i]);
                return !o->fault;
            }
    }
    return !o->fault;
}

static cn_gs1_key from_link(const char *s, size_t n, out *o, bool *ret_check)
{
    segment g[MAX_SEGMENTS];
    size_t count = 0, at = 0, end = 0;
    while (end < n && s[end] != '?' && s[end] != '#')
        end++;
    while (at < end && s[at] != '/')
        at++; /* the authority */
    if (at == 0)
        return CN_GS1_NONE;
    while (at < end) {
        size_t start = ++at;
        while (at < end && s[at] != '/')
            at++;
        if (at == start && at == end)
            break; /* one slash at the end is allowed */
        if (count == MAX_SEGMENTS)
            return CN_GS1_NONE;
        g[count++] = (segment){s + start, at - start};
    }
    for (size_t i = 0; i + 2 <= count; i++)
        for (size_t k = 0; k < sizeof link_keys / sizeof link_keys[0]; k++) {
            if (!segment_is(g[i], link_keys[k].ai) && !segment_is(g[i], link_keys[k].name))
                continue;
            *o = (out){.n = 0};
            if (from_segments(&link_keys[k], g + i, count - i, o, ret_check))
                return link_keys[k].key;
        }
    return CN_GS1_NONE;
}

cn_gs1_key cn_gs1_canonical(const char *uri, size_t n, char ret_uri[CN_GS1_URI_MAX], bool *ret_check)
{
    out o = {.n = 0};
    bool check = true;
    cn_gs1_key key = CN_GS1_NONE;
    if (n > 8 && strncasecmp(uri, "urn:epc:", 8) == 0)
        key = from_urn(uri + 8, n - 8, &o);
    else if (n > 8 && strncasecmp(uri, "https://", 8) == 0)
        key = from_link(uri + 8, n - 8, &o, &check);
    else if (n > 7 && strncasecmp(uri, "http://", 7) == 0)
        key = from_link(uri + 7, n - 7, &o, &check);
    if (key == CN_GS1_NONE)
        return key;
    memcpy(ret_uri, o.s, o.n);
    ret_uri[o.n] = 0;
    if (ret_check)
        *ret_check = check;
    return key;
}

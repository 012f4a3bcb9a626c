#include "proto/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX (CN_POLICY_MAX_NAMES + 3)
#define NONE UINT32_MAX

typedef struct key {
    char name[CN_SIGNER_NAME_MAX + 1];
    uint8_t public_key[32];
} key;

/* A witness, or a group of those before it. */
typedef struct party {
    char name[CN_POLICY_NAME_MAX + 1];
    bool is_group;
    key key;               /* witness */
    uint32_t wanted;       /* group */
    uint32_t first, count; /* group: its members, in cn_policy.member */
} party;

struct cn_policy {
    size_t log_count, party_count, member_count;
    key log[CN_POLICY_MAX_LOGS];
    party party[CN_POLICY_MAX_NAMES];
    uint32_t *member; /* places in party */
    bool has_quorum;
    uint32_t quorum; /* place in party, or NONE */
};

typedef struct line {
    unsigned number;
    cn_span word[WORDS_MAX];
    size_t count;
    bool too_many;
} line;

static cn_status fail(cn_err *err, const line *l, const char *what)
{
    char field[32];
    snprintf(field, sizeof field, "policy, line %u", l->number);
    return cn_fail(err, CN_INVALID, field, "%s", what);
}

static bool is_word(cn_span w, const char *text)
{
    return w.n == strlen(text) && memcmp(w.p, text, w.n) == 0;
}

/* ---- reading ---- */

static uint32_t find(const cn_policy *p, cn_span name)
{
    for (uint32_t i = 0; i < p->party_count; i++)
        if (is_word(name, p->party[i].name))
            return i;
    return NONE;
}

static bool read_key(cn_span word, cn_note_type wanted, key *ret)
{
    char text[CN_NOTE_VKEY_MAX + 1];
    cn_note_type type;
    if (word.n >= sizeof text)
        return false;
    memcpy(text, word.p, word.n);
    text[word.n] = 0;
    return cn_note_vkey_parse(text, ret->name, &type, ret->public_key, NULL) == CN_OK && type == wanted;
}

static cn_status take_log(cn_policy *p, const line *l, cn_err *err)
{
    if (l->count < 2 || l->count > 3)
        return fail(err, l, "a log is \"log <vkey> [<url>]\"");
    if (p->log_count == CN_POLICY_MAX_LOGS)
        return fail(err, l, "more logs than this verifier takes");
    key *k = &p->log[p->log_count];
    if (!read_key(l->word[1], CN_NOTE_ED25519, k))
        return fail(err, l, "is not the verifier key of a log (type 0x01, Ed25519)");
    for (size_t i = 0; i < p->log_count; i++)
        if (memcmp(p->log[i].public_key, k->public_key, 32) == 0)
            return fail(err, l, "the same key stands on a line before");
    p->log_count++;
    return CN_OK;
}

/* A new name for a witness or a group. */
static cn_status name_party(cn_policy *p, const line *l, party **ret, cn_err *err)
{
    cn_span name = l->word[1];
    if (name.n > CN_POLICY_NAME_MAX || is_word(name, "none") || find(p, name) != NONE)
        return fail(err, l, "the name is too long, none, or taken");
    if (p->party_count == CN_POLICY_MAX_NAMES)
        return fail(err, l, "more witnesses and groups than this verifier takes");
    *ret = &p->party[p->party_count];
    memset(*ret, 0, sizeof **ret);
    memcpy((*ret)->name, name.p, name.n);
    return CN_OK;
}

static cn_status take_witness(cn_policy *p, const line *l, cn_err *err)
{
    party *w = NULL;
    if (l->count < 3 || l->count > 4)
        return fail(err, l, "a witness is \"witness <name> <vkey> [<url>]\"");
    cn_status st = name_party(p, l, &w, err);
    if (st == CN_OK && !read_key(l->word[2], CN_NOTE_COSIGNATURE_V1, &w->key))
        st = fail(err, l, "is not the verifier key of a witness (type 0x04, cosignature/v1)");
    for (size_t i = 0; st == CN_OK && i < p->party_count; i++)
        if (!p->party[i].is_group && memcmp(p->party[i].key.public_key, w->key.public_key, 32) == 0)
            st = fail(err, l, "the same key stands on a line before");
    p->party_count += st == CN_OK;
    return st;
}

static uint32_t threshold(cn_span word, uint32_t members)
{
    uint32_t k = 0;
    if (is_word(word, "all"))
        return members;
    if (is_word(word, "any"))
        return 1;
    const char *digit = word.p;
    for (size_t i = 0; i < word.n; i++) {
        if (digit[i] < '0' || digit[i] > '9' || (i == 0 && digit[i] == '0') || k > members)
            return 0;
        k = 10 * k + (uint32_t)(digit[i] - '0');
    }
    return k <= members ? k : 0;
}

static cn_status take_group(cn_policy *p, const line *l, cn_err *err)
{
    party *g = NULL;
    if (l->count < 4)
        return fail(err, l, "a group is \"group <name> all|any|<k> <name>...\"");
    uint32_t members = (uint32_t)(l->count - 3);
    cn_status st = name_party(p, l, &g, err);
    if (st != CN_OK)
        return st;
    g->is_group = true;
    g->wanted = threshold(l->word[2], members);
    g->first = (uint32_t)p->member_count;
    g->count = members;
    if (g->wanted == 0)
        return fail(err, l, "the threshold is all, any, or 1 to the number of members");
    uint32_t *grown = realloc(p->member, (p->member_count + members) * sizeof *grown);
    if (!grown)
        return cn_fail(err, CN_NO_MEMORY, "policy", "out of memory");
    p->member = grown;
    for (uint32_t i = 0; i < members; i++) {
        uint32_t place = find(p, l->word[3 + i]);
        if (place == NONE)
            return fail(err, l, "a member is not defined on a line before");
        for (uint32_t k = 0; k < i; k++)
            if (p->member[g->first + k] == place)
                return fail(err, l, "a member stands there twice");
        p->member[p->member_count++] = place;
    }
    p->party_count++;
    return CN_OK;
}

static cn_status take_quorum(cn_policy *p, const line *l, cn_err *err)
{
    if (l->count != 2 || p->has_quorum)
        return fail(err, l, "there is exactly one quorum, \"quorum <name>\" or \"quorum none\"");
    p->has_quorum = true;
    p->quorum = find(p, l->word[1]);
    if (p->quorum == NONE && !is_word(l->word[1], "none"))
        return fail(err, l, "the quorum is not defined on a line before");
    return CN_OK;
}

static cn_status take_line(cn_policy *p, const line *l, cn_err *err)
{
    if (l->count == 0 || *(const char *)l->word[0].p == '#')
        return CN_OK;
    if (l->too_many)
        return fail(err, l, "has too many words");
    if (is_word(l->word[0], "log"))
        return take_log(p, l, err);
    if (l->count > 1 && is_word(l->word[0], "witness"))
        return take_witness(p, l, err);
    if (l->count > 1 && is_word(l->word[0], "group"))
        return take_group(p, l, err);
    if (is_word(l->word[0], "quorum"))
        return take_quorum(p, l, err);
    return fail(err, l, "begins with none of log, witness, group and quorum");
}

static void split(const char *text, size_t n, line *l)
{
    l->count = 0;
    l->too_many = false;
    for (size_t i = 0; i < n;) {
        size_t from = i;
        while (i < n && text[i] != ' ' && text[i] != '\t')
            i++;
        if (i > from && l->count < WORDS_MAX)
            l->word[l->count++] = CN_SPAN(text + from, i - from);
        else
            l->too_many = l->too_many || i > from;
        while (i < n && (text[i] == ' ' || text[i] == '\t'))
            i++;
    }
}

cn_status cn_policy_parse(const void *text, size_t n, cn_policy **ret, cn_err *err)
{
    const char *at = text, *end = at + n;
    line *l = calloc(1, sizeof *l);
    cn_policy *p = calloc(1, sizeof *p);
    cn_status st = l && p ? CN_OK : cn_fail(err, CN_NO_MEMORY, "policy", "out of memory");
    if (st == CN_OK && (n > CN_POLICY_MAX_BYTES || (n && end[-1] != '\n') || (n && memchr(text, 0, n))))
        st = cn_fail(err, CN_INVALID, "policy", "is longer than %u bytes, or not lines of text", CN_POLICY_MAX_BYTES);
    while (st == CN_OK && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        l->number++;
        split(at, (size_t)(stop - at), l);
        st = take_line(p, l, err);
        at = stop + 1;
    }
    if (st == CN_OK && !p->has_quorum)
        st = cn_fail(err, CN_INVALID, "policy", "has no quorum line");
    free(l);
    if (st == CN_OK)
        *ret = p;
    else
        cn_policy_free(p);
    return st;
}

void cn_policy_free(cn_policy *p)
{
    if (p)
        free(p->member);
    free(p);
}

/* ---- checking ---- */

static bool log_signed(const cn_policy *p, const cn_note *note)
{
    for (size_t i = 0; i < p->log_count; i++) {
        const key *k = &p->log[i]; /* the key's name is the log's origin */
        if (is_word(note->origin, k->name) && cn_note_signed_by(note, k->name, CN_NOTE_ED25519, k->public_key, NULL))
            return true;
    }
    return p->log_count == 0;
}

/* Members stand before their group, so that one pass decides all. */
static uint32_t satisfied_members(const cn_policy *p, const party *g, const bool *good)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->count; i++)
        n += good[p->member[g->first + i]];
    return n;
}

static cn_status check_quorum(const cn_policy *p, const cn_note *note, cn_err *err)
{
    bool good[CN_POLICY_MAX_NAMES] = {false};
    if (p->quorum == NONE)
        return CN_OK;
    for (uint32_t i = 0; i <= p->quorum; i++) {
        const party *q = &p->party[i];
        good[i] = q->is_group ? satisfied_members(p, q, good) >= q->wanted
                              : cn_note_signed_by(note, q->key.name, CN_NOTE_COSIGNATURE_V1, q->key.public_key, NULL);
    }
    const party *q = &p->party[p->quorum];
    if (good[p->quorum])
        return CN_OK;
    if (!q->is_group)
        return cn_fail(err, CN_BAD_SIGNATURE, "policy", "the witness %s has not cosigned it", q->name);
    return cn_fail(err, CN_BAD_SIGNATURE, "policy", "of the group %s %u of %u members witness it, %u are wanted",
                   q->name, satisfied_members(p, q, good), q->count, q->wanted);
}

cn_status cn_policy_check(const cn_policy *p, cn_span note, cn_err *err)
{
    cn_note *parsed = calloc(1, sizeof *parsed);
    if (!parsed)
        return cn_fail(err, CN_NO_MEMORY, "policy", "out of memory");
    cn_status st = cn_note_parse(note.p, note.n, parsed, err);
    if (st == CN_OK && !log_signed(p, parsed))
        st = cn_fail(err, CN_BAD_SIGNATURE, "policy", "no log that the policy lists has signed it");
    if (st == CN_OK)
        st = check_quorum(p, parsed, err);
    free(parsed);
    return st;
}

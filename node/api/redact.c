#include "node/api/redact.h"

#include <stdlib.h>
#include <string.h>

typedef struct range {
    cn_digest statement;
    uint64_t log_index;
    uint32_t start, count;
    bool met;
} range;

struct cn_redact {
    range range[CN_REDACT_MAX];
    size_t count;
};

/* A number below CN_MAX_ITEMS, in digits alone; NULL: it is none. */
static const char *read_number(const char *p, uint32_t *ret)
{
    uint64_t n = 0;
    const char *end = p;
    for (; *end >= '0' && *end <= '9' && n < CN_MAX_ITEMS; end++)
        n = 10 * n + (uint64_t)(*end - '0');
    *ret = (uint32_t)n;
    return end > p && n < CN_MAX_ITEMS ? end : NULL;
}

/* What follows the range, its comma taken; NULL: it is none. */
static const char *read_range(const char *p, range *ret)
{
    const size_t digits = 2 * CN_DIGEST_LEN;
    uint32_t last = 0;
    if (strnlen(p, digits + 1) <= digits || p[digits] != ':' || !cn_unhex(p, digits, ret->statement.b, CN_DIGEST_LEN))
        return NULL;
    p = read_number(p + digits + 1, &ret->start);
    last = ret->start;
    if (p && *p == '-')
        p = read_number(p + 1, &last);
    if (!p || last < ret->start || (*p && *p != ',') || (*p == ',' && !p[1]))
        return NULL;
    ret->count = last - ret->start + 1;
    return *p ? p + 1 : p;
}

cn_status cn_redact_parse(const char *text, cn_redact **ret, cn_err *err)
{
    cn_redact *r = calloc(1, sizeof *r);
    cn_status st = r ? CN_OK : cn_fail(err, CN_NO_MEMORY, "redact", "out of memory");
    if (st == CN_OK && !*text)
        st = cn_fail(err, CN_INVALID, "redact", "names nothing; leave it out, or give STATEMENT:ITEMS");
    while (st == CN_OK && *text) {
        const char *rest = r->count < CN_REDACT_MAX ? read_range(text, &r->range[r->count]) : NULL;
        if (r->count == CN_REDACT_MAX)
            st = cn_fail(err, CN_TOO_LARGE, "redact", "more than %u ranges of items", CN_REDACT_MAX);
        else if (!rest)
            st =
                cn_fail(err, CN_INVALID, "redact",
                        "\"%.80s\" is not STATEMENT:ITEMS, an id of 64 hexadecimal digits and items as 3 or 3-5", text);
        r->count++;
        text = rest;
    }
    if (st == CN_OK)
        *ret = r;
    else
        free(r);
    return st;
}

void cn_redact_free(cn_redact *r)
{
    free(r);
}

cn_status cn_redact_locate(cn_redact *r, cn_snapshot *snap, uint64_t log_size, cn_err *err)
{
    for (size_t i = 0; i < r->count; i++) {
        range *one = &r->range[i];
        cn_status st = cn_snapshot_find_id(snap, &one->statement, &one->log_index, err);
        if (st == CN_NOT_FOUND || (st == CN_OK && one->log_index >= log_size))
            st = cn_fail(err, CN_NOT_FOUND, "redact", "statement %s is not final on this node",
                         cn_digest_hex(&one->statement).s);
        if (st != CN_OK)
            return st;
    }
    return CN_OK;
}

static bool wanted(cn_redact *r, uint64_t log_index, uint32_t item)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->range[i].log_index == log_index && item >= r->range[i].start &&
            item - r->range[i].start < r->range[i].count)
            return true;
    return false;
}

/* The ranges of this statement: met, and inside of it. */
static cn_status meet(cn_redact *r, uint64_t log_index, size_t item_count, bool *ret_any, cn_err *err)
{
    *ret_any = false;
    for (size_t i = 0; i < r->count; i++) {
        range *one = &r->range[i];
        if (one->log_index != log_index)
            continue;
        one->met = *ret_any = true;
        if ((uint64_t)one->start + one->count > item_count)
            return cn_fail(err, CN_NOT_FOUND, "redact", "statement %s has %zu items, counted from 0",
                           cn_digest_hex(&one->statement).s, item_count);
    }
    return CN_OK;
}

cn_status cn_redact_items(cn_redact *r, uint64_t log_index, const cn_statement *s, cn_span items, cn_buf *out,
                          cn_dossier_writer *w, cn_err *err)
{
    bool any = false, changed = false;
    cn_buf bytes[2];
    cn_span now = items;
    cn_status st = meet(r, log_index, s->item_count, &any, err);
    if (st != CN_OK || !any)
        return st;
    for (uint32_t k = 0; k < s->item_count; k++) /* one that was erased by order is not this caller's */
        if (wanted(r, log_index, k) && !cn_item_is_erased(s->item[k].p, s->item[k].n))
            cn_dossier_add_redaction(w, log_index, k);
    for (size_t i = 0; i < 2; i++)
        cn_buf_init(&bytes[i], CN_MAX_STATEMENT_BYTES);
    for (size_t i = 0, turn = 0; i < r->count && st == CN_OK; i++) {
        if (r->range[i].log_index != log_index)
            continue;
        cn_buf *next = &bytes[turn++ % 2];
        next->n = 0;
        st = cn_items_erase(now, r->range[i].start, r->range[i].count, next, &changed, err);
        now = CN_SPAN(next->p, next->n);
    }
    if (st == CN_OK)
        cn_put_bytes(out, now.p, now.n);
    if (st == CN_OK && out->fault) /* the whole items must not take its place */
        st = cn_fail(err, CN_NO_MEMORY, "redact", "out of memory");
    for (size_t i = 0; i < 2; i++)
        cn_buf_free(&bytes[i]);
    return st;
}

cn_status cn_redact_all_met(const cn_redact *r, cn_err *err)
{
    for (size_t i = 0; i < r->count; i++)
        if (!r->range[i].met)
            return cn_fail(err, CN_NOT_FOUND, "redact", "statement %s is no part of this dossier",
                           cn_digest_hex(&r->range[i].statement).s);
    return CN_OK;
}

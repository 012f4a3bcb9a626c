#include "tools/verify/json.h"

#include <string.h>

static const char *const verdicts[] = {"ok", "failed", "not-checked"};

void cn_verify_plain(char *text)
{
    json_t *utf8 = json_string(text);
    bool valid = utf8 != NULL;
    json_decref(utf8);
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7f || (!valid && *p >= 0x80))
            *p = '?';
        else if (valid && p[0] == 0xc2 && p[1] < 0xa0)
            p[0] = p[1] = '?';
    }
}

/* Names in a certificate or in a ZIP may be of any encoding, and texts are cut at the size of their buffers. */
static json_t *text_of(const char *text)
{
    json_t *whole = json_string(text);
    char ascii[sizeof((cn_verify_report *)0)->subject];
    size_t n = strlen(text);
    if (whole || n >= sizeof ascii)
        return whole;
    for (size_t i = 0; i <= n; i++)
        ascii[i] = (char)((unsigned char)text[i] >= 0x80 ? '?' : text[i]);
    return json_string(ascii);
}

static json_t *number_of(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static bool add_step(json_t *steps, cn_verify_step i, const cn_verify_result *s)
{
    json_t *step = json_object();
    bool ok = json_object_set_new(step, "step", json_string(cn_verify_step_name(i))) == 0 &&
              json_object_set_new(step, "verdict", json_string(verdicts[s->verdict])) == 0;
    if (s->verdict == CN_VERDICT_FAILED)
        ok = ok && json_object_set_new(step, "where", text_of(s->err.field)) == 0 &&
             json_object_set_new(step, "faults", number_of(s->faults)) == 0;
    if (s->verdict != CN_VERDICT_OK)
        ok = ok && json_object_set_new(step, "reason", text_of(s->err.text)) == 0;
    return json_array_append_new(steps, step) == 0 && ok;
}

static json_t *hex_of(const cn_digest *digest)
{
    return json_string(cn_digest_hex(digest).s);
}

static json_t *erasure_of(const cn_verify_erasure *e)
{
    json_t *one = json_object(), *members = json_array();
    bool ok = true;
    for (size_t i = 0; i < e->attested; i++)
        ok = ok && json_array_append_new(members, hex_of(&e->member[i])) == 0;
    ok = json_object_set_new(one, "attested_by", members) == 0 && ok;
    ok = ok && json_object_set_new(one, "ordered_by", hex_of(&e->order)) == 0 &&
         json_object_set_new(one, "log_index", number_of(e->log_index)) == 0 &&
         json_object_set_new(one, "statement", hex_of(&e->batch)) == 0 &&
         json_object_set_new(one, "first_item", number_of(e->first_item)) == 0 &&
         json_object_set_new(one, "item_count", number_of(e->item_count)) == 0 &&
         json_object_set_new(one, "reason", number_of(e->reason)) == 0;
    if (ok)
        return one;
    json_decref(one);
    return NULL;
}

/* NULL: out of memory; what it goes into is not set then. */
static json_t *erasures_of(const cn_verify_report *r)
{
    json_t *all = json_array();
    for (size_t i = 0; all && i < r->erasures; i++)
        if (json_array_append_new(all, erasure_of(&r->erasure[i])) != 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

json_t *cn_verify_report_json(const cn_verify_report *r)
{
    json_t *whole = json_object(), *steps = json_array();
    bool ok = true;
    for (int i = 0; i < CN_STEP_COUNT; i++)
        ok = add_step(steps, (cn_verify_step)i, &r->step[i]) && ok;
    ok = ok && json_object_set_new(whole, "accepted", json_boolean(r->accepted)) == 0 &&
         json_object_set_new(whole, "subject", text_of(r->subject)) == 0 &&
         json_object_set_new(whole, "absent", json_boolean(r->absent)) == 0 &&
         json_object_set_new(whole, "checkpoint", number_of(r->checkpoint_height)) == 0 &&
         json_object_set_new(whole, "statements", number_of(r->statements)) == 0 &&
         json_object_set_new(whole, "subject_statements", number_of(r->subject_statements)) == 0 &&
         json_object_set_new(whole, "items", number_of(r->items)) == 0 &&
         json_object_set_new(whole, "unreadable_items", number_of(r->unreadable_items)) == 0 &&
         json_object_set_new(whole, "erased_items", number_of(r->erased_items)) == 0 &&
         json_object_set_new(whole, "erasures", erasures_of(r)) == 0 &&
         json_object_set_new(whole, "redacted_items", number_of(r->redacted_items)) == 0 &&
         json_object_set_new(whole, "witnessed_ms", number_of(r->witnessed_ms)) == 0 &&
         json_object_set_new(whole, "time_authority", text_of(r->time_authority)) == 0 &&
         json_object_set_new(whole, "page_sha256", r->has_page ? text_of(cn_digest_hex(&r->page).s) : json_null()) == 0;
    if (json_object_set_new(whole, "steps", steps) != 0 || !ok) {
        json_decref(whole);
        return NULL;
    }
    return whole;
}

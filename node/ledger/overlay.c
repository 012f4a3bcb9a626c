#include "node/ledger/internal.h"

#include <stdlib.h>
#include <string.h>

static void *take(size_t n)
{
    void *p = calloc(1, n);
    CN_ASSERT(p); /* out of memory is a crash, and crashes are survived */
    return p;
}

void cn_overlay_put(cn_overlay *o, const cn_state_key *key, const void *p, size_t n)
{
    CN_ASSERT(n > 0 && n <= CN_STATE_VALUE_MAX);
    cn_value *v = NULL;
    HASH_FIND(hh, o->values, key->b, CN_STATE_KEY_LEN, v);
    if (!v) {
        v = take(sizeof *v);
        v->key = *key;
        HASH_ADD(hh, o->values, key.b, CN_STATE_KEY_LEN, v);
    }
    if (v->n != n) {
        free(v->bytes);
        v->bytes = take(n);
    }
    memcpy(v->bytes, p, n);
    v->n = n;
}

const cn_value *cn_overlay_get(const cn_overlay *o, const cn_state_key *key)
{
    cn_value *v = NULL;
    HASH_FIND(hh, o->values, key->b, CN_STATE_KEY_LEN, v);
    return v;
}

cn_subject_state *cn_overlay_subject(const cn_overlay *o, const cn_digest *tag)
{
    cn_subject_state *s = NULL;
    HASH_FIND(hh, o->subjects, tag->b, CN_DIGEST_LEN, s);
    return s;
}

void cn_overlay_put_subject(cn_overlay *o, const cn_subject_state *subject)
{
    cn_subject_state *s = cn_overlay_subject(o, &subject->tag);
    if (!s) {
        s = take(sizeof *s);
        s->tag = subject->tag;
        HASH_ADD(hh, o->subjects, tag.b, CN_DIGEST_LEN, s);
    }
    s->frontier = subject->frontier;
    s->first_height = subject->first_height;
    s->last_height = subject->last_height;
    s->last_id = subject->last_id;
}

void cn_overlay_merge(cn_overlay *into, const cn_overlay *from)
{
    for (const cn_value *v = from->values; v; v = v->hh.next)
        cn_overlay_put(into, &v->key, v->bytes, v->n);
    for (const cn_subject_state *s = from->subjects; s; s = s->hh.next)
        cn_overlay_put_subject(into, s);
}

void cn_overlay_clear(cn_overlay *o)
{
    cn_value *v, *next_value;
    HASH_ITER(hh, o->values, v, next_value)
    {
        HASH_DEL(o->values, v);
        free(v->bytes);
        free(v);
    }
    cn_subject_state *s, *next_subject;
    HASH_ITER(hh, o->subjects, s, next_subject)
    {
        HASH_DEL(o->subjects, s);
        free(s);
    }
}

/* What the items themselves name, held against what their signer declared for them: a subject in the content that no
 * entry covers would be missing from that subject's tree. */
#include "node/formats/plan.h"
#include "tools/verify/internal.h"

#include <stdio.h>

static bool covered(const cn_event_batch *batch, size_t item, const cn_digest *tag)
{
    size_t n;
    const cn_batch_entry *e = verify_entries_of(batch, tag, &n);
    for (size_t i = 0; i < n && e[i].start <= item; i++)
        if (item - e[i].start < e[i].count)
            return true;
    return false;
}

static void check_item(verifier *v, const cn_statement *s, size_t index, const char *where)
{
    cn_plan_item item;
    cn_item_info info;
    cn_err err = {0};
    if (cn_item_is_erased(s->item[index].p, s->item[index].n))
        return; /* its entries still say what it was about */
    if (cn_item_split(s->item[index].p, s->item[index].n, &item, &err) != CN_OK ||
        cn_item_subjects(item.format, item.content.p, item.content.n, &info, &err) != CN_OK) {
        verify_fault(v, CN_STEP_DECLARED_SUBJECTS, CN_INVALID, where, "item %zu: %s: %s", index, err.field, err.text);
        return;
    }
    if (!info.readable)
        v->report->unreadable_items++;
    for (size_t i = 0; info.readable && i < info.subject_count; i++) {
        cn_digest tag = cn_subject_tag(v->genesis.subject_salt, info.subject[i]);
        if (!covered(&s->body.batch, index, &tag))
            verify_fault(v, CN_STEP_DECLARED_SUBJECTS, CN_CONFLICT, where,
                         "item %zu names %.120s, which its signer did not declare", index, info.subject[i]);
    }
    cn_item_info_free(&info);
}

void verify_content(verifier *v)
{
    for (size_t i = 0; i < v->dossier.statement_count; i++) {
        const cn_statement *s = v->statement[i];
        char where[96];
        if (!s || s->body.kind != CN_PAYLOAD_EVENT_BATCH)
            continue;
        verify_where(v, i, where);
        for (size_t k = 0; k < s->item_count; k++)
            check_item(v, s, k, where);
    }
}

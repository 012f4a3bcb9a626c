/* Rules of whole nodes that can be broken on purpose, one at a time, to see that a run notices. The linker's --wrap
 * puts these in front of the production functions, which do their work as long as no mutation is active. */
#include "whole.h"

#include "node/ledger/apply.h"

#include <string.h>

cn_status __real_cn_safety_put_row(cn_safety *s, const cn_safety_row *row, cn_err *err);
cn_status __wrap_cn_safety_put_row(cn_safety *s, const cn_safety_row *row, cn_err *err);
cn_status __real_cn_safety_sync(cn_safety *s, cn_err *err);
cn_status __wrap_cn_safety_sync(cn_safety *s, cn_err *err);
cn_status __real_cn_statement_verify(const cn_statement *s, const cn_public_key *key, cn_err *err);
cn_status __wrap_cn_statement_verify(const cn_statement *s, const cn_public_key *key, cn_err *err);
cn_status __real_cn_statement_check_items(const cn_statement *s, cn_err *err);
cn_status __wrap_cn_statement_check_items(const cn_statement *s, cn_err *err);
cn_status __real_cn_statement_check_whole(const cn_statement *s, cn_err *err);
cn_status __wrap_cn_statement_check_whole(const cn_statement *s, cn_err *err);
cn_status __real_cn_rules_apply(cn_ledger_block *b, cn_stmt *stmt, cn_err *err);
cn_status __wrap_cn_rules_apply(cn_ledger_block *b, cn_stmt *stmt, cn_err *err);

const char *const whole_mutations[] = {"row-not-written", "journal-not-synced", "signature-unchecked",
                                       "items-unchecked", "rules-differ",       NULL};

/* In hosts only: what judges their disks at the end is whole. */
static bool active(const char *name)
{
    const whole *w = the_world();
    return w && w->running && w->mutation && strcmp(w->mutation, name) == 0;
}

cn_status __wrap_cn_safety_put_row(cn_safety *s, const cn_safety_row *row, cn_err *err)
{
    return active("row-not-written") ? CN_OK : __real_cn_safety_put_row(s, row, err);
}

cn_status __wrap_cn_safety_sync(cn_safety *s, cn_err *err)
{
    return active("journal-not-synced") ? CN_OK : __real_cn_safety_sync(s, err);
}

cn_status __wrap_cn_statement_verify(const cn_statement *s, const cn_public_key *key, cn_err *err)
{
    return active("signature-unchecked") ? CN_OK : __real_cn_statement_verify(s, key, err);
}

cn_status __wrap_cn_statement_check_items(const cn_statement *s, cn_err *err)
{
    return active("items-unchecked") ? CN_OK : __real_cn_statement_check_items(s, err);
}

cn_status __wrap_cn_statement_check_whole(const cn_statement *s, cn_err *err)
{
    return active("items-unchecked") ? CN_OK : __real_cn_statement_check_whole(s, err);
}

/* One host knows a rule that the others do not. */
cn_status __wrap_cn_rules_apply(cn_ledger_block *b, cn_stmt *stmt, cn_err *err)
{
    const host *h = the_world()->running;
    if (active("rules-differ") && h && h->index == 1 && stmt->s->body.kind == CN_PAYLOAD_DOCUMENT)
        return cn_fail(err, CN_DENIED, "body", "this host takes no documents");
    return __real_cn_rules_apply(b, stmt, err);
}

/* The tree of blocks that are not final, hanging from the newest final one (entry 0). */
#include "consensus/core.h"

#include <stdlib.h>
#include <string.h>

entry *cn_entry_find(const cn_consensus *c, const cn_digest *digest)
{
    for (size_t i = 0; i < c->entry_count; i++)
        if (cn_digest_eq(&c->entry[i]->block.digest, digest))
            return c->entry[i];
    return NULL;
}

static entry *parent_of(const cn_consensus *c, const entry *e)
{
    return cn_entry_find(c, &e->block.header.parent);
}

static entry *entry_new(const cn_block *block, uint64_t view)
{
    entry *e = cn_alloc(sizeof *e);
    cn_digest *record = cn_alloc((block->record_count + 1) * sizeof *record);
    if (block->record_count)
        memcpy(record, block->record, block->record_count * sizeof *record);
    e->block = *block;
    e->block.record = record;
    e->view = view;
    return e;
}

/* Entries live until the next step: actions of this one may point at them. */
static void drop(cn_consensus *c, entry *e)
{
    if (c->dropped_count == c->dropped_cap) {
        c->dropped_cap = c->dropped_cap ? 2 * c->dropped_cap : 32;
        c->dropped = realloc(c->dropped, c->dropped_cap * sizeof(entry *));
        CN_ASSERT(c->dropped);
    }
    c->dropped[c->dropped_count++] = e;
}

void cn_free_dropped(cn_consensus *c)
{
    for (size_t i = 0; i < c->dropped_count; i++) {
        free((void *)(uintptr_t)c->dropped[i]->block.record);
        free(c->dropped[i]);
    }
    c->dropped_count = 0;
}

static void inherit(entry *e, const entry *parent)
{
    bool checkpoint = e->block.header.kind != CN_BLOCK_NORMAL;
    e->checkpoint_time_ms = checkpoint ? e->block.header.time_ms : parent->checkpoint_time_ms;
    e->checkpoint_log_size = checkpoint ? e->block.header.log_size : parent->checkpoint_log_size;
    e->outstanding = parent->outstanding + 1;
}

/* Leaves far from any decision make room: an invalid one, else one whose view nobody certified. */
static bool make_room(cn_consensus *c)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 1; i < c->entry_count; i++) {
            entry *e = c->entry[i];
            if (pass == 0 ? e->exec == EXEC_INVALID
                          : (!e->durable && e->view < c->view && !cn_notarized_elsewhere(c, &e->block.digest))) {
                drop(c, e);
                c->entry[i] = c->entry[--c->entry_count];
                return true;
            }
        }
    return false;
}

entry *cn_entry_add(cn_consensus *c, const cn_block *block, uint64_t view)
{
    entry *known = cn_entry_find(c, &block->digest);
    if (known) {
        if (view > known->view)
            known->view = view;
        return known;
    }
    entry *parent = cn_entry_find(c, &block->header.parent);
    if (block->header.height <= c->entry[0]->block.header.height || (c->entry_count == MAX_ENTRIES && !make_room(c)))
        return NULL;
    entry *e = entry_new(block, view);
    if (parent)
        inherit(e, parent);
    c->entry[c->entry_count++] = e;
    return e;
}

bool cn_descends_from_final(const cn_consensus *c, const entry *e)
{
    while (e && e != c->entry[0])
        e = e->block.header.height > c->entry[0]->block.header.height ? parent_of(c, e) : NULL;
    return e != NULL;
}

bool cn_notarized_elsewhere(const cn_consensus *c, const cn_digest *digest)
{
    for (size_t i = 0; i < c->slot_count; i++)
        for (unsigned kind = CN_NOTARIZE; kind <= CN_FINALIZE; kind += CN_FINALIZE - CN_NOTARIZE)
            if (c->slot[i].cert[kind - 1] && cn_digest_eq(&c->slot[i].cert[kind - 1]->block, digest))
                return true;
    return false;
}

/* ---- fetching (R6: also after leaving the view) ---- */

static void ask(cn_consensus *c, want *w)
{
    w->asked_ms = c->now;
    w->times++;
    cn_action *a = cn_emit(c, CN_ACT_FETCH);
    a->parent = w->digest;
}

void cn_fetch(cn_consensus *c, const cn_digest *digest)
{
    if (cn_entry_find(c, digest))
        return;
    for (size_t i = 0; i < c->want_count; i++)
        if (cn_digest_eq(&c->want[i].digest, digest))
            return;
    if (c->want_count == MAX_WANTS) { /* far behind: single fetches do not help any more */
        cn_want_sync(c);
        return;
    }
    c->want[c->want_count] = (want){.digest = *digest};
    ask(c, &c->want[c->want_count++]);
}

/* The block, or the first of its ancestors that is not here: bodies of an earlier life may lack those that others
 * notarized. */
void cn_fetch_ancestry(cn_consensus *c, const cn_digest *block)
{
    const entry *e;
    while ((e = cn_entry_find(c, block)) != NULL) {
        if (CN_MUTATION("ancestor-not-fetched") || e->exec != EXEC_NONE ||
            e->block.header.height <= c->entry[0]->block.header.height + 1)
            return;
        block = &e->block.header.parent;
    }
    cn_fetch(c, block);
}

void cn_fetch_again(cn_consensus *c)
{
    for (size_t i = 0; i < c->slot_count; i++)
        if (c->slot[i].view > c->final_view && c->slot[i].cert[CN_NOTARIZE - 1])
            cn_fetch_ancestry(c, &c->slot[i].cert[CN_NOTARIZE - 1]->block);
    for (size_t i = 0; i < c->want_count; i++)
        if (c->now >= c->want[i].asked_ms + cn_delay(c)) {
            if (c->want[i].times >= 3)
                cn_want_sync(c); /* perhaps it is final everywhere and served as a final block only */
            ask(c, &c->want[i]);
        }
}

static bool unwant(cn_consensus *c, const cn_digest *digest)
{
    for (size_t i = 0; i < c->want_count; i++)
        if (cn_digest_eq(&c->want[i].digest, digest)) {
            c->want[i] = c->want[--c->want_count];
            return true;
        }
    return false;
}

void cn_on_block(cn_consensus *c, const cn_block *block)
{
    cn_digest digest = cn_header_digest(&block->header), body = cn_body_digest(block->record, block->record_count);
    if (!cn_digest_eq(&digest, &block->digest) || !cn_digest_eq(&body, &block->header.body)) {
        c->bad_messages++;
        return;
    }
    if (!unwant(c, &digest))
        return; /* nobody asked */
    if (cn_entry_add(c, block, 0))
        cn_fetch_ancestry(c, &digest);
}

/* ---- execution ---- */

void cn_execute_ready(cn_consensus *c)
{
    for (size_t i = 1; i < c->entry_count; i++) {
        entry *e = c->entry[i], *parent = parent_of(c, e);
        if (e->exec != EXEC_NONE || !parent || (parent != c->entry[0] && parent->exec != EXEC_VALID))
            continue;
        inherit(e, parent);
        e->exec = EXEC_RUNNING;
        cn_action *a = cn_emit(c, CN_ACT_EXECUTE);
        a->block = &e->block;
    }
}

void cn_on_executed(cn_consensus *c, const cn_digest *digest, bool valid, bool closing_due)
{
    entry *e = cn_entry_find(c, digest);
    if (!e || e->exec != EXEC_RUNNING)
        return;
    e->exec = valid ? EXEC_VALID : EXEC_INVALID;
    e->closing_due = valid && closing_due;
    if (!valid && cn_notarized_elsewhere(c, digest)) /* R2 */
        cn_stop(c, "a quorum notarized a block that does not execute here: this node has diverged; compare carnet fsck "
                   "with another node");
    slot *s = cn_slot_find(c, c->view);
    if (!valid && s && s->has_proposal && cn_digest_eq(&s->proposed, digest))
        s->invalid = true;
}

/* ---- finality ---- */

/* After a new final block: what does not descend from it is gone. */
static void prune(cn_consensus *c)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 1; i < c->entry_count; i++) {
            entry *e = c->entry[i];
            bool low = e->block.header.height <= c->entry[0]->block.header.height;
            const entry *parent = parent_of(c, e);
            bool off_branch = !low && !parent && e->block.header.height == c->entry[0]->block.header.height + 1;
            if (!low && !off_branch && (parent || e->exec == EXEC_NONE))
                continue;
            drop(c, e);
            c->entry[i] = c->entry[--c->entry_count];
            changed = true;
            break;
        }
    }
    for (size_t i = 1; i < c->entry_count; i++) { /* heights ascend along the tree, so repeat until stable */
        uint64_t height = c->entry[i]->block.header.height;
        c->entry[i]->outstanding = height - c->entry[0]->block.header.height;
    }
}

void cn_set_final(cn_consensus *c, const cn_block *block, uint64_t view, uint64_t checkpoint_time_ms,
                  uint64_t checkpoint_log_size, bool closing_due)
{
    entry *e = cn_entry_find(c, &block->digest);
    if (e == c->entry[0])
        return;
    if (!e) {
        e = entry_new(block, view);
        e->checkpoint_time_ms = checkpoint_time_ms;
        e->checkpoint_log_size = checkpoint_log_size;
        e->closing_due = closing_due;
    } else {
        for (size_t i = 1; i < c->entry_count; i++)
            if (c->entry[i] == e)
                c->entry[i] = c->entry[--c->entry_count];
    }
    drop(c, c->entry[0]);
    c->entry[0] = e;
    e->exec = EXEC_VALID;
    e->durable = true;
    e->outstanding = 0;
    c->final_view = view;
    c->nullified_in_a_row = 0;
    c->closed = e->block.header.kind == CN_BLOCK_CLOSING && e->block.header.epoch == c->cfg.epoch;
    prune(c);
    cn_slots_trim(c);
}

bool cn_is_closing(const cn_consensus *c, const entry *e)
{
    return e->block.header.kind == CN_BLOCK_CLOSING && e != c->entry[0];
}

static slot *best_finalization(cn_consensus *c)
{
    for (size_t i = c->slot_count; i > 0; i--)
        if (c->slot[i - 1].view > c->final_view && c->slot[i - 1].cert[CN_FINALIZE - 1])
            return &c->slot[i - 1];
    return NULL;
}

/* Every block between the final one and e is here and executed; asks for what is not. */
static bool chain_ready(cn_consensus *c, const cn_digest *digest)
{
    const cn_digest *at = digest;
    bool ready = true;
    while (!cn_digest_eq(at, &c->entry[0]->block.digest)) {
        const entry *e = cn_entry_find(c, at);
        if (!e) {
            cn_fetch(c, at);
            return false;
        }
        if (e->exec == EXEC_RUNNING || e->exec == EXEC_INVALID)
            return false;
        ready = ready && e->exec == EXEC_VALID; /* below one that waits, the missing one is looked for */
        at = &e->block.header.parent;
        if (e->block.header.height <= c->entry[0]->block.header.height + 1 &&
            !cn_digest_eq(at, &c->entry[0]->block.digest)) {
            cn_stop(c, "a final block does not descend from this node's final block: the ledger has forked");
            return false;
        }
    }
    return ready;
}

void cn_try_final(cn_consensus *c)
{
    slot *s = best_finalization(c);
    if (!s || c->stopped || !chain_ready(c, &s->cert[CN_FINALIZE - 1]->block))
        return;
    cn_certificate *cert = s->cert[CN_FINALIZE - 1];
    entry *e = cn_entry_find(c, &cert->block);
    size_t count = (size_t)(e->block.header.height - c->entry[0]->block.header.height);
    const cn_block **finals = cn_alloc((count + 1) * sizeof *finals);
    const entry *at = e;
    for (size_t i = count; i > 0; i--, at = parent_of(c, at))
        finals[i - 1] = &at->block;
    cn_buf bytes;
    cn_buf_init(&bytes, CN_CERTIFICATE_MAX);
    cn_certificate_encode(cert, &bytes);
    cn_action *a = cn_emit(c, CN_ACT_FINAL);
    a->blocks = finals;
    a->count = count;
    a->view = s->view;
    a->bytes = bytes.p;
    a->n = bytes.n;
    if (!c->final_cert)
        c->final_cert = cn_alloc(sizeof *c->final_cert);
    *c->final_cert = *cert;
    cn_set_final(c, &e->block, s->view, 0, 0, false);
}

bool cn_consensus_is_open(const cn_consensus *c, const cn_digest *block)
{
    const entry *e = cn_entry_find(c, block);
    if (!e || e == c->entry[0])
        return false;
    if (e->view >= c->view || cn_notarized_elsewhere(c, block))
        return true;
    for (size_t i = 1; i < c->entry_count; i++) /* an ancestor of one that is */
        if (cn_digest_eq(&c->entry[i]->block.header.parent, block) &&
            (c->entry[i]->view >= c->view || cn_notarized_elsewhere(c, &c->entry[i]->block.digest)))
            return true;
    return false;
}

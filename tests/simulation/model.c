/* The model ledger: sets of members, blocks, roots, and which block executes on which. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

/* ---- sets ---- */

static void digest_set(member_set *set)
{
    uint8_t m[2 * MAX_HOSTS];
    for (unsigned i = 0; i < set->n; i++) {
        m[2 * i] = set->member[i];
        m[2 * i + 1] = set->generation[i];
    }
    set->digest = cn_tagged("simulated set", m, 2 * (size_t)set->n);
}

unsigned member_key(const member_set *set, unsigned index)
{
    return set->member[index] * 16u + set->generation[index];
}

int member_index(const member_set *set, unsigned member)
{
    for (unsigned i = 0; i < set->n; i++)
        if (set->member[i] == member)
            return (int)i;
    return -1;
}

/* The number of a set; one that was never seen is added. */
static unsigned intern_set(sim *s, member_set *set)
{
    digest_set(set);
    for (unsigned i = 0; i < s->sets; i++)
        if (memcmp(s->set[i].digest.b, set->digest.b, 32) == 0)
            return i;
    CN_ASSERT(s->sets < MAX_SETS);
    s->set[s->sets] = *set;
    return s->sets++;
}

/* Members vote for no change that leaves more faulty validators than the set tolerates. */
static bool tolerable(const sim *s, const member_set *set)
{
    unsigned faulty = 0;
    for (unsigned i = 0; i < set->n; i++) {
        const node *nd = &s->node[set->member[i]];
        faulty += nd->fault != HONEST || nd->may_lose_journal;
    }
    return set->n >= 4 && set->n <= MAX_HOSTS && faulty <= (set->n - 1) / 3;
}

unsigned set_after(sim *s, unsigned set, const set_change *change)
{
    member_set next = s->set[set];
    int at = member_index(&next, change->host);
    if (change->kind == CHANGE_NONE || (change->kind == CHANGE_JOIN) != (at < 0))
        return set;
    if (change->kind == CHANGE_ROTATE) {
        next.generation[at]++;
    } else if (change->kind == CHANGE_LEAVE) {
        for (unsigned i = (unsigned)at; i + 1 < next.n; i++) {
            next.member[i] = next.member[i + 1];
            next.generation[i] = next.generation[i + 1];
        }
        next.n--;
    } else {
        unsigned i = next.n++;
        for (; i > 0 && next.member[i - 1] > change->host; i--) {
            next.member[i] = next.member[i - 1];
            next.generation[i] = next.generation[i - 1];
        }
        next.member[i] = (uint8_t)change->host;
        next.generation[i] = 0;
    }
    return tolerable(s, &next) ? intern_set(s, &next) : set;
}

cn_digest model_vote_digest(const sim *s, uint64_t epoch, uint8_t kind, uint64_t view, const cn_digest *block)
{
    return cn_vote_digest(&s->network, s->opt.epochless ? 0 : epoch, kind, view, block);
}

/* ---- blocks ---- */

cn_block copy_block(const cn_block *b)
{
    cn_block copy = *b;
    cn_digest *record = malloc((b->record_count + 1) * sizeof *record);
    if (b->record_count)
        memcpy(record, b->record, b->record_count * sizeof *record);
    copy.record = record;
    return copy;
}

void free_block(cn_block *b)
{
    free((void *)(uintptr_t)b->record);
    b->record = NULL;
}

model_block *find_executed(sim *s, const cn_digest *digest)
{
    for (size_t i = s->executed_n; i > 0; i--)
        if (memcmp(s->executed[i - 1].block.digest.b, digest->b, 32) == 0)
            return &s->executed[i - 1];
    return NULL;
}

static model_block *append(sim *s, const cn_block *b)
{
    if (s->executed_n == s->executed_cap) {
        s->executed_cap = s->executed_cap ? 2 * s->executed_cap : 256;
        s->executed = realloc(s->executed, s->executed_cap * sizeof *s->executed);
    }
    model_block *m = &s->executed[s->executed_n++];
    *m = (model_block){.block = copy_block(b), .pending = -1};
    record_block(s, &b->header);
    return m;
}

void remember_genesis(sim *s, unsigned validators)
{
    member_set *first = &s->set[s->sets++];
    first->n = validators;
    for (unsigned i = 0; i < validators; i++)
        first->member[i] = (uint8_t)i;
    digest_set(first);
    cn_header h = {.version = 1, .kind = CN_BLOCK_CLOSING, .time_ms = CLOCK_START_MS - 1, .log_size = 2};
    h.body = cn_body_digest(NULL, 0);
    h.next_set = first->digest;
    append(s, &(cn_block){.header = h, .digest = cn_header_digest(&h)})->epoch = 1;
}

/* The state after a block: one change at most is ready; the closing block applies it. */
void remember(sim *s, const cn_block *b)
{
    if (find_executed(s, &b->digest))
        return;
    model_block parent = *find_executed(s, &b->header.parent), *m = append(s, b);
    m->epoch = parent.epoch;
    m->set = parent.set;
    m->pending = parent.pending;
    if (b->header.kind == CN_BLOCK_CLOSING) {
        m->epoch++;
        m->set = set_after(s, parent.set, &s->change[parent.pending]);
        m->pending = -1;
    }
    for (size_t i = 0; i < b->record_count && m->pending < 0; i++) {
        int number = statement_number(s, &b->record[i]);
        if (number >= 0 && set_after(s, m->set, &s->change[number]) != m->set)
            m->pending = number;
    }
}

/* The model ledger: roots are a hash chain over records; only checkpoints and closing blocks move the state root. */
void model_roots(const cn_header *parent, cn_header *h, const cn_digest *record, size_t count)
{
    h->log_size = parent->log_size + count;
    h->log_root = parent->log_root;
    for (size_t i = 0; i < count; i++)
        h->log_root = cn_node_hash(&h->log_root, &record[i]);
    h->state_root = h->kind == CN_BLOCK_NORMAL ? parent->state_root : cn_node_hash(&h->log_root, &parent->state_root);
    if (h->kind == CN_BLOCK_CLOSING) /* the activation */
        h->state_root = cn_node_hash(&h->state_root, &h->next_set);
    h->body = cn_body_digest(record, count);
}

bool in_ancestry(sim *s, const cn_digest *tip, const cn_digest *record)
{
    for (model_block *b = find_executed(s, tip); b; b = find_executed(s, &b->block.header.parent)) {
        for (size_t i = 0; i < b->block.record_count; i++)
            if (memcmp(b->block.record[i].b, record->b, 32) == 0)
                return true;
        if (b->block.header.height == 0)
            break;
    }
    return false;
}

bool executes(sim *s, const cn_block *b)
{
    const model_block *parent = find_executed(s, &b->header.parent);
    if (!parent || b->header.epoch != parent->epoch || (b->header.kind == CN_BLOCK_CLOSING) != (parent->pending >= 0))
        return false;
    unsigned next =
        parent->pending >= 0 ? set_after(s, parent->set, &s->change[parent->pending]) : parent->set; /* R11 */
    cn_header h = b->header;
    h.set = s->set[parent->set].digest;
    h.next_set = s->set[next].digest;
    model_roots(&parent->block.header, &h, b->record, b->record_count);
    cn_digest expected = cn_header_digest(&h);
    if (memcmp(expected.b, b->digest.b, 32))
        return false;
    for (size_t i = 0; i < b->record_count; i++)
        if (in_ancestry(s, &b->header.parent, &b->record[i]))
            return false;
    return true;
}

int statement_number(const sim *s, const cn_digest *record)
{
    for (unsigned i = 0; i < s->total; i++)
        if (memcmp(s->statement[i].b, record->b, 32) == 0)
            return (int)i;
    return -1;
}

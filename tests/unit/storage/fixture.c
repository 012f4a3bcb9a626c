#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t fx_random(fx *f) /* splitmix64 */
{
    uint64_t z = f->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void fx_directory(char dir[64])
{
    snprintf(dir, 64, "/tmp/carnet-storage-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

void fx_directory_in_memory(char dir[64])
{
    if (access("/dev/shm", W_OK) != 0) {
        fx_directory(dir);
        return;
    }
    snprintf(dir, 64, "/dev/shm/carnet-storage-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

void fx_remove(const char *dir)
{
    const char *const names[] = {"data.mdb", "lock.mdb", "writer.lock", "safety", "safety.new"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static void add_entry(fx *f, const cn_digest *entry)
{
    cn_digest leaf = cn_leaf_hash(entry->b, CN_DIGEST_LEN);
    cn_frontier_append(&f->log, &leaf);
    f->entry = realloc(f->entry, (f->entry_count + 1) * sizeof *f->entry);
    cr_assert_not_null(f->entry);
    f->entry[f->entry_count++] = *entry;
}

static cn_header next_header(const fx *f, uint8_t kind)
{
    cn_header h = {.version = CN_PROTOCOL_VERSION, .kind = kind, .epoch = 1, .height = f->tip.height + 1};
    h.time_ms = h.height * 100;
    h.parent = f->tip_digest;
    h.log_size = f->log.size;
    h.log_root = cn_frontier_root(&f->log);
    h.state_root = f->tip.state_root;
    return h;
}

static void adopt(fx *f, fx_block *b, const cn_header *h)
{
    b->block.header = f->tip = *h;
    b->block.digest = f->tip_digest = cn_header_digest(h);
}

static void genesis(fx *f, bool create)
{
    static const char g[] = "{\"name\":\"test\"}", rows[] = "set rows";
    cn_digest entries[2] = {cn_sha256(g, sizeof g), cn_sha256(rows, sizeof rows)};
    cn_map_change change[FX_FILLERS];
    cn_map *empty = cn_map_empty();
    for (uint32_t i = 0; i < FX_FILLERS; i++)
        change[i] = (cn_map_change){cn_state_key_of(f->salt, CN_STATE_MEMBER, &i, sizeof i), CN_SPAN("filler", 6)};
    cr_assert_eq(cn_map_apply(empty, change, FX_FILLERS, &f->map, NULL), CN_OK);
    cn_map_unref(empty);
    add_entry(f, &entries[0]);
    add_entry(f, &entries[1]);
    fx_block *b = calloc(1, sizeof *b);
    cr_assert_not_null(b);
    cn_header h = {.version = CN_PROTOCOL_VERSION, .kind = CN_BLOCK_CLOSING, .log_size = 2};
    h.next_set = cn_tagged("carnet/set", rows, sizeof rows);
    h.log_root = cn_frontier_root(&f->log);
    h.state_root = cn_map_root(f->map);
    h.body = cn_body_digest(NULL, 0);
    adopt(f, b, &h);
    b->block.map = cn_map_ref(f->map);
    if (create) {
        cn_err err = {0};
        cn_status st =
            cn_store_create(&f->options, CN_SPAN(g, sizeof g), CN_SPAN(rows, sizeof rows), entries, &b->block, &err);
        cr_assert_eq(st, CN_OK, "%s: %s", err.field, err.text);
    }
    fx_free(b);
}

void fx_begin(fx *f, const char *dir, uint64_t seed, bool create)
{
    uint8_t secret[32];
    memset(f, 0, sizeof *f);
    memset(secret, 7, sizeof secret);
    snprintf(f->dir, sizeof f->dir, "%s", dir);
    f->options = (cn_store_options){.dir = f->dir};
    f->random = seed;
    memset(f->salt, 3, sizeof f->salt);
    f->network = cn_sha256("network", 7);
    cr_assert_eq(cn_secret_key_from_bytes(CN_KEY_ED25519, secret, &f->key, NULL), CN_OK);
    f->key_id = cn_key_id(&f->key.public_key);
    cn_frontier_init(&f->log);
    for (size_t i = 0; i < FX_SUBJECTS; i++) {
        char uri[32];
        snprintf(uri, sizeof uri, "urn:test:%zu", i);
        f->subject[i].tag = cn_subject_tag(f->salt, uri);
        cn_frontier_init(&f->subject[i].tree);
    }
    genesis(f, create);
}

void fx_open(fx *f)
{
    cn_err err = {0};
    cr_assert_eq(cn_store_open(&f->options, &f->store, &err), CN_OK, "%s: %s", err.field, err.text);
    cn_map *map = cn_store_map(f->store, &err);
    cr_assert_not_null(map, "%s", err.text);
    cn_digest ours = cn_map_root(f->map), stored = cn_map_root(map);
    cr_assert(cn_digest_eq(&ours, &stored));
    cn_map_unref(f->map);
    f->map = map;
}

void fx_end(fx *f)
{
    cn_map_unref(f->map);
    cn_store_close(f->store);
    free(f->entry);
    f->map = NULL;
    f->store = NULL;
    f->entry = NULL;
}

/* ---- blocks ---- */

static void add_row(fx *f, fx_block *b, fx_subject *s, const cn_digest *record, const cn_digest *id, uint64_t first_ms,
                    uint64_t last_ms)
{
    cn_subject_row *row = &b->row[b->block.row_count++];
    uint8_t leaf[CN_SUBJECT_LEAF_LEN];
    *row = (cn_subject_row){.tag = s->tag, .position = s->tree.size, .first_ms = first_ms, .last_ms = last_ms};
    row->leaf = (cn_subject_leaf){.record = *record,
                                  .log_index = f->entry_count,
                                  .height = f->tip.height + 1,
                                  .time_ms = (f->tip.height + 1) * 100};
    cn_subject_leaf_encode(&row->leaf, leaf);
    cn_digest hash = cn_leaf_hash(leaf, sizeof leaf);
    cn_frontier_append(&s->tree, &hash);
    if (s->record.count == 0)
        s->record.first_height = row->leaf.height;
    s->record.count = s->tree.size;
    s->record.root = cn_frontier_root(&s->tree);
    s->record.last_height = row->leaf.height;
    s->record.last_id = *id;
    s->dirty = true;
}

static void add_statement(fx *f, fx_block *b)
{
    size_t at = b->block.statement_count++, items = 1 + fx_random(f) % 3;
    fx_subject *s[2] = {&f->subject[fx_random(f) % FX_SUBJECTS], NULL};
    cn_batch_entry entry[2];
    size_t entries = 1;
    s[1] = &f->subject[fx_random(f) % FX_SUBJECTS];
    if (s[0] != s[1])
        entries = 2;
    if (entries == 2 && cn_digest_cmp(&s[0]->tag, &s[1]->tag) > 0) {
        fx_subject *swap = s[0];
        s[0] = s[1];
        s[1] = swap;
    }
    for (size_t i = 0; i < entries; i++) {
        uint64_t first = 1000 + fx_random(f) % 100000;
        entry[i] = (cn_batch_entry){s[i]->tag, 0, (uint32_t)items, first, first + fx_random(f) % 500};
    }
    cn_buf item[3];
    cn_span span[3];
    for (size_t i = 0; i < items; i++) {
        char content[32];
        int n = snprintf(content, sizeof content, "{\"n\":%llu}", (unsigned long long)fx_random(f));
        cn_buf_init(&item[i], 4096);
        cn_item_write(&item[i], f->salt, CN_ITEM_EPCIS, content, (size_t)n);
        span[i] = CN_SPAN(item[i].p, item[i].n);
    }
    cn_body body = {.network = f->network, .key_id = f->key_id, .sequence = ++f->sequence, .previous = f->previous};
    body.created_ms = 1000;
    body.kind = CN_PAYLOAD_EVENT_BATCH;
    body.batch.entry_count = entries;
    body.batch.entry = entry;
    cn_buf out;
    cn_err err = {0};
    cn_buf_init(&out, CN_MAX_STATEMENT_BYTES);
    cr_assert_eq(cn_statement_sign(&body, span, items, &f->key, &out, &f->previous, &err), CN_OK, "%s: %s", err.field,
                 err.text);
    cn_statement *decoded = NULL;
    cr_assert_eq(cn_statement_decode(out.p, out.n, &decoded, &err), CN_OK, "%s: %s", err.field, err.text);
    cn_commit_statement *c = &b->statement[at];
    b->bytes[at] = out.p;
    *c = (cn_commit_statement){.record = CN_SPAN(out.p, decoded->record.n),
                               .items = CN_SPAN(out.p + decoded->record.n, out.n - decoded->record.n),
                               .record_digest = decoded->record_digest,
                               .id = decoded->id,
                               .key_id = f->key_id,
                               .sequence = f->sequence};
    for (size_t i = 0; i < entries; i++)
        add_row(f, b, s[i], &c->record_digest, &c->id, entry[i].first_ms, entry[i].last_ms);
    add_entry(f, &c->record_digest);
    cn_statement_free(decoded);
    for (size_t i = 0; i < items; i++)
        cn_buf_free(&item[i]);
}

fx_block *fx_statements(fx *f, size_t count)
{
    fx_block *b = calloc(1, sizeof *b);
    cr_assert(b && count <= FX_MAX_STATEMENTS);
    size_t first = f->entry_count;
    for (size_t i = 0; i < count; i++)
        add_statement(f, b);
    cn_header h = next_header(f, CN_BLOCK_NORMAL);
    h.body = cn_body_digest(f->entry + first, count);
    b->block.statement = b->statement;
    b->block.row = b->row;
    b->block.certificate = CN_SPAN("certificate", 11);
    adopt(f, b, &h);
    return b;
}

fx_block *fx_checkpoint(fx *f, const cn_map_change *more, size_t more_count)
{
    fx_block *b = calloc(1, sizeof *b);
    cn_map_change *change = calloc(FX_SUBJECTS + more_count, sizeof *change);
    uint8_t value[FX_SUBJECTS][CN_STATE_SUBJECT_LEN];
    size_t n = 0;
    cr_assert(b && change);
    for (size_t i = 0; i < FX_SUBJECTS; i++) {
        fx_subject *s = &f->subject[i];
        if (!s->dirty)
            continue;
        s->dirty = false;
        change[n].key = cn_state_key_of(f->salt, CN_STATE_SUBJECT, s->tag.b, CN_DIGEST_LEN);
        change[n].value = CN_SPAN(value[i], cn_state_subject_encode(&s->record, value[i]));
        cn_buf_init(&b->side_bytes[n], 4096);
        cn_frontier_write(&s->tree, &b->side_bytes[n]);
        b->side[n] = (cn_side_change){s->tag, CN_SPAN(b->side_bytes[n].p, b->side_bytes[n].n)};
        n++;
    }
    b->block.side = b->side;
    b->block.side_count = n;
    if (more_count)
        memcpy(change + n, more, more_count * sizeof *more);
    cr_assert_eq(cn_map_apply(f->map, change, n + more_count, &b->block.map, NULL), CN_OK);
    free(change);
    cn_map_unref(f->map);
    f->map = cn_map_ref(b->block.map);
    cn_header h = next_header(f, CN_BLOCK_CHECKPOINT);
    h.state_root = cn_map_root(f->map);
    h.body = cn_body_digest(NULL, 0);
    adopt(f, b, &h);
    return b;
}

fx_block *fx_next(fx *f)
{
    return (f->tip.height + 1) % 3 == 0 ? fx_checkpoint(f, NULL, 0) : fx_statements(f, 1 + fx_random(f) % 8);
}

void fx_free(fx_block *b)
{
    for (size_t i = 0; i < b->block.statement_count; i++)
        free(b->bytes[i]);
    for (size_t i = 0; i < b->block.side_count; i++)
        cn_buf_free(&b->side_bytes[i]);
    cn_map_unref(b->block.map);
    free(b);
}

void fx_commit(fx *f, fx_block *b)
{
    cn_err err = {0};
    b->block.statement = b->statement;
    cr_assert_eq(cn_store_commit(f->store, &b->block, 1, &err), CN_OK, "%s: %s", err.field, err.text);
    fx_free(b);
}

typedef struct fsck_text {
    char *text;
    size_t size, used;
} fsck_text;

static void fsck_line(void *ctx, bool fault, const char *text)
{
    fsck_text *t = ctx;
    if (fault && t->size && t->used + strlen(text) + 2 < t->size)
        t->used += (size_t)snprintf(t->text + t->used, t->size - t->used, "%s\n", text);
}

uint64_t fx_fsck(const fx *f, char *text, size_t size)
{
    cn_fsck_report report = {0};
    cn_err err = {0};
    fsck_text t = {text, size, 0};
    if (size)
        text[0] = '\0';
    cr_assert_eq(cn_store_fsck(&f->options, f->salt, fsck_line, &t, &report, &err), CN_OK, "%s: %s", err.field,
                 err.text);
    return report.faults;
}

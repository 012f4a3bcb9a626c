#include "node/api/view.h"

#include "node/api/request.h"

#include <stdlib.h>
#include <string.h>

#define ITEM_HEAD (1 + CN_ITEM_SALT_LEN)

cn_status cn_view_decode(const cn_stored_statement *stored, cn_statement **ret, cn_err *err)
{
    size_t n = stored->record.n + stored->items.n;
    uint8_t *whole = malloc(n);
    if (!whole)
        return cn_fail(err, CN_NO_MEMORY, "statement", "out of memory");
    memcpy(whole, stored->record.p, stored->record.n);
    if (stored->items.n)
        memcpy(whole + stored->record.n, stored->items.p, stored->items.n);
    cn_status st = cn_statement_decode(whole, n, ret, err);
    free(whole);
    return st;
}

json_t *cn_view_base64(const void *p, size_t n)
{
    char *text = malloc(4 * ((n + 2) / 3) + 1);
    if (!text)
        return json_null();
    cn_base64(p, n, text);
    json_t *json = json_string(text);
    free(text);
    return json;
}

const char *cn_view_item_format(uint8_t format)
{
    switch (format) {
    case CN_ITEM_NATIVE:
        return "native";
    case CN_ITEM_EPCIS:
        return "epcis";
    case CN_ITEM_DCSA:
        return "dcsa";
    case CN_ITEM_UNCEFACT:
        return "uncefact";
    case CN_ITEM_SEALED:
        return "sealed";
    case CN_ITEM_ENVELOPE:
        return "envelope";
    case CN_ITEM_ERASED:
        return "erased";
    default:
        return "unknown";
    }
}

const char *cn_view_event_type(const cn_span *item, json_t **ret_owner)
{
    const uint8_t *p = item->p;
    *ret_owner = NULL;
    if (item->n <= ITEM_HEAD || (p[0] != CN_ITEM_EPCIS && p[0] != CN_ITEM_DCSA && p[0] != CN_ITEM_UNCEFACT))
        return NULL;
    *ret_owner = json_loadb((const char *)p + ITEM_HEAD, item->n - ITEM_HEAD, 0, NULL);
    const char *type = json_string_value(json_object_get(*ret_owner, "type"));
    return type ? type : json_string_value(json_object_get(*ret_owner, "isA"));
}

json_t *cn_view_item(const cn_statement *s, size_t index)
{
    const cn_span *item = &s->item[index];
    const uint8_t *p = item->p;
    if (item->n < ITEM_HEAD)
        return json_null();
    if (cn_item_is_erased(p, item->n))
        return json_pack("{s:I, s:s, s:o}", "index", (json_int_t)index, "format", "erased", "leaf",
                         cn_json_hex(p + 1, CN_DIGEST_LEN));
    json_t *owner = NULL;
    const char *type = cn_view_event_type(item, &owner);
    json_t *view = json_pack("{s:I, s:s}", "index", (json_int_t)index, "format", cn_view_item_format(p[0]));
    if (type)
        json_object_set_new(view, "type", json_string(type));
    json_t *text = owner ? json_stringn((const char *)p + ITEM_HEAD, item->n - ITEM_HEAD) : NULL;
    json_object_set_new(view, text ? "content" : "content_base64",
                        text ? text : cn_view_base64(p + ITEM_HEAD, item->n - ITEM_HEAD));
    json_decref(owner);
    return view;
}

static json_t *view_batch(const cn_event_batch *batch)
{
    json_t *entries = json_array();
    for (size_t i = 0; i < batch->entry_count; i++) {
        const cn_batch_entry *e = &batch->entry[i];
        json_array_append_new(entries, json_pack("{s:o, s:I, s:I, s:o, s:o}", "subject", cn_json_digest(&e->subject),
                                                 "start", (json_int_t)e->start, "count", (json_int_t)e->count, "first",
                                                 cn_json_time(e->first_ms), "last", cn_json_time(e->last_ms)));
    }
    return json_pack("{s:o, s:I, s:o}", "items_root", cn_json_digest(&batch->items_root), "item_count",
                     (json_int_t)batch->item_count, "entries", entries);
}

static json_t *view_registry(const cn_registry_change *change)
{
    static const char *const names[] = {"",        "key-register", "key-rotate",      "key-revoke",
                                        "key-gap", "key-salvage",  "member-register", "channel-key"};
    json_t *view = json_pack("{s:s}", "change", names[change->op]);
    if (change->op >= CN_REG_KEY_ROTATE && change->op <= CN_REG_KEY_SALVAGE)
        json_object_set_new(view, "key", cn_json_digest(&change->key_id));
    if (change->op == CN_REG_KEY_REGISTER || change->op == CN_REG_KEY_ROTATE || change->op == CN_REG_MEMBER_REGISTER) {
        cn_digest id = cn_key_id(&change->new_key.key);
        json_object_set_new(view, "new_key", cn_json_digest(&id));
    }
    if (change->op == CN_REG_KEY_REVOKE)
        json_object_set_new(view, "last_good", json_integer((json_int_t)change->sequence));
    if (change->op == CN_REG_KEY_GAP)
        json_object_set_new(view, "sequence", json_integer((json_int_t)change->sequence));
    if (change->op == CN_REG_KEY_SALVAGE)
        json_object_set_new(view, "salvaged", json_integer((json_int_t)change->salvaged_count));
    if (change->op == CN_REG_MEMBER_REGISTER) {
        json_object_set_new(view, "name", json_string(change->name));
        json_object_set_new(view, "country", json_string(change->country));
    }
    return view;
}

static const char *action_name(unsigned action)
{
    static const char *const names[] = {"", "join", "leave", "rotate", "roles", "foreign"};
    return names[action <= 5 ? action : 0];
}

static json_t *view_proposal(const cn_proposal_payload *p)
{
    json_t *view = json_pack("{s:s, s:o}", "action", action_name(p->action), "member", cn_json_digest(&p->member));
    if (p->action == CN_CHANGE_JOIN || p->action == CN_CHANGE_ROTATE)
        json_object_set_new(view, "vote_key", cn_json_hex(p->row.vote_key, sizeof p->row.vote_key));
    if (p->action != CN_CHANGE_FOREIGN)
        return view;
    cn_state_foreign proposed = cn_foreign_proposed(p);
    json_object_set_new(view, "network", cn_view_network(&proposed));
    return view;
}

json_t *cn_view_network(const cn_state_foreign *n)
{
    bool withdrawn = n->status == CN_FOREIGN_WITHDRAWN;
    json_t *view =
        json_pack("{s:o, s:s}", "id", cn_json_digest(&n->network), "status", withdrawn ? "withdrawn" : "active");
    if (n->epoch == 0)
        return view; /* a proposal to withdraw it says no more */
    json_object_set_new(view, "name", json_string(n->name));
    json_object_set_new(view, "epoch", json_integer((json_int_t)n->epoch));
    json_object_set_new(view, "set", cn_json_digest(&n->set));
    json_object_set_new(view, "height", json_integer((json_int_t)n->height));
    json_object_set_new(view, "log_size", json_integer((json_int_t)n->log_size));
    return view;
}

static void view_foreign_statement(json_t *view, const cn_foreign_proof *p)
{
    cn_digest id = {{0}}, key = cn_key_id(&p->key);
    cn_foreign_statement(p, &id, NULL);
    json_object_set_new(view, "statement", cn_json_digest(&id));
    json_object_set_new(view, "foreign_key", cn_json_digest(&key));
    json_object_set_new(view, "foreign_log_index", json_integer((json_int_t)p->log_index));
    json_object_set_new(view, "checkpoint", json_integer((json_int_t)p->header[0].height));
    json_object_set_new(view, "checkpoint_time", cn_json_time(p->header[0].time_ms));
}

/* The proof itself is in bytes_base64 of the statement. */
static json_t *view_foreign(const cn_foreign_payload *f)
{
    cn_foreign_proof *p = calloc(1, sizeof *p);
    json_t *view = json_pack("{s:s, s:o}", "kind", f->kind == CN_FOREIGN_ADVANCE ? "advance" : "statement", "network",
                             cn_json_digest(&f->network));
    if (p && cn_foreign_read(f->proof.p, f->proof.n, p, NULL) == CN_OK) {
        json_object_set_new(view, "epoch", json_integer((json_int_t)p->epoch));
        if (p->kind == CN_FOREIGN_STATEMENT)
            view_foreign_statement(view, p);
        else
            json_object_set_new(view, "changes", json_integer((json_int_t)p->step_count));
    }
    free(p);
    if (f->kind == CN_FOREIGN_ADVANCE)
        return view;
    json_t *subjects = json_array();
    for (size_t i = 0; i < f->subject_count; i++)
        json_array_append_new(subjects, cn_json_digest(&f->subject[i]));
    json_object_set_new(view, "subjects", subjects);
    return view;
}

json_t *cn_view_statement(const cn_statement *s, bool with_items)
{
    const cn_body *b = &s->body;
    json_t *view = json_pack("{s:o, s:o, s:o, s:I, s:o, s:o}", "id", cn_json_digest(&s->id), "record",
                             cn_json_digest(&s->record_digest), "key", cn_json_digest(&b->key_id), "sequence",
                             (json_int_t)b->sequence, "previous", cn_json_digest(&b->previous), "created",
                             cn_json_time(b->created_ms));
    switch (b->kind) {
    case CN_PAYLOAD_EVENT_BATCH:
        json_object_set_new(view, "event_batch", view_batch(&b->batch));
        break;
    case CN_PAYLOAD_REGISTRY:
        json_object_set_new(view, "registry_change", view_registry(&b->registry));
        break;
    case CN_PAYLOAD_PAIRING:
        json_object_set_new(view, "pairing",
                            json_pack("{s:o, s:o, s:o, s:o}", "container", cn_json_digest(&b->pairing.container),
                                      "consignment", cn_json_digest(&b->pairing.consignment), "start",
                                      cn_json_time(b->pairing.start_ms), "end",
                                      b->pairing.end_ms ? cn_json_time(b->pairing.end_ms) : json_null()));
        break;
    case CN_PAYLOAD_DOCUMENT:
        json_object_set_new(view, "document_anchor",
                            json_pack("{s:o, s:I, s:I}", "digest", cn_json_digest(&b->document.digest), "size",
                                      (json_int_t)b->document.size, "kind", (json_int_t)b->document.kind));
        break;
    case CN_PAYLOAD_PROPOSAL:
        json_object_set_new(view, "proposal", view_proposal(&b->proposal));
        break;
    case CN_PAYLOAD_BALLOT:
        json_object_set_new(view, "ballot",
                            json_pack("{s:o, s:o, s:b}", "proposal", cn_json_digest(&b->ballot.proposal), "member",
                                      cn_json_digest(&b->ballot.member), "approve", b->ballot.approve));
        break;
    case CN_PAYLOAD_READINESS:
        json_object_set_new(view, "readiness",
                            json_pack("{s:o, s:o, s:I}", "proposal", cn_json_digest(&b->readiness.proposal), "member",
                                      cn_json_digest(&b->readiness.member), "height", (json_int_t)b->readiness.height));
        break;
    case CN_PAYLOAD_ERASURE:
        json_object_set_new(view, "erasure",
                            json_pack("{s:o, s:I, s:I, s:I}", "statement", cn_json_digest(&b->erasure.target),
                                      "first_item", (json_int_t)b->erasure.start, "item_count",
                                      (json_int_t)b->erasure.count, "reason", (json_int_t)b->erasure.reason));
        break;
    case CN_PAYLOAD_PURGE:
        json_object_set_new(view, "purge_attestation",
                            json_pack("{s:o}", "erasure", cn_json_digest(&b->purge.erasure)));
        break;
    case CN_PAYLOAD_FOREIGN:
        json_object_set_new(view, "foreign_proof", view_foreign(&b->foreign));
        break;
    }
    if (with_items) {
        json_t *items = json_array();
        for (size_t i = 0; i < s->item_count; i++)
            json_array_append_new(items, cn_view_item(s, i));
        json_object_set_new(view, "items", items);
    }
    return view;
}

json_t *cn_view_header(const cn_header *h, const cn_digest *digest)
{
    static const char *const kinds[] = {"normal", "checkpoint", "closing"};
    uint8_t bytes[CN_HEADER_LEN];
    cn_header_encode(h, bytes);
    json_t *view =
        json_pack("{s:o, s:I, s:s, s:I, s:I, s:o, s:o}", "digest", cn_json_digest(digest), "version",
                  (json_int_t)h->version, "kind", kinds[h->kind], "epoch", (json_int_t)h->epoch, "height",
                  (json_int_t)h->height, "time", cn_json_time(h->time_ms), "parent", cn_json_digest(&h->parent));
    json_object_set_new(view, "log_size", json_integer((json_int_t)h->log_size));
    json_object_set_new(view, "log_root", cn_json_digest(&h->log_root));
    json_object_set_new(view, "state_root", cn_json_digest(&h->state_root));
    json_object_set_new(view, "body", cn_json_digest(&h->body));
    json_object_set_new(view, "set", cn_json_digest(&h->set));
    json_object_set_new(view, "next_set", cn_json_digest(&h->next_set));
    json_object_set_new(view, "bytes", cn_json_hex(bytes, sizeof bytes));
    return view;
}

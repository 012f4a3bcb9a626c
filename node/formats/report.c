#include "node/formats/report.h"

#include "node/formats/html.h"
#include "node/formats/report_facts.h"
#include "node/formats/subject.h"
#include "node/formats/time.h"
#include "proto/foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THINGS_SHOWN 6u
#define GENERATOR "carnet-report "

static const char style[] =
    "body{font:15px/1.45 system-ui,sans-serif;color:#1b1f23;max-width:62rem;margin:2rem auto;padding:0 1.2rem}\n"
    "h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid #d0d7de}\n"
    "p{margin:.5rem 0}.muted,small{color:#57606a}.lead{font-size:1.05rem}.alarm{color:#a40e26}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem;margin:.8rem "
    "0}dt{color:#57606a}dd{margin:0;"
    "overflow-wrap:anywhere}\n"
    "table{border-collapse:collapse;width:100%;font-size:.86rem}th,td{text-align:left;vertical-align:top;"
    "padding:.35rem .5rem;border-bottom:1px solid #d8dee4;overflow-wrap:anywhere}\n"
    "thead th{background:#f6f8fa;border-bottom:2px solid #afb8c1}caption{text-align:left;color:#57606a;padding:.2rem "
    "0}\n"
    "time{white-space:nowrap;font-variant-numeric:tabular-nums}code{font:.85em ui-monospace,monospace;"
    "overflow-wrap:anywhere}\n"
    ".no-wrap{white-space:nowrap}.boxes{display:grid;grid-template-columns:1fr 1fr;gap:1.2rem}.boxes div{border:1px "
    "solid "
    "#d0d7de;border-radius:6px;padding:.2rem 1rem .8rem}\n"
    "figure{margin:1rem 0}svg{width:100%;height:auto;font:11px sans-serif;fill:#57606a}svg .grid{stroke:#d8dee4;"
    "stroke-width:1}svg polyline{fill:none;stroke:#0969da;stroke-width:1.4}svg .alarm{fill:#a40e26}\n"
    "figcaption{color:#57606a;font-size:.86rem}\n"
    "@page{size:A4;margin:16mm 14mm;@bottom-right{content:counter(page) \" / \" counter(pages);font-size:9pt}}\n"
    "@media print{body{font-size:9.5pt;max-width:none;margin:0;padding:0}h2{break-after:avoid}tr,figure,.boxes div{"
    "break-inside:avoid}thead{display:table-header-group}a{color:inherit;text-decoration:none}}\n"
    "@media(max-width:46rem){.boxes{grid-template-columns:1fr}dl{grid-template-columns:1fr}dt{margin-top:.4rem}}\n";

/* ---- small things ---- */

static void short_digest(cn_buf *out, const cn_digest *d)
{
    html(out, "<code title=\"%s\">%.12s&#8230;</code>", cn_digest_hex(d).s, cn_digest_hex(d).s);
}

static void member_of(const report_facts *f, const cn_digest *key_id, cn_buf *out)
{
    const report_key *k = report_find_key(f, key_id);
    const char *name = k ? report_member_name(f, &k->owner) : "";
    if (name[0])
        html_string(out, name);
    else
        html(out, "<span class=\"muted\">a member not named here</span>");
    html(out, k && k->purpose == CN_PURPOSE_DEVICE    ? ", device "
              : k && k->purpose == CN_PURPOSE_GATEWAY ? ", gateway "
                                                      : ", key ");
    short_digest(out, key_id);
}

static void pair(cn_buf *out, const char *term)
{
    html(out, "<dt>%s</dt><dd>", term);
}

static void recorded(const report_facts *f, uint64_t index, cn_buf *out)
{
    uint64_t ms = report_recorded_ms(f, index);
    if (ms)
        html_time(out, (int64_t)ms);
    html(out, "<br/><small>log %llu", (unsigned long long)index);
}

static void more(cn_buf *out, size_t count, const char *what)
{
    if (count)
        html(out, "<p class=\"muted\">%zu more %s are in the files of the dossier; this page shows the first %u.</p>\n",
             count, what, CN_REPORT_MAX_ROWS);
}

/* ---- head and summary ---- */

static void put_head(const report_facts *f, cn_buf *out)
{
    const cn_dossier *d = f->dossier;
    const cn_header *h = &d->header[0];
    html(out,
         "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta "
         "charset=\"utf-8\"/>\n"
         "<meta name=\"generator\" content=\"" GENERATOR "%u\"/>\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>Audit of ",
         CN_REPORT_VERSION);
    html_string(out, d->subject);
    html(out, "</title>\n<style>\n");
    cn_put_bytes(out, style, sizeof style - 1);
    html(out, "</style>\n</head>\n<body>\n<header>\n<p class=\"muted\">Audit dossier of the ledger ");
    html_string(out, f->genesis.name);
    html(out, "</p>\n<h1>");
    html_string(out, d->subject);
    html(out, "</h1>\n<dl>\n");
    pair(out, "About");
    html(out, d->kind == CN_DOSSIER_STATEMENT ? "one statement, by its id" : "everything recorded about this subject");
    html(out, "</dd>\n");
    pair(out, "As of");
    html_time(out, (int64_t)h->time_ms);
    html(out, " UTC, block height %llu, %llu entries in the log</dd>\n", (unsigned long long)h->height,
         (unsigned long long)h->log_size);
    pair(out, "Ledger (genesis digest)");
    html(out, "<code>%s</code></dd>\n", cn_digest_hex(&f->genesis.network).s);
    pair(out, "Validators");
    html(out, "epoch %llu, %zu change%s of validators since the beginning</dd>\n", (unsigned long long)h->epoch,
         d->epoch_count, d->epoch_count == 1 ? "" : "s");
    if (d->legal_basis[0]) {
        pair(out, "Legal basis, as the caller gave it");
        html_string(out, d->legal_basis);
        html(out, "</dd>\n");
    }
    if (d->case_number[0]) {
        pair(out, "Case number, as the caller gave it");
        html_string(out, d->case_number);
        html(out, "</dd>\n");
    }
    html(out, "</dl>\n</header>\n<main>\n");
}

static const cn_dossier_subject *main_subject(const report_facts *f)
{
    for (size_t i = 0; i < f->dossier->subject_count; i++)
        if (cn_digest_eq(&f->dossier->subjects[i].tag, &f->dossier->tag))
            return &f->dossier->subjects[i];
    return NULL;
}

static void put_absence(const report_facts *f, cn_buf *out)
{
    html(out, "<h2>Nothing is recorded</h2>\n<p class=\"lead\">Up to block height %llu (",
         (unsigned long long)f->dossier->header[0].height);
    html_time(out, (int64_t)f->dossier->header[0].time_ms);
    html(out, " UTC) no statement about this subject was recorded in this ledger. The dossier proves it.</p>\n");
}

static void put_summary(const report_facts *f, cn_buf *out)
{
    const cn_dossier_subject *s = main_subject(f);
    size_t signers = 0;
    for (size_t i = 0; i < f->key_count; i++)
        signers += f->key[i].signed_n > 0;
    html(out, "<h2>In short</h2>\n<p class=\"lead\">");
    if (s)
        html(out, "%llu statement%s about the subject; ", (unsigned long long)s->count, s->count == 1 ? "" : "s");
    html(out, "%zu statement%s in the dossier, signed with %zu key%s, with %zu readable event%s",
         f->dossier->statement_count, f->dossier->statement_count == 1 ? "" : "s", signers, signers == 1 ? "" : "s",
         f->events, f->events == 1 ? "" : "s");
    if (f->events) {
        html(out, " from ");
        html_time(out, f->first_ms);
        html(out, " to ");
        html_time(out, f->last_ms);
        html(out, " UTC, as their signers say");
    }
    html(out, ".</p>\n");
    if (f->erased)
        html(out,
             "<p>The content of %zu item%s is not here: erased everywhere by order of the member that signed it, or "
             "left out of this "
             "dossier. What is left proves that it existed, who signed it and when.</p>\n",
             f->erased, f->erased == 1 ? "" : "s");
    if (f->sealed + f->unreadable)
        html(out,
             "<p>%zu items are sealed to certain parties, and %zu are of a format that this page does not read. Their "
             "digests are "
             "signed and counted all the same.</p>\n",
             f->sealed, f->unreadable);
}

/* ---- events ---- */

static void put_term(const cn_json_node *n, const char *before, cn_buf *out)
{
    if (!n || n->type != CN_JSON_STRING)
        return;
    html(out, "%s", before);
    html_term(out, n->text);
}

static void put_place(const cn_json_node *place, const char *what, cn_buf *out)
{
    const cn_json_node *id = cn_json_get(place, "id");
    if (!id || id->type != CN_JSON_STRING)
        return;
    html(out, "<span class=\"muted\">%s</span> ", what);
    html_text(out, id->text.s, id->text.n);
    html(out, "<br/>");
}

static void put_id(const cn_json_node *n, size_t *count, cn_buf *out)
{
    if (!n || n->type != CN_JSON_STRING || (*count)++ >= THINGS_SHOWN)
        return;
    html_text(out, n->text.s, n->text.n);
    html(out, "<br/>");
}

static void put_things(const cn_json_node *event, cn_buf *out)
{
    static const char *const lists[] = {"epcList", "childEPCs", "inputEPCList", "outputEPCList"};
    static const char *const quantities[] = {"quantityList", "childQuantityList", "inputQuantityList",
                                             "outputQuantityList"};
    size_t count = 0;
    const cn_json_node *parent = cn_json_get(event, "parentID");
    if (parent)
        html(out, "<span class=\"muted\">in</span> ");
    put_id(parent, &count, out);
    for (size_t i = 0; i < 4; i++) {
        const cn_json_node *list = cn_json_get(event, lists[i]);
        for (const cn_json_node *n = list ? list->child : NULL; n; n = n->next)
            put_id(n, &count, out);
        list = cn_json_get(event, quantities[i]);
        for (const cn_json_node *n = list ? list->child : NULL; n; n = n->next)
            put_id(cn_json_get(n, "epcClass"), &count, out);
    }
    if (count > THINGS_SHOWN)
        html(out, "<small>and %zu more</small>", count - THINGS_SHOWN);
}

static void put_reading(const cn_json_node *r, cn_buf *out)
{
    static const char *const values[][2] = {
        {"value", ""}, {"minValue", "lowest "}, {"maxValue", "highest "}, {"meanValue", "mean "}};
    const cn_json_node *unit = cn_json_get(r, "uom"), *flag = cn_json_get(r, "booleanValue");
    html(out, cn_json_get(r, "exception") ? "<span class=\"alarm\">" : "<span>");
    put_term(cn_json_get(r, "type"), "", out);
    put_term(cn_json_get(r, "component"), " ", out);
    for (size_t i = 0; i < 4; i++) {
        const cn_json_node *v = cn_json_get(r, values[i][0]);
        if (!v || v->type != CN_JSON_NUMBER)
            continue;
        html(out, " %s", values[i][1]);
        html_text(out, v->text.s, v->text.n);
    }
    if (flag)
        html(out, flag->type == CN_JSON_TRUE ? " yes" : " no");
    put_term(unit, " ", out);
    put_term(cn_json_get(r, "exception"), ": ", out);
    html(out, "</span><br/>");
}

static void put_sensors(const cn_json_node *event, cn_buf *out)
{
    const cn_json_node *list = cn_json_get(event, "sensorElementList");
    size_t shown = 0, left = 0;
    for (const cn_json_node *e = list ? list->child : NULL; e; e = e->next) {
        const cn_json_node *reports = cn_json_get(e, "sensorReport");
        for (const cn_json_node *r = reports ? reports->child : NULL; r; r = r->next) {
            if (shown < THINGS_SHOWN)
                put_reading(r, out);
            left += shown >= THINGS_SHOWN;
            shown += shown < THINGS_SHOWN;
        }
    }
    if (left)
        html(out, "<small>and %zu more readings</small>", left);
}

static void put_event_row(const report_facts *f, size_t place, size_t item, const report_event *e, cn_buf *out)
{
    const cn_statement *s = f->statement[place];
    uint64_t index = f->dossier->statement[place].log_index;
    const cn_json_node *step = cn_json_get(e->root, "bizStep"), *action = cn_json_get(e->root, "action");
    html(out, "<tr><td>");
    if (e->ms)
        html_time(out, e->ms);
    html(out, "</td><td><strong>");
    put_term(step ? step : cn_json_get(e->root, "type"), "", out);
    html(out, "</strong><br/><small>");
    put_term(cn_json_get(e->root, "type"), "", out);
    put_term(action, ", ", out);
    put_term(cn_json_get(e->root, "disposition"), ", ", out);
    html(out, "</small>");
    if (cn_json_get(e->root, "errorDeclaration"))
        html(out, "<br/><span class=\"alarm\">declares an earlier event to be in error</span>");
    html(out, "</td><td>");
    put_place(cn_json_get(e->root, "readPoint"), "at", out);
    put_place(cn_json_get(e->root, "bizLocation"), "then", out);
    html(out, "</td><td>");
    put_things(e->root, out);
    put_sensors(e->root, out);
    html(out, "</td><td>");
    recorded(f, index, out);
    html(out, ", item %zu</small></td><td>", item);
    member_of(f, &s->body.key_id, out);
    html(out, "</td></tr>\n");
}

static void put_events(const report_facts *f, cn_buf *out)
{
    size_t rows = 0, left = 0;
    if (f->events == 0)
        return;
    html(out, "<h2>Events</h2>\n<table>\n<caption>In the order of the log. Times of events and places are what their "
              "signers say; "
              "&#8220;recorded&#8221; is the time of the block.");
    if (f->readings)
        html(out, " %zu regular temperature readings are in the chart only.", f->readings);
    html(
        out,
        "</caption>\n<thead><tr><th scope=\"col\">When (UTC)</th><th scope=\"col\">What</th><th "
        "scope=\"col\">Where</th>"
        "<th scope=\"col\">Things and readings</th><th scope=\"col\">Recorded</th><th scope=\"col\">Signed by</th></tr>"
        "</thead>\n<tbody>\n");
    for (size_t i = 0; i < f->dossier->statement_count; i++) {
        const cn_statement *s = f->statement[i];
        for (size_t k = 0; s && s->body.kind == CN_PAYLOAD_EVENT_BATCH && k < s->item_count; k++) {
            report_event e;
            report_event_open(s, k, &e);
            bool row = e.root && !e.is_reading;
            if (row && rows < CN_REPORT_MAX_ROWS)
                put_event_row(f, i, k, &e, out);
            left += row && rows >= CN_REPORT_MAX_ROWS;
            rows += row && rows < CN_REPORT_MAX_ROWS;
            report_event_close(&e);
        }
    }
    html(out, "</tbody>\n</table>\n");
    more(out, left, "events");
}

static void put_temperatures(report_facts *f, cn_buf *out)
{
    if (f->series_count == 0)
        return;
    html(out, "<h2>Temperature</h2>\n");
    for (size_t i = 0; i < f->series_count; i++) {
        cn_buf name;
        cn_buf_init(&name, 1u << 16);
        html_text(&name, f->series[i].device, f->series[i].device_len);
        cn_put_u8(&name, 0);
        report_chart(out, f->series[i].reading, f->series[i].count, name.p ? (const char *)name.p : "",
                     f->series[i].unit.s, (unsigned)i + 1);
        cn_buf_free(&name);
    }
    if (f->series_count == REPORT_MAX_SERIES)
        html(out, "<p class=\"muted\">This page draws the first %u devices; readings of others are in the files.</p>\n",
             REPORT_MAX_SERIES);
}

/* ---- other statements ---- */

static void put_pairing(const cn_pairing *p, cn_buf *out)
{
    html(out, "ties container ");
    short_digest(out, &p->container);
    html(out, " to consignment ");
    short_digest(out, &p->consignment);
    html(out, " from ");
    html_time(out, (int64_t)p->start_ms);
    if (p->end_ms) {
        html(out, " to ");
        html_time(out, (int64_t)p->end_ms);
    }
}

static void put_document(const cn_document_anchor *a, cn_buf *out)
{
    static const char *const kinds[] = {"a document",
                                        "a document",
                                        "a bill of lading",
                                        "an invoice",
                                        "a certificate of origin",
                                        "a phytosanitary certificate",
                                        "a customs document"};
    html(out, "anchors %s of %llu bytes, SHA-256 <code>%s</code>, issued ", kinds[a->kind <= 6 ? a->kind : 0],
         (unsigned long long)a->size, cn_digest_hex(&a->digest).s);
    html_time(out, (int64_t)a->issued_ms);
}

static void put_registry(const cn_registry_change *c, cn_buf *out)
{
    static const char *const words[] = {"",
                                        "registers key ",
                                        "replaces key ",
                                        "revokes key ",
                                        "declares a gap in the chain of key ",
                                        "stands by statements of the revoked key ",
                                        "admits the member ",
                                        "changes the key of its peer channel"};
    html(out, "%s", words[c->op <= 7 ? c->op : 0]);
    if (c->op == CN_REG_MEMBER_REGISTER) {
        html_string(out, c->name);
    } else if (c->op == CN_REG_KEY_REGISTER) {
        cn_digest id = cn_key_id(&c->new_key.key);
        short_digest(out, &id);
    } else if (c->op != CN_REG_CHANNEL_KEY) {
        short_digest(out, &c->key_id);
    }
}

static void put_proposal(const cn_proposal_payload *p, cn_buf *out)
{
    static const char *const changes[] = {"", "join", "leave", "rotate its keys", "change roles"};
    if (p->action == CN_CHANGE_FOREIGN) {
        html(out, p->foreign.withdraw ? "proposes to admit nothing more of network "
                                      : "proposes to admit statements of network ");
        short_digest(out, &p->member);
        return;
    }
    html(out, "proposes that member ");
    short_digest(out, &p->member);
    html(out, " should %s", changes[p->action <= 4 ? p->action : 0]);
}

static void put_foreign(const cn_foreign_payload *f, cn_buf *out)
{
    cn_foreign_proof *p = calloc(1, sizeof *p);
    cn_digest id;
    CN_ASSERT(p);
    if (cn_foreign_read(f->proof.p, f->proof.n, p, NULL) != CN_OK) {
        html(out, "a foreign proof");
    } else if (p->kind == CN_FOREIGN_ADVANCE) {
        html(out, "shows %zu change%s of the validators of network ", p->step_count, p->step_count == 1 ? "" : "s");
        short_digest(out, &p->network);
    } else if (cn_foreign_statement(p, &id, NULL) == CN_OK) {
        html(out, "relies on statement ");
        short_digest(out, &id);
        html(out, " of network ");
        short_digest(out, &p->network);
        html(out, ", final there by ");
        html_time(out, (int64_t)p->header[0].time_ms);
    } else {
        html(out, "relies on a statement that does not decode");
    }
    free(p);
}

static void put_erasure(const cn_erasure_payload *e, cn_buf *out)
{
    static const char *const reasons[] = {"", "no reason given", "the person concerned asked for it",
                                          "the term for keeping it is over", "recorded by mistake"};
    html(out, "orders items %u to %u of statement ", e->start, e->start + e->count - 1);
    short_digest(out, &e->target);
    html(out, " to be erased everywhere: %s", reasons[e->reason]);
}

static void put_statement(const cn_statement *s, cn_buf *out)
{
    switch (s->body.kind) {
    case CN_PAYLOAD_PAIRING:
        put_pairing(&s->body.pairing, out);
        break;
    case CN_PAYLOAD_DOCUMENT:
        put_document(&s->body.document, out);
        break;
    case CN_PAYLOAD_REGISTRY:
        put_registry(&s->body.registry, out);
        break;
    case CN_PAYLOAD_PROPOSAL:
        put_proposal(&s->body.proposal, out);
        break;
    case CN_PAYLOAD_FOREIGN:
        put_foreign(&s->body.foreign, out);
        break;
    case CN_PAYLOAD_ERASURE:
        put_erasure(&s->body.erasure, out);
        break;
    case CN_PAYLOAD_PURGE:
        html(out, "says that its node erased what was ordered by statement ");
        short_digest(out, &s->body.purge.erasure);
        break;
    case CN_PAYLOAD_BALLOT:
        html(out, s->body.ballot.approve ? "approves proposal " : "refuses proposal ");
        short_digest(out, &s->body.ballot.proposal);
        break;
    case CN_PAYLOAD_READINESS:
        html(out, "says that its node is ready for proposal ");
        short_digest(out, &s->body.readiness.proposal);
        break;
    default:
        html(out, "a statement of kind %d", (int)s->body.kind);
        break;
    }
}

static void put_others(const report_facts *f, cn_buf *out)
{
    size_t rows = 0, left = 0;
    for (size_t i = 0; i < f->dossier->statement_count; i++) {
        const cn_statement *s = f->statement[i];
        if (!s || s->body.kind == CN_PAYLOAD_EVENT_BATCH)
            continue;
        if (rows == 0)
            html(out, "<h2>Documents, ties, keys and members</h2>\n<table>\n<caption>Statements without events, in the "
                      "order of the "
                      "log</caption>\n<thead><tr><th scope=\"col\">Recorded</th><th scope=\"col\">Statement</th>"
                      "<th scope=\"col\">Signed by</th></tr></thead>\n<tbody>\n");
        if (rows == CN_REPORT_MAX_ROWS) {
            left++;
            continue;
        }
        rows++;
        html(out, "<tr><td>");
        recorded(f, f->dossier->statement[i].log_index, out);
        html(out, "</small></td><td>");
        put_statement(s, out);
        html(out, "</td><td>");
        member_of(f, &s->body.key_id, out);
        html(out, "</td></tr>\n");
    }
    if (rows)
        html(out, "</tbody>\n</table>\n");
    more(out, left, "statements");
}

static void put_keys(const report_facts *f, cn_buf *out)
{
    static const char *const purposes[] = {"", "the member's own systems", "device", "gateway"};
    html(out, "<h2>Who signed</h2>\n<table>\n<caption>Keys that signed a statement of this dossier, and when they had "
              "authority</caption>\n"
              "<thead><tr><th scope=\"col\">Member</th><th scope=\"col\">Key</th><th scope=\"col\">For</th>"
              "<th scope=\"col\">Statements here</th><th scope=\"col\">From</th><th "
              "scope=\"col\">Until</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0, rows = 0; i < f->key_count && rows < CN_REPORT_MAX_ROWS; i++) {
        const report_key *k = &f->key[i];
        if (k->signed_n == 0)
            continue;
        rows++;
        html(out, "<tr><td>");
        html_string(out, report_member_name(f, &k->owner));
        html(out, "</td><td>");
        short_digest(out, &k->id);
        html(out, "</td><td>%s</td><td>%llu</td><td>", purposes[k->purpose <= 3 ? k->purpose : 0],
             (unsigned long long)k->signed_n);
        if (k->from)
            html(out, "log %llu", (unsigned long long)k->from);
        else
            html(out, "the beginning");
        if (k->until)
            html(out, "</td><td>log %llu</td></tr>\n", (unsigned long long)k->until);
        else
            html(out, "</td><td>not ended</td></tr>\n");
    }
    html(out, "</tbody>\n</table>\n");
}

static void put_redactions(const report_facts *f, cn_buf *out)
{
    const cn_dossier *d = f->dossier;
    if (d->redaction_count == 0)
        return;
    html(out, "<h2>Left out of this dossier</h2>\n<p>The content of these items is not here; that they exist, who "
              "signed them and when is "
              "proved.</p>\n<ul>\n");
    for (size_t i = 0; i < d->redaction_count && i < CN_REPORT_MAX_ROWS; i++)
        html(out, "<li>log %llu, item %u</li>\n", (unsigned long long)d->redaction[i].log_index,
             (unsigned)d->redaction[i].item);
    html(out, "</ul>\n");
    more(out, d->redaction_count > CN_REPORT_MAX_ROWS ? d->redaction_count - CN_REPORT_MAX_ROWS : 0, "items");
}

/* ---- what it is worth ---- */

static void put_meaning(const report_facts *f, cn_buf *out)
{
    html(out,
         "<h2>What this proves, and what it does not</h2>\n<div class=\"boxes\">\n<div>\n<h3>Proved, once the verifier "
         "accepts "
         "the dossier</h3>\n<ul>\n"
         "<li>Each statement was signed by the key it names, and that key had authority then.</li>\n"
         "<li>A quorum of the ledger&#8217;s validators made it final at its place in the log; nobody can take it out "
         "or change "
         "it unseen.</li>\n%s"
         "<li>The statements of each key that are here stand in the order in which it signed them, and of two that "
         "follow "
         "one another directly the later names the earlier.</li>\n"
         "</ul>\n</div>\n<div>\n<h3>Not proved</h3>\n<ul>\n"
         "<li>That what a signer says is true. Registration proves what was recorded and when, not that it "
         "happened.</li>\n"
         "<li>What a signer never submitted, and what a key signed about other subjects.</li>\n"
         "<li>The time of an event, which is the signer&#8217;s claim. The time of a block is a claim of a quorum of "
         "validators, "
         "unless a time authority that you trust saw it (files in <code>tokens/</code>).</li>\n"
         "<li>Events about this subject under an identifier that their signer did not declare.</li>\n"
         "</ul>\n</div>\n</div>\n",
         f->dossier->kind == CN_DOSSIER_SUBJECT ? "<li>Nothing that was recorded about the subject, or about "
                                                  "containers while they were tied to it, is left out.</li>\n"
                                                : "");
    html(
        out,
        "<h2>How to check it</h2>\n<p>This page is for reading; only the verifier&#8217;s verdict counts. Take the "
        "genesis digest of the "
        "ledger from a source that you trust, not from this file, and run</p>\n<p><code>carnet verify --genesis DIGEST "
        "FILE.zip</code></p>\n<p>It needs no network. Its step &#8220;report&#8221; says whether this page is what the "
        "dossier "
        "holds.</p>\n</main>\n</body>\n</html>\n");
}

cn_status cn_report_render(const cn_dossier *d, cn_buf *out, cn_err *err)
{
    report_facts *f = calloc(1, sizeof *f);
    if (!f)
        return cn_fail(err, CN_NO_MEMORY, "report", "out of memory");
    const size_t before = out->n;
    cn_status st = report_facts_collect(f, d, err);
    if (st == CN_OK) {
        const cn_dossier_subject *s = main_subject(f);
        put_head(f, out);
        if (d->kind == CN_DOSSIER_SUBJECT && s && !s->present)
            put_absence(f, out);
        else
            put_summary(f, out);
        put_temperatures(f, out);
        put_events(f, out);
        put_others(f, out);
        if (d->statement_count)
            put_keys(f, out);
        put_redactions(f, out);
        put_meaning(f, out);
        if (out->fault)
            st = cn_fail(err, CN_TOO_LARGE, "report", "exceeds %u bytes, or memory is used up", CN_REPORT_MAX_BYTES);
    }
    if (st != CN_OK)
        out->n = before;
    report_facts_free(f);
    free(f);
    return st;
}

unsigned cn_report_version_of(cn_span page)
{
    static const char mark[] = "content=\"" GENERATOR;
    size_t n = page.n < 1024 ? page.n : 1024;
    const uint8_t *at = n ? memmem(page.p, n, mark, sizeof mark - 1) : NULL;
    unsigned version = 0;
    for (at = at ? at + sizeof mark - 1 : NULL; at && at < (const uint8_t *)page.p + n && *at >= '0' && *at <= '9';
         at++)
        version = version > 1000000 ? 0 : version * 10 + (unsigned)(*at - '0');
    return version;
}

const char *cn_report_readme(void)
{
    return "Audit dossier of a Carnet ledger, format carnet-audit-2. Instructions, version 1.\n"
           "\n"
           "To read it, open report.html in any browser. To rely on it, verify it; no network is needed:\n"
           "\n"
           "    carnet verify --genesis DIGEST FILE.zip\n"
           "\n"
           "DIGEST is the genesis digest of the ledger, 64 hexadecimal digits. Take it from a source that you trust "
           "(a\n"
           "publication of the consortium, your own administration), not from this file. The verifier gives a verdict "
           "for\n"
           "each step and exit status 0 when all hold; it checks this text and report.html too.\n"
           "\n"
           "verify.html, where it is here, is a second verifier as one page for a browser, also without a network. "
           "Nobody\n"
           "checks it: before you open it, compare its SHA-256 in manifest.json with the one that your source of the "
           "digest\n"
           "publishes, or take the page from there.\n"
           "\n"
           "With software of others: receipts/ are COSE receipts (RFC 9942), tlog/ and checkpoint.note are C2SP "
           "tlog-proofs and\n"
           "a signed note, subjects/ hold ICS-23 proofs, tokens/ are RFC 3161 time tokens over the 229 header bytes of "
           "their\n"
           "height. Every file of a dossier is listed with its SHA-256 in manifest.json.\n";
}

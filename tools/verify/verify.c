#include "tools/verify/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct step_row {
    const char *name, *text;
} step_row;

static const step_row steps[] = {
#define CN_STEP_ROW(id, name, text) {name, text},
    CN_VERIFY_STEPS(CN_STEP_ROW)
#undef CN_STEP_ROW
};

const char *cn_verify_step_name(cn_verify_step step)
{
    return step < CN_STEP_COUNT ? steps[step].name : "unknown";
}

const char *cn_verify_step_text(cn_verify_step step)
{
    return step < CN_STEP_COUNT ? steps[step].text : "";
}

void verify_fault(verifier *v, cn_verify_step step, cn_status code, const char *where, const char *format, ...)
{
    cn_verify_result *r = &v->report->step[step];
    va_list args;
    r->faults++;
    if (r->verdict == CN_VERDICT_FAILED)
        return;
    r->verdict = CN_VERDICT_FAILED;
    r->err.code = code;
    snprintf(r->err.field, sizeof r->err.field, "%s", where);
    va_start(args, format);
    vsnprintf(r->err.text, sizeof r->err.text, format, args);
    va_end(args);
}

void verify_where(const verifier *v, size_t place, char out[96])
{
    snprintf(out, 96, "statements/%020llu.bin", (unsigned long long)v->dossier.statement[place].log_index);
}

void verify_not_checked(verifier *v, cn_verify_step step, const char *why)
{
    cn_verify_result *r = &v->report->step[step];
    if (r->verdict == CN_VERDICT_NOT_CHECKED)
        cn_fail(&r->err, CN_NOT_FOUND, "", "%s", why);
}

void *verify_grow(verifier *v, void *p, size_t count, size_t size)
{
    void *grown = reallocarray(p, count ? count : 1, size);
    v->exhausted = v->exhausted || !grown;
    return grown;
}

static void holds(verifier *v, cn_verify_step step)
{
    if (v->report->step[step].verdict == CN_VERDICT_NOT_CHECKED)
        v->report->step[step].verdict = CN_VERDICT_OK;
}

static bool failed(const verifier *v, cn_verify_step step)
{
    return v->report->step[step].verdict == CN_VERDICT_FAILED;
}

/* ---- genesis and quorum ---- */

static void check_genesis(verifier *v, const cn_digest *network)
{
    cn_err err = {0};
    const cn_span g = v->dossier.genesis;
    cn_digest digest = cn_network_id(g.p, g.n);
    if (!cn_digest_eq(&digest, network)) {
        verify_fault(v, CN_STEP_GENESIS, CN_WRONG_NETWORK, "genesis.json", "has digest %s, not the one given",
                     cn_digest_hex(&digest).s);
        return;
    }
    if (cn_genesis_parse(g.p, g.n, &v->genesis, &err) != CN_OK) {
        verify_fault(v, CN_STEP_GENESIS, err.code, "genesis.json", "%s: %s", err.field, err.text);
        return;
    }
    v->has_genesis = true;
    holds(v, CN_STEP_GENESIS);
}

/* ---- who decides ---- */

/* From the set of genesis, closing block by closing block, to the set of the checkpoint's epoch. */
static void check_epochs(verifier *v)
{
    const cn_dossier *d = &v->dossier;
    uint64_t newest = d->header[0].epoch;
    cn_err err = {0};
    char where[64] = "checkpoint.bin";
    v->epoch = (cn_epoch){.epoch = 1, .digest = v->genesis.set_digest, .set = v->genesis.set};
    if (newest == 0 || newest - 1 != d->epoch_count)
        verify_fault(v, CN_STEP_EPOCH_CHAIN, CN_NOT_FOUND, where,
                     "the checkpoint is of epoch %llu, and %zu changes of the validators are here",
                     (unsigned long long)newest, d->epoch_count);
    for (size_t i = 0; i < d->epoch_count && !failed(v, CN_STEP_EPOCH_CHAIN); i++) {
        snprintf(where, sizeof where, "epochs/%020llu.bin", (unsigned long long)d->epoch[i].epoch);
        if (d->epoch[i].epoch != i + 2)
            verify_fault(v, CN_STEP_EPOCH_CHAIN, CN_NOT_FOUND, where, "the change that began epoch %zu is missing",
                         i + 2);
        else if (cn_epoch_advance(&v->epoch, &v->genesis.network, &d->epoch[i].closing, d->epoch[i].certificate,
                                  d->epoch[i].rows, &err) != CN_OK)
            verify_fault(v, CN_STEP_EPOCH_CHAIN, err.code, where, "%s: %s", err.field, err.text);
    }
    for (size_t i = 0; i < d->header_count; i++)
        if (d->header[i].epoch != newest || !cn_digest_eq(&d->header[i].set, &v->epoch.digest) ||
            d->header[i].height <= v->epoch.height)
            verify_fault(v, CN_STEP_EPOCH_CHAIN, CN_INVALID, "checkpoint.bin",
                         "header %zu is not of epoch %llu and its validators", i, (unsigned long long)newest);
    holds(v, CN_STEP_EPOCH_CHAIN);
}

/* The finalization names the last header; the links between the headers carry it back to the checkpoint. */
static void check_links(verifier *v)
{
    const cn_dossier *d = &v->dossier;
    for (size_t i = 1; i < d->header_count; i++) {
        const cn_header *h = &d->header[i];
        cn_digest before = cn_header_digest(&d->header[i - 1]);
        if (!cn_digest_eq(&h->parent, &before) || h->height != d->header[i - 1].height + 1)
            verify_fault(v, CN_STEP_QUORUM, CN_INVALID, "checkpoint.bin", "header %zu does not follow the one before",
                         i);
    }
    if (d->header[0].kind == CN_BLOCK_NORMAL || d->header[0].height != d->checkpoint)
        verify_fault(v, CN_STEP_QUORUM, CN_INVALID, "checkpoint.bin",
                     "the first header is not the checkpoint that the manifest names");
}

static void check_quorum(verifier *v)
{
    const cn_dossier *d = &v->dossier;
    cn_err err = {0};
    cn_digest last = cn_header_digest(&d->header[d->header_count - 1]);
    check_links(v);
    if (d->header[0].epoch == v->epoch.epoch &&
        cn_epoch_check_finalization(&v->epoch, &v->genesis.network, d->certificate, &last, &err) != CN_OK)
        verify_fault(v, CN_STEP_QUORUM, err.code, "checkpoint.bin", "%s: %s", err.field, err.text);
    else if (d->header[0].epoch != v->epoch.epoch)
        verify_fault(v, CN_STEP_QUORUM, CN_INVALID, "checkpoint.bin", "who may finalize epoch %llu is not proved",
                     (unsigned long long)d->header[0].epoch);
    v->report->checkpoint_height = v->dossier.header[0].height;
    v->report->checkpoint_time_ms = v->dossier.header[0].time_ms;
    holds(v, CN_STEP_QUORUM);
}

/* ---- statements ---- */

static void check_statement(verifier *v, size_t i)
{
    const cn_dossier_statement *ds = &v->dossier.statement[i];
    const cn_header *checkpoint = &v->dossier.header[0];
    char where[96];
    cn_err err = {0};
    verify_where(v, i, where);
    if (cn_statement_decode(ds->whole.p, ds->whole.n, &v->statement[i], &err) != CN_OK) {
        verify_fault(v, CN_STEP_INCLUSION, err.code, where, "%s: %s", err.field, err.text);
        return;
    }
    const cn_statement *s = v->statement[i];
    cn_digest leaf = cn_leaf_hash(s->record_digest.b, CN_DIGEST_LEN);
    if (!cn_verify_inclusion(&leaf, ds->log_index, checkpoint->log_size, ds->path, ds->path_len, &checkpoint->log_root))
        verify_fault(v, CN_STEP_INCLUSION, CN_INVALID, where,
                     "its path does not lead from log index %llu to the log root", (unsigned long long)ds->log_index);
    if (!cn_digest_eq(&s->body.network, &v->genesis.network))
        verify_fault(v, CN_STEP_SIGNATURE, CN_WRONG_NETWORK, where, "it was signed for another network");
    if (cn_statement_check_items(s, &err) != CN_OK)
        verify_fault(v, CN_STEP_ITEM_ROOT, err.code, where, "%s: %s", err.field, err.text);
    v->report->items += s->item_count;
}

bool verify_in_scope(const verifier *v, size_t place)
{
    const cn_dossier *d = &v->dossier;
    const cn_dossier_subject *subject = d->kind == CN_DOSSIER_SUBJECT ? verify_find_subject(v, &d->tag) : NULL;
    if (d->kind == CN_DOSSIER_STATEMENT)
        return cn_digest_eq(&v->statement[place]->id, &d->tag);
    return subject && verify_is_leaf(subject, d->statement[place].log_index);
}

static void check_statements(verifier *v)
{
    size_t n = v->dossier.statement_count;
    v->report->statements = n;
    v->statement = calloc(n + 1, sizeof(cn_statement *));
    if (!v->statement) {
        verify_fault(v, CN_STEP_INCLUSION, CN_NO_MEMORY, "statements", "out of memory");
        return;
    }
    for (size_t i = 0; i < n; i++)
        check_statement(v, i);
    verify_collect_pairings(v);
    verify_collect_orders(v);
    verify_keys(v);
    verify_trees(v);
    verify_pairings(v);
    verify_content(v);
    verify_consistency(v);
    verify_redactions(v);
    for (cn_verify_step step = CN_STEP_INCLUSION; step < CN_VERIFY_REQUIRED; step++)
        holds(v, step);
}

/* ---- the whole ---- */

/* Steps that are not required: they hold, or said why they could not be taken. */
static void check_outside(verifier *v, const cn_verify_options *options)
{
    if (v->statement && !failed(v, CN_STEP_EPOCH_CHAIN) && verify_receipts(v, options))
        holds(v, CN_STEP_RECEIPTS);
    if (!failed(v, CN_STEP_EPOCH_CHAIN) && verify_time(v, options))
        holds(v, CN_STEP_TIME);
    if (!failed(v, CN_STEP_EPOCH_CHAIN) && !failed(v, CN_STEP_QUORUM) && verify_anchors(v, options))
        holds(v, CN_STEP_EPOCH_ANCHOR);
    if (!failed(v, CN_STEP_EPOCH_CHAIN) && verify_policy(v, options))
        holds(v, CN_STEP_WITNESS_POLICY);
    if (verify_report_page(v))
        holds(v, CN_STEP_REPORT);
}

static void begin(cn_verify_report *report)
{
    memset(report, 0, sizeof *report);
    for (int i = 0; i < CN_STEP_COUNT; i++) {
        report->step[i].verdict = CN_VERDICT_NOT_CHECKED;
        report->step[i].err.code = CN_INVALID;
        snprintf(report->step[i].err.text, sizeof report->step[i].err.text, "an earlier step failed");
    }
}

/* The steps that the caller asked for count as if they were required. */
static bool counts(const cn_verify_options *options, cn_verify_step step)
{
    switch ((int)step) {
    case CN_STEP_RECEIPTS:
        return options->signatures > 0;
    case CN_STEP_EPOCH_ANCHOR:
        return options->anchor_count > 0;
    case CN_STEP_WITNESS_POLICY:
        return options->policy.n > 0;
    case CN_STEP_TIME:
        return options->tsa_ca.n > 0;
    case CN_STEP_REPORT:
        return false;
    default:
        return true;
    }
}

static cn_status conclude(cn_verify_report *report, const cn_verify_options *options)
{
    for (cn_verify_step i = 0; i < CN_STEP_COUNT; i++)
        if (report->step[i].verdict == CN_VERDICT_FAILED ||
            (report->step[i].verdict == CN_VERDICT_NOT_CHECKED && counts(options, i)))
            return report->step[i].err.code ? report->step[i].err.code : CN_INVALID;
    report->accepted = true;
    return CN_OK;
}

cn_status cn_verify_dossier(const void *zip, size_t n, const cn_digest *network, const cn_verify_options *options,
                            cn_verify_report *ret)
{
    static const cn_verify_options nothing = {0};
    cn_err err = {0};
    options = options ? options : &nothing;
    begin(ret);
    verifier *v = calloc(1, sizeof *v);
    if (!v) {
        cn_fail(&ret->step[CN_STEP_CONTAINER].err, CN_NO_MEMORY, "", "out of memory");
        return CN_NO_MEMORY;
    }
    v->report = ret;
    if (cn_dossier_read(zip, n, &v->dossier, &err) != CN_OK) {
        verify_fault(v, CN_STEP_CONTAINER, err.code, err.field, "%s", err.text);
        free(v);
        return conclude(ret, options);
    }
    holds(v, CN_STEP_CONTAINER);
    snprintf(ret->subject, sizeof ret->subject, "%s", v->dossier.subject);
    check_genesis(v, network);
    if (!failed(v, CN_STEP_GENESIS)) {
        check_epochs(v);
        check_quorum(v);
        check_statements(v);
        check_outside(v, options);
        if (v->exhausted)
            verify_fault(v, CN_STEP_INCLUSION, CN_NO_MEMORY, "statements", "out of memory");
    }
    for (size_t i = 0; v->statement && i < v->dossier.statement_count; i++)
        cn_statement_free(v->statement[i]);
    free(v->statement);
    verify_pairings_free(v);
    verify_trees_free(v);
    free(v->order);
    verify_keys_free(v);
    verify_governance_free(v);
    verify_foreign_free(v);
    if (v->has_genesis)
        cn_genesis_free(&v->genesis);
    cn_dossier_clear(&v->dossier);
    free(v);
    return conclude(ret, options);
}

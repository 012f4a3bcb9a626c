/* The public interface: opaque handles over cn_verify_dossier, with nothing of the inside in it. */
#include "tools/verify/carnet-verify.h"

#include "proto/limits.h"
#include "proto/policy.h"
#include "proto/timestamp.h"
#include "tools/verify/json.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define ANCHORS_MAX 64u

struct carnet_verify_options {
    cn_digest genesis;
    bool has_genesis;
    unsigned signatures;
    cn_verify_anchor anchor[ANCHORS_MAX];
    size_t anchor_count;
    cn_buf policy, note, authorities;
};

struct carnet_verify_report {
    cn_verify_report inside;
    char *json;
};

const char *carnet_verify_version(void)
{
    return CARNET_VERSION;
}

/* ---- options ---- */

carnet_verify_options *carnet_verify_options_new(void)
{
    carnet_verify_options *o = calloc(1, sizeof *o);
    if (o) {
        cn_buf_init(&o->policy, CN_POLICY_MAX_BYTES);
        cn_buf_init(&o->note, CN_MAX_NOTE_BYTES);
        cn_buf_init(&o->authorities, CN_TIMESTAMP_CA_MAX);
    }
    return o;
}

void carnet_verify_options_free(carnet_verify_options *options)
{
    if (!options)
        return;
    cn_buf_free(&options->policy);
    cn_buf_free(&options->note);
    cn_buf_free(&options->authorities);
    free(options);
}

int carnet_verify_set_genesis(carnet_verify_options *options, const unsigned char digest[CARNET_VERIFY_DIGEST_LEN])
{
    if (!options || !digest)
        return CARNET_VERIFY_MISUSE;
    memcpy(options->genesis.b, digest, CN_DIGEST_LEN);
    options->has_genesis = true;
    return CARNET_VERIFY_OK;
}

int carnet_verify_set_genesis_hex(carnet_verify_options *options, const char *digest)
{
    cn_digest d;
    if (!digest || !cn_unhex(digest, strlen(digest), d.b, CN_DIGEST_LEN))
        return CARNET_VERIFY_MISUSE;
    return carnet_verify_set_genesis(options, d.b);
}

int carnet_verify_set_signatures(carnet_verify_options *options, unsigned count)
{
    if (!options || count > CN_MAX_VALIDATORS)
        return CARNET_VERIFY_MISUSE;
    options->signatures = count;
    return CARNET_VERIFY_OK;
}

int carnet_verify_add_anchor(carnet_verify_options *options, uint64_t height,
                             const unsigned char block[CARNET_VERIFY_DIGEST_LEN])
{
    if (!options || !block || options->anchor_count == ANCHORS_MAX)
        return CARNET_VERIFY_MISUSE;
    cn_verify_anchor *a = &options->anchor[options->anchor_count++];
    a->height = height;
    memcpy(a->block.b, block, CN_DIGEST_LEN);
    return CARNET_VERIFY_OK;
}

/* Takes the bytes in the place of those that were there; on failure those stay. */
static int replace(cn_buf *bytes, size_t max, const void *p, size_t n)
{
    cn_buf fresh;
    if ((n > 0 && !p) || n > max)
        return CARNET_VERIFY_MISUSE;
    cn_buf_init(&fresh, max);
    if (n > 0)
        cn_put_bytes(&fresh, p, n);
    if (fresh.fault) {
        cn_buf_free(&fresh);
        return CARNET_VERIFY_NO_MEMORY;
    }
    cn_buf_free(bytes);
    *bytes = fresh;
    return CARNET_VERIFY_OK;
}

static bool is_policy(const void *p, size_t n)
{
    cn_policy *policy = NULL;
    bool ok = p && n <= CN_POLICY_MAX_BYTES && cn_policy_parse(p, n, &policy, NULL) == CN_OK;
    cn_policy_free(policy);
    return ok;
}

int carnet_verify_set_policy(carnet_verify_options *options, const void *policy, size_t n)
{
    if (!options || (n > 0 && !is_policy(policy, n)))
        return CARNET_VERIFY_MISUSE;
    return replace(&options->policy, CN_POLICY_MAX_BYTES, policy, n);
}

int carnet_verify_set_note(carnet_verify_options *options, const void *note, size_t n)
{
    if (!options)
        return CARNET_VERIFY_MISUSE;
    return replace(&options->note, CN_MAX_NOTE_BYTES, note, n);
}

int carnet_verify_set_time_authorities(carnet_verify_options *options, const void *pem, size_t n)
{
    if (!options || (n > 0 && (!pem || n > CN_TIMESTAMP_CA_MAX || cn_timestamp_authorities(CN_SPAN(pem, n)) == 0)))
        return CARNET_VERIFY_MISUSE;
    return replace(&options->authorities, CN_TIMESTAMP_CA_MAX, pem, n);
}

/* ---- reports ---- */

static bool fill(carnet_verify_report *r)
{
    json_t *json = cn_verify_report_json(&r->inside);
    r->json = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    cn_verify_plain(r->inside.subject);
    cn_verify_plain(r->inside.time_authority);
    for (int i = 0; i < CN_STEP_COUNT; i++) {
        cn_verify_result *s = &r->inside.step[i];
        cn_verify_plain(s->err.field);
        cn_verify_plain(s->err.text);
        if (s->verdict == CN_VERDICT_OK)
            s->err.field[0] = s->err.text[0] = '\0';
    }
    return r->json != NULL;
}

/* The page in a dossier is made again and compared, and a program in a locale with decimal commas would make another
 * one. The thread's locale is the caller's again afterwards. */
static bool verify_in_c_locale(const void *zip, size_t n, const carnet_verify_options *options,
                               carnet_verify_report *ret)
{
    const cn_verify_options wanted = {
        .signatures = options->signatures,
        .anchor = options->anchor,
        .anchor_count = options->anchor_count,
        .policy = CN_SPAN(options->policy.p, options->policy.n),
        .note = CN_SPAN(options->note.p, options->note.n),
        .tsa_ca = CN_SPAN(options->authorities.p, options->authorities.n),
    };
    locale_t plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain_locale == (locale_t)0)
        return false;
    locale_t callers = uselocale(plain_locale);
    cn_status st = cn_verify_dossier(zip ? zip : "", n, &options->genesis, &wanted, &ret->inside);
    bool ok = st != CN_NO_MEMORY && fill(ret);
    uselocale(callers);
    freelocale(plain_locale);
    for (int i = 0; i < CN_STEP_COUNT; i++)
        ok = ok && (ret->inside.step[i].verdict != CN_VERDICT_FAILED || ret->inside.step[i].err.code != CN_NO_MEMORY);
    return ok;
}

int carnet_verify_dossier(const void *zip, size_t n, const carnet_verify_options *options,
                          carnet_verify_report **ret_report)
{
    if (!ret_report)
        return CARNET_VERIFY_MISUSE;
    *ret_report = NULL;
    if (!options || !options->has_genesis || (!zip && n > 0))
        return CARNET_VERIFY_MISUSE;
    carnet_verify_report *r = calloc(1, sizeof *r);
    if (!r)
        return CARNET_VERIFY_NO_MEMORY;
    if (!verify_in_c_locale(zip, n, options, r)) {
        carnet_verify_report_free(r);
        return CARNET_VERIFY_NO_MEMORY;
    }
    *ret_report = r;
    return r->inside.accepted ? CARNET_VERIFY_OK : CARNET_VERIFY_REFUSED;
}

void carnet_verify_report_free(carnet_verify_report *report)
{
    if (!report)
        return;
    free(report->json);
    free(report);
}

int carnet_verify_report_accepted(const carnet_verify_report *report)
{
    return report && report->inside.accepted;
}

/* ---- steps ---- */

size_t carnet_verify_report_steps(const carnet_verify_report *report)
{
    return report ? CN_STEP_COUNT : 0;
}

size_t carnet_verify_report_find(const carnet_verify_report *report, const char *name)
{
    size_t count = carnet_verify_report_steps(report), i = 0;
    while (i < count && (!name || strcmp(name, cn_verify_step_name((cn_verify_step)i)) != 0))
        i++;
    return i;
}

static const cn_verify_result *step_of(const carnet_verify_report *report, size_t step)
{
    static const cn_verify_result none = {.verdict = CN_VERDICT_NOT_CHECKED};
    return step < carnet_verify_report_steps(report) ? &report->inside.step[step] : &none;
}

const char *carnet_verify_report_step_name(const carnet_verify_report *report, size_t step)
{
    return step < carnet_verify_report_steps(report) ? cn_verify_step_name((cn_verify_step)step) : "";
}

const char *carnet_verify_report_step_meaning(const carnet_verify_report *report, size_t step)
{
    return step < carnet_verify_report_steps(report) ? cn_verify_step_text((cn_verify_step)step) : "";
}

int carnet_verify_report_step_verdict(const carnet_verify_report *report, size_t step)
{
    static const int public_verdict[] = {
        [CN_VERDICT_OK] = CARNET_VERIFY_HOLDS,
        [CN_VERDICT_FAILED] = CARNET_VERIFY_FAILED,
        [CN_VERDICT_NOT_CHECKED] = CARNET_VERIFY_NOT_CHECKED,
    };
    return public_verdict[step_of(report, step)->verdict];
}

const char *carnet_verify_report_step_where(const carnet_verify_report *report, size_t step)
{
    return step_of(report, step)->err.field;
}

const char *carnet_verify_report_step_reason(const carnet_verify_report *report, size_t step)
{
    return step_of(report, step)->err.text;
}

uint64_t carnet_verify_report_step_faults(const carnet_verify_report *report, size_t step)
{
    return step_of(report, step)->faults;
}

/* ---- contents ---- */

const char *carnet_verify_report_subject(const carnet_verify_report *report)
{
    return report ? report->inside.subject : "";
}

const char *carnet_verify_report_time_authority(const carnet_verify_report *report)
{
    return report ? report->inside.time_authority : "";
}

const char *carnet_verify_report_json(const carnet_verify_report *report)
{
    return report ? report->json : "";
}

int carnet_verify_report_absent(const carnet_verify_report *report)
{
    return report && report->inside.absent;
}

#define NUMBER(name, member)                                                                                           \
    uint64_t carnet_verify_report_##name(const carnet_verify_report *report)                                           \
    {                                                                                                                  \
        return report ? report->inside.member : 0;                                                                     \
    }
NUMBER(checkpoint_height, checkpoint_height)
NUMBER(checkpoint_time_ms, checkpoint_time_ms)
NUMBER(statements, statements)
NUMBER(subject_statements, subject_statements)
NUMBER(items, items)
NUMBER(unreadable_items, unreadable_items)
NUMBER(erased_items, erased_items)
NUMBER(redacted_items, redacted_items)
NUMBER(witnessed_ms, witnessed_ms)

/* The sample shipment is what the quickstart shows: it must be rich enough, right in every check digit, and the same
 * in every run. */
#include "node/formats/plan.h"
#include "node/formats/subject.h"
#include "tools/sample/sample.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cn_sample *make(void)
{
    cn_sample *s = calloc(1, sizeof *s);
    cn_err err = {0};
    cr_assert_eq(cn_sample_make(s, &err), CN_OK, "%s: %s", err.field, err.text);
    return s;
}

static void drop(cn_sample *s)
{
    cn_sample_free(s);
    free(s);
}

static size_t count_of(const cn_sample *s, const char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        const uint8_t *at = s->file[i].text.p, *end = at + s->file[i].text.n;
        while ((at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
            n++;
            at++;
        }
    }
    return n;
}

Test(sample, the_same_in_every_run)
{
    cn_sample *a = make(), *b = make();
    cr_assert_eq(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        cr_expect_eq(a->file[i].text.n, b->file[i].text.n);
        cr_expect_arr_eq(a->file[i].text.p, b->file[i].text.p, a->file[i].text.n);
    }
    drop(a);
    drop(b);
}

Test(sample, is_a_whole_shipment)
{
    cn_sample *s = make();
    cr_expect_geq(s->readings, 400u);
    cr_expect_geq(count_of(s, "\"RelativeHumidity\""), s->readings);
    cr_expect_geq(count_of(s, "\"container_open\""), 4u);
    cr_expect_eq(count_of(s, "\"ALARM_CONDITION\""), 8u); /* seven readings and the excursion with its duration */
    cr_expect_geq(count_of(s, "\"possessing_party\""), 12u);
    cr_expect_geq(count_of(s, "ni:///sha-256;"), 6u);
    cr_expect_eq(count_of(s, "sample/released"), 2u);
    static const char *const parties[] = {"exporter", "carrier", "bank", "customs"};
    for (size_t k = 0; k < 4; k++) {
        bool found = false;
        for (size_t i = 0; i < s->count; i++)
            found = found || strcmp(s->file[i].party, parties[k]) == 0;
        cr_expect(found, "nothing from %s", parties[k]);
    }
    drop(s);
}

Test(sample, plans_and_identifiers_are_right)
{
    static const uint8_t salt[32] = {1};
    cn_sample *s = make();
    size_t parts = 0, pairings = 0, files = 0, about_main = 0, about_other = 0;
    for (size_t i = 0; i < s->count; i++) {
        const cn_sample_file *f = &s->file[i];
        if (f->party[0] == 0)
            continue;
        cn_epcis_doc *doc = NULL;
        cn_plan *plan = NULL;
        cn_err err = {0};
        files++;
        cr_assert_eq(cn_epcis_parse(f->text.p, f->text.n, CN_EPCIS_MAX_BYTES, &doc, &err), CN_OK);
        cr_assert_eq(cn_plan_document(doc, salt, &plan, &err), CN_OK, "%s: %s: %s", f->name, err.field, err.text);
        parts += cn_plan_part_count(plan);
        pairings += cn_plan_pairing_count(plan);
        for (size_t k = 0; k < cn_epcis_event_count(doc); k++) {
            const cn_epcis_event *e = cn_epcis_event_at(doc, k);
            cr_expect_eq(e->subject_flags, 0u, "%s %s", f->name, e->pointer);
            cr_expect_gt(e->subject_count, 0u);
            cr_expect_leq(e->event_ms, cn_epcis_created_ms(doc), "%s %s", f->name, e->pointer);
            for (size_t m = 0; m < e->subject_count; m++) {
                about_main += strcmp(e->subject[m], CN_SAMPLE_CONSIGNMENT) == 0;
                about_other += strcmp(e->subject[m], CN_SAMPLE_OTHER_CONSIGNMENT) == 0;
            }
        }
        cn_plan_free(plan);
        cn_epcis_free(doc);
    }
    cr_expect_eq(files, 14u);
    cr_expect_gt(parts, files, "one document needs more than one statement");
    cr_expect_eq(pairings, 4u);
    cr_expect_gt(about_main, 20u);
    cr_expect_gt(about_other, 4u);
    drop(s);
}

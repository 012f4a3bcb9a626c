/* The readable page in the dossier is made again and compared: whoever reads it reads what was verified. */
#include "node/formats/report.h"
#include "tools/verify/internal.h"

#include <string.h>

static void check_readme(verifier *v, const cn_dossier_part *part)
{
    const char *expected = cn_report_readme();
    size_t n = strlen(expected), line = (size_t)(strchr(expected, '\n') - expected);
    bool of_this_version = part->bytes.n > line && memcmp(part->bytes.p, expected, line + 1) == 0;
    if (of_this_version && (part->bytes.n != n || memcmp(part->bytes.p, expected, n) != 0))
        verify_fault(v, CN_STEP_REPORT, CN_CONFLICT, part->name, "the instructions were changed");
    else if (!of_this_version)
        verify_not_checked(v, CN_STEP_REPORT, "the instructions are of another version: do not rely on what they say");
}

static void note_page(verifier *v)
{
    const cn_dossier_part *page = cn_dossier_find_part(&v->dossier, CN_PART_PAGE, 0, 0);
    v->report->has_page = page != NULL;
    if (page)
        v->report->page = cn_sha256(page->bytes.p, page->bytes.n);
}

bool verify_report_page(verifier *v)
{
    const cn_dossier_part *page = cn_dossier_find_part(&v->dossier, CN_PART_REPORT, 0, 0);
    const cn_dossier_part *readme = cn_dossier_find_part(&v->dossier, CN_PART_README, 0, 0);
    cn_verify_result *r = &v->report->step[CN_STEP_REPORT];
    cn_err err = {0};
    cn_buf again;
    note_page(v);
    if (!page && !readme) {
        verify_not_checked(v, CN_STEP_REPORT, "there is no report in it");
        return false;
    }
    r->err.text[0] = 0;
    if (readme)
        check_readme(v, readme);
    if (page && cn_report_version_of(page->bytes) != CN_REPORT_VERSION) {
        verify_not_checked(v, CN_STEP_REPORT,
                           "the report is of another version than this verifier makes: do not rely on what it says");
        return false;
    }
    cn_buf_init(&again, CN_REPORT_MAX_BYTES);
    cn_status st = page ? cn_report_render(&v->dossier, &again, &err) : CN_OK;
    if (st != CN_OK)
        verify_fault(v, CN_STEP_REPORT, st, page->name, "cannot be made again: %s", err.text);
    else if (page && (again.n != page->bytes.n || memcmp(again.p, page->bytes.p, again.n) != 0))
        verify_fault(v, CN_STEP_REPORT, CN_CONFLICT, page->name, "is not what the dossier holds: the page was changed");
    cn_buf_free(&again);
    return r->verdict == CN_VERDICT_NOT_CHECKED && r->err.text[0] == 0;
}

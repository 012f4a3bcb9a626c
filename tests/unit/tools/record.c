/* Vectors for other verifiers: linked with --wrap=cn_verify_dossier, it writes each dossier that a test verifies, with
 * the verdicts that the test met and the test's name, into the folder that CARNET_VECTORS names. Without it nothing is
 * written. */
#include "rendered.h"
#include "tools/verify/json.h"
#include "tools/verify/verify.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cn_status __real_cn_verify_dossier(const void *zip, size_t n, const cn_digest *network,
                                   const cn_verify_options *options, cn_verify_report *ret);
cn_status __wrap_cn_verify_dossier(const void *zip, size_t n, const cn_digest *network,
                                   const cn_verify_options *options, cn_verify_report *ret);

static void write_file(const char *folder, const char *name, const char *suffix, const void *p, size_t n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, suffix);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0)
        abort();
}

static json_t *base64_of(cn_span bytes)
{
    char *text = malloc(4 * bytes.n / 3 + 8);
    if (!text)
        abort();
    json_t *ret = json_stringn(text, bytes.n ? cn_base64(bytes.p, bytes.n, text) : 0);
    free(text);
    return ret;
}

/* What was asked for beside the dossier. */
static json_t *asked(const cn_digest *network, const cn_verify_options *options)
{
    const cn_span nothing = {0};
    json_t *anchors = json_array();
    for (size_t i = 0; options && i < options->anchor_count; i++)
        json_array_append_new(anchors, json_pack("{s:I, s:s}", "height", (json_int_t)options->anchor[i].height, "block",
                                                 cn_digest_hex(&options->anchor[i].block).s));
    return json_pack("{s:s, s:I, s:o, s:b, s:o, s:o}", "genesis", cn_digest_hex(network).s, "signatures",
                     (json_int_t)(options ? options->signatures : 0), "anchors", anchors, "authorities",
                     options && options->tsa_ca.n > 0, "policy", base64_of(options ? options->policy : nothing), "note",
                     base64_of(options ? options->note : nothing));
}

cn_status __wrap_cn_verify_dossier(const void *zip, size_t n, const cn_digest *network,
                                   const cn_verify_options *options, cn_verify_report *ret)
{
    const char *folder = getenv("CARNET_VECTORS");
    cn_status st = __real_cn_verify_dossier(zip, n, network, options, ret);
    if (!folder)
        return st;
    json_t *whole = json_pack("{s:s, s:s, s:o, s:o, s:o}", "suite", criterion_current_test->category, "test",
                              criterion_current_test->name, "asked", asked(network, options), "report",
                              cn_verify_report_json(ret), "rendered", rendered_digest(zip, n));
    char *text = whole ? json_dumps(whole, JSON_INDENT(1)) : NULL;
    if (!text)
        abort();
    cn_digest parts[2] = {cn_sha256(zip, n), cn_sha256(text, strlen(text))}, name = cn_sha256(parts, sizeof parts);
    /* Tests flip every bit of some ZIPs: of what cannot be read at all, one in 64 is enough. */
    if (ret->step[CN_STEP_CONTAINER].verdict == CN_VERDICT_OK || name.b[0] < 4) {
        write_file(folder, cn_digest_hex(&name).s, "zip", zip, n);
        write_file(folder, cn_digest_hex(&name).s, "json", text, strlen(text));
    }
    free(text);
    json_decref(whole);
    return st;
}

#include "rendered.h"

#include "node/formats/report.h"

json_t *rendered_digest(const void *zip, size_t n)
{
    cn_dossier d;
    cn_buf page;
    json_t *ret = NULL;
    if (cn_dossier_read(zip, n, &d, NULL) != CN_OK)
        return json_null();
    cn_buf_init(&page, CN_REPORT_MAX_BYTES);
    if (cn_report_render(&d, &page, NULL) == CN_OK) {
        cn_digest digest = cn_sha256(page.p, page.n);
        ret = json_string(cn_digest_hex(&digest).s);
    }
    cn_buf_free(&page);
    cn_dossier_clear(&d);
    return ret ? ret : json_null();
}

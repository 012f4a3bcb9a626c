/* Writing HTML from text that nobody vouches for. Private to node/formats.
 *
 * What comes from items is shown, never obeyed: markup is escaped; control characters, marks that turn the direction of
 * text or take no room, and bytes that are no UTF-8 stand visibly as [U+202E] or [0x80]; long text is cut where it says
 * so. The page is well-formed XML too. */
#ifndef CARNET_NODE_FORMATS_HTML_H
#define CARNET_NODE_FORMATS_HTML_H

#include "node/formats/json.h"
#include "proto/bytes.h"

#define HTML_TEXT_MAX 400u /* bytes of one text that are shown */

/* Our own words, as they are. */
void html(cn_buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Somebody else's. */
void html_text(cn_buf *out, const char *s, size_t n);
void html_string(cn_buf *out, const char *s);
/* The same with _ and camelCase humps as spaces, and without what stands before the last / # : (a term's vocabulary).
 */
void html_term(cn_buf *out, cn_text term);
void html_time(cn_buf *out, int64_t ms); /* 2026-05-01 08:00:00, UTC, in a time element */

#endif

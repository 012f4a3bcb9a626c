/* Time stamps of EPCIS: xsd:dateTimeStamp, an RFC 3339 date-time with a zone.
 * Milliseconds since 1970-01-01T00:00:00Z; further decimals round half up (CBV 2.0, event hash rule 9). */
#ifndef CARNET_NODE_FORMATS_TIME_H
#define CARNET_NODE_FORMATS_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Years 0001 to 9999, "T" and "Z" in capitals, any number of decimals, offsets up to 14:00. */
bool cn_time_parse(const char *s, size_t n, int64_t *ret_ms);
#define CN_TIME_TEXT 64
/* "2020-03-04T10:00:30.000Z" */
void cn_time_format(int64_t ms, char out[CN_TIME_TEXT]);
/* eventTimeZoneOffset: "+02:00", "-14:00" */
bool cn_time_offset_valid(const char *s, size_t n);

#endif

/* Temperatures over time as SVG, and where they left the limits. Private to node/formats. */
#ifndef CARNET_NODE_FORMATS_REPORT_CHART_H
#define CARNET_NODE_FORMATS_REPORT_CHART_H

#include "proto/bytes.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct report_reading {
    int64_t ms;
    double value;
    bool alarm; /* the event says ALARM_CONDITION or ERROR_CONDITION */
} report_reading;

/* A chart and the alarms in it; of one or two readings a sentence each. Sorts the readings by time. name is escaped
 * already; unit is our own word, such as °C. number tells charts apart. */
void report_chart(cn_buf *out, report_reading *reading, size_t count, const char *name, const char *unit,
                  unsigned number);

#endif

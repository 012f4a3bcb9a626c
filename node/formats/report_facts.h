/* What the report tells, collected from a dossier: who the keys belong to, when blocks were made, readings. Private to
 * node/formats. Nothing here verifies. */
#ifndef CARNET_NODE_FORMATS_REPORT_FACTS_H
#define CARNET_NODE_FORMATS_REPORT_FACTS_H

#include "node/formats/dossier.h"
#include "node/formats/genesis.h"
#include "node/formats/json.h"
#include "node/formats/report_chart.h"
#include "proto/statement.h"

typedef struct report_key {
    cn_digest id, owner;
    uint32_t purpose;  /* cn_key_purpose */
    uint64_t from;     /* log index of its registration; 0: of genesis */
    uint64_t until;    /* log index of its end; 0: none */
    uint64_t signed_n; /* statements here */
} report_key;

typedef struct report_name { /* of a member */
    cn_digest id;
    char name[CN_MAX_NAME + 1], country[3];
} report_name;

typedef struct report_series { /* temperatures of one device */
    char *device;
    size_t device_len;
    cn_text unit; /* as the event has it, in static memory */
    report_reading *reading;
    size_t count, cap;
} report_series;

#define REPORT_MAX_SERIES 24u

typedef struct report_facts {
    const cn_dossier *dossier;
    cn_genesis genesis;
    bool has_genesis;
    cn_statement **statement; /* by place; NULL: does not decode */
    report_key *key;
    size_t key_count, key_cap;
    report_name *name;
    size_t name_count, name_cap;
    report_series series[REPORT_MAX_SERIES];
    size_t series_count;
    size_t events, readings, erased, sealed, unreadable, envelopes;
    int64_t first_ms, last_ms; /* event times; 0, 0: none */
} report_facts;

cn_status report_facts_collect(report_facts *f, const cn_dossier *d, cn_err *err);
void report_facts_free(report_facts *f);

const report_key *report_find_key(const report_facts *f, const cn_digest *id); /* NULL: unknown */
const char *report_member_name(const report_facts *f, const cn_digest *id);    /* "" unknown */
/* Time of the block of a statement, as leaves have it; 0: no leaf of it is here. */
uint64_t report_recorded_ms(const report_facts *f, uint64_t log_index);

/* One item of a batch, parsed. root NULL: sealed or not readable. Freed by report_event_close. */
typedef struct report_event {
    uint8_t format;
    cn_json *json;
    const cn_json_node *root;
    int64_t ms;      /* eventTime; 0: none */
    bool is_reading; /* a temperature within limits and nothing else: in the chart, not in the table */
} report_event;
void report_event_open(const cn_statement *s, size_t item, report_event *ret);
void report_event_close(report_event *e);

#endif

/* Writing EPCIS documents, one event a line. Private to tools/sample. */
#ifndef CARNET_TOOLS_SAMPLE_WRITER_H
#define CARNET_TOOLS_SAMPLE_WRITER_H

#include "tools/sample/sample.h"

#include <stdbool.h>

typedef struct writer {
    cn_sample *sample;
    cn_sample_file *file;
    bool first; /* no event yet in this document */
} writer;

/* Begins a document; created is its creationDate. */
void sample_begin(writer *w, const char *name, const char *party, const char *about, const char *subjects,
                  uint64_t created_ms);
void sample_end(writer *w);
/* A file that is no EPCIS document. */
cn_buf *sample_plain(writer *w, const char *name, const char *about);

void sample_put(cn_buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Opens an event at a time, shown with the offset of a place; fields follow with sample_put, beginning with a comma. */
void sample_event(writer *w, const char *type, const char *action, uint64_t ms, int offset_hours);
void sample_event_end(writer *w);

/* A time stamp in quotes, UTC. */
void sample_time_text(cn_buf *out, uint64_t ms);
/* 2026-01-DD HH:MM UTC in ms; days beyond 31 run into February. */
uint64_t sample_time(unsigned day, unsigned hour, unsigned minute);
/* "ni:///sha-256;<hex>" of a document of this sample. */
typedef struct ni_uri {
    char s[96];
} ni_uri;
ni_uri sample_digest_uri(const char *text);

#endif

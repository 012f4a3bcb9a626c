#include "tools/sample/writer.h"

#include "node/formats/time.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX ((size_t)4 << 20)

void sample_put(cn_buf *out, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    CN_ASSERT(n >= 0 && (size_t)n < sizeof text);
    cn_put_bytes(out, text, (size_t)n);
}

static void add_file(writer *w, const char *name, const char *party, const char *about, const char *subjects)
{
    CN_ASSERT(w->sample->count < CN_SAMPLE_FILES_MAX);
    w->file = &w->sample->file[w->sample->count++];
    *w->file = (cn_sample_file){.party = party, .about = about, .subjects = subjects};
    snprintf(w->file->name, sizeof w->file->name, "%s", name);
    cn_buf_init(&w->file->text, FILE_MAX);
}

static void put_time(cn_buf *out, uint64_t ms, int offset_hours)
{
    char text[CN_TIME_TEXT];
    cn_time_format((int64_t)ms + offset_hours * INT64_C(3600000), text);
    text[strlen(text) - 1] = 0; /* the offset stands where Z would */
    sample_put(out, "\"%s%+03d:00\"", text, offset_hours);
}

void sample_time_text(cn_buf *out, uint64_t ms)
{
    put_time(out, ms, 0);
}

void sample_begin(writer *w, const char *name, const char *party, const char *about, const char *subjects,
                  uint64_t created_ms)
{
    add_file(w, name, party, about, subjects);
    cn_buf *out = &w->file->text;
    sample_put(out, "{\n  \"@context\": [\n    \"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\",\n"
                    "    {\"sample\": \"https://carnet.example/sample/\"}\n  ],\n  \"type\": \"EPCISDocument\",\n"
                    "  \"schemaVersion\": \"2.0\",\n  \"creationDate\": ");
    put_time(out, created_ms, 0);
    sample_put(out, ",\n  \"epcisBody\": {\n    \"eventList\": [\n");
    w->first = true;
}

void sample_end(writer *w)
{
    sample_put(&w->file->text, "\n    ]\n  }\n}\n");
}

cn_buf *sample_plain(writer *w, const char *name, const char *about)
{
    add_file(w, name, "", about, "");
    return &w->file->text;
}

void sample_event(writer *w, const char *type, const char *action, uint64_t ms, int offset_hours)
{
    cn_buf *out = &w->file->text;
    sample_put(out, "%s      {\"type\": \"%s\", \"eventTime\": ", w->first ? "" : ",\n", type);
    put_time(out, ms, offset_hours);
    sample_put(out, ", \"eventTimeZoneOffset\": \"%+03d:00\"", offset_hours);
    if (action)
        sample_put(out, ", \"action\": \"%s\"", action);
    w->first = false;
}

void sample_event_end(writer *w)
{
    sample_put(&w->file->text, "}");
}

uint64_t sample_time(unsigned day, unsigned hour, unsigned minute)
{
    const uint64_t january = UINT64_C(1767225600000); /* 2026-01-01T00:00:00Z */
    return january + ((uint64_t)(day - 1) * 24 * 60 + hour * 60 + minute) * 60000;
}

ni_uri sample_digest_uri(const char *text)
{
    ni_uri uri;
    cn_digest digest = cn_sha256(text, strlen(text));
    snprintf(uri.s, sizeof uri.s, "ni:///sha-256;%s", cn_digest_hex(&digest).s);
    return uri;
}

#include "proto/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct status_row {
    const char *type, *text;
} status_row;

static const status_row rows[] = {
#define CN_STATUS_ROW(name, type, text) [name] = {type, text},
    CN_STATUS_LIST(CN_STATUS_ROW)
#undef CN_STATUS_ROW
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

const char *cn_status_type(cn_status status)
{
    return (size_t)status < ROW_COUNT ? rows[status].type : "unknown";
}

const char *cn_status_text(cn_status status)
{
    return (size_t)status < ROW_COUNT ? rows[status].text : "an unknown error";
}

cn_status cn_fail(cn_err *err, cn_status code, const char *field, const char *format, ...)
{
    if (!err)
        return code;
    /* field may point into err itself when an error is passed on */
    char kept[sizeof err->field];
    char text[sizeof err->text];
    snprintf(kept, sizeof kept, "%s", field ? field : "");
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    err->code = code;
    memcpy(err->field, kept, sizeof kept);
    memcpy(err->text, text, sizeof text);
    return code;
}

void cn_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "carnet: a bug: assertion failed: %s (%s:%d)\n", expression, file, line);
    abort();
}

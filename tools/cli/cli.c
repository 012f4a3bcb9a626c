/* Options, errors, files. */
#include "tools/cli/cli.h"

#include "node/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cli_option *find(cli_option *options, const char *name)
{
    for (cli_option *o = options; o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

static void print_usage(FILE *out, const char *usage, const cli_option *options)
{
    fprintf(out, "usage: carnet %s\n", usage);
    for (const cli_option *o = options; o->name; o++)
        fprintf(out, "  %-12s %s%s\n", o->name, o->help, o->required ? " (required)" : "");
}

bool cli_parse(int argc, char **argv, const char *usage, cli_option *options, cli_args *ret, int *ret_status)
{
    int positional = 0;
    *ret_status = EXIT_USE;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_usage(stdout, usage, options);
            *ret_status = EXIT_GOOD;
            return false;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            argv[positional++] = argv[i];
            continue;
        }
        cli_option *o = find(options, argv[i]);
        if (!o || (!o->flag && i + 1 == argc)) {
            fprintf(stderr, "carnet: %s %s\n", argv[i], o ? "needs a value" : "is not an option here");
            print_usage(stderr, usage, options);
            return false;
        }
        o->value = o->flag ? "yes" : argv[++i];
    }
    for (const cli_option *o = options; o->name; o++)
        if (o->required && !o->value) {
            fprintf(stderr, "carnet: %s is missing\n", o->name);
            print_usage(stderr, usage, options);
            return false;
        }
    *ret = (cli_args){.option = options, .count = positional, .positional = argv};
    return true;
}

const char *cli_value(const cli_args *a, const char *name)
{
    const cli_option *o = find(a->option, name);
    return o ? o->value : NULL;
}

bool cli_flag(const cli_args *a, const char *name)
{
    return cli_value(a, name) != NULL;
}

bool cli_number(const cli_args *a, const char *name, uint64_t initial, uint64_t min, uint64_t max, uint64_t *ret)
{
    const char *text = cli_value(a, name);
    char *end = NULL;
    *ret = initial;
    if (!text)
        return true;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || v < min || v > max) {
        cli_say(EXIT_USE, "%s %s: must be a whole number from %llu to %llu", name, text, (unsigned long long)min,
                (unsigned long long)max);
        return false;
    }
    *ret = v;
    return true;
}

int cli_complain(int status, const cn_err *err)
{
    fprintf(stderr, "carnet: %s%s%s\n", err->field, err->field[0] ? ": " : "",
            err->text[0] ? err->text : cn_status_text(err->code));
    return status;
}

int cli_say(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "carnet: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return status;
}

void cli_print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
}

cn_status cli_read_file(const char *path, size_t max, cn_buf *ret, cn_err *err)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    uint8_t chunk[65536];
    size_t n;
    cn_buf_init(ret, max);
    if (!f)
        return cn_fail(err, CN_NOT_FOUND, path, "cannot be opened: %s", strerror(errno));
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0 && !ret->fault)
        cn_put_bytes(ret, chunk, n);
    bool failed = ferror(f);
    if (f != stdin)
        fclose(f);
    if (failed || ret->fault) {
        cn_buf_free(ret);
        return cn_fail(err, failed ? CN_IO : CN_TOO_LARGE, path, failed ? "cannot be read" : "is larger than %zu bytes",
                       max);
    }
    return CN_OK;
}

/* A name is durable when its folder is. */
static bool sync_folder(const char *path)
{
    char folder[4200];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

cn_status cli_write_file(const char *path, const void *p, size_t n, unsigned mode, cn_err *err)
{
    char fresh[4200];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    bool ok = fd >= 0;
    const uint8_t *bytes = p;
    while (ok && n > 0) {
        ssize_t done = write(fd, bytes, n);
        ok = done > 0;
        bytes += ok ? done : 0;
        n -= ok ? (size_t)done : 0;
    }
    ok = ok && fsync(fd) == 0;
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    ok = ok && rename(fresh, path) == 0 && sync_folder(path);
    if (ok)
        return CN_OK;
    cn_status st = cn_fail(err, CN_IO, path, "cannot be written: %s", strerror(errno));
    unlink(fresh);
    return st;
}

cn_status cli_read_key(const char *path, cn_key_file *ret, cn_err *err)
{
    char text[CN_KEY_FILE_MAX + 1];
    size_t n = 0;
    cn_status st = cn_config_read_secret(path, text, sizeof text, &n, err);
    if (st == CN_OK)
        st = cn_key_file_parse(text, n, ret, err);
    explicit_bzero(text, sizeof text);
    return st;
}

#include "node/config/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum kind { TEXT, NUMBER } kind;

typedef struct key_row {
    const char *key;
    size_t offset;
    kind kind;
    const char *initial;
    uint64_t min, max;
    const char *help;
} key_row;

static const key_row rows[] = {
#define CN_CONFIG_ROW(key, field, kind, initial, min, max, help)                                                       \
    {key, offsetof(cn_config, field), kind, initial, min, max, help},
    CN_CONFIG_KEYS(CN_CONFIG_ROW)
#undef CN_CONFIG_ROW
};
#define ROWS (sizeof rows / sizeof rows[0])

static const char *const path_keys[] = {"network.genesis", "data.dir", "keys.dir", "time.authorities", "audit.page"};

static const key_row *find(const char *key)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}

static void allowed_keys(char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < ROWS && n < cap; i++)
        n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? ", " : "", rows[i].key);
}

static cn_status set(cn_config *config, const key_row *row, const char *value, const char *where, cn_err *err)
{
    char *field = (char *)config + row->offset;
    if (row->kind == TEXT) {
        if (strlen(value) >= CN_CONFIG_TEXT_MAX || (row->max && strlen(value) > row->max))
            return cn_fail(err, CN_INVALID, where, "the value of %s is too long", row->key);
        if (strlen(value) < row->min)
            return cn_fail(err, CN_INVALID, where, "%s has no value; leave the line out to have the default, %s",
                           row->key, row->initial);
        memcpy(field, value, strlen(value) + 1);
        return CN_OK;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end || errno || number < row->min || number > row->max)
        return cn_fail(err, CN_INVALID, where, "%s = %.40s: must be a whole number from %llu to %llu", row->key, value,
                       (unsigned long long)row->min, (unsigned long long)row->max);
    uint64_t v = number;
    memcpy(field, &v, sizeof v);
    return CN_OK;
}

/* ---- file ---- */

typedef struct file_state {
    cn_config *config;
    const char *path;
    bool seen[ROWS];
    cn_err *err;
    cn_status st;
    int line;
    FILE *file;
} file_state;

static int on_line(void *ctx, const char *section, const char *name, const char *value)
{
    file_state *f = ctx;
    char key[128], where[96];
    if (f->st != CN_OK)
        return 0;
    snprintf(key, sizeof key, "%s%s%s", section, section[0] ? "." : "", name);
    snprintf(where, sizeof where, "%.70s:%d", f->path, f->line);
    const key_row *row = find(key);
    if (!row) {
        char allowed[sizeof f->err->text];
        allowed_keys(allowed, sizeof allowed);
        f->st = cn_fail(f->err, CN_INVALID, where, "the key %.40s is not known; allowed: %s", key, allowed);
        return 0;
    }
    if (f->seen[row - rows]) {
        f->st = cn_fail(f->err, CN_INVALID, where, "the key %s is given twice", key);
        return 0;
    }
    f->seen[row - rows] = true;
    f->st = set(f->config, row, value, where, f->err);
    return f->st == CN_OK;
}

#define LINE_MAX_BYTES 16384 /* the addresses of a large network stand in one line; inih would end lines at 200 */

/* inih does not tell line numbers to its handler, so that its reader counts them; what is longer than its buffer it
 * would take as a line of its own, and what follows a NUL it would not see. */
static char *read_line(char *out, int cap, void *ctx)
{
    file_state *f = ctx;
    int n = 0, c = 0;
    bool nul = false;
    f->line++;
    while (n < cap - 1 && c != '\n' && (c = getc(f->file)) != EOF) {
        nul = nul || c == '\0';
        out[n++] = (char)c;
    }
    out[n] = '\0';
    if (!nul && (n < cap - 1 || c == '\n'))
        return n > 0 ? out : NULL;
    char where[96];
    snprintf(where, sizeof where, "%.70s:%d", f->path, f->line);
    if (nul)
        f->st = cn_fail(f->err, CN_INVALID, where, "the line holds a NUL byte; the file must be text");
    else
        f->st = cn_fail(f->err, CN_INVALID, where, "the line is longer than %d bytes", cap - 2);
    return NULL;
}

static cn_status load_file(const char *path, cn_config *config, cn_err *err)
{
    cn_err own;
    file_state f = {.config = config, .path = path, .err = err ? err : &own, .st = CN_OK};
    f.file = fopen(path, "re");
    if (!f.file)
        return cn_fail(err, CN_IO, path, "the configuration cannot be read: %s", strerror(errno));
    ini_use_stack = false;
    ini_initial_alloc = ini_max_line = LINE_MAX_BYTES;
    int rc = ini_parse_stream(read_line, &f, on_line, &f);
    fclose(f.file);
    if (f.st != CN_OK)
        return f.st;
    if (rc != 0) {
        char where[96];
        snprintf(where, sizeof where, "%.70s:%d", path, rc);
        return cn_fail(err, CN_INVALID, where, "the line is not \"key = value\"");
    }
    return CN_OK;
}

/* ---- environment and flags ---- */

static void spelled(const char *key, char *out, size_t cap, bool environment)
{
    size_t n = (size_t)snprintf(out, cap, environment ? "CARNET_" : "--");
    for (; *key && n + 1 < cap; key++)
        out[n++] = environment ? (char)(*key == '.' ? '_' : toupper((unsigned char)*key))
                               : (*key == '.' || *key == '_' ? '-' : *key);
    out[n] = '\0';
}

static cn_status load_environment(cn_config *config, cn_err *err)
{
    for (size_t i = 0; i < ROWS; i++) {
        char name[128];
        spelled(rows[i].key, name, sizeof name, true);
        const char *value = getenv(name);
        cn_status st = value ? set(config, &rows[i], value, name, err) : CN_OK;
        if (st != CN_OK)
            return st;
    }
    return CN_OK;
}

static cn_status load_flags(int argc, char **argv, cn_config *config, cn_err *err)
{
    for (int i = 0; i < argc; i += 2) {
        const key_row *row = NULL;
        for (size_t k = 0; k < ROWS && !row; k++) {
            char flag[128];
            spelled(rows[k].key, flag, sizeof flag, false);
            if (strcmp(flag, argv[i]) == 0)
                row = &rows[k];
        }
        if (!row)
            return cn_fail(err, CN_INVALID, argv[i], "the flag is not known; see carnetd --help");
        if (i + 1 == argc)
            return cn_fail(err, CN_INVALID, argv[i], "the flag needs a value");
        cn_status st = set(config, row, argv[i + 1], argv[i], err);
        if (st != CN_OK)
            return st;
    }
    return CN_OK;
}

static cn_status make_absolute(const char *path, cn_config *config, cn_err *err)
{
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) : 1;
    for (size_t i = 0; i < sizeof path_keys / sizeof path_keys[0]; i++) {
        char *field = (char *)config + find(path_keys[i])->offset, whole[2 * CN_CONFIG_TEXT_MAX];
        if (field[0] == '/' || field[0] == '\0')
            continue;
        snprintf(whole, sizeof whole, "%.*s/%s", n, slash ? path : ".", field);
        if (strlen(whole) >= CN_CONFIG_TEXT_MAX)
            return cn_fail(err, CN_INVALID, path_keys[i], "the path is too long");
        memcpy(field, whole, strlen(whole) + 1);
    }
    return CN_OK;
}

cn_status cn_config_load(const char *path, int argc, char **argv, cn_config *ret, cn_err *err)
{
    memset(ret, 0, sizeof *ret);
    cn_status st = CN_OK;
    for (size_t i = 0; i < ROWS && st == CN_OK; i++)
        st = set(ret, &rows[i], rows[i].initial, rows[i].key, err);
    if (st == CN_OK)
        st = load_file(path, ret, err);
    if (st == CN_OK)
        st = load_environment(ret, err);
    if (st == CN_OK)
        st = load_flags(argc, argv, ret, err);
    if (st == CN_OK && ret->name[0] == '\0')
        st = cn_fail(err, CN_INVALID, path, "node.name is missing; set it to this member's name in genesis");
    return st == CN_OK ? make_absolute(path, ret, err) : st;
}

void cn_config_print(const cn_config *config, FILE *out)
{
    for (size_t i = 0; i < ROWS; i++) {
        const char *field = (const char *)config + rows[i].offset;
        uint64_t number;
        memcpy(&number, field, sizeof number);
        if (rows[i].kind == TEXT)
            fprintf(out, "%s = %s\n", rows[i].key, field);
        else
            fprintf(out, "%s = %llu\n", rows[i].key, (unsigned long long)number);
    }
}

void cn_config_print_keys(FILE *out)
{
    for (size_t i = 0; i < ROWS; i++) {
        char flag[128];
        spelled(rows[i].key, flag, sizeof flag, false);
        fprintf(out, "  %-28s %s (default: %s)\n", flag, rows[i].help, rows[i].initial[0] ? rows[i].initial : "none");
    }
}

cn_status cn_config_read_secret(const char *path, char *buffer, size_t cap, size_t *ret_len, cn_err *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return cn_fail(err, errno == ENOENT ? CN_NOT_FOUND : CN_IO, path, "cannot be opened: %s", strerror(errno));
    cn_status st = CN_OK;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        st = cn_fail(err, CN_DENIED, path, "is not a regular file");
    else if (info.st_uid != geteuid() || (info.st_mode & 077))
        st = cn_fail(err, CN_DENIED, path, "a secret must belong to this user with mode 0600; run: chmod 600 %s", path);
    ssize_t n = st == CN_OK ? read(fd, buffer, cap) : 0;
    close(fd);
    if (st == CN_OK && (n <= 0 || (size_t)n == cap))
        st = cn_fail(err, CN_INVALID, path, "has an impossible length");
    if (st == CN_OK)
        *ret_len = (size_t)n;
    return st;
}

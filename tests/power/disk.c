#include "tests/power/disk.h"

#include "proto/status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define MAX_FILES 64
#define PATH_LEN 96

typedef struct change { /* of a file */
    bool size, synced_write;
    uint64_t at, order;
    uint8_t *p;
    size_t n;
} change;

typedef struct file {
    uint64_t number;
    char path[PATH_LEN];
    uint8_t *p; /* durable */
    size_t n;
    change *pending;
    size_t count, cap;
} file;

typedef struct naming { /* a change of names */
    power_kind kind;
    char name[PATH_LEN], from[PATH_LEN];
    int file;
    uint64_t order;
} naming;

typedef struct name {
    char path[PATH_LEN];
    int file; /* -1: a folder */
} name;

typedef struct names {
    name v[MAX_FILES];
    size_t n;
} names;

struct disk {
    file files[MAX_FILES];
    int file_count;
    names now, durable;
    naming pending[MAX_FILES];
    size_t pending_count;
    uint64_t order;
};

static uint64_t toss(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void *grown(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    CN_ASSERT(q);
    return q;
}

disk *disk_new(void)
{
    disk *d = calloc(1, sizeof *d);
    CN_ASSERT(d);
    return d;
}

static void forget_pending(file *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->pending[i].p);
    f->count = 0;
}

void disk_free(disk *d)
{
    for (int i = 0; i < d->file_count; i++) {
        forget_pending(&d->files[i]);
        free(d->files[i].pending);
        free(d->files[i].p);
    }
    free(d);
}

/* ---- names ---- */

static void copy_path(char out[PATH_LEN], const char *p, size_t n)
{
    CN_ASSERT(n < PATH_LEN);
    memcpy(out, p, n);
    out[n] = '\0';
}

static size_t find_name(const names *v, const char *path)
{
    size_t i = 0;
    while (i < v->n && strcmp(v->v[i].path, path) != 0)
        i++;
    return i;
}

static void set_name(names *v, const char *path, int which)
{
    size_t i = find_name(v, path);
    CN_ASSERT(i < MAX_FILES);
    v->n += i == v->n;
    snprintf(v->v[i].path, PATH_LEN, "%s", path);
    v->v[i].file = which;
}

static void remove_name(names *v, const char *path, int which)
{
    size_t i = find_name(v, path);
    if (i < v->n && v->v[i].file == which)
        v->v[i] = v->v[--v->n];
}

static void apply_naming(names *v, const naming *c)
{
    if (c->kind == POWER_RENAME)
        remove_name(v, c->from, c->file);
    if (c->kind == POWER_UNLINK)
        remove_name(v, c->name, c->file);
    else
        set_name(v, c->name, c->file);
}

static bool lies_in(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    return strlen(folder) == n && strncmp(path, folder, n) == 0;
}

static void change_names(disk *d, const power_head *op, const char *bytes)
{
    naming c = {.kind = (power_kind)op->kind, .file = -1, .order = d->order};
    if (op->kind == POWER_RENAME) {
        size_t n = strnlen(bytes, op->n);
        copy_path(c.from, bytes, n);
        copy_path(c.name, bytes + n + 1, op->n - n - 1);
    } else {
        copy_path(c.name, bytes, op->n);
    }
    if (op->kind == POWER_CREATE) {
        CN_ASSERT(d->file_count < MAX_FILES);
        c.file = d->file_count;
        file *f = &d->files[d->file_count++];
        f->number = op->file;
        snprintf(f->path, sizeof f->path, "%s", c.name);
    } else if (op->kind != POWER_MKDIR) {
        size_t i = find_name(&d->now, op->kind == POWER_RENAME ? c.from : c.name);
        CN_ASSERT(i < d->now.n);
        c.file = d->now.v[i].file;
    }
    apply_naming(&d->now, &c);
    CN_ASSERT(d->pending_count < MAX_FILES);
    d->pending[d->pending_count++] = c;
}

static void sync_folder(disk *d, const char *folder)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->pending_count; i++) {
        if (lies_in(d->pending[i].name, folder))
            apply_naming(&d->durable, &d->pending[i]);
        else
            d->pending[kept++] = d->pending[i];
    }
    d->pending_count = kept;
}

/* ---- bytes ---- */

static file *file_of(disk *d, uint64_t number)
{
    for (int i = d->file_count; i-- > 0;)
        if (d->files[i].number == number) /* the newest: numbers are used again */
            return &d->files[i];
    CN_ASSERT(!"a file that was never created");
    return NULL;
}

const char *disk_name(disk *d, uint64_t number)
{
    return file_of(d, number)->path;
}

static void set_size(uint8_t **p, size_t *n, size_t size)
{
    *p = grown(*p, size);
    if (size > *n)
        memset(*p + *n, 0, size - *n);
    *n = size;
}

static void put(uint8_t **p, size_t *n, uint64_t at, const uint8_t *bytes, size_t count)
{
    if (at + count > *n)
        set_size(p, n, at + count);
    memcpy(*p + at, bytes, count);
}

static void apply_change(uint8_t **p, size_t *n, const change *c)
{
    if (c->size)
        set_size(p, n, c->at);
    else
        put(p, n, c->at, c->p, c->n);
}

static void sync_file(file *f)
{
    for (size_t i = 0; i < f->count; i++)
        apply_change(&f->p, &f->n, &f->pending[i]);
    forget_pending(f);
}

/* The newest write alone becomes durable; what is pending elsewhere in the file stays so. */
static void sync_write(file *f)
{
    CN_ASSERT(f->count > 0);
    change *c = &f->pending[f->count - 1];
    for (size_t i = 0; i + 1 < f->count; i++) { /* older bytes of this range can no longer reach the disk */
        change *o = &f->pending[i];
        uint64_t from = o->at > c->at ? o->at : c->at;
        uint64_t end = o->at + o->n < c->at + c->n ? o->at + o->n : c->at + c->n;
        if (!o->size && from < end)
            memcpy(o->p + (from - o->at), c->p + (from - c->at), end - from);
    }
    apply_change(&f->p, &f->n, c);
    free(c->p);
    f->count--;
}

static void add_change(disk *d, const power_head *op, const uint8_t *bytes)
{
    file *f = file_of(d, op->file);
    change c = {.size = op->kind == POWER_SIZE, .at = op->at, .order = d->order, .n = op->n};
    if (!c.size) {
        c.p = grown(NULL, op->n);
        memcpy(c.p, bytes, op->n);
    }
    if (f->count == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 16;
        f->pending = grown(f->pending, f->cap * sizeof *f->pending);
    }
    f->pending[f->count++] = c;
}

void disk_apply(disk *d, const power_head *op, const uint8_t *bytes, bool ignore_sync)
{
    char folder[PATH_LEN];
    d->order++;
    switch ((power_kind)op->kind) {
    case POWER_CREATE:
    case POWER_MKDIR:
    case POWER_RENAME:
    case POWER_UNLINK:
        change_names(d, op, (const char *)bytes);
        break;
    case POWER_WRITE:
    case POWER_SIZE:
        add_change(d, op, bytes);
        break;
    case POWER_SYNC:
        if (!ignore_sync)
            sync_file(file_of(d, op->file));
        break;
    case POWER_SYNC_WRITE:
        if (!ignore_sync)
            sync_write(file_of(d, op->file));
        break;
    case POWER_SYNC_DIR:
        copy_path(folder, (const char *)bytes, op->n);
        if (!ignore_sync)
            sync_folder(d, folder);
        break;
    case POWER_NOTE:
        break;
    }
}

size_t disk_pending(const disk *d)
{
    size_t n = d->pending_count;
    for (int i = 0; i < d->file_count; i++)
        n += d->files[i].count;
    return n;
}

/* ---- what is found ---- */

typedef struct dice {
    power_loss loss;
    uint64_t seed, cut; /* cut: LOSS_SUFFIX loses what has this order or a higher one */
    unsigned percent;   /* LOSS_RANDOM: of what is there */
    bool noise;
} dice;

static bool survives(dice *x, uint64_t order)
{
    switch (x->loss) {
    case LOSS_NONE:
        return true;
    case LOSS_SUFFIX:
        return order < x->cut;
    case LOSS_RANDOM:
        return toss(&x->seed) % 100 < x->percent;
    default:
        return false;
    }
}

/* Sector by sector. Noise is what a sector may hold that was being written when the power went: never where bytes that
 * were durable share the sector, and never in a write with O_DSYNC of less than a sector (LMDB's meta page). */
static void tear(dice *x, const change *c, uint8_t **p, size_t *n)
{
    bool last = x->loss == LOSS_SUFFIX && c->order == x->cut;
    size_t whole = last && c->n > 0 ? (size_t)(toss(&x->seed) % (c->n + 1)) / SECTOR * SECTOR : 0;
    for (size_t at = 0; at < c->n;) {
        size_t here = SECTOR - (size_t)((c->at + at) % SECTOR), room = c->n - at;
        size_t count = here < room ? here : room;
        if (last ? at + count <= whole : survives(x, c->order)) {
            put(p, n, c->at + at, c->p + at, count);
        } else if (x->noise && count == SECTOR && toss(&x->seed) % 4 == 0) {
            uint8_t junk[SECTOR];
            for (size_t i = 0; i < SECTOR; i++)
                junk[i] = (uint8_t)toss(&x->seed);
            put(p, n, c->at + at, junk, SECTOR);
        }
        at += count;
    }
}

/* Holes instead of zeros: most of a preallocated file is empty. */
static void write_out(const char *path, const uint8_t *p, size_t n)
{
    static const uint8_t zero[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CN_ASSERT(fd >= 0 && ftruncate(fd, (off_t)n) == 0);
    for (size_t at = 0; at < n; at += sizeof zero) {
        size_t count = n - at < sizeof zero ? n - at : sizeof zero;
        if (memcmp(p + at, zero, count) != 0)
            CN_ASSERT(pwrite(fd, p + at, count, (off_t)at) == (ssize_t)count);
    }
    close(fd);
}

static void write_file(dice *x, const file *f, const char *path)
{
    size_t n = f->n;
    uint8_t *p = grown(NULL, n);
    if (n)
        memcpy(p, f->p, n);
    for (size_t i = 0; i < f->count; i++) {
        const change *c = &f->pending[i];
        if (!c->size)
            tear(x, c, &p, &n);
        else if (survives(x, c->order))
            set_size(&p, &n, c->at);
    }
    write_out(path, p, n);
    free(p);
}

static void write_names(dice *x, const disk *d, const names *found, const char *prefix, const char *folder)
{
    for (size_t i = 0; i < found->n; i++) {
        char path[512];
        const name *v = &found->v[i];
        if (!lies_in(v->path, prefix))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, v->path);
        if (v->file >= 0) {
            write_file(x, &d->files[v->file], path);
        } else {
            CN_ASSERT(mkdir(path, 0700) == 0);
            write_names(x, d, found, v->path, folder);
        }
    }
}

void disk_image(disk *d, power_loss loss, uint64_t seed, const char *folder)
{
    static const unsigned percents[] = {10, 50, 90};
    dice x = {.loss = loss, .seed = seed};
    names found = d->durable;
    uint64_t oldest = d->order + 1;
    for (size_t i = 0; i < d->pending_count; i++)
        oldest = d->pending[i].order < oldest ? d->pending[i].order : oldest;
    for (int i = 0; i < d->file_count; i++)
        if (d->files[i].count && d->files[i].pending[0].order < oldest)
            oldest = d->files[i].pending[0].order;
    x.cut = oldest + toss(&x.seed) % (d->order + 2 - oldest);
    x.percent = percents[toss(&x.seed) % 3];
    x.noise = loss == LOSS_RANDOM && toss(&x.seed) % 2;
    for (size_t i = 0; i < d->pending_count; i++)
        if (survives(&x, d->pending[i].order))
            apply_naming(&found, &d->pending[i]);
    write_names(&x, d, &found, "", folder);
}

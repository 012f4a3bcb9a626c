/* Stands between a process and the C library, and records every call that changes files below one folder. One lock
 * around call and record, so that the order of the log is the order of the calls. A sync is recorded but not done: no
 * power fails here, and a disk would make thousands of runs slow. The process talks to the kernel by syscall(2), so
 * that nothing that is wrapped here is called from here. */
#include "tests/power/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_len;
static int log_fd = -1;
static uint64_t lifetime, records;
static struct {
    enum { NONE, FILE_, FOLDER } is;
    uint64_t file;
    bool synced; /* O_DSYNC or O_SYNC */
    char path[256];
} fds[FDS];

static void die(const char *what)
{
    fprintf(stderr, "power shim: %s\n", what);
    abort();
}

static void record(power_kind kind, uint64_t file, uint64_t at, const void *p, size_t n)
{
    power_head head = {.kind = (uint32_t)kind, .n = (uint32_t)n, .file = file, .at = at};
    struct iovec v[2] = {{&head, sizeof head}, {(void *)(uintptr_t)p, n}};
    if (syscall(SYS_writev, log_fd, v, 2) != (long)(sizeof head + n))
        die("the log cannot be written");
    if (++records == lifetime || (lifetime == POWER_TO_RENAME && kind == POWER_RENAME))
        (void)syscall(SYS_kill, getpid(), SIGKILL);
}

void power_start(const char *folder, int fd, uint64_t life)
{
    if (!realpath(folder, root))
        die("the folder does not exist");
    root_len = strlen(root);
    lifetime = life;
    records = 0;
    log_fd = fd;
}

void power_note(const void *p, size_t n)
{
    pthread_mutex_lock(&lock);
    if (log_fd >= 0)
        record(POWER_NOTE, 0, 0, p, n);
    pthread_mutex_unlock(&lock);
}

/* The path below the folder, or NULL for what lies elsewhere. */
static const char *below(const char *path)
{
    if (log_fd < 0 || !path || strncmp(path, root, root_len) != 0 || (path[root_len] != '/' && path[root_len] != '\0'))
        return NULL;
    return path[root_len] ? path + root_len + 1 : "";
}

static bool watched(int fd)
{
    return log_fd >= 0 && fd >= 0 && fd < FDS && fds[fd].is == FILE_;
}

/* ---- names ---- */

/* A folder is known by where it really is, whatever path led to it. */
static void note_folder(int fd)
{
    char link[64], real[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlink, link, real, sizeof real - 1);
    if (n < 0)
        return;
    real[n] = '\0';
    const char *name = below(real);
    if (!name)
        return;
    fds[fd].is = FOLDER;
    snprintf(fds[fd].path, sizeof fds[fd].path, "%s", name);
}

static void note_open(int fd, const char *name, int flags, bool existed)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        die("fstat");
    if (S_ISDIR(info.st_mode)) {
        note_folder(fd);
        return;
    }
    if (!name)
        return;
    fds[fd].is = FILE_;
    fds[fd].file = info.st_ino;
    fds[fd].synced = (flags & O_DSYNC) != 0;
    if (!existed)
        record(POWER_CREATE, info.st_ino, 0, name, strlen(name));
    else if (flags & O_TRUNC)
        record(POWER_SIZE, info.st_ino, 0, NULL, 0);
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    pthread_mutex_lock(&lock);
    const char *name = below(path);
    bool existed = name && syscall(SYS_access, path, F_OK) == 0;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    int saved = errno;
    if (fd >= 0 && fd < FDS)
        fds[fd].is = NONE;
    if (fd >= 0 && fd < FDS && log_fd >= 0)
        note_open(fd, name, flags, existed);
    else if (fd >= FDS && name)
        die("too many descriptors");
    pthread_mutex_unlock(&lock);
    errno = saved;
    return fd;
}

#define MODE_OF(flags)                                                                                                 \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                             \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode = va_arg(more, mode_t);                                                                                   \
        va_end(more);                                                                                                  \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(dir, path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_at(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_at(AT_FDCWD, path, flags, 0);
}

int close(int fd)
{
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FDS)
        fds[fd].is = NONE;
    int rc = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_mkdir, path, mode), saved = errno;
    const char *name = below(path);
    if (rc == 0 && name)
        record(POWER_MKDIR, 0, 0, name, strlen(name));
    pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}

int rename(const char *from, const char *to)
{
    pthread_mutex_lock(&lock);
    const char *a = below(from), *b = below(to);
    if (!a != !b)
        die("a file leaves or enters the folder by rename");
    int rc = (int)syscall(SYS_rename, from, to), saved = errno;
    if (rc == 0 && a) {
        char both[2 * PATH_MAX];
        size_t n = (size_t)snprintf(both, sizeof both, "%s%c%s", a, 0, b);
        record(POWER_RENAME, 0, 0, both, n);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}

int unlink(const char *path)
{
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_unlink, path), saved = errno;
    const char *name = below(path);
    if (rc == 0 && name)
        record(POWER_UNLINK, 0, 0, name, strlen(name));
    pthread_mutex_unlock(&lock);
    errno = saved;
    return rc;
}

/* ---- bytes ---- */

/* offset -1: at the descriptor's own, which then moves */
static ssize_t write_at(int fd, const struct iovec *v, int count, off_t offset)
{
    pthread_mutex_lock(&lock);
    off_t at = offset >= 0 || !watched(fd) ? offset : (off_t)syscall(SYS_lseek, fd, (off_t)0, SEEK_CUR);
    ssize_t done =
        offset >= 0 ? syscall(SYS_pwritev, fd, v, count, offset, (off_t)0) : syscall(SYS_writev, fd, v, count);
    int saved = errno;
    if (done > 0 && watched(fd)) {
        uint8_t *all = malloc((size_t)done), *p = all;
        if (!all)
            die("out of memory");
        for (size_t left = (size_t)done, i = 0; left > 0; i++) {
            size_t n = v[i].iov_len < left ? v[i].iov_len : left;
            memcpy(p, v[i].iov_base, n);
            p += n;
            left -= n;
        }
        record(POWER_WRITE, fds[fd].file, (uint64_t)at, all, (size_t)done);
        if (fds[fd].synced)
            record(POWER_SYNC_WRITE, fds[fd].file, 0, NULL, 0);
        free(all);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return done;
}

ssize_t write(int fd, const void *p, size_t n)
{
    if (!watched(fd))
        return syscall(SYS_write, fd, p, n);
    struct iovec v = {(void *)(uintptr_t)p, n};
    return write_at(fd, &v, 1, -1);
}

ssize_t writev(int fd, const struct iovec *v, int count)
{
    return write_at(fd, v, count, -1);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    struct iovec v = {(void *)(uintptr_t)p, n};
    return write_at(fd, &v, 1, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return pwrite(fd, p, n, at);
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at)
{
    return write_at(fd, v, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *v, int count, off64_t at)
{
    return write_at(fd, v, count, at);
}

static int resize(int fd, long rc, uint64_t size)
{
    int saved = errno;
    if (rc == 0 && watched(fd))
        record(POWER_SIZE, fds[fd].file, size, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return (int)rc;
}

int ftruncate(int fd, off_t size)
{
    pthread_mutex_lock(&lock);
    return resize(fd, syscall(SYS_ftruncate, fd, size), (uint64_t)size);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    struct stat info;
    pthread_mutex_lock(&lock);
    if (watched(fd) && mode != 0)
        die("fallocate with a mode is not modelled");
    long rc = syscall(SYS_fallocate, fd, mode, at, n);
    if (rc != 0 || fstat(fd, &info) != 0)
        info.st_size = 0;
    return resize(fd, rc, (uint64_t)info.st_size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
    return fallocate(fd, mode, at, n);
}

static int sync_fd(int fd, long call)
{
    if (log_fd < 0 || fd < 0 || fd >= FDS || fds[fd].is == NONE)
        return (int)syscall(call, fd);
    pthread_mutex_lock(&lock);
    if (fds[fd].is == FILE_)
        record(POWER_SYNC, fds[fd].file, 0, NULL, 0);
    else
        record(POWER_SYNC_DIR, 0, 0, fds[fd].path, strlen(fds[fd].path));
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd)
{
    return sync_fd(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_fd(fd, SYS_fdatasync);
}

/* The system calls that write, as the running host's disk lets them through. A host with a full disk gets ENOSPC. A
 * host that is to be killed writes a part of the last call (whole sectors of it, which is what a disk may do), and from
 * then on nothing. Whatever was written before is there when it starts again: lost caches are tests/power's. */
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR 512u

/* How much of n bytes may be written; -1: nothing, with errno. */
static ssize_t allowed(size_t n)
{
    whole *w = the_world();
    host *h = w ? w->running : NULL;
    if (!h)
        return (ssize_t)n;
    if (h->dead) {
        errno = EIO;
        return -1;
    }
    if (h->full) {
        errno = ENOSPC;
        return -1;
    }
    if (h->calls_left < 0 || h->calls_left-- > 0)
        return (ssize_t)n;
    h->dead = true;
    size_t part = n > SECTOR ? (size_t)rng_below(&w->r, n / SECTOR + 1) * SECTOR : 0;
    return (ssize_t)part;
}

static ssize_t write_at(int fd, const void *p, size_t n, off_t at, bool append)
{
    ssize_t part = allowed(n);
    if (part < 0)
        return -1;
    if (part > 0 &&
        (append ? syscall(SYS_write, fd, p, (size_t)part) : syscall(SYS_pwrite64, fd, p, (size_t)part, at)) < 0)
        return -1;
    if ((size_t)part == n)
        return part;
    errno = EIO;
    return -1;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return write_at(fd, p, n, at, false);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return write_at(fd, p, n, at, false);
}

ssize_t write(int fd, const void *p, size_t n)
{
    if (fd <= STDERR_FILENO)
        return syscall(SYS_write, fd, p, n);
    return write_at(fd, p, n, 0, true);
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at)
{
    ssize_t done = 0;
    for (int i = 0; i < count; i++) {
        if (write_at(fd, v[i].iov_base, v[i].iov_len, at + done, false) < 0)
            return -1;
        done += (ssize_t)v[i].iov_len;
    }
    return done;
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    return allowed(1) < 0 || (the_world() && the_world()->running && the_world()->running->dead)
               ? -1
               : (int)syscall(SYS_fallocate, fd, mode, at, n);
}

/* Nothing here outlives the process: a sync costs nothing, but one that was cut off by a kill must not succeed. */
static int synced(void)
{
    whole *w = the_world();
    host *h = w ? w->running : NULL;
    if (h && !h->dead && h->calls_left >= 0 && h->calls_left-- == 0)
        h->dead = true;
    if (!h || !h->dead)
        return 0;
    errno = EIO;
    return -1;
}

int fsync(int fd)
{
    (void)fd;
    return synced();
}

int fdatasync(int fd)
{
    (void)fd;
    return synced();
}

int rename(const char *from, const char *to)
{
    whole *w = the_world();
    if (w && w->running && w->running->dead) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

#include "storage/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool sync_path(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0;
    int saved = errno;
    close(fd);
    errno = saved;
    return ok;
}

bool cn_sync_folder(const char *path)
{
    return sync_path(path, O_DIRECTORY);
}

bool cn_sync_file(const char *path)
{
    return sync_path(path, 0);
}

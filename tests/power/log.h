/* What a process asked of the disk below one folder, in order: the shim (shim.c) writes it, the model (disk.c) reads
 * it. A record is a head and `n` bytes. Files are named by their inode number at the time; CREATE begins a new file. */
#ifndef CARNET_TESTS_POWER_LOG_H
#define CARNET_TESTS_POWER_LOG_H

#include <stddef.h>
#include <stdint.h>

typedef enum power_kind {
    POWER_CREATE = 1, /* file; bytes: path */
    POWER_MKDIR,      /* bytes: path */
    POWER_RENAME,     /* bytes: from, 0, to */
    POWER_UNLINK,     /* bytes: path */
    POWER_WRITE,      /* file, at; bytes */
    POWER_SIZE,       /* file, at: the new size */
    POWER_SYNC,       /* file: all its bytes and its size are durable */
    POWER_SYNC_WRITE, /* file: the write just before, through a descriptor with O_DSYNC, is durable */
    POWER_SYNC_DIR,   /* bytes: path of the folder */
    POWER_NOTE,       /* bytes: something has left the process: an acknowledgement, a vote */
} power_kind;

typedef struct power_head {
    uint32_t kind, n;
    uint64_t file, at;
} power_head;

/* Begins to record below root; the log is written through fd. After `lifetime` records (0: never; POWER_TO_RENAME:
 * after a rename, before its folder is synced) the process kills itself as kill -9 would. */
#define POWER_TO_RENAME UINT64_MAX
void power_start(const char *root, int fd, uint64_t lifetime);
void power_note(const void *p, size_t n);

#endif

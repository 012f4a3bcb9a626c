/* A disk behind a write cache: what is durable, and what may be lost when the power fails now.
 *
 * Durable are the bytes of a file at its last sync, a name at the last sync of its folder. Everything later is pending,
 * and after a power loss any part of it may be there: sectors of 512 bytes are written whole or not, in any order; a
 * change of size, of a name, each or not. */
#ifndef CARNET_TESTS_POWER_DISK_H
#define CARNET_TESTS_POWER_DISK_H

#include "tests/power/log.h"

#include <stdbool.h>

typedef enum power_loss {
    LOSS_ALL,    /* nothing pending is there */
    LOSS_NONE,   /* all of it is: the cache was written just in time */
    LOSS_SUFFIX, /* what came first is there, the last of it torn */
    LOSS_RANDOM, /* each sector, size and name by the toss of a coin, some sectors with noise */
    LOSS_KINDS,
} power_loss;

typedef struct disk disk;

disk *disk_new(void);
void disk_free(disk *d);
/* One record of the log. ignore_sync: the call is treated as if it had never been made (mutations). */
void disk_apply(disk *d, const power_head *op, const uint8_t *bytes, bool ignore_sync);
const char *disk_name(disk *d, uint64_t file); /* the path under which the file was created */
/* Writes what is found after a power loss to the empty folder. */
void disk_image(disk *d, power_loss loss, uint64_t seed, const char *folder);
size_t disk_pending(const disk *d); /* changes that may be lost */

#endif

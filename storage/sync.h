/* Names on disk. A file's own sync does not make its name durable: that is its folder's. Private to storage. */
#ifndef CARNET_STORAGE_SYNC_H
#define CARNET_STORAGE_SYNC_H

#include <stdbool.h>

/* Makes the names in a folder durable. False: errno says why. */
bool cn_sync_folder(const char *path);
/* The bytes of a file that others wrote. */
bool cn_sync_file(const char *path);

#endif

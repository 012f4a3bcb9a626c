/* The database is mapped into memory, so that a damaged page that leads behind the end of the file is not an error of a
 * call but a fault of the processor (SIGBUS). It ends the program either way; this says why. */
#ifndef CARNET_STORAGE_GUARD_H
#define CARNET_STORAGE_GUARD_H

/* From now on such a fault, and a page that fails LMDB's own assertions, writes "PREFIX: DIR: ..." to standard error
 * and ends the program with this exit status. */
void cn_store_guard(const char *prefix, const char *dir, int exit_status);

/* What the guard does; returns when there is none. */
void cn_store_guard_end(void);

#endif

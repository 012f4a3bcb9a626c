/* A queue between threads with limits in bytes: many producers, one or more consumers.
 *
 * Tasks stand in lanes, one for this node's own clients and one for each peer, and keep their order within a lane. The
 * lane that has cost the consumers least is served next, so that whoever floods the node waits for himself only (R9,
 * R12), whatever his messages cost. A lane that was empty saves nothing up.
 *
 * Entries are intrusive: a cn_task is the first member of the caller's structure, and belongs to the queue from a
 * successful push to the pop that returns it. */
#ifndef CARNET_NODE_DAEMON_QUEUE_H
#define CARNET_NODE_DAEMON_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cn_task {
    struct cn_task *next;
    size_t bytes; /* what it counts against the limit; set by the producer, at least 1 */
    int kind;
    unsigned lane; /* below CN_QUEUE_LANES */
} cn_task;

#define CN_QUEUE_LANES 66u     /* 0: this node's own; 1 + slot: a peer's; the last: strangers' */
#define CN_QUEUE_LANE_SHARE 8u /* every lane but the first may hold one part of so many of the limit */

typedef struct cn_queue cn_queue;

cn_queue *cn_queue_new(size_t max_bytes);                 /* NULL: out of memory */
void cn_queue_free(cn_queue *q, void (*drop)(cn_task *)); /* drops what is left */
/* False when a limit is reached or the queue is closed: the task stays the caller's. */
bool cn_queue_push(cn_queue *q, cn_task *task);
/* As push, past the limit: for the few entries that must not be lost (answers, link events). */
bool cn_queue_push_always(cn_queue *q, cn_task *task);
/* Waits until the deadline (monotonic milliseconds; 0 does not wait, UINT64_MAX for ever). NULL: none came in time, or
 * the queue is closed and empty. */
cn_task *cn_queue_pop(cn_queue *q, uint64_t deadline_ms);
/* What a task of the lane has cost its consumer. */
void cn_queue_charge(cn_queue *q, unsigned lane, uint64_t microseconds);
void cn_queue_close(cn_queue *q); /* wakes every waiting consumer; pushes fail from now on */
size_t cn_queue_bytes(cn_queue *q);
uint64_t cn_queue_dropped(cn_queue *q); /* pushes refused so far */

#endif

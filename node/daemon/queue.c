#include "node/daemon/queue.h"

#include "proto/status.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

typedef struct lane {
    cn_task *head, *tail;
    size_t bytes;
    uint64_t spent_us; /* by its tasks; never less than what was spent on the lane served last when it fills */
} lane;

struct cn_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    lane lane[CN_QUEUE_LANES];
    size_t count, bytes, max_bytes;
    uint64_t dropped, served_us;
    bool closed;
};

cn_queue *cn_queue_new(size_t max_bytes)
{
    cn_queue *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->filled, &attr);
    pthread_condattr_destroy(&attr);
    q->max_bytes = max_bytes;
    return q;
}

void cn_queue_free(cn_queue *q, void (*drop)(cn_task *))
{
    if (!q)
        return;
    for (unsigned i = 0; i < CN_QUEUE_LANES; i++)
        while (q->lane[i].head) {
            cn_task *task = q->lane[i].head;
            q->lane[i].head = task->next;
            drop(task);
        }
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static bool fits(const cn_queue *q, const cn_task *task)
{
    size_t limit = task->lane ? q->max_bytes / CN_QUEUE_LANE_SHARE : q->max_bytes;
    size_t held = q->lane[task->lane].bytes;
    return task->bytes <= limit && held <= limit - task->bytes;
}

static bool push(cn_queue *q, cn_task *task, bool always)
{
    CN_ASSERT(task->bytes > 0 && task->lane < CN_QUEUE_LANES);
    lane *l = &q->lane[task->lane];
    pthread_mutex_lock(&q->lock);
    bool good = !q->closed && (always || fits(q, task));
    if (good) {
        task->next = NULL;
        if (l->tail)
            l->tail->next = task;
        else
            l->head = task;
        if (l->head == task && l->spent_us < q->served_us)
            l->spent_us = q->served_us;
        l->tail = task;
        l->bytes += task->bytes;
        q->bytes += task->bytes;
        q->count++;
        pthread_cond_signal(&q->filled);
    } else {
        q->dropped++;
    }
    pthread_mutex_unlock(&q->lock);
    return good;
}

bool cn_queue_push(cn_queue *q, cn_task *task)
{
    return push(q, task, false);
}

bool cn_queue_push_always(cn_queue *q, cn_task *task)
{
    return push(q, task, true);
}

/* The head of the lane that cost least so far. */
static cn_task *take(cn_queue *q)
{
    lane *best = NULL;
    for (unsigned i = 0; i < CN_QUEUE_LANES; i++)
        if (q->lane[i].head && (!best || q->lane[i].spent_us < best->spent_us))
            best = &q->lane[i];
    if (!best)
        return NULL;
    cn_task *task = best->head;
    best->head = task->next;
    if (!best->head)
        best->tail = NULL;
    if (best->spent_us > q->served_us)
        q->served_us = best->spent_us;
    best->bytes -= task->bytes;
    q->bytes -= task->bytes;
    q->count--;
    task->next = NULL;
    return task;
}

void cn_queue_charge(cn_queue *q, unsigned number, uint64_t microseconds)
{
    pthread_mutex_lock(&q->lock);
    q->lane[number].spent_us += microseconds + 1; /* turns, where the clock is too coarse */
    pthread_mutex_unlock(&q->lock);
}

cn_task *cn_queue_pop(cn_queue *q, uint64_t deadline_ms)
{
    pthread_mutex_lock(&q->lock);
    while (!q->count && !q->closed) {
        if (deadline_ms == UINT64_MAX) {
            pthread_cond_wait(&q->filled, &q->lock);
            continue;
        }
        struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                                 .tv_nsec = (long)(deadline_ms % 1000) * 1000000L};
        if (deadline_ms == 0 || pthread_cond_timedwait(&q->filled, &q->lock, &until) != 0)
            break;
    }
    cn_task *task = take(q);
    pthread_mutex_unlock(&q->lock);
    return task;
}

void cn_queue_close(cn_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

size_t cn_queue_bytes(cn_queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t bytes = q->bytes;
    pthread_mutex_unlock(&q->lock);
    return bytes;
}

uint64_t cn_queue_dropped(cn_queue *q)
{
    pthread_mutex_lock(&q->lock);
    uint64_t dropped = q->dropped;
    pthread_mutex_unlock(&q->lock);
    return dropped;
}

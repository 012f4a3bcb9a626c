#include "node/daemon/queue.h"

#include "proto/status.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static pthread_once_t steady_once = PTHREAD_ONCE_INIT;
static uint64_t steady_offset_ms;

struct cn_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    cn_task *head, *tail;
    size_t bytes, max_bytes;
    uint64_t dropped;
    bool closed;
};

static uint64_t clock_ms(clockid_t id)
{
    struct timespec t;
    CN_ASSERT(clock_gettime(id, &t) == 0);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

uint64_t cn_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t cn_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

static void begin_steady(void)
{
    steady_offset_ms = cn_wall_ms() - cn_monotonic_ms();
}

uint64_t cn_steady_ms(void)
{
    pthread_once(&steady_once, begin_steady);
    return cn_monotonic_ms() + steady_offset_ms;
}

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
    while (q->head) {
        cn_task *task = q->head;
        q->head = task->next;
        drop(task);
    }
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static bool push(cn_queue *q, cn_task *task, bool always)
{
    CN_ASSERT(task->bytes > 0);
    pthread_mutex_lock(&q->lock);
    bool fits = !q->closed && (always || (task->bytes <= q->max_bytes && q->bytes <= q->max_bytes - task->bytes));
    if (fits) {
        task->next = NULL;
        if (q->tail)
            q->tail->next = task;
        else
            q->head = task;
        q->tail = task;
        q->bytes += task->bytes;
        pthread_cond_signal(&q->filled);
    } else {
        q->dropped++;
    }
    pthread_mutex_unlock(&q->lock);
    return fits;
}

bool cn_queue_push(cn_queue *q, cn_task *task)
{
    return push(q, task, false);
}

bool cn_queue_push_always(cn_queue *q, cn_task *task)
{
    return push(q, task, true);
}

cn_task *cn_queue_pop(cn_queue *q, uint64_t deadline_ms)
{
    pthread_mutex_lock(&q->lock);
    while (!q->head && !q->closed) {
        if (deadline_ms == UINT64_MAX) {
            pthread_cond_wait(&q->filled, &q->lock);
            continue;
        }
        struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                                 .tv_nsec = (long)(deadline_ms % 1000) * 1000000L};
        if (deadline_ms == 0 || pthread_cond_timedwait(&q->filled, &q->lock, &until) != 0)
            break;
    }
    cn_task *task = q->head;
    if (task) {
        q->head = task->next;
        if (!q->head)
            q->tail = NULL;
        q->bytes -= task->bytes;
        task->next = NULL;
    }
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

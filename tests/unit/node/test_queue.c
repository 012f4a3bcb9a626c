/* The queue between threads: its limit in bytes, order, closing. */
#include "node/daemon/queue.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

static void drop(cn_task *task)
{
    free(task);
}

static cn_task *task_of(int kind, size_t bytes)
{
    cn_task *task = calloc(1, sizeof *task);
    task->kind = kind;
    task->bytes = bytes;
    return task;
}

Test(queue, takes_no_more_than_its_bytes_and_counts_what_it_refused)
{
    cn_queue *q = cn_queue_new(100);
    cn_task *third = task_of(3, 41);
    cr_expect(cn_queue_push(q, task_of(1, 40)));
    cr_expect(cn_queue_push(q, task_of(2, 20)));
    cr_expect_not(cn_queue_push(q, third));
    cr_expect_eq(cn_queue_dropped(q), 1u);
    cr_expect(cn_queue_push_always(q, third), "what must not be lost goes past the limit");
    for (int i = 1; i <= 3; i++) {
        cn_task *task = cn_queue_pop(q, 0);
        cr_assert_not_null(task);
        cr_expect_eq(task->kind, i);
        free(task);
    }
    cr_expect_null(cn_queue_pop(q, 0));
    cr_expect_eq(cn_queue_bytes(q), 0u);
    cn_queue_free(q, drop);
}

static void *consume(void *arg)
{
    size_t *count = calloc(1, sizeof *count);
    for (cn_task *task; (task = cn_queue_pop(arg, UINT64_MAX)); free(task))
        ++*count;
    return count;
}

Test(queue, closing_wakes_the_consumers_after_the_last_task)
{
    cn_queue *q = cn_queue_new(1 << 20);
    pthread_t thread[2];
    size_t total = 0;
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, consume, q);
    for (int i = 0; i < 5000; i++)
        cr_assert(cn_queue_push(q, task_of(i, 1)));
    cn_queue_close(q);
    for (int i = 0; i < 2; i++) {
        void *count;
        pthread_join(thread[i], &count);
        total += *(size_t *)count;
        free(count);
    }
    cr_expect_eq(total, 5000u);
    cn_task *late = task_of(1, 1);
    cr_expect_not(cn_queue_push(q, late));
    free(late);
    cn_queue_free(q, drop);
}

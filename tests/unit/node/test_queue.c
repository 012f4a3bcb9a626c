/* The queue between threads: its limit in bytes, order, closing. */
#include "node/daemon/clock.h"
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

static cn_task *task_in(unsigned lane, int kind)
{
    cn_task *task = task_of(kind, 1);
    task->lane = lane;
    return task;
}

/* Who floods waits for himself: the others are served as if he were one of them, in their own order. */
Test(queue, a_lane_that_costs_more_waits_longer)
{
    cn_queue *q = cn_queue_new(1 << 20);
    int mine = 0, expected = 0;
    for (int i = 0; i < 1000; i++)
        cr_assert(cn_queue_push(q, task_in(3, i)));
    for (int i = 0; i < 1000; i++) {
        if (i >= 100 && i < 120)
            cr_assert(cn_queue_push(q, task_in(1, i)));
        cn_task *task = cn_queue_pop(q, 0);
        cr_assert_not_null(task);
        if (task->lane == 1) {
            cr_expect_eq(task->kind, 100 + mine);
            mine++;
        } else {
            cr_expect_eq(task->kind, expected);
            expected++;
        }
        cn_queue_charge(q, task->lane, task->lane == 3 ? 500 : 100);
        free(task);
        if (i == 100 + 20 + 6)
            cr_expect_eq(mine, 20, "%d of 20 were served beside five times dearer ones", mine);
    }
    cr_expect_eq(mine, 20);
    /* a lane that was empty for long does not take everything at once for that */
    for (int i = 0; i < 10; i++) {
        cr_assert(cn_queue_push(q, task_in(0, i)));
        cr_assert(cn_queue_push(q, task_in(2, i)));
    }
    unsigned seen[CN_QUEUE_LANES] = {0};
    for (int i = 0; i < 10; i++) {
        cn_task *task = cn_queue_pop(q, 0);
        seen[task->lane]++;
        cn_queue_charge(q, task->lane, 100);
        free(task);
    }
    cr_expect_geq(seen[0], 3u);
    cr_expect_geq(seen[2], 3u);
    cr_expect_leq(seen[3], 4u);
    cn_queue_free(q, drop);
}

Test(queue, a_peer_fills_its_own_lane_only)
{
    cn_queue *q = cn_queue_new(800);
    unsigned taken = 0;
    for (cn_task *task; cn_queue_push(q, task = task_in(7, 0)) || (free(task), false);)
        taken++;
    cr_expect_eq(taken, 100u);
    cr_expect(cn_queue_push(q, task_in(8, 0)));
    cr_expect(cn_queue_push(q, task_of(0, 800)), "the node's own lane has the whole limit");
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

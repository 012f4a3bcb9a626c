#include "node/api/deadline.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define NEVER UINT64_MAX

struct cn_deadline {
    cn_deadlines *all;
    cn_deadline *next, *previous;
    uint64_t at_ms; /* or NEVER */
    int fd;
};

struct cn_deadlines {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    cn_deadline *first;
    uint64_t wakes_ms; /* when the thread looks again */
    bool ends;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Shuts down what is over; returns the next deadline. */
static uint64_t end_overdue(cn_deadlines *d)
{
    uint64_t next = NEVER, now = now_ms();
    for (cn_deadline *c = d->first; c; c = c->next) {
        if (c->at_ms <= now) {
            (void)shutdown(c->fd, SHUT_RDWR); /* its own thread wakes and closes it */
            c->at_ms = NEVER;
        }
        if (c->at_ms < next)
            next = c->at_ms;
    }
    return next;
}

static void *watch(void *ctx)
{
    cn_deadlines *d = ctx;
    pthread_mutex_lock(&d->lock);
    while (!d->ends) {
        d->wakes_ms = end_overdue(d);
        if (d->wakes_ms == NEVER) {
            (void)pthread_cond_wait(&d->changed, &d->lock);
            continue;
        }
        struct timespec until = {.tv_sec = (time_t)(d->wakes_ms / 1000u),
                                 .tv_nsec = (long)(d->wakes_ms % 1000u) * 1000000};
        (void)pthread_cond_timedwait(&d->changed, &d->lock, &until);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

cn_deadlines *cn_deadlines_start(void)
{
    pthread_condattr_t monotonic;
    cn_deadlines *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->wakes_ms = NEVER;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_cond_init(&d->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (pthread_create(&d->thread, NULL, watch, d) == 0)
        return d;
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
    return NULL;
}

void cn_deadlines_stop(cn_deadlines *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->ends = true;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
    (void)pthread_join(d->thread, NULL);
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

cn_deadline *cn_deadline_enter(cn_deadlines *d, int fd)
{
    cn_deadline *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->all = d;
    c->fd = fd;
    c->at_ms = NEVER;
    pthread_mutex_lock(&d->lock);
    c->next = d->first;
    if (c->next)
        c->next->previous = c;
    d->first = c;
    pthread_mutex_unlock(&d->lock);
    return c;
}

void cn_deadline_leave(cn_deadline *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->all->lock);
    if (c->previous)
        c->previous->next = c->next;
    else
        c->all->first = c->next;
    if (c->next)
        c->next->previous = c->previous;
    pthread_mutex_unlock(&c->all->lock);
    free(c);
}

/* The lock is held. */
static void move_to(cn_deadline *c, uint64_t at_ms)
{
    c->at_ms = at_ms;
    if (at_ms < c->all->wakes_ms)
        pthread_cond_signal(&c->all->changed);
}

void cn_deadline_set(cn_deadline *c, uint64_t ms)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->all->lock);
    move_to(c, ms ? now_ms() + ms : NEVER);
    pthread_mutex_unlock(&c->all->lock);
}

void cn_deadline_extend(cn_deadline *c, uint64_t ms)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->all->lock);
    if (c->at_ms != NEVER)
        move_to(c, c->at_ms + ms);
    pthread_mutex_unlock(&c->all->lock);
}

#include "node/daemon/clock.h"

#include "proto/status.h"

#include <pthread.h>
#include <time.h>

static pthread_once_t steady_once = PTHREAD_ONCE_INIT;
static uint64_t steady_offset_ms;

static uint64_t clock_us(clockid_t id)
{
    struct timespec t;
    CN_ASSERT(clock_gettime(id, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t cn_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

uint64_t cn_monotonic_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t cn_wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
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

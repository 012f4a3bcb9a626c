/* Virtual clocks, in place of node/daemon/clock.c. */
#include "whole.h"

static uint64_t base(void)
{
    return the_world() ? the_world()->now : 0;
}

uint64_t cn_monotonic_us(void)
{
    return cn_monotonic_ms() * 1000;
}

uint64_t cn_monotonic_ms(void)
{
    return BASE_MS + base();
}

uint64_t cn_wall_ms(void)
{
    const host *h = the_world() ? the_world()->running : NULL;
    return (uint64_t)((int64_t)(T0 + base()) + (h ? h->wall_ahead_ms : 0));
}

uint64_t cn_steady_ms(void)
{
    const host *h = the_world() ? the_world()->running : NULL;
    return T0 + base() + (h ? h->steady_ahead_ms : 0);
}

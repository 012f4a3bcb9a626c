/* Twins (Bano et al., 2020): one of four validators runs twice with one key, and each of the first views has its own
 * partition of the hosts, in each epoch. Schedules are enumerated; which validator is twinned decides in which view it
 * leads. In two of three the first statement changes the set: a fifth validator joins, on the side of host 0, or a
 * validator gets a new key, the twin's among them, so that the partitions also meet a closing block and the views after
 * it. */
#include "world.h"

#define TWIN_STRIDE 104729u /* odd: neighbouring numbers differ in everything, and every schedule has its number */

sim_result sim_twins(const sim_options *options, uint64_t k)
{
    sim_options o = *options;
    uint32_t schedule_number = (uint32_t)(k % TWIN_SCHEDULES * TWIN_STRIDE % TWIN_SCHEDULES);
    unsigned what = schedule_number % 3, twin = schedule_number / 3 % 4, joiner = 5, renewed = schedule_number / 5 % 4;
    o.nodes = 4;
    sim *s = world_new(&o, what == 1 ? 6 : 5);
    s->twins = true;
    s->chaos_end = 900;
    s->twin_group[0] = 31 | 1u << joiner;
    schedule_number /= 12;
    for (unsigned view = 1; view <= TWIN_VIEWS; view++, schedule_number /= 16)
        s->twin_group[view] = 1 | (schedule_number % 16) << 1 | 1u << joiner;
    s->node[4].member = twin;
    s->node[4].fault = s->node[twin].fault = TWIN;
    s->node[4].skew = s->node[twin].skew + 3; /* so that the two propose different blocks */
    world_statements(s, 6);
    if (what == 1)
        s->change[0] = (set_change){CHANGE_JOIN, joiner};
    else if (what == 2)
        s->change[0] = (set_change){CHANGE_ROTATE, renewed};
    for (unsigned i = 0; i < s->total; i++) {
        s->wanted[i] = true;
        schedule(s, (sim_event){.at = 1 + 60 * (uint64_t)i, .kind = E_SUBMIT, .node = i % 5, .value = i});
    }
    world_start(s);
    run_until(s, s->chaos_end, false);
    heal(s);
    run_until(s, s->now + HEAL_LIMIT_MS, true);
    return world_end(s);
}

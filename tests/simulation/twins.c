/* Twins (Bano et al., 2020): one of four validators runs twice with one key, and each of the first views has its own
 * partition of the five hosts. Schedules are enumerated; which validator is twinned decides in which view it leads. */
#include "world.h"

#define TWIN_STRIDE 104729u /* odd: neighbouring numbers differ in everything, and every schedule has its number */

sim_result sim_twins(const sim_options *options, uint64_t k)
{
    sim_options o = *options;
    uint32_t schedule_number = (uint32_t)(k % TWIN_SCHEDULES * TWIN_STRIDE % TWIN_SCHEDULES);
    unsigned twin = schedule_number % 4;
    o.nodes = 4;
    sim *s = world_new(&o, 5);
    s->twins = true;
    s->chaos_end = 900;
    s->twin_group[0] = 31;
    schedule_number /= 4;
    for (unsigned view = 1; view <= TWIN_VIEWS; view++, schedule_number /= 16)
        s->twin_group[view] = 1 | (schedule_number % 16) << 1;
    s->node[4].member = twin;
    s->node[4].fault = s->node[twin].fault = TWIN;
    s->node[4].skew = s->node[twin].skew + 3; /* so that the two propose different blocks */
    world_statements(s, 6);
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

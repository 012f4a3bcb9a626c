/* Scripted conversations on a network that takes 5 ms for everything: what is said, by whom and when, is compared with
 * the files of golden/ byte by byte (golden.sh). */
#include "world.h"

#include <stdlib.h>
#include <string.h>

typedef struct scenario {
    const char *name;
    unsigned hosts;
    uint64_t end;
    void (*prepare)(sim *s);
} scenario;

static void submit(sim *s, uint64_t at, unsigned who, unsigned number)
{
    s->wanted[number] = true;
    schedule(s, (sim_event){.at = at, .kind = E_SUBMIT, .node = who, .value = number});
}

static void cut(sim *s, uint64_t at, const uint32_t links[MAX_HOSTS])
{
    uint8_t *bytes = malloc(MAX_HOSTS * sizeof *links);
    memcpy(bytes, links, MAX_HOSTS * sizeof *links);
    schedule(s, (sim_event){.at = at, .kind = E_PARTITION, .bytes = bytes, .n = MAX_HOSTS * sizeof *links});
}

/* Two statements, each final three message delays after its leader has it. */
static void normal(sim *s)
{
    submit(s, 10, 2, 0);
    submit(s, 60, 0, 1);
}

/* The leader of view 1 says nothing: its view ends by a nullification, and the next leader carries it as evidence. */
static void nullified(sim *s)
{
    s->node[2].fault = SILENT;
    submit(s, 10, 0, 0);
}

/* Node 3 does not get the proposal and nobody hears node 0, so view 1 has a notarization that only node 0 holds and a
 * nullification that all hold. */
static void split(sim *s)
{
    static const uint32_t apart[MAX_HOSTS] = {0xe, 0, 0x8}, whole[MAX_HOSTS] = {0};
    submit(s, 10, 2, 0);
    cut(s, 9, apart);
    cut(s, 400, whole);
}

/* Node 0 is silent and node 1 crashes before anybody heard its vote: the view waits for it, and when node 1 is back it
 * says the same again, from its safety table. */
static void restart(sim *s)
{
    static const uint32_t unheard[MAX_HOSTS] = {0, 0xd}, whole[MAX_HOSTS] = {0};
    s->node[0].fault = SILENT;
    submit(s, 10, 2, 0);
    cut(s, 9, unheard);
    schedule(s, (sim_event){.at = 30, .kind = E_CRASH, .node = 1, .value = 30});
    cut(s, 55, whole);
}

/* A statement lets node 4 join: closing block, its finalization, and view 1 of the next epoch with five validators. */
static void epoch(sim *s)
{
    s->change[0] = (set_change){CHANGE_JOIN, 4};
    submit(s, 10, 2, 0);
    submit(s, 150, 4, 1);
}

/* Node 3 is away while the others go on through a change of the set, and fetches what it missed. */
static void catch_up(sim *s)
{
    s->change[1] = (set_change){CHANGE_ROTATE, 0};
    schedule(s, (sim_event){.at = 5, .kind = E_CRASH, .node = 3, .value = 800});
    for (unsigned k = 0; k < 4; k++)
        submit(s, 10 + 150 * (uint64_t)k, k % 3, k);
    submit(s, 900, 3, 4);
}

static const scenario scenarios[] = {
    {"normal", 4, 150, normal},   {"nullified-view", 4, 400, nullified}, {"certified-split", 4, 900, split},
    {"restart", 4, 400, restart}, {"epoch-change", 5, 400, epoch},       {"catch-up", 4, 1600, catch_up},
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

const char *sim_scenario_name(size_t i)
{
    return i < SCENARIOS ? scenarios[i].name : NULL;
}

bool sim_scenario(const sim_options *options, const char *name, sim_result *ret)
{
    const scenario *chosen = NULL;
    for (size_t i = 0; i < SCENARIOS; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            chosen = &scenarios[i];
    if (!chosen)
        return false;
    sim_options o = *options;
    o.seed = 1;
    o.nodes = 4;
    sim *s = world_new(&o, chosen->hosts);
    s->fixed_delay = true;
    for (unsigned i = 0; i < s->n; i++)
        s->node[i].skew = 0;
    world_statements(s, 8);
    chosen->prepare(s);
    world_start(s);
    run_until(s, chosen->end, false);
    *ret = world_end(s);
    return true;
}

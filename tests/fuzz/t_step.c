/* step() under a schedule that the input writes: three honest cores with model disks, and validator 3, which signs what
 * the input says. Messages are delivered in any order, twice, changed or never; disks sync late; nodes die and return.
 * The simulator's oracle judges what leaves the honest cores; their memory is measured (R9); at the end the network
 * heals and must decide again. */
#include "step_world.h"

#include <stdlib.h>

#ifdef CARNET_PLANT
bool cn_mutation_active(const char *name)
{
    return strcmp(name, "votes-not-durable") == 0;
}
#endif

enum op {
    OP_DELIVER,
    OP_DELIVER_LAST,
    OP_DELIVER_ALL,
    OP_SYNC_DISK,
    OP_TICK,
    OP_PENDING,
    OP_DROP,
    OP_CRASH,
    OP_CATCH_UP,
    OP_VOTE,
    OP_CERTIFICATE,
    OP_PROPOSAL,
    OP_REQUEST,
    OP_CHANGED,
    OP_RAW,
    OP_TWICE,
    OPS
};

/* Schedules in which validator 3 lies and nothing arrives twice; the search adds the rest. */
void fuzz_seeds(void)
{
    static const uint8_t round[] = {OP_PENDING,   0, OP_PENDING,   1, OP_PENDING,     2, OP_TICK, 20, OP_SYNC_DISK, 0,
                                    OP_SYNC_DISK, 1, OP_SYNC_DISK, 2, OP_DELIVER_ALL, 0, OP_TICK, 10, OP_SYNC_DISK, 0,
                                    OP_SYNC_DISK, 1, OP_SYNC_DISK, 2, OP_DELIVER_ALL, 0, OP_TICK, 60};
    uint8_t in[512];
    size_t n = 0;
    for (int i = 0; i < 6; i++, n += sizeof round)
        memcpy(in + n, round, sizeof round);
    fuzz_seed("rounds", in, n);
    uint8_t mixed[] = {OP_CRASH, 1, OP_VOTE, 0, 2, 0, 0, OP_CERTIFICATE, 0, 2, 0, 0, OP_PROPOSAL, 0, 0, 0, 0};
    memcpy(in + sizeof round, mixed, sizeof mixed);
    memcpy(in + sizeof round + sizeof mixed, round, sizeof round);
    fuzz_seed("crash-and-lies", in, 2 * sizeof round + sizeof mixed);
    uint8_t idle[] = {OP_TICK, 255, OP_SYNC_DISK, 0, OP_SYNC_DISK, 1, OP_DELIVER_ALL, 0};
    for (n = 0; n + sizeof idle <= 256; n += sizeof idle)
        memcpy(in + n, idle, sizeof idle);
    fuzz_seed("silence", in, n);
}

static void run_op(world *w, cn_reader *r)
{
    uint8_t op = cn_read_u8(r) % OPS, arg = cn_read_u8(r);
    unsigned node = arg % HONEST;
    switch (op) {
    case OP_DELIVER:
        world_deliver(w, w->mail_n ? arg % w->mail_n : 0, false);
        break;
    case OP_DELIVER_LAST:
        world_deliver(w, w->mail_n ? w->mail_n - 1 : 0, false);
        break;
    case OP_DELIVER_ALL:
        for (size_t n = w->mail_n; n > 0; n--)
            world_deliver(w, 0, false);
        break;
    case OP_TWICE:
        world_deliver(w, w->mail_n ? arg % w->mail_n : 0, true);
        break;
    case OP_DROP:
        world_drop(w, w->mail_n ? arg % w->mail_n : 0);
        break;
    case OP_SYNC_DISK:
        world_sync_disk(w, node);
        break;
    case OP_TICK:
        w->now += 5u * arg;
        for (unsigned i = 0; i < HONEST; i++)
            world_step(w, i, &(cn_event){.kind = CN_EV_TICK});
        break;
    case OP_PENDING:
        w->statements++;
        world_step(w, node, &(cn_event){.kind = CN_EV_PENDING, .oldest_ms = w->now});
        break;
    case OP_CRASH:
        world_crash(w, node);
        break;
    case OP_CATCH_UP:
        world_catch_up(w, node, (node + 1 + arg / HONEST % (HONEST - 1)) % HONEST);
        break;
    case OP_VOTE:
        world_forge_vote(w, node, r);
        break;
    case OP_CERTIFICATE:
        world_forge_certificate(w, node, r);
        break;
    case OP_PROPOSAL:
        world_forge_proposal(w, node, r);
        break;
    case OP_REQUEST:
        world_forge_request(w, node, r);
        break;
    case OP_CHANGED:
        world_change(w, r);
        break;
    default: {
        size_t n = r->n < arg ? r->n : arg;
        const uint8_t *p = cn_read_view(r, n);
        world_step(w, node, &(cn_event){.kind = CN_EV_MESSAGE, .from = LIAR, .bytes = p, .n = n});
        break;
    }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    world *w = world_new();
    cn_reader r = cn_reader_of(p, n);
    for (unsigned ops = 0; r.n >= 2 && ops < 400 && cn_reader_ok(&r); ops++)
        run_op(w, &r);
    world_heal(w);
    world_free(w);
    return 0;
}

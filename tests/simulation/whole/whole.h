/* A network of whole nodes in one process: the production daemon (consensus, execution, storage, admission, block sync,
 * changes of epoch) under a virtual clock, over a simulated network and disks that fail, everything from one seed.
 *
 * Replaced are only: clocks (clock.c for node/daemon/clock.c), links (links.c for node/peer/links.c), the system calls
 * that write (disk.c), signatures by a keyed hash (sign.c, by the linker's --wrap), and threads: worlds run each node's
 * turns and workers by hand. */
#ifndef CARNET_TESTS_WHOLE_H
#define CARNET_TESTS_WHOLE_H

#include "node/daemon/internal.h"
#include "tests/byzantine/twist.h"
#include "tests/simulation/sim.h"

#include <stdio.h>

#define HOSTS 5u  /* members; the validators of genesis and one that may join */
#define VOTERS 4u /* validators of genesis */
#define GENERATIONS 4u
#define SIGNERS 16u
#define MAX_TRAFFIC 512u
#define T0 UINT64_C(1767225600000) /* the wall clock when virtual time is 0 */
#define BASE_MS 1000u              /* the monotonic clock then */

typedef struct whole whole;

typedef struct host {
    whole *world;
    unsigned index;
    cn_node *node; /* NULL: down */
    cn_links *links;
    uint64_t life;
    char dir[96];
    twist_kind twist;
    twister twister;
    unsigned generation; /* of its vote key */
    /* the disk (disk.c) */
    bool full, dead;    /* no room; or killed within a call: nothing reaches the disk or the network any more */
    int64_t calls_left; /* writing calls until it is killed; -1: it is not */
    /* clocks */
    int64_t wall_ahead_ms;
    uint64_t steady_ahead_ms;
    uint64_t wake_at;
    uint64_t height; /* the newest final block that was seen in its store */
    cn_digest last_said;
} host;

typedef struct signer {
    cn_secret_key key;
    cn_digest id, previous;
    unsigned owner;
    uint64_t sequence;
    bool active, retired; /* registered for good; not used any more */
    int registration;     /* the statement that registers it; -1: genesis */
} signer;

typedef struct traffic {
    cn_buf bytes;
    cn_digest id;
    unsigned signer;
    bool must, never; /* it has to become final; or must not */
    int rival;        /* of two statements with one place in a chain at most one counts; -1: none */
    bool final;
    uint64_t index, height, retry_at;
} traffic;

typedef enum event_kind {
    E_DELIVER,
    E_WAKE,
    E_CLIENT,
    E_LOOK,
    E_START,
    E_CRASH,
    E_KILL,
    E_CUT,
    E_MEND,
    E_FULL,
    E_ROOM,
    E_CLOCK
} event_kind;

typedef struct event {
    uint64_t at, order;
    event_kind kind;
    unsigned host, other;
    uint64_t life; /* of the link or the host */
    uint8_t type;
    uint8_t *bytes;
    size_t n;
    int64_t value;
} event;

typedef struct governance {  /* one change of the set at a time, step by step */
    cn_change_action action; /* 0: none */
    unsigned step, member, generation;
    bool call_off;
    int proposal, last; /* statements */
    cn_digest id;
} governance;

struct whole {
    uint64_t seed, now, order, chaos_end, events, blocks;
    rng r;
    event *heap;
    size_t heap_n, heap_cap;
    host host[HOSTS];
    host *running; /* whose clock, disk and sends these are; NULL: the world's */
    bool cut[HOSTS][HOSTS], linked[HOSTS][HOSTS];
    uint64_t hold_until[HOSTS][HOSTS], link_life[HOSTS][HOSTS], fifo[HOSTS][HOSTS];
    uint64_t max_delay;
    oracle *oracle;
    uint64_t epoch;
    signer signer[SIGNERS];
    unsigned signers;
    traffic traffic[MAX_TRAFFIC];
    unsigned count;
    governance change;
    unsigned changes_left, changes_done;
    FILE *trace;
    const char *mutation;
};

typedef struct whole_result {
    bool violated;
    char text[320];
    uint64_t blocks, statements, events, epochs;
} whole_result;

whole_result whole_run(uint64_t seed, FILE *trace, const char *mutation);

/* keys.c: fixed keys, the genesis, and the files of a host */
void keys_make(void); /* once a process */
const cn_buf *genesis_bytes(void);
const cn_genesis *genesis(void);
const cn_secret_key *vote_key(unsigned member, unsigned generation);
const cn_secret_key *capture_key(unsigned member);
const uint8_t *channel_secret(unsigned member);
void row_of(unsigned member, unsigned generation, cn_set_row *ret);
cn_signature possession(unsigned member, unsigned generation, unsigned key);
void set_of_rows(cn_span rows, member_set *ret);
int vote_key_number(const uint8_t key[33]); /* member * 16 + generation; -1: none of ours */
void files_make(host *h);
void files_add_next(host *h);
void files_remove(host *h);

/* events.c */
void schedule(whole *w, event e);
event next_event(whole *w);

/* links.c */
void links_refresh(whole *w);
void links_deliver(whole *w, const event *e);

void links_post(whole *w, unsigned from, unsigned to, uint8_t type, const uint8_t *p, size_t n);
void links_say(void *ctx, unsigned to, uint8_t type, const uint8_t *p, size_t n); /* for twisters; ctx: the host */

/* world.c */
whole *the_world(void);
void host_start(whole *w, unsigned i);
void host_crash(whole *w, unsigned i);
void host_run(whole *w, unsigned i);
void host_note_final(whole *w, host *h); /* before what it says next is judged */
void say(whole *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* traffic.c */
void traffic_begin(whole *w);
void traffic_client(whole *w);
void traffic_look(whole *w); /* what has become final; the rest is sent again */
bool traffic_settled(const whole *w);
void traffic_report(whole *w);
void traffic_end(whole *w);

/* mutants.c: names, then NULL */
extern const char *const whole_mutations[];

/* check.c */
void check_chain(whole *w, const host *h); /* the host is down: its store is opened here */

#endif

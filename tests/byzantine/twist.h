/* What a Byzantine member puts on the wire in place of what its node says: one kind at a time, over any transport. Used
 * by simulated hosts (tests/simulation/whole) and by a real process (tests/network/traitor.c). */
#ifndef CARNET_TESTS_BYZANTINE_TWIST_H
#define CARNET_TESTS_BYZANTINE_TWIST_H

#include "proto/key.h"

/* X(constant, name) */
#define TWIST_KINDS(X)                                                                                                 \
    X(TWIST_NONE, "none")                                                                                              \
    X(TWIST_GARBAGE, "garbage")         /* flips bits */                                                               \
    X(TWIST_WITHHOLD, "withhold")       /* gives no bodies, statements or final blocks */                              \
    X(TWIST_LIAR, "liar")               /* changes the items of what it serves */                                      \
    X(TWIST_REPLAY, "replay")           /* says again what it has said, to anybody */                                  \
    X(TWIST_EQUIVOCATE, "equivocate")   /* two proposals for a view */                                                 \
    X(TWIST_FALSE_ROOTS, "false-roots") /* proposals whose roots are not those of their statements */                  \
    X(TWIST_DOUBLE_VOTE, "double-vote") /* for another block too, and nullify beside it */                             \
    X(TWIST_FLOOD, "flood")             /* votes for views far away */                                                 \
    X(TWIST_IMPERSONATE, "impersonate") /* votes in the names of others */                                             \
    X(TWIST_MUTE, "mute")               /* linked, and says nothing of consensus */                                    \
    X(TWIST_SILENT, "silent")           /* linked, and says nothing */                                                 \
    X(TWIST_FAVOUR, "favour")           /* gives bodies, statements and final blocks to one peer only */               \
    X(TWIST_TRUNCATE, "truncate")       /* ends what it serves before its end */                                       \
    X(TWIST_OTHER, "other-blocks")      /* serves what another request asked for */                                    \
    X(TWIST_ENDLESS, "endless")         /* serves block after block that nobody asked for */                           \
    X(TWIST_FORGET, "forget")           /* serves final blocks with leaf hashes where content is */

/* The simulator draws from the kinds up to this one; a seed remains the same world when kinds are added. */
#define TWIST_SIMULATED_LAST TWIST_MUTE

typedef enum twist_kind {
#define TWIST_ENUM(name, text) name,
    TWIST_KINDS(TWIST_ENUM)
#undef TWIST_ENUM
        TWISTS
} twist_kind;

const char *twist_name(twist_kind kind);
twist_kind twist_named(const char *name); /* TWISTS: none of them */

#define TWIST_KEPT 64u

typedef struct twister {
    twist_kind kind;
    uint64_t random; /* the seed; the same messages in the same order are twisted in the same way */
    cn_digest network;
    const cn_secret_key *vote_key; /* of the member; borrowed */
    void *ctx;
    void (*send)(void *ctx, unsigned to, uint8_t type, const uint8_t *p, size_t n);
    unsigned favourite; /* 0: none yet; else who + 1 */
    struct {
        uint8_t type;
        uint8_t *p;
        size_t n;
    } kept[TWIST_KEPT];
} twister;

/* True: the message has been dealt with and is not sent as it is. */
bool twister_send(twister *t, unsigned to, uint8_t type, const uint8_t *p, size_t n);
void twister_end(twister *t);

#endif

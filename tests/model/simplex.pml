/* Simplex as this node runs it (docs/consensus.md), n = 4, f = 1, for an exhaustive search with SPIN.
 *
 * What is modelled, and why it is enough:
 * - A vote that was sent may be seen by anyone at any later time, or never. So the state is the set of votes that the three
 *   honest validators have sent; loss, delay, reordering and partitions are in it.
 * - The Byzantine validator signs everything: whatever two honest votes need for a quorum of three, it adds.
 * - Any two proposals may appear in a view, each with evidence that holds (R1): an honest validator votes for no other.
 *   That is more than one Byzantine leader can do, so leaders need no place here.
 * - A validator may crash at any time and start again in its first view, with its votes on disk (R5). So it may vote in every
 *   view that certificates lead to (R6), whatever its way was: no place in a view needs to be kept.
 * - With that, what a validator does in one view depends on its own votes of that view and on certificates only. So
 *   validators may be exchanged within each view by itself, and the three are kept sorted.
 *
 * Block 0 is genesis, block 1 + 2 (v - 1) + x is proposal x of view v. run.sh says which mutations there are. */
#ifndef VIEWS
#define VIEWS 3
#endif
#define BLOCKS (1 + 2 * VIEWS)
#define UNKNOWN 15

#ifdef QUORUM_MINUS_ONE
#define NEED 1 /* honest votes besides the Byzantine one */
#else
#define NEED 2
#endif

/* The votes of one validator in one view. */
#define N(x) (1 << (x)) /* notarize proposal x */
#define NULLIFY 4
#define F(x) (8 << (x)) /* finalize proposal x */
#define FORGOTTEN 32    /* it has lost them in a crash: only a mutation does that */

byte votes[3 * VIEWS];
byte parent[BLOCKS];

#define V(v, k) votes[3 * ((v) - 1) + (k)]
#define HAS(v, k, which) ((V(v, k) & (which)) != 0)
#define COUNT(v, which) (HAS(v, 0, which) + HAS(v, 1, which) + HAS(v, 2, which))
#define KNOWS(v, k, bits) (HAS(v, k, bits) && !HAS(v, k, FORGOTTEN))

#define BLOCK(v, x) (1 + 2 * ((v) - 1) + (x))
#define VIEW_OF(b) (((b) + 1) / 2)
#define NULLIFICATION(v) (COUNT(v, NULLIFY) >= NEED)
#define NOTARIZED(v, x) (COUNT(v, N(x)) >= NEED)
#define FINALIZED(v, x) (COUNT(v, F(x)) >= NEED)
#define ENDED(v) (NULLIFICATION(v) || NOTARIZED(v, 0) || NOTARIZED(v, 1)) /* R6 */

#if VIEWS == 2
#define REACHED(v) ((v) == 1 || ENDED(1))
#else
#define REACHED(v) ((v) == 1 || (ENDED(1) && ((v) == 2 || ENDED(2))))
#endif

/* R1: every view between the parent's and v is nullified. */
#ifdef ANCESTRY_SKIPPED
#define BETWEEN(p, v) true
#elif VIEWS == 2
#define BETWEEN(p, v) ((v) == 1 || (p) > 0 || NULLIFICATION(1))
#else
#define BETWEEN(p, v) (((v) <= 1 || VIEW_OF(p) >= 1 || NULLIFICATION(1)) && ((v) <= 2 || VIEW_OF(p) >= 2 || NULLIFICATION(2)))
#endif

/* R2 */
#ifdef NOTARIZE_TWICE
#define MAY_NOTARIZE(v, k, x) (!HAS(v, k, N(x)) && !KNOWS(v, k, NULLIFY))
#else
#define MAY_NOTARIZE(v, k, x) (!HAS(v, k, N(x)) && !KNOWS(v, k, N(0) | N(1) | NULLIFY | F(0) | F(1)))
#endif
/* R3 */
#ifdef NULLIFY_AFTER_FINALIZE
#define MAY_NULLIFY(v, k) (!HAS(v, k, NULLIFY))
#else
#define MAY_NULLIFY(v, k) (!HAS(v, k, NULLIFY) && !KNOWS(v, k, F(0) | F(1)))
#endif
/* R4 */
#ifdef FINALIZE_AFTER_NULLIFY
#define MAY_FINALIZE(v, k, x) (!HAS(v, k, F(x)) && !KNOWS(v, k, F(1 - (x)) | N(1 - (x))))
#else
#define MAY_FINALIZE(v, k, x) (!HAS(v, k, F(x)) && !KNOWS(v, k, F(1 - (x)) | N(1 - (x)) | NULLIFY))
#endif

/* ---- what must hold ---- */

/* Of two final blocks, the one of the lower view is an ancestor of the other. */
inline agree(low, high)
{
    at = high;
    do
    :: VIEW_OF(at) > VIEW_OF(low) -> at = parent[at]
    :: else -> break
    od;
    assert(at == low)
}

#define FINAL(b) (((b) % 2 == 1 && FINALIZED(VIEW_OF(b), 0)) || ((b) % 2 == 0 && FINALIZED(VIEW_OF(b), 1)))

inline check(v)
{
    assert(!(NOTARIZED(v, 0) && NOTARIZED(v, 1)));                             /* one notarized block a view */
    assert(!(NULLIFICATION(v) && (FINALIZED(v, 0) || FINALIZED(v, 1)))); /* never both */
#ifdef ALL_FINAL /* not a rule: shows that the search gets as far as that */
    assert(!(FINALIZED(1, 0) && FINALIZED(VIEWS, 0)));
#endif
    a = 1;
    do
    :: a < BLOCKS ->
        b = 1;
        do
        :: b < BLOCKS ->
            if
            :: a != b && FINAL(a) && FINAL(b) && VIEW_OF(b) >= VIEW_OF(a) -> agree(a, b)
            :: else
            fi;
            b++
        :: else -> break
        od;
        a++
    :: else -> break
    od;
    a = 0;
    b = 0;
    at = 0
}

inline swap(v, k, l)
{
    if
    :: V(v, k) < V(v, l) -> a = V(v, k); V(v, k) = V(v, l); V(v, l) = a
    :: else
    fi
}

inline cast(v, k, what)
{
    d_step {
        V(v, k) = V(v, k) | (what);
        swap(v, 0, 1);
        swap(v, 1, 2);
        swap(v, 0, 1);
        check(v)
    }
}

/* ---- steps ---- */

#define PROPOSE(v, x, p) \
    :: parent[BLOCK(v, x)] == UNKNOWN && (x == 0 || parent[BLOCK(v, 0)] != UNKNOWN) && \
            (p == 0 || (p % 2 == 1 && NOTARIZED(VIEW_OF(p), 0)) || (p % 2 == 0 && NOTARIZED(VIEW_OF(p), 1))) && \
            BETWEEN(p, v) -> parent[BLOCK(v, x)] = p

#define STEP(v, k) \
    :: REACHED(v) && parent[BLOCK(v, 0)] != UNKNOWN && MAY_NOTARIZE(v, k, 0) -> cast(v, k, N(0)) \
    :: REACHED(v) && parent[BLOCK(v, 1)] != UNKNOWN && MAY_NOTARIZE(v, k, 1) -> cast(v, k, N(1)) \
    :: REACHED(v) && MAY_NULLIFY(v, k) -> cast(v, k, NULLIFY) \
    :: NOTARIZED(v, 0) && MAY_FINALIZE(v, k, 0) -> cast(v, k, F(0)) \
    :: NOTARIZED(v, 1) && MAY_FINALIZE(v, k, 1) -> cast(v, k, F(1)) \
    CRASH(v, k)

#ifdef VOTES_NOT_DURABLE
#define CRASH(v, k) :: V(v, k) != 0 && !HAS(v, k, FORGOTTEN) -> cast(v, k, FORGOTTEN)
#else
#define CRASH(v, k)
#endif

#define VIEW(v) STEP(v, 0) STEP(v, 1) STEP(v, 2)

init
{
    byte a, b, at;
    d_step {
        a = 0;
        do
        :: a < BLOCKS -> parent[a] = UNKNOWN; a++
        :: else -> break
        od;
        a = 0
    };
    do
    :: atomic {
        if
        PROPOSE(1, 0, 0)
        PROPOSE(1, 1, 0)
        VIEW(1)
        PROPOSE(2, 0, 0)
        PROPOSE(2, 0, 1)
        PROPOSE(2, 0, 2)
        PROPOSE(2, 1, 0)
        PROPOSE(2, 1, 1)
        PROPOSE(2, 1, 2)
        VIEW(2)
#if VIEWS >= 3
        PROPOSE(3, 0, 0)
        PROPOSE(3, 0, 1)
        PROPOSE(3, 0, 2)
        PROPOSE(3, 0, 3)
        PROPOSE(3, 0, 4)
        PROPOSE(3, 1, 0)
        PROPOSE(3, 1, 1)
        PROPOSE(3, 1, 2)
        PROPOSE(3, 1, 3)
        PROPOSE(3, 1, 4)
        VIEW(3)
#endif
        :: else -> break
        fi
    }
    od
}

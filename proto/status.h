/* Outcome of an operation, and the error that names what, where and what to do.
 *
 * Functions that can fail return cn_status and, where a person may read the reason, take a `cn_err *err` last.
 * err may be NULL. On success err is untouched; on failure it is filled once, by the place that found the fault. */
#ifndef CARNET_PROTO_STATUS_H
#define CARNET_PROTO_STATUS_H

#include <stdnoreturn.h>

/* X(name, stable type used in problem documents, default text) */
#define CN_STATUS_LIST(X)                                                                                              \
    X(CN_OK, "ok", "no error")                                                                                         \
    X(CN_INVALID, "invalid", "the input breaks a rule of its format")                                                  \
    X(CN_TOO_LARGE, "too-large", "the input exceeds a limit")                                                          \
    X(CN_NOT_CANONICAL, "not-canonical", "the bytes are not in the one accepted encoding")                             \
    X(CN_BAD_SIGNATURE, "bad-signature", "the signature does not verify")                                              \
    X(CN_UNKNOWN_KEY, "unknown-key", "the signing key is not registered")                                              \
    X(CN_KEY_NOT_ACTIVE, "key-not-active", "the signing key has no authority at this place of the log")                \
    X(CN_WRONG_NETWORK, "wrong-network", "the bytes belong to another network")                                        \
    X(CN_BROKEN_CHAIN, "broken-chain", "sequence or previous does not continue the key's hash chain")                  \
    X(CN_ITEM_ROOT, "item-root", "the items do not hash to items_root")                                                \
    X(CN_DENIED, "denied", "this key may not do that")                                                                 \
    X(CN_CONFLICT, "conflict", "it contradicts what is recorded")                                                      \
    X(CN_DUPLICATE, "duplicate", "it is recorded already")                                                             \
    X(CN_NOT_FOUND, "not-found", "there is no such thing here")                                                        \
    X(CN_ERASED, "erased", "the content was erased by order; its hash stays")                                          \
    X(CN_FULL, "full", "a bounded queue or pool is full; try again later")                                             \
    X(CN_CORRUPT, "corrupt", "stored data disagrees with itself; run carnet fsck")                                     \
    X(CN_IO, "io", "the operating system refused an operation")                                                        \
    X(CN_DIVERGED, "diverged", "this node computes another result than the quorum")                                    \
    X(CN_TIMEOUT, "timeout", "it did not finish in time")                                                              \
    X(CN_NO_MEMORY, "no-memory", "memory or budget is used up")

typedef enum cn_status {
#define CN_STATUS_ENUM(name, type, text) name,
    CN_STATUS_LIST(CN_STATUS_ENUM)
#undef CN_STATUS_ENUM
} cn_status;

typedef struct cn_err {
    cn_status code;
    char field[256]; /* what: a field, a file with line, a JSON pointer; may be empty */
    char text[256];  /* one sentence: the rule that was broken and the mend */
} cn_err;

/* The stable type of a status, e.g. "bad-signature"; never NULL. */
const char *cn_status_type(cn_status status);
/* The default sentence of a status; never NULL. */
const char *cn_status_text(cn_status status);

/* Fills err (if not NULL) and returns code, so that `return cn_fail(err, CN_INVALID, "items", "...")` reads well. */
cn_status cn_fail(cn_err *err, cn_status code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* For what only a bug can break: on in release builds too. */
noreturn void cn_assert_failed(const char *expression, const char *file, int line);
#define CN_ASSERT(e) ((e) ? (void)0 : cn_assert_failed(#e, __FILE__, __LINE__))

#endif

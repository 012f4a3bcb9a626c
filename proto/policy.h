/* C2SP tlog-policy: which signatures make a checkpoint good enough for somebody, outside verifiers' shared file format.
 *
 *   log <vkey> [<url>]                 any one of the logs listed must have signed
 *   witness <name> <vkey> [<url>]      a cosigner (cosignature/v1)
 *   group <name> all|any|<k> <name>... witnesses the checkpoint when k of its members do; they stand on lines before
 *   quorum <name>|none                 exactly once: the witness or group that must
 * Bounded: 64 KiB, 256 witnesses and groups, 64 logs. */
#ifndef CARNET_PROTO_POLICY_H
#define CARNET_PROTO_POLICY_H

#include "proto/checkpoint.h"

#define CN_POLICY_MAX_BYTES 65536u
#define CN_POLICY_MAX_NAMES 256u
#define CN_POLICY_MAX_LOGS 64u
#define CN_POLICY_NAME_MAX 127u

typedef struct cn_policy cn_policy;

/* err->field names the line. *ret is freed by cn_policy_free (NULL is fine). */
cn_status cn_policy_parse(const void *text, size_t n, cn_policy **ret, cn_err *err);
void cn_policy_free(cn_policy *p);
/* A signed note whose checkpoint the policy accepts. CN_BAD_SIGNATURE: no log of the policy signed it, or the quorum's
 * witness or group is not satisfied; err says which, and by how many. A policy without logs accepts any. */
cn_status cn_policy_check(const cn_policy *p, cn_span note, cn_err *err);

#endif

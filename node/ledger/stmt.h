/* A decoded statement shared by the pool, blocks and waiters: counted references, used by any thread. */
#ifndef CARNET_NODE_LEDGER_STMT_H
#define CARNET_NODE_LEDGER_STMT_H

#include "proto/statement.h"

#include <stdatomic.h>

typedef struct cn_stmt {
    cn_statement *s;
    atomic_uint refs;
    atomic_bool verified; /* its signature has been checked on this node */
    atomic_bool foreign;  /* and so has what it carries: the foreign proof, but for what is known of the network, or the
                             record that is to be erased */
} cn_stmt;

cn_stmt *cn_stmt_new(cn_statement *s); /* takes s; NULL: out of memory, s is freed */
cn_stmt *cn_stmt_ref(cn_stmt *stmt);
void cn_stmt_unref(cn_stmt *stmt); /* NULL is fine */
/* The foreign proof in it, but for what is known of the network: dozens of signatures, so once a node and on a thread
 * that consensus does not wait for. Other statements hold. */
cn_status cn_stmt_check_foreign(cn_stmt *stmt, cn_err *err);
/* Memory it takes, roughly and rather too much: what queues and pools count. */
size_t cn_stmt_cost(const cn_stmt *stmt);

#endif

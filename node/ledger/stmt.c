#include "node/ledger/stmt.h"

#include <stdlib.h>

cn_stmt *cn_stmt_new(cn_statement *s)
{
    cn_stmt *stmt = calloc(1, sizeof *stmt);
    if (!stmt) {
        cn_statement_free(s);
        return NULL;
    }
    stmt->s = s;
    atomic_init(&stmt->refs, 1);
    return stmt;
}

cn_stmt *cn_stmt_ref(cn_stmt *stmt)
{
    atomic_fetch_add(&stmt->refs, 1);
    return stmt;
}

void cn_stmt_unref(cn_stmt *stmt)
{
    if (!stmt || atomic_fetch_sub(&stmt->refs, 1) > 1)
        return;
    cn_statement_free(stmt->s);
    free(stmt);
}

size_t cn_stmt_cost(const cn_stmt *stmt)
{
    return 2 * stmt->s->whole.n + 3072; /* bytes, parsed arrays, structures, rows of hash tables */
}

/* Ends connections that take too long for one step of a request. libmicrohttpd's own timeout begins anew with every
 * byte, so a caller that drips bytes would keep its place for ever. */
#ifndef CARNET_NODE_API_DEADLINE_H
#define CARNET_NODE_API_DEADLINE_H

#include <stdint.h>

typedef struct cn_deadlines cn_deadlines;
typedef struct cn_deadline cn_deadline; /* of one connection */

cn_deadlines *cn_deadlines_start(void);  /* NULL: no memory or no thread */
void cn_deadlines_stop(cn_deadlines *d); /* all connections have left */

cn_deadline *cn_deadline_enter(cn_deadlines *d, int fd); /* NULL: no memory */
void cn_deadline_leave(cn_deadline *c);                  /* before its socket is closed */
/* After so long the socket is shut down. 0: it has all the time. NULL is allowed. */
void cn_deadline_set(cn_deadline *c, uint64_t ms);
void cn_deadline_extend(cn_deadline *c, uint64_t ms);

#endif

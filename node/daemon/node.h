/* A running node. */
#ifndef CARNET_NODE_DAEMON_NODE_H
#define CARNET_NODE_DAEMON_NODE_H

#include "node/config/config.h"

typedef struct cn_node cn_node;

/* Opens everything, starts all threads. The genesis store is made on the first start. */
cn_status cn_node_start(const cn_config *config, cn_node **ret, cn_err *err);
/* Blocks until stop is asked for (from a signal handler) or the node stops by itself; CN_OK, or why it stopped. */
cn_status cn_node_wait(cn_node *node, cn_err *err);
void cn_node_ask_stop(cn_node *node); /* async-signal-safe */
void cn_node_free(cn_node *node);

#endif

/* Every configuration key, once: name, field of cn_config, type, default, what it is. docs/configuration.md repeats
 * them for people; a test compares the two. Types: text, bytes, number. */
#ifndef CARNET_NODE_CONFIG_KEYS_H
#define CARNET_NODE_CONFIG_KEYS_H

/* X(key, field, kind, default, minimum, maximum, help); of a text, minimum and maximum (0: CN_CONFIG_TEXT_MAX - 1) are
 * its length. */
#define CN_CONFIG_KEYS(X)                                                                                              \
    X("node.name", name, TEXT, "", 0, 64, "name of this member, as in genesis")                                        \
    X("network.genesis", genesis, TEXT, "genesis.json", 1, 0, "file of the genesis")                                   \
    X("network.digest", digest, TEXT, "", 0, 0, "genesis digest that must match; empty: not checked")                  \
    X("data.dir", data_dir, TEXT, "data", 1, 0, "folder of the ledger")                                                \
    X("keys.dir", keys_dir, TEXT, "keys", 1, 0, "folder of the key files and the safety table")                        \
    X("data.map_bytes", map_bytes, NUMBER, "1099511627776", 1048576, 17592186044416, "address space for the ledger")   \
    X("peer.listen", peer_listen, TEXT, "127.0.0.1:7000", 1, 0, "host:port for peers")                                 \
    X("peer.addresses", peers, TEXT, "", 0, 0, "name=host:port of the other members, separated by commas")             \
    X("peer.queue_bytes", peer_queue_bytes, NUMBER, "67108864", 4194304, 1073741824,                                   \
      "bytes that may wait for one peer")                                                                              \
    X("api.listen", api_listen, TEXT, "127.0.0.1:8080", 1, 0, "loopback address:port of the HTTP API")                 \
    X("mempool.bytes", mempool_bytes, NUMBER, "67108864", 1048576, 4294967296, "bytes of statements that may wait")    \
    X("workers", workers, NUMBER, "2", 1, 64, "threads that verify signatures")                                        \
    X("consensus.delay_floor_ms", delay_floor_ms, NUMBER, "250", 10, 30000, "floor of the network delay D (R7)")       \
    X("consensus.forward_ms", forward_ms, NUMBER, "50", 0, 10000, "patience before a leader must propose (R7)")        \
    X("time.authorities", time_authorities, TEXT, "", 0, 0, "PEM file of time authorities whose tokens are kept")      \
    X("audit.page", audit_page, TEXT, "", 0, 0, "HTML file of the verifier that goes into each dossier")               \
    X("log.level", log_level, TEXT, "info", 1, 0, "error, warning, info or debug")

#endif

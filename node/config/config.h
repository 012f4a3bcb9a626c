/* The node's configuration: one INI-like file; each key is also an environment variable (CARNET_ and the key in
 * capitals with _ for .) and a flag (-- and the key with - for . and _). Flags beat the environment, which beats the
 * file. */
#ifndef CARNET_NODE_CONFIG_CONFIG_H
#define CARNET_NODE_CONFIG_CONFIG_H

#include "node/config/keys.h"
#include "proto/status.h"

#include <stdint.h>
#include <stdio.h>

#define CN_CONFIG_TEXT_MAX 4096

typedef struct cn_config {
#define CN_CONFIG_FIELD_TEXT(field) char field[CN_CONFIG_TEXT_MAX];
#define CN_CONFIG_FIELD_NUMBER(field) uint64_t field;
#define CN_CONFIG_FIELD(key, field, kind, initial, min, max, help) CN_CONFIG_FIELD_##kind(field)
    CN_CONFIG_KEYS(CN_CONFIG_FIELD)
#undef CN_CONFIG_FIELD
#undef CN_CONFIG_FIELD_TEXT
#undef CN_CONFIG_FIELD_NUMBER
} cn_config;

/* Relative paths in the file are relative to its folder. argc/argv: flags only, without the program and --config.
 * err names file, line, key and what is allowed. */
cn_status cn_config_load(const char *path, int argc, char **argv, cn_config *ret, cn_err *err);
void cn_config_print(const cn_config *config, FILE *out);
void cn_config_print_keys(FILE *out);

/* Reads a secret: a regular file of this user, mode 0600 or stricter; anything else is CN_DENIED with the mend. */
cn_status cn_config_read_secret(const char *path, char *buffer, size_t cap, size_t *ret_len, cn_err *err);

#endif

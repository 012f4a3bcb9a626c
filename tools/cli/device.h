/* Devices that make readings by themselves, for load: a key each, registered by a member, and the head of its chain. */
#ifndef CARNET_TOOLS_CLI_DEVICE_H
#define CARNET_TOOLS_CLI_DEVICE_H

#include "proto/statement.h"
#include "tools/cli/cli.h"

#define CLI_DEVICE_READINGS_MAX 100u
#define CLI_DEVICE_READING_BYTES 120u

typedef struct cli_device {
    cn_key_file file; /* wiped by the owner with cn_key_file_wipe */
    cn_digest id, network;
    uint8_t salt[32];   /* of subjects */
    cn_digest previous; /* id of the last statement, zeros before the first */
    uint64_t sequence;  /* of the last statement */
} cli_device;

/* Makes count secp256k1 keys and registers them with the member's capture key, all in one group, waiting until the
 * registrations are final. count <= 100. */
cn_status cli_devices_register(const char *api, const char *capture_key, unsigned count, cli_device *ret, cn_err *err);
/* Appends one signed batch of count readings about the subject (a URI; NULL: the device itself) to out, and moves the
 * head of the chain on. */
cn_status cli_device_sign(cli_device *d, const char *subject, unsigned count, cn_buf *out, cn_err *err);

#endif

#include "tools/cli/device.h"

#include "proto/state.h"
#include "tools/cli/keygen.h"
#include "tools/cli/signer.h"

#include <stdlib.h>
#include <string.h>

#define DEVICES_MAX 100u

static cn_status sign_registration(cli_signer *owner, cli_device *d, cn_buf *out, cn_err *err)
{
    cn_body *body = calloc(1, sizeof *body);
    CN_ASSERT(body);
    cn_status st = cli_make_key("device", "secp256k1", &d->file, err);
    d->id = cn_key_id(&d->file.key.public_key);
    d->network = owner->network;
    memcpy(d->salt, owner->salt, sizeof d->salt);
    body->kind = CN_PAYLOAD_REGISTRY;
    body->registry.op = CN_REG_KEY_REGISTER;
    body->registry.new_key.key = d->file.key.public_key;
    body->registry.new_key.purpose = CN_PURPOSE_DEVICE;
    cn_digest digest = cn_possession_digest(&owner->network, &owner->owner, &d->id);
    if (st == CN_OK)
        st = cn_sign(&d->file.key, &digest, &body->registry.new_key.possession, err);
    if (st == CN_OK)
        st = cli_signer_sign(owner, body, NULL, 0, out, err);
    free(body);
    return st;
}

cn_status cli_devices_register(const char *api, const char *capture_key, unsigned count, cli_device *ret, cn_err *err)
{
    cn_buf statement[DEVICES_MAX];
    cli_group g = {.count = count, .statement = statement};
    cli_signer owner;
    json_t *answer = NULL;
    CN_ASSERT(count >= 1 && count <= DEVICES_MAX);
    for (unsigned i = 0; i < count; i++)
        cn_buf_init(&statement[i], CN_MAX_STATEMENT_BYTES);
    cn_status st = cli_signer_open(api, capture_key, &owner, err);
    for (unsigned i = 0; i < count && st == CN_OK; i++)
        st = sign_registration(&owner, &ret[i], &statement[i], err);
    if (st == CN_OK)
        st = cli_group_post(api, &g, true, &answer, err);
    if (st == CN_OK && cli_check_final(answer) != EXIT_GOOD)
        st = cn_fail(err, CN_IO, api, "the devices' keys did not become final in time");
    json_decref(answer);
    for (unsigned i = 0; i < count; i++)
        cn_buf_free(&statement[i]);
    cli_signer_close(&owner);
    return st;
}

static void write_readings(const cli_device *d, unsigned count, cn_buf *out, cn_span *ret_item)
{
    uint8_t content[CLI_DEVICE_READING_BYTES] = {0};
    for (unsigned i = 0; i < count; i++) {
        cn_store_u64(cn_store_u64(content, d->sequence), i);
        cn_item_write(out, d->file.item_salt_secret, CN_ITEM_NATIVE, content, sizeof content);
    }
    CN_ASSERT(!out->fault && out->n % count == 0);
    for (unsigned i = 0; i < count; i++)
        ret_item[i] = CN_SPAN(out->p + i * (out->n / count), out->n / count);
}

cn_status cli_device_sign(cli_device *d, const char *subject, unsigned count, cn_buf *out, cn_err *err)
{
    cn_body *body = calloc(1, sizeof *body);
    cn_batch_entry entry = {.count = count};
    cn_span item[CLI_DEVICE_READINGS_MAX];
    cn_buf items;
    cn_digest id = {0};
    char own[96];
    CN_ASSERT(body && count >= 1 && count <= CLI_DEVICE_READINGS_MAX);
    snprintf(own, sizeof own, "urn:carnet:key:%s", cn_digest_hex(&d->id).s);
    entry.subject = cn_subject_tag(d->salt, subject ? subject : own);
    cn_buf_init(&items, CN_MAX_STATEMENT_BYTES);
    write_readings(d, count, &items, item);
    body->kind = CN_PAYLOAD_EVENT_BATCH;
    body->network = d->network;
    body->key_id = d->id;
    body->sequence = d->sequence + 1;
    body->previous = d->previous;
    body->created_ms = 1;
    body->batch.entry_count = 1;
    body->batch.entry = &entry;
    cn_status st = cn_statement_sign(body, item, count, &d->file.key, out, &id, err);
    if (st == CN_OK) {
        d->sequence++;
        d->previous = id;
    }
    cn_buf_free(&items);
    free(body);
    return st;
}

/* carnet-verify: offline verification of Carnet's audit dossiers, for programs that are not Carnet.
 *
 * A dossier is one ZIP file (docs/audit-format.md). The one thing to be trusted is the genesis digest of the network,
 * which you have from its members, not from the file. Nothing here opens a socket or a database, prints, or ends the
 * process because of what a dossier holds; no file is opened but those that libcrypto and libc read to set themselves
 * up.
 *
 *     carnet_verify_options *options = carnet_verify_options_new();
 *     carnet_verify_report *report = NULL;
 *     if (options != NULL && carnet_verify_set_genesis_hex(options, digest) == CARNET_VERIFY_OK &&
 *         carnet_verify_dossier(zip, n, options, &report) == CARNET_VERIFY_OK)
 *         ... it is accepted: carnet_verify_report_subject(report) and so on say what it holds ...
 *     carnet_verify_report_free(report);
 *     carnet_verify_options_free(options);
 *
 * Threads: every function may be called by any thread at any time. Options and reports belong to the caller; one that
 * is not being changed or freed may be used by several threads at once.
 *
 * Memory: when it runs out nothing is accepted that would not be otherwise; but a good dossier may be refused, and
 * libcrypto and jansson end the process at some failed allocations.
 *
 * Texts are UTF-8 without control characters, and live as long as the report.
 *
 * The interface only grows: functions and steps are added, and steps are found by their names. */
#ifndef CARNET_VERIFY_H
#define CARNET_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CARNET_VERIFY_API __attribute__((visibility("default")))
#else
#define CARNET_VERIFY_API
#endif

#define CARNET_VERIFY_DIGEST_LEN 32

/* What functions return. */
#define CARNET_VERIFY_OK 0        /* done; of carnet_verify_dossier: the dossier is accepted */
#define CARNET_VERIFY_REFUSED 1   /* the dossier is not accepted; the report says at which step and why */
#define CARNET_VERIFY_MISUSE 2    /* an argument is missing or out of its range; nothing was done */
#define CARNET_VERIFY_NO_MEMORY 3 /* nothing was found out about the dossier */

/* Verdicts of steps. */
#define CARNET_VERIFY_HOLDS 0
#define CARNET_VERIFY_FAILED 1
#define CARNET_VERIFY_NOT_CHECKED 2

typedef struct carnet_verify_options carnet_verify_options;
typedef struct carnet_verify_report carnet_verify_report;

/* "0.1.0": of the library, which may be newer than this header */
CARNET_VERIFY_API const char *carnet_verify_version(void);

/* ---- what is asked for ---- */

/* NULL: out of memory */
CARNET_VERIFY_API carnet_verify_options *carnet_verify_options_new(void);
CARNET_VERIFY_API void carnet_verify_options_free(carnet_verify_options *options); /* takes NULL */

/* The genesis digest of the network: needed. As text: 64 lower-case hexadecimal digits. */
CARNET_VERIFY_API int carnet_verify_set_genesis(carnet_verify_options *options,
                                                const unsigned char digest[CARNET_VERIFY_DIGEST_LEN]);
CARNET_VERIFY_API int carnet_verify_set_genesis_hex(carnet_verify_options *options, const char *digest);

/* The following are asked for in addition, and a dossier without them is not accepted then. Bytes are copied. */

/* Receipts and cosignatures of at least this many validators, 1 to 32; step "receipts". 0: ask for none. */
CARNET_VERIFY_API int carnet_verify_set_signatures(carnet_verify_options *options, unsigned count);
/* A final block that you know from elsewhere; step "epoch-anchor". May be called for several, up to 64: at least one
 * must be in the dossier, and none may differ. */
CARNET_VERIFY_API int carnet_verify_add_anchor(carnet_verify_options *options, uint64_t height,
                                               const unsigned char block[CARNET_VERIFY_DIGEST_LEN]);
/* A policy of C2SP tlog-policy that the signatures must satisfy, at most 64 KiB; step "witness-policy". n 0: none. */
CARNET_VERIFY_API int carnet_verify_set_policy(carnet_verify_options *options, const void *policy, size_t n);
/* The signed note that the policy is held against in the place of the one in the dossier: of the same checkpoint, with
 * cosignatures of witnesses besides (carnet witness), at most 64 KiB. It asks for nothing by itself. n 0: none. */
CARNET_VERIFY_API int carnet_verify_set_note(carnet_verify_options *options, const void *note, size_t n);
/* Certificates in PEM of the time authorities that are trusted, at most 256 KiB and at least one; step "time". n 0:
 * none. */
CARNET_VERIFY_API int carnet_verify_set_time_authorities(carnet_verify_options *options, const void *pem, size_t n);

/* ---- verification ---- */

/* Verifies n bytes of a ZIP. With CARNET_VERIFY_OK and CARNET_VERIFY_REFUSED *ret_report is a new report, which the
 * caller frees; otherwise it is NULL. Memory grows with the dossier, which is refused when it unpacks to more than
 * 1 GiB. */
CARNET_VERIFY_API int carnet_verify_dossier(const void *zip, size_t n, const carnet_verify_options *options,
                                            carnet_verify_report **ret_report);
CARNET_VERIFY_API void carnet_verify_report_free(carnet_verify_report *report); /* takes NULL */

/* ---- what came of it ---- */

CARNET_VERIFY_API int carnet_verify_report_accepted(const carnet_verify_report *report); /* 1 or 0 */

/* The steps in the order they are taken. A step that does not exist is not checked, and its texts are "". */
CARNET_VERIFY_API size_t carnet_verify_report_steps(const carnet_verify_report *report);
/* The place of the step of this name; as many as there are steps when there is none. */
CARNET_VERIFY_API size_t carnet_verify_report_find(const carnet_verify_report *report, const char *name);
CARNET_VERIFY_API const char *carnet_verify_report_step_name(const carnet_verify_report *report, size_t step);
CARNET_VERIFY_API const char *carnet_verify_report_step_meaning(const carnet_verify_report *report, size_t step);
CARNET_VERIFY_API int carnet_verify_report_step_verdict(const carnet_verify_report *report, size_t step);
/* Of the first fault: the file in the ZIP, and a sentence. Of a step that was not checked: the sentence says why. */
CARNET_VERIFY_API const char *carnet_verify_report_step_where(const carnet_verify_report *report, size_t step);
CARNET_VERIFY_API const char *carnet_verify_report_step_reason(const carnet_verify_report *report, size_t step);
CARNET_VERIFY_API uint64_t carnet_verify_report_step_faults(const carnet_verify_report *report, size_t step);

/* What the dossier holds. Of one that is not accepted, this is what it claims, as far as it could be read. */

/* the canonical URI asked for, or the id of the one statement */
CARNET_VERIFY_API const char *carnet_verify_report_subject(const carnet_verify_report *report);
/* 1: nothing is recorded about the subject up to the checkpoint */
CARNET_VERIFY_API int carnet_verify_report_absent(const carnet_verify_report *report);
CARNET_VERIFY_API uint64_t carnet_verify_report_checkpoint_height(const carnet_verify_report *report);
/* milliseconds since 1970-01-01T00:00Z, by the clocks of the network */
CARNET_VERIFY_API uint64_t carnet_verify_report_checkpoint_time_ms(const carnet_verify_report *report);
CARNET_VERIFY_API uint64_t carnet_verify_report_statements(const carnet_verify_report *report);
CARNET_VERIFY_API uint64_t carnet_verify_report_subject_statements(const carnet_verify_report *report);
CARNET_VERIFY_API uint64_t carnet_verify_report_items(const carnet_verify_report *report);
/* items that are sealed, or of a format without a reader here: what they name was not checked */
CARNET_VERIFY_API uint64_t carnet_verify_report_unreadable_items(const carnet_verify_report *report);
/* items whose content was erased everywhere, by order of the member that signed them */
CARNET_VERIFY_API uint64_t carnet_verify_report_erased_items(const carnet_verify_report *report);
/* items that this dossier leaves out, as its manifest says */
CARNET_VERIFY_API uint64_t carnet_verify_report_redacted_items(const carnet_verify_report *report);
/* A trusted time authority says that the checkpoint existed then; 0 and "": none does. */
CARNET_VERIFY_API uint64_t carnet_verify_report_witnessed_ms(const carnet_verify_report *report);
CARNET_VERIFY_API const char *carnet_verify_report_time_authority(const carnet_verify_report *report);

/* The whole report as JSON, the same as `carnet verify --json` prints. */
CARNET_VERIFY_API const char *carnet_verify_report_json(const carnet_verify_report *report);

#ifdef __cplusplus
}
#endif

#endif

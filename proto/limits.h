/* Every hard limit of the ledger's language, in one place. Sizes are in bytes, times in milliseconds. */
#ifndef CARNET_PROTO_LIMITS_H
#define CARNET_PROTO_LIMITS_H

#define CN_PROTOCOL_VERSION 1u

/* statements (ledger.md: Limits) */
#define CN_MAX_ITEM_BYTES 65536u       /* one item: format, salt and content */
#define CN_MAX_STATEMENT_BYTES 262144u /* a whole SignedStatement */
#define CN_MAX_ITEMS 1000u
#define CN_MAX_SUBJECTS 64u  /* distinct subjects a statement declares */
#define CN_MAX_ENTRIES 4096u /* (subject, item range) entries of an event batch */
#define CN_MAX_SALVAGED 1000u
#define CN_MAX_PAIRINGS 64u /* consignments paired with one container */
#define CN_ITEM_SALT_LEN 16u

/* foreign proofs: what a validator checks before one is recorded */
#define CN_MAX_FOREIGN_BYTES 32768u
#define CN_MAX_FOREIGN_HEADERS 64u /* from the checkpoint to the block that is finalized */
#define CN_MAX_FOREIGN_STEPS 16u   /* closing blocks that one statement brings */

/* blocks */
#define CN_MAX_BLOCK_BYTES 1048576u /* statements with their items */
#define CN_MAX_BLOCK_STATEMENTS 8192u
#define CN_MAX_OUTSTANDING 16u      /* R8, R9: notarized blocks that are not final */
#define CN_MAX_CLOCK_AHEAD_MS 2000u /* R13 */

/* membership */
#define CN_MAX_VALIDATORS 32u
#define CN_MAX_MEMBERS 1024u
#define CN_MAX_NAME 64u
#define CN_MAX_GENESIS_BYTES 1048576u

/* consensus (R1, R9) */
#define CN_VIEW_WINDOW 64u
#define CN_MAX_INLINE_NULLIFICATIONS 64u

/* peer channel */
#define CN_MAX_MESSAGE_BYTES 2097152u

#endif

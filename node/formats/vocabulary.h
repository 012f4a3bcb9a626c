/* The closed word lists of CBV 2.0 and of the GS1 Web Vocabulary that EPCIS 2.0 uses (EPCIS JSON Schema 2.0). */
#ifndef CARNET_NODE_FORMATS_VOCABULARY_H
#define CARNET_NODE_FORMATS_VOCABULARY_H

#include "node/formats/json.h"

typedef struct cn_vocabulary {
    const char *web;   /* prefix of the web form: https://ref.gs1.org/cbv/BizStep- */
    const char *urn;   /* prefix of the URN form of EPCIS 1.x, or NULL */
    const char *words; /* each between two spaces */
} cn_vocabulary;

extern const cn_vocabulary cn_vocabulary_biz_step, cn_vocabulary_disposition, cn_vocabulary_transaction_type,
    cn_vocabulary_party_type, cn_vocabulary_error_reason, cn_vocabulary_measurement, cn_vocabulary_alert,
    cn_vocabulary_component;

typedef enum cn_term_kind {
    CN_TERM_STANDARD, /* a word of the list: bare, as web URI or as URN */
    CN_TERM_OTHER,    /* a URI of somebody else's vocabulary */
    CN_TERM_UNKNOWN,  /* bare or in the standard's own name space, but not in the list */
} cn_term_kind;

/* ret_word gets the bare word of a standard term. */
cn_term_kind cn_vocabulary_find(const cn_vocabulary *v, cn_text term, cn_text *ret_word);

#endif

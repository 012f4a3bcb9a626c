/* The readable page of a dossier, by its digest: for comparing with what another verifier makes of it. */
#ifndef CARNET_TESTS_UNIT_TOOLS_RENDERED_H
#define CARNET_TESTS_UNIT_TOOLS_RENDERED_H

#include <jansson.h>
#include <stddef.h>

/* SHA-256 of the page in hexadecimal; JSON null where none can be made. */
json_t *rendered_digest(const void *zip, size_t n);

#endif

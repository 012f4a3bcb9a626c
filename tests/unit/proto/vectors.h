/* The byte layouts of proto as fixed inputs and what they encode and hash to, one `name = hex` a line. */
#ifndef CARNET_TESTS_PROTO_VECTORS_H
#define CARNET_TESTS_PROTO_VECTORS_H

#include <stdio.h>

void vectors_print(FILE *out);

#endif

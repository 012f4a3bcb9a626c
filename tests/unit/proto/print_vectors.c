/* Prints what tests/vectors/proto.txt must hold. A difference is a change of the ledger's language: it needs a new
 * version, not a new file. */
#include "vectors.h"

int main(void)
{
    vectors_print(stdout);
    return 0;
}

/* Formats with one accepted encoding refuse nearly every change, so that a search soon changes only refused inputs.
 * Every third input is therefore a seed with one change. */
#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *p, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *p, size_t n, size_t max, unsigned random);

size_t LLVMFuzzerCustomMutator(uint8_t *p, size_t n, size_t max, unsigned random)
{
    const fuzz_input *seed;
    size_t count = fuzz_seeds_all(&seed);
    if (random % 3 == 0 && count) {
        const fuzz_input *from = &seed[random / 3 % count];
        n = from->n < max ? from->n : max;
        if (n)
            memcpy(p, from->p, n);
    }
    return LLVMFuzzerMutate(p, n, max);
}

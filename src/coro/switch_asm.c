/* switch_asm.c - a fresh stack as the assembly of this processor expects to find it.
 *
 * `registers` of switch_*.S, lowest address first, then what `ret` takes. */
#include "base/assert.h"
#include "coro/switch.h"
#include <stdint.h>
#include <string.h>

void ctrio__switch_begin(void);

#if defined(__x86_64__)
enum { WORDS = 3, RETURN = 0, FUNCTION = 1, ARGUMENT = 2 };
#elif defined(__aarch64__)
enum { WORDS = 20, FUNCTION = 2, ARGUMENT = 3, RETURN = 1 }; /* x29 x30 x19 x20 … */
#endif

void *ctrio__switch_prepare(char *low, char *top, void (*entry)(void *arg), void *arg)
{
    uintptr_t words[WORDS] = {0};
    words[FUNCTION] = (uintptr_t)entry;
    words[ARGUMENT] = (uintptr_t)arg;
    words[RETURN] = (uintptr_t)ctrio__switch_begin;
    CTRIO_ASSERT(((uintptr_t)top & 15) == 0);
    CTRIO_ASSERT((size_t)(top - low) >= sizeof words);
    (void)low;
    memcpy(top - sizeof words, words, sizeof words);
    return top - sizeof words;
}

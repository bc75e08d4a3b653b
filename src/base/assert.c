/* assert.c - the last words of a process whose invariants are broken.
 *
 * The one place in the portable layers that writes to stderr: there is no run left to trust. */
#include "base/assert.h"
#include <stdio.h>
#include <stdlib.h>

_Noreturn void ctrio__panic(const char *what, const char *file, int line)
{
    fprintf(stderr, "ctrio: internal error at %s:%d: %s\n", file, line, what);
    abort();
}

/* A checkpoint's result is dropped, and with it CTRIO_CANCELLED.
 * gcc: -Wunused-result
 * clang: -Wunused-result */
#include <ctrio.h>

void ignored_cancelled(void);
void ignored_cancelled(void)
{
    for (;;)
        ctrio_sleep(1.0);
}

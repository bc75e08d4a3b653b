/* A nursery that nobody closes.
 * clang: 'n' is still held at the end of function */
#include <ctrio.h>

void missing_close(void);
void missing_close(void)
{
    struct ctrio_nursery n;
    ctrio_nursery_open(&n);
}

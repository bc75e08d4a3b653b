/* What a nursery's close gives back is dropped: all failures of its tasks are lost.
 * gcc: -Wunused-result
 * clang: -Wunused-result */
#include <ctrio.h>

void dropped_close(void);
void dropped_close(void)
{
    struct ctrio_nursery n;
    ctrio_nursery_open(&n);
    ctrio_nursery_close(&n, 0);
}

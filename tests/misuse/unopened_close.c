/* A nursery closed that was never opened.
 * clang: 'n' that was not held */
#include <ctrio.h>

int unopened_close(void);
int unopened_close(void)
{
    struct ctrio_nursery n;
    return ctrio_nursery_close(&n, 0);
}

/* A task function of another type.
 * gcc: -Wincompatible-pointer-types
 * clang: -Wincompatible-function-pointer-types */
#include <ctrio.h>

void work(int number);
int wrong_function(struct ctrio_nursery *nursery);
int wrong_function(struct ctrio_nursery *nursery)
{
    return ctrio_start_soon(nursery, work, NULL);
}

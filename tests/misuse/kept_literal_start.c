/* The same with ctrio_start(), and commas in the literal.
 * gcc -O1: a compound literal dies with its block: use the _copy form
 * clang: a compound literal dies with its block: use the _copy form */
#include <ctrio.h>

struct job {
    int number, other;
};

int kept_literal_start(struct ctrio_nursery *nursery, ctrio_task_fn *work);
int kept_literal_start(struct ctrio_nursery *nursery, ctrio_task_fn *work)
{
    return ctrio_start(nursery, work, &(struct job){1, 2});
}

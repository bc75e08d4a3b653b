/* The address of a compound literal, which dies with its block: the loop's next turn has it.
 * gcc -O1: a compound literal dies with its block: use the _copy form
 * clang: a compound literal dies with its block: use the _copy form */
#include <ctrio.h>

struct job {
    int number;
};

int kept_literal(struct ctrio_nursery *nursery, ctrio_task_fn *work);
int kept_literal(struct ctrio_nursery *nursery, ctrio_task_fn *work)
{
    for (int i = 0; i < 3; i++)
        ctrio_start_soon(nursery, work, &(struct job){i});
    return 0;
}

// An exception that leaves a task's function: there is nobody above it to catch it.
#include <ctrio.h>

static int throws(void *) { throw 1; }

static int work(void *)
{
    ctrio_nursery nursery;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, throws, nullptr);
    return ctrio_nursery_close(&nursery, 0);
}

int main()
{
    try {
        return ctrio_exit_status(ctrio_run(work, nullptr, nullptr), "escaping_exception");
    } catch (int) {
        return 0;
    }
}

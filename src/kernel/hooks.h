/* hooks.h - instruments, and what only a front end knows.  Unused hooks cost one test. */
#ifndef CTRIO_KERNEL_HOOKS_H
#define CTRIO_KERNEL_HOOKS_H
#include "kernel/task.h"

enum ctrio__hook { /* bits of ctrio__hooks.wanted */
                   CTRIO__HOOK_TASK_SPAWNED = 1 << 0,
                   CTRIO__HOOK_TASK_SCHEDULED = 1 << 1,
                   CTRIO__HOOK_BEFORE_TASK_STEP = 1 << 2,
                   CTRIO__HOOK_AFTER_TASK_STEP = 1 << 3,
                   CTRIO__HOOK_TASK_EXITED = 1 << 4,
                   CTRIO__HOOK_BEFORE_IO_WAIT = 1 << 5,
                   CTRIO__HOOK_AFTER_IO_WAIT = 1 << 6,
                   CTRIO__HOOK_GUEST_TICK = 1
                       << 7, /* a guest run became runnable between its ticks */
                   CTRIO__HOOK_ORDER_BATCH = 1 << 8, /* Trio's deterministic mode */
                   CTRIO__HOOK_FINALIZE = 1 << 9,    /* shutdown: asynchronous generators */
};
/* All [code].  A member is called only while its bit is set. */
struct ctrio__hooks {
    uint32_t wanted;
    uint32_t silent; /* of these: nobody sees from them what the loop left out (see loop.h) */
    void (*task_event)(struct ctrio_run *run, enum ctrio__hook which, struct ctrio_task *task);
    void (*io_event)(struct ctrio_run *run, enum ctrio__hook which, double timeout);
    void (*guest_tick)(struct ctrio_run *run);
    /* Orders a batch, unless there is a chooser; the last member runs first. */
    void (*order_batch)(struct ctrio_run *run, struct ctrio_task **batch, size_t count);
    /* After the system tasks, on the init task, stepped until DONE. */
    enum ctrio__step (*finalize)(struct ctrio_run *run, struct ctrio__outcome *io);
};
/* Somebody sees the turns or the tasks go by. */
static inline bool ctrio__hooks_watched(const struct ctrio__hooks *hooks)
{
    return (hooks->wanted & ~(hooks->silent | CTRIO__HOOK_FINALIZE)) != 0;
}
#endif

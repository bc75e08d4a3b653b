/* chooser.h - who decides what happens next: NULL in production, the simulator otherwise. */
#ifndef CTRIO_KERNEL_CHOOSER_H
#define CTRIO_KERNEL_CHOOSER_H
#include <stdbool.h>
#include <stdint.h>

enum ctrio__choice {
    CTRIO__CHOOSE_TASK,  /* which runnable task runs next (task_by_task) */
    CTRIO__CHOOSE_BATCH, /* 1: the batch is reversed */
};
struct ctrio__chooser {
    /* Answers 0..n-1 (n >= 2).  0 is what an undisturbed run would do: a tape of zeros is the
     * plain run.  `site` tells choices of one kind apart: the serial of the first candidate. */
    uint32_t (*choose)(struct ctrio__chooser *self, enum ctrio__choice kind, uint32_t n,
                       uint64_t site);
    bool task_by_task; /* a woken task may run at once; false: Trio's batches */
};
#endif

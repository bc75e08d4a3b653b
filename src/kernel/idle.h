/* idle.h - wait_all_tasks_blocked: wakes when every other task has been parked for a while. */
#ifndef CTRIO_KERNEL_IDLE_H
#define CTRIO_KERNEL_IDLE_H
#include "kernel/task.h"

/* Waits for `cushion` seconds, of real time, in which nothing was runnable. */
struct ctrio__idle_op {
    struct ctrio__op op;    /* object: the task once parked */
    struct ctrio_list link; /* on run->idle, by (cushion, order of arrival) */
    double cushion;
};
extern const struct ctrio__op_kind ctrio__idle_kind;
void ctrio__idle_op_init(struct ctrio__idle_op *op, double cushion);
/* The shortest cushion anybody waits for; INFINITY: nobody does. */
double ctrio__idle_cushion(const struct ctrio_run *run);
/* Wakes all who wait for exactly `cushion`. */
void ctrio__idle_wake(struct ctrio_run *run, double cushion);
#endif

/* step.h - step tasks: the kernel's own kind, for those who count bytes. */
#ifndef CTRIO_API_STEP_H
#define CTRIO_API_STEP_H
#include "kernel/task.h"
#include <ctrio/lowlevel.h>

const char *ctrio__step_name(const struct ctrio_task *task);
#endif

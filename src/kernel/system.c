/* system.c - the init task: what every run has around its main task, and Trio's shutdown order.
 *
 *   entry nursery     the task that makes the calls of the entry queue
 *     system nursery  system tasks
 *       main nursery  the main task
 *
 * The main task ends -> system tasks are cancelled and waited for -> the front end finalises
 * (asynchronous generators) -> the entry queue is closed and drained -> the run is over.  So code
 * that still runs always finds what it may need. */
#include "kernel/run.h"

enum { BEGIN, MAIN_CLOSING, SYSTEM_CLOSING, FINALIZING, ENTRY_CLOSING };

int ctrio__run_start(struct ctrio_run *run, const struct ctrio__system *system)
{
    run->system = *system;
    run->clock->start(run->clock, run);
    if (run->failed != 0)
        return run->failed;
    run->init_task = system->init;
    run->init_task->system = true;
    int result = ctrio__task_spawn(run, run->init_task, NULL);
    if (result < 0)
        run->init_task = NULL;
    return result;
}

static void shut_down(struct ctrio_run *run, struct ctrio__nursery *nursery,
                      enum ctrio__blame blame)
{
    struct ctrio_task *init = run->init_task;
    ctrio__scope_cancel(nursery->scope, init->frontend->reason_make(blame, init, NULL));
}

static void open_nurseries(struct ctrio_run *run, struct ctrio_task *task)
{
    struct ctrio__system *system = &run->system;
    ctrio__scope_open(system->entry_scope, task);
    ctrio__nursery_open(system->entry_nursery, task, system->entry_scope);
    ctrio__scope_open(system->system_scope, task);
    ctrio__nursery_open(system->system_nursery, task, system->system_scope);
    ctrio__scope_open(system->main_scope, task);
    ctrio__nursery_open(system->main_nursery, task, system->main_scope);
}

static void begin(struct ctrio_run *run, struct ctrio_task *task, struct ctrio__outcome *io)
{
    open_nurseries(run, task);
    *io = (struct ctrio__outcome){0, NULL};
    run->system.spawn_main(run, io);
    if (io->code < 0) { /* there never was a main task: its failure is the run's result */
        run->main_outcome = *io;
        run->main_exited = true;
        *io = (struct ctrio__outcome){0, NULL};
        return;
    }
    CTRIO_ASSERT(run->main_task != NULL);
    int result = run->system.spawn_entry_queue(run);
    if (result < 0)
        *io = (struct ctrio__outcome){result, NULL};
}

static void close_next(struct ctrio__init_op *op, struct ctrio__nursery *nursery, uint8_t stage)
{
    op->op.stage = stage;
    ctrio__nursery_close_op_init(&op->close, nursery);
}

/* A nursery has closed with *io: what comes next. */
static void advance(struct ctrio__init_op *op, struct ctrio_run *run, struct ctrio__outcome *io)
{
    bool orderly = io->code == 0 && run->main_task != NULL;
    if (op->op.stage == MAIN_CLOSING) {
        if (orderly)
            shut_down(run, run->system.system_nursery, CTRIO__MAIN_EXITED);
        close_next(op, run->system.system_nursery, SYSTEM_CLOSING);
    } else if (op->op.stage == SYSTEM_CLOSING && orderly &&
               (run->hooks.wanted & CTRIO__HOOK_FINALIZE) != 0) {
        op->op.stage = FINALIZING;
    } else {
        CTRIO_ASSERT(op->op.stage == SYSTEM_CLOSING || op->op.stage == FINALIZING);
        if (orderly)
            shut_down(run, run->system.entry_nursery, CTRIO__SYSTEM_FINISHED);
        close_next(op, run->system.entry_nursery, ENTRY_CLOSING);
    }
}

static enum ctrio__step init_step(struct ctrio__op *base, struct ctrio_task *task,
                                  struct ctrio__outcome *io)
{
    struct ctrio__init_op *op = ctrio__container(base, struct ctrio__init_op, op);
    struct ctrio_run *run = task->run;
    if (base->stage == BEGIN) {
        begin(run, task, io);
        close_next(op, run->system.main_nursery, MAIN_CLOSING);
    }
    for (;;) {
        enum ctrio__step step = base->stage == FINALIZING
                                    ? run->hooks.finalize(run, io)
                                    : op->close.op.kind->step(&op->close.op, task, io);
        if (step == CTRIO__PARKED)
            return CTRIO__PARKED;
        if (base->stage == ENTRY_CLOSING)
            return CTRIO__DONE;
        advance(op, run, io);
    }
}

/* The run was given up. */
static void init_abandon(struct ctrio__op *base, struct ctrio_task *task)
{
    struct ctrio__init_op *op = ctrio__container(base, struct ctrio__init_op, op);
    if (base->stage != BEGIN && base->stage != FINALIZING)
        op->close.op.kind->abandon(&op->close.op, task);
}
const struct ctrio__op_kind ctrio__init_kind = {
    .verb = "run", .step = init_step, .abandon = init_abandon};

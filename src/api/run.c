/* run.c - the loop on a stack of its own, and the main task on the thread's.
 *
 * Invariant: ctrio__c_current is set exactly while ctrio_run() is on this thread's stack.  The loop
 * never runs user code but hooks, run-soon calls and steps of step tasks; these must not suspend.
 * A failure of the system that leaves the loop without events cannot be reported to anybody: stacks
 * cannot be unwound from outside.  It ends the program with a message. */
#include "api/handover.h"
#include "api/scope.h"
#include "api/watch.h"
#include "kernel/loop.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Thread_local struct ctrio__c_run *ctrio__c_current;

void ctrio__die_outside(void)
{
    if (ctrio__forked())
        ctrio__die("called in the child of a fork() inside of a run: the run is the parent's, the "
                   "child may only exec");
    ctrio__die("called outside of a run");
}

int ctrio__refuse_outside(void)
{
    ctrio__refuse_handlers();
    if (ctrio__forked())
        ctrio__die_outside();
    if (ctrio__c_current == NULL)
        return ctrio__fail(CTRIO_MISUSE, "called outside of a run");
    return ctrio__fail(CTRIO_MISUSE, "called where nothing may suspend: in a run-soon call, a "
                                     "hook or a step");
}

/* --- what every run has around the main task ------------------------------------------------- */

static void spawn_main(struct ctrio_run *base, struct ctrio__outcome *io)
{
    struct ctrio__c_run *run = ctrio__container(base, struct ctrio__c_run, run);
    io->code = ctrio__task_spawn(base, &run->main.task, base->system.main_nursery);
    if (io->code == 0)
        base->main_task = &run->main.task;
}

static int spawn_entry_queue(struct ctrio_run *base)
{
    struct ctrio__c_run *run = ctrio__container(base, struct ctrio__c_run, run);
    ctrio__task_init(&run->entries.task, &ctrio__op_frontend);
    ctrio__op_init(&run->entries_op, &ctrio__entry_queue_kind, base);
    run->entries.op = &run->entries_op;
    run->entries.name = "ctrio's run-soon calls";
    run->entries.task.system = true;
    return ctrio__task_spawn(base, &run->entries.task, &run->nurseries[0]);
}

int ctrio__c_run_start(struct ctrio__c_run *run)
{
    ctrio__task_init(&run->init.task, &ctrio__op_frontend);
    ctrio__op_init(&run->init_op.op, &ctrio__init_kind, &run->run);
    run->init.op = &run->init_op.op;
    run->init.name = "ctrio's root";
    for (int i = 0; i < 3; i++)
        ctrio__scope_init(&run->scopes[i], &ctrio__op_frontend);
    const struct ctrio__system system = {
        .init = &run->init.task,
        .entry_nursery = &run->nurseries[0],
        .system_nursery = &run->nurseries[1],
        .main_nursery = &run->nurseries[2],
        .entry_scope = &run->scopes[0],
        .system_scope = &run->scopes[1],
        .main_scope = &run->scopes[2],
        .spawn_main = spawn_main,
        .spawn_entry_queue = spawn_entry_queue,
    };
    return ctrio__run_start(&run->run, &system);
}

/* --- the loop -------------------------------------------------------------------------------- */

static void trim(struct ctrio__c_run *run)
{
    static const uint64_t once_in = 1000000000; /* ticks: nanoseconds */
    if (run->run.last_poll - run->last_trim < once_in)
        return;
    run->last_trim = run->run.last_poll;
    ctrio__stack_trim(&run->stacks);
    ctrio__c_spare_trim(run);
}

static void look(struct ctrio__c_run *run, struct ctrio__io_events *events)
{
    double timeout = ctrio__run_timeout(&run->run);
    int result = run->run.io_ops->get_events(run->run.io, timeout, events);
    if (result < 0)
        ctrio__die("cannot wait for events: %s", ctrio__code_text(result));
}

/* Whoever is switched to may hand over to others; all of them have put themselves back when one of
 * them comes here. */
static void run_task(struct ctrio__c_run *run, struct ctrio_task *task)
{
    if (ctrio__stackful(task)) {
        ctrio__fiber_switch(&run->loop, ctrio__c_fiber_of(run, ctrio__c_task_of(task)));
        return;
    }
    struct ctrio__outcome io;
    ctrio__task_take_wake(task, &io);
    enum ctrio__step step = task->frontend->resume(task, &io);
    ctrio__run_put_back(&run->run, step, &io);
}

static struct ctrio_task *next_task(struct ctrio__c_run *run)
{
    struct ctrio_task *task = run->picked;
    run->picked = NULL;
    return task != NULL ? task : ctrio__run_pick(&run->run);
}

static void drive(struct ctrio__c_run *run)
{
    struct ctrio_run *base = &run->run;
    bool step_by_step = base->chooser != NULL && base->chooser->task_by_task;
    while (ctrio__run_alive(base)) {
        struct ctrio__io_events events;
        bool skip = ctrio__may_skip_poll(base);
        if (!skip)
            look(run, &events);
        ctrio__run_begin(base, skip ? NULL : &events);
        struct ctrio_task *task = next_task(run);
        for (; task != NULL; task = step_by_step ? NULL : next_task(run))
            run_task(run, task);
        trim(run);
    }
    if (ctrio__forked())
        ctrio__die_outside();
    if (base->failed != 0 && base->tasks_living != 0) /* else: a system task's, and all have gone */
        ctrio__die("the run is broken: %s", ctrio__code_text(base->failed));
}

void ctrio__c_run_loop(void *arg)
{
    struct ctrio__c_run *run = arg;
    ctrio__fiber_entered(&run->loop);
    ctrio__set_inside(run, true);
    drive(run);
    ctrio__set_inside(run, false);
    ctrio__fiber_leave(&run->loop, &run->main.u.life.fiber);
}

/* Around the function of the main task: SIGINT cancels this scope. */
static int main_fn(void *arg)
{
    struct ctrio__c_run *run = arg;
    struct ctrio__outcome io = {0, NULL};
    ctrio__scope_init(&run->main_scope, &ctrio__c_frontend);
    run->main_scope.magic = CTRIO__NURSERY_SCOPE_MAGIC; /* nobody's to close, and no dead frame */
    ctrio__scope_open(&run->main_scope, &run->main.task);
    if (run->interrupted)
        ctrio__scope_cancel(&run->main_scope, &ctrio__reason_interrupt);
    run->main_result = run->user_fn(run->user_arg);
    if (run->main.task.scope != &run->main_scope)
        run->main_result =
            ctrio__c_scopes_left(&run->main, run->main_result, __builtin_frame_address(0));
    io.code = run->main_result < 0 ? run->main_result : 0;
    ctrio__scope_close(&run->main_scope, &run->main.task, &io);
    if (run->interrupted && (io.code == 0 || io.code == CTRIO_CANCELLED))
        return CTRIO_INTERRUPTED;
    return io.code;
}

/* The main task's whole life, from its first step to the end of the run. */
void ctrio__c_run_live(struct ctrio__c_run *run)
{
    struct ctrio__c_task *self = &run->main;
    self->u.life.fn = main_fn;
    self->u.life.arg = run;
    ctrio__fiber_switch(&self->u.life.fiber, &run->loop); /* back when it is our turn, … */
    if (run->run.tasks_living == 0) /* … or when all is over: there never was a main task */
        return;
    struct ctrio__outcome final;
    ctrio__set_inside(run, false);
    ctrio__c_task_body(self, &final);
    ctrio__set_inside(run, true);
    ctrio__run_put_back(&run->run, CTRIO__DONE, &final);
    ctrio__c_hand_over(run, &self->u.life.fiber);
    CTRIO_ASSERT(run->run.tasks_living == 0);
}

/* --- saying things --------------------------------------------------------------------------- */

void ctrio__log(struct ctrio__c_run *run, enum ctrio_log_level level, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    bool inside = ctrio__set_inside(run, false);
    if (run->options.log != NULL)
        run->options.log(run->options.log_arg, level, line);
    else if (level >= CTRIO_LOG_WARNING)
        fprintf(stderr, "ctrio: %s\n", line);
    ctrio__set_inside(run, inside);
}

void ctrio__die(const char *format, ...)
{
    va_list args;
    fputs("ctrio: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

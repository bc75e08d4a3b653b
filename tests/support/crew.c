/* crew.c - tasks whose bodies are small state machines in C.
 *
 * Nothing here allocates, so every allocation that a test makes fail is one of src/.  Failures
 * are codes; a group is the first of its failures that is not a cancellation. */
#include "crew.h"
#include "base/assert.h"
#include "kernel/primitive.h"
#include "tap.h"
#include <string.h>

static struct crew_task *crew_task_of(struct ctrio_task *task)
{
    return ctrio__container(task, struct crew_task, task);
}

static struct crew *crew_of(const struct crew_task *self)
{
    return self->task.run->data;
}

static void drop(struct ctrio__outcome *outcome)
{
    if (outcome->code == CTRIO_CANCELLED)
        ctrio__reason_drop(outcome->value);
    outcome->value = NULL;
}

void crew_do(struct crew_task *self, struct ctrio__op *op)
{
    CTRIO_ASSERT(self->op == NULL);
    self->op = op;
}

void crew_checkpoint(struct crew_task *self)
{
    ctrio__op_init(&self->plain, &ctrio__checkpoint_kind, NULL);
    crew_do(self, &self->plain);
}

void crew_sleep(struct crew_task *self, double seconds)
{
    ctrio__sleep_op_init(&self->sleep, ctrio__run_time(self->task.run) + seconds);
    crew_do(self, &self->sleep.op);
}

static enum ctrio__step resume(struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct crew_task *self = crew_task_of(task);
    bool own = self->body != NULL;
    self->steps++;
    if (crew_of(self)->trace != NULL)
        ctrio__trace_add(crew_of(self)->trace, task->serial);
    if (own && !self->begun)
        ctrio__scope_open(&self->scope, task);
    self->begun = true;
    for (;;) {
        CTRIO_ASSERT(self->op == NULL || ctrio__op_is_told(self->op));
        if (self->op != NULL && self->op->kind->step(self->op, task, io) == CTRIO__PARKED)
            return CTRIO__PARKED;
        self->op = NULL;
        drop(io);
        self->code = io->code;
        *io = (struct ctrio__outcome){0, NULL};
        if (!own || !self->body(self))
            break;
        if (self->op == NULL)
            break;
        if (self->op->kind == &ctrio__nursery_close_kind)
            io->code = self->code; /* gets what the body came to */
    }
    self->over = true;
    *io = (struct ctrio__outcome){self->code, NULL};
    if (own)
        ctrio__scope_close(&self->scope, task, io);
    return CTRIO__DONE;
}

static void adopt(const struct ctrio__frontend *from, struct ctrio__outcome *in)
{
    (void)from;
    (void)in;
}

static struct ctrio__outcome group(struct ctrio__nursery *nursery)
{
    struct ctrio__outcome folded = {CTRIO_CANCELLED, NULL};
    ctrio__list_each (link, &nursery->failures) {
        struct ctrio__failure *failure = ctrio__container(link, struct ctrio__failure, link);
        drop(&failure->outcome);
        if (folded.code == CTRIO_CANCELLED)
            folded.code = failure->outcome.code;
    }
    return folded;
}

static bool strip_cancelled(struct ctrio_cancel_scope *scope, struct ctrio__outcome *io)
{
    (void)scope;
    (void)io;
    CTRIO_ASSERT(io->code == CTRIO_GROUP); /* we build none */
    return false;
}

static void misnested(enum ctrio__misnesting how, struct ctrio_task *task,
                      struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *inner,
                      struct ctrio__outcome *io)
{
    (void)how;
    (void)task;
    (void)scope;
    (void)inner;
    drop(io);
    io->code = CTRIO_MISUSE;
}

static struct ctrio__reason *reason_make(enum ctrio__blame blame, struct ctrio_task *task,
                                         const struct ctrio__outcome *failure)
{
    (void)blame;
    (void)task;
    (void)failure;
    return &ctrio__reason_misnesting; /* static: nobody here asks why */
}

static void reason_free(struct ctrio__reason *reason)
{
    (void)reason;
}

static void scope_release(struct ctrio_cancel_scope *scope)
{
    (void)scope;
}

static void lot_broken(struct ctrio_parking_lot *lot, struct ctrio_task *task)
{
    (void)lot;
    (void)task;
}

static void task_free(struct ctrio_task *task)
{
    struct crew *crew = task->run->data;
    crew->freed++;
}

static const struct ctrio__frontend crew_frontend = {
    .name = "crew",
    .resume = resume,
    .adopt = adopt,
    .group = group,
    .strip_cancelled = strip_cancelled,
    .misnested = misnested,
    .reason_make = reason_make,
    .reason_free = reason_free,
    .outcome_drop = drop,
    .scope_release = scope_release,
    .lot_broken = lot_broken,
    .task_free = task_free,
};

static void task_init(struct crew_task *self, const char *name, crew_body *body, void *data)
{
    *self = (struct crew_task){.name = name, .body = body, .data = data};
    ctrio__task_init(&self->task, &crew_frontend);
    ctrio__scope_init(&self->scope, &crew_frontend);
}

/* The main task: starts the others in a nursery and waits for them. */
static bool main_body(struct crew_task *self)
{
    struct crew *crew = crew_of(self);
    if (self->stage++ != 0)
        return false;
    struct ctrio__nursery *nursery = &crew->nurseries[3];
    ctrio__scope_open(&crew->scopes[3], &self->task);
    ctrio__nursery_open(nursery, &self->task, &crew->scopes[3]);
    for (size_t i = 1; i < crew->count && self->code == 0; i++)
        self->code = ctrio__task_spawn(&crew->run, &crew->tasks[i].task, nursery);
    ctrio__nursery_close_op_init(&crew->close, nursery);
    crew_do(self, &crew->close.op);
    return true;
}

static void spawn_main(struct ctrio_run *run, struct ctrio__outcome *io)
{
    struct crew *crew = run->data;
    io->code = ctrio__task_spawn(run, &crew->tasks[0].task, &crew->nurseries[2]);
    if (io->code == 0)
        run->main_task = &crew->tasks[0].task;
}

static int spawn_entry_queue(struct ctrio_run *run)
{
    struct crew *crew = run->data;
    task_init(&crew->entries, "entries", NULL, NULL);
    ctrio__op_init(&crew->entries.plain, &ctrio__entry_queue_kind, run);
    crew->entries.op = &crew->entries.plain;
    return ctrio__task_spawn(run, &crew->entries.task, &crew->nurseries[0]);
}

void crew_init(struct crew *crew)
{
    memset(crew, 0, sizeof *crew);
    crew->count = 1;
    task_init(&crew->tasks[0], "main", main_body, NULL);
    for (int i = 0; i < 4; i++)
        ctrio__scope_init(&crew->scopes[i], &crew_frontend);
}

struct crew_task *crew_add(struct crew *crew, const char *name, crew_body *body, void *data)
{
    CTRIO_ASSERT(crew->count < CREW_TASKS);
    struct crew_task *task = &crew->tasks[crew->count++];
    task_init(task, name, body, data);
    if (crew->tasks[0].begun) {
        int result = ctrio__task_spawn(&crew->run, &task->task, &crew->nurseries[3]);
        if (result < 0)
            task->code = result;
    }
    return task;
}

int crew_open(struct crew *crew, struct ctrio__os *os, const struct ctrio__io_ops *io_ops)
{
    ctrio__system_clock_init(&crew->clock, os, os->now, 0);
    const struct ctrio__run_options options = {
        .os = os,
        .io_ops = io_ops,
        .now = os->now,
        .clock = &crew->clock.clock,
        .chooser = crew->chooser,
        .seed = crew->seed,
        .data = crew,
    };
    int result = ctrio__run_open(&crew->run, &options);
    if (result < 0)
        return result;
    task_init(&crew->init, "init", NULL, NULL);
    ctrio__op_init(&crew->init_op.op, &ctrio__init_kind, &crew->run);
    crew->init.op = &crew->init_op.op;
    const struct ctrio__system system = {
        .init = &crew->init.task,
        .entry_nursery = &crew->nurseries[0],
        .system_nursery = &crew->nurseries[1],
        .main_nursery = &crew->nurseries[2],
        .entry_scope = &crew->scopes[0],
        .system_scope = &crew->scopes[1],
        .main_scope = &crew->scopes[2],
        .spawn_main = spawn_main,
        .spawn_entry_queue = spawn_entry_queue,
    };
    result = ctrio__run_start(&crew->run, &system);
    if (result < 0)
        ctrio__run_close(&crew->run);
    return result;
}

bool crew_turn(struct crew *crew, double most)
{
    struct ctrio_run *run = &crew->run;
    struct ctrio__io_events events;
    if (!ctrio__run_alive(run))
        return false;
    double timeout = ctrio__run_timeout(run);
    int result = run->io_ops->get_events(run->io, timeout < most ? timeout : most, &events);
    if (result < 0) {
        crew->failed = result;
        return false;
    }
    ctrio__run_begin(run, &events);
    while (ctrio__run_step(run) && !ctrio__run_looks_each_step(run)) {
    }
    return ctrio__run_alive(run);
}

int crew_close(struct crew *crew)
{
    int result = crew->run.failed != 0 ? crew->run.failed : crew->run.main_outcome.code;
    ctrio__run_close(&crew->run);
    tap_saw(result);
    for (size_t i = 0; i < crew->count; i++)
        tap_saw(crew->tasks[i].code);
    tap_saw(crew->failed);
    return crew->failed != 0 ? crew->failed : result;
}

int crew_run(struct crew *crew, struct ctrio__os *os, const struct ctrio__io_ops *io_ops)
{
    int result = crew_open(crew, os, io_ops);
    if (result < 0)
        return result;
    while (crew_turn(crew, INFINITY)) {
    }
    return crew_close(crew);
}

static enum ctrio__step over(struct ctrio__op *op, struct ctrio_task *task,
                             struct ctrio__outcome *io)
{
    (void)op;
    (void)task;
    (void)io;
    return CTRIO__DONE;
}

void crew_abandon(struct crew_task *victim)
{
    static const struct ctrio__op_kind over_kind = {.verb = "over", .step = over, .bare = true};
    if (victim->op == NULL)
        return;
    ctrio__op_abandon(victim->op, &victim->task);
    ctrio__op_init(&victim->plain, &over_kind, NULL);
    victim->op = &victim->plain;
    if (victim->task.state == CTRIO__TASK_PARKED)
        ctrio__task_wake(&victim->task, 0, NULL);
}

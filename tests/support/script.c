/* script.c - the scripted front end: how a task runs, fails and is freed; and how a run is driven.
 *
 * It does what any front end must and no more, so it also serves as the shortest example of one:
 * resume() loops over ops' step(), failures are a code and a number, groups are counted arrays. */
#include "script.h"
#include "base/alloc.h"
#include "memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct script_world world;
static struct ctrio_nursery *left_behind[32];
static size_t left_behind_count;

/* A CTRIO_GROUP's value. */
struct script_group {
    size_t count;
    struct ctrio__outcome leaf[];
};

void script_say(const char *format, ...)
{
    size_t used = strlen(world.trace);
    va_list arguments;
    if (used != 0 && used + 1 < sizeof world.trace)
        world.trace[used++] = ' ';
    va_start(arguments, format);
    vsnprintf(world.trace + used, sizeof world.trace - used, format, arguments);
    va_end(arguments);
}

const char *script_code_name(int code)
{
    static const char *const names[] = {"cancelled",   "too slow", "would block",    "busy",
                                        "closed",      "broken",   "end of channel", "run finished",
                                        "interrupted", "group",    "foreign",        "misuse"};
    if (code >= CTRIO_CANCELLED && code <= CTRIO_MISUSE)
        return names[code - CTRIO_CANCELLED];
    return code == -ENOMEM ? "no memory" : code >= 0 ? "ok" : "errno";
}

static void drop(struct ctrio__outcome *outcome);

static void drop_group(struct script_group *group)
{
    for (size_t i = 0; i < group->count; i++)
        drop(&group->leaf[i]);
    ctrio__free(group);
}

/* The front end's outcome_drop. */
static void drop(struct ctrio__outcome *outcome)
{
    world.failures_dropped++;
    if (outcome->code == CTRIO_CANCELLED)
        ctrio__reason_drop(outcome->value);
    else if (outcome->code == CTRIO_GROUP)
        drop_group(outcome->value);
    *outcome = (struct ctrio__outcome){0, NULL};
}

static void describe(const struct ctrio__outcome *outcome, char *text, size_t size)
{
    if (outcome->code == CTRIO_FOREIGN) {
        snprintf(text, size, "foreign %d", (int)(intptr_t)outcome->value);
        return;
    }
    snprintf(text, size, "%s", script_code_name(outcome->code));
    if (outcome->code != CTRIO_GROUP)
        return;
    const struct script_group *group = outcome->value;
    for (size_t i = 0; i < group->count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, i == 0 ? "(" : ", ");
        used = strlen(text);
        describe(&group->leaf[i], text + used, size - used);
    }
    size_t used = strlen(text);
    snprintf(text + used, size - used, ")");
}

/* --- the table ------------------------------------------------------------------------------- */

static struct ctrio__outcome group(struct ctrio_nursery *nursery)
{
    size_t count = ctrio__list_count(&nursery->failures);
    struct script_group *made = ctrio__alloc(sizeof *made + count * sizeof made->leaf[0]);
    size_t i = 0;
    if (made == NULL)
        tap_saw(-ENOMEM);
    else
        made->count = count;
    ctrio__list_each (link, &nursery->failures) {
        struct ctrio__failure *node = ctrio__container(link, struct ctrio__failure, link);
        if (made != NULL)
            made->leaf[i++] = node->outcome;
        else
            drop(&node->outcome);
        node->outcome = (struct ctrio__outcome){0, NULL};
    }
    if (made == NULL)
        return (struct ctrio__outcome){-ENOMEM, NULL};
    return (struct ctrio__outcome){CTRIO_GROUP, made};
}

/* Groups nest as deep as the test's nurseries, so recursion is fine here. */
static bool strip(struct ctrio__outcome *io)
{
    struct script_group *old = io->value;
    bool any = false;
    size_t kept = 0;
    for (size_t i = 0; i < old->count; i++) {
        struct ctrio__outcome leaf = old->leaf[i];
        if (leaf.code == CTRIO_CANCELLED) {
            any = true;
            drop(&leaf);
            continue;
        }
        if (leaf.code == CTRIO_GROUP && strip(&leaf))
            any = true;
        if (leaf.code != 0)
            old->leaf[kept++] = leaf;
    }
    old->count = kept;
    if (kept == 0) {
        ctrio__free(old);
        *io = (struct ctrio__outcome){0, NULL};
    }
    return any;
}

static bool strip_cancelled(struct ctrio_cancel_scope *scope, struct ctrio__outcome *io)
{
    (void)scope;
    CTRIO_ASSERT(scope->cancel_called || scope->abandoned);
    CTRIO_ASSERT(io->code == CTRIO_GROUP);
    return strip(io);
}

static void adopt(const struct ctrio__frontend *from, struct ctrio__outcome *in)
{
    (void)from;
    (void)in;
    CTRIO_ASSERT(from != &script_frontend);
    CTRIO_ASSERT(in->code < 0);
    world.adopted++;
}

static void misnested(enum ctrio__misnesting how, struct ctrio_task *task,
                      struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *inner,
                      struct ctrio__outcome *io)
{
    (void)task;
    (void)scope;
    (void)inner;
    world.misnested[how]++;
    if (io->code < 0)
        drop(io);
    *io = (struct ctrio__outcome){CTRIO_MISUSE, NULL};
}

static struct ctrio__reason *new_reason(enum ctrio__source source)
{
    struct ctrio__reason *reason = ctrio__alloc(sizeof *reason);
    if (reason == NULL) {
        tap_saw(-ENOMEM);
        return NULL;
    }
    *reason = (struct ctrio__reason){&script_frontend, 1, source};
    return reason;
}

struct ctrio__reason *script_reason(enum ctrio__source source)
{
    return new_reason(source);
}

static struct ctrio__reason *reason_make(enum ctrio__blame blame, struct ctrio_task *task,
                                         const struct ctrio__outcome *failure)
{
    (void)task;
    (void)failure;
    world.last_blame = (int)blame;
    bool shutdown = blame == CTRIO__MAIN_EXITED || blame == CTRIO__SYSTEM_FINISHED;
    return new_reason(shutdown ? CTRIO__BY_SHUTDOWN : CTRIO__BY_NURSERY);
}

static void reason_free(struct ctrio__reason *reason)
{
    CTRIO_ASSERT(reason->references == 0);
    ctrio__free(reason);
}

/* Left behind by its task: what it still holds goes when the run does. */
static void nursery_release(struct ctrio_nursery *nursery)
{
    if (nursery->results_lost)
        return;
    CTRIO_ASSERT(left_behind_count < sizeof left_behind / sizeof left_behind[0]);
    left_behind[left_behind_count++] = nursery;
}

static void scope_release(struct ctrio_cancel_scope *scope)
{
    (void)scope;
    CTRIO_ASSERT(scope->state == CTRIO_SCOPE_CLOSED);
    world.scopes_released++;
}

static void lot_broken(struct ctrio_parking_lot *lot, struct ctrio_task *task)
{
    (void)lot;
    (void)task;
    CTRIO_ASSERT(lot->broken);
    CTRIO_ASSERT(task != NULL);
    world.lots_broken++;
}

static void task_free(struct ctrio_task *task)
{
    struct script_task *self = (struct script_task *)task;
    if (self->in_op) /* the run was given up with it parked */
        ctrio__op_abandon(&self->op.op, task);
    if (task->state == CTRIO__TASK_RUNNABLE)
        ctrio__wake_drop(&script_frontend, &task->wake);
    if (self->failing.code < 0)
        drop(&self->failing);
    world.tasks_living--;
    ctrio__free(self);
}

static enum ctrio__step resume(struct ctrio_task *task, struct ctrio__outcome *io);

const struct ctrio__frontend script_frontend = {
    .name = "script",
    .resume = resume,
    .adopt = adopt,
    .group = group,
    .strip_cancelled = strip_cancelled,
    .misnested = misnested,
    .reason_make = reason_make,
    .reason_free = reason_free,
    .outcome_drop = drop,
    .nursery_release = nursery_release,
    .scope_release = scope_release,
    .lot_broken = lot_broken,
    .task_free = task_free,
};

/* --- running a task -------------------------------------------------------------------------- */

static void hash_word(uint64_t word)
{
    world.hash = (world.hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    world.hash ^= world.hash >> 29;
}

static void record(struct script_task *self, const struct script_step *step, int code)
{
    uint64_t verb = 0, bits;
    double now = world.use_clock->current_time(world.use_clock);
    memcpy(&bits, &now, sizeof bits);
    for (size_t i = 0; step->verb[i] != '\0'; i++)
        verb = verb * 31 + (uint64_t)step->verb[i];
    hash_word(verb);
    hash_word(self->task.serial << 32 ^ (uint32_t)code);
    hash_word(bits);
    world.steps++;
}

/* Past the step whose result failed, to the close that gets it; END if there is none. */
static void unwind(struct script_task *self)
{
    unsigned depth = 0;
    for (;; self->at++) {
        if (self->at->verb == NULL)
            return;
        if (self->at->mark == SCRIPT_OPENS)
            depth++;
        else if (self->at->mark == SCRIPT_CLOSES && depth-- == 0)
            break;
    }
    self->trying = self->at > self->script && self->at[-1].mark == SCRIPT_TRY;
}

/* A step has come to *io, which is taken. */
static void finish_step(struct script_task *self, struct ctrio__outcome *io)
{
    record(self, self->at, tap_saw(io->code));
    self->result = (struct ctrio__outcome){io->code, NULL};
    if (io->code == CTRIO_FOREIGN || (io->code >= 0 && io->value != NULL))
        self->result.value = io->value;
    if (io->code == CTRIO_CANCELLED)
        self->source = io->value != NULL ? (int)((struct ctrio__reason *)io->value)->source : -1;
    self->at++;
    if (io->code < 0 && self->trying) {
        drop(io);
    } else if (io->code < 0) {
        self->failing = *io;
        unwind(self);
        return;
    }
    *io = (struct ctrio__outcome){0, NULL};
    self->trying = false;
}

static void turn_loop(struct script_task *self)
{
    if (self->at->mark == SCRIPT_LOOP)
        self->loops = self->at->number;
    else if (--self->loops > 0)
        while (self->at->mark != SCRIPT_LOOP)
            self->at--;
    self->at++;
}

/* Starts the step at `at`; what closes a block begins with what the block came to. */
static enum ctrio__step begin_step(struct script_task *self, struct ctrio__outcome *io)
{
    const struct script_step *step = self->at;
    *io = self->failing;
    self->failing = (struct ctrio__outcome){0, NULL};
    if (step->act != NULL) {
        self->value = NULL;
        if (step->mark == SCRIPT_CLOSES)
            self->failing = *io;
        io->code = step->act(self, step);
        io->value = io->code < 0 ? self->failing.value : self->value;
        self->failing = (struct ctrio__outcome){0, NULL};
        return CTRIO__DONE;
    }
    memset(&self->op, 0, sizeof self->op);
    if (step->begin != NULL)
        step->begin(self, step);
    else
        ctrio__op_init(&self->op.op, step->kind, step->object);
    self->in_op = true;
    return self->op.op.kind->step(&self->op.op, &self->task, io);
}

static void take_value(struct script_task *self, struct ctrio__outcome *io)
{
    struct ctrio_nursery *nursery = NULL;
    self->in_op = false;
    if (self->op.op.kind == &ctrio__nursery_close_kind)
        nursery = self->op.op.object;
    else if (self->op.op.kind == &ctrio__start_kind)
        nursery = self->op.start.old;
    if (nursery != NULL && nursery->scope != NULL && nursery->scope->state == CTRIO_SCOPE_CLOSED)
        ctrio__scope_forget(nursery->scope); /* as when the object dies */
    if (self->op.op.kind == &ctrio__channel_receive_kind && io->code == 0) {
        struct script_item *item = io->value;
        io->value = item != NULL ? (void *)item->number : NULL; /* NULL: see send */
        ctrio__free(item);
    } else if (io->code == CTRIO_MISUSE) {
        io->value = NULL; /* a static text */
    }
}

static enum ctrio__step resume(struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct script_task *self = (struct script_task *)task;
    CTRIO_ASSERT(task->run->current == task);
    if (self->abandoned) {
        if (io->code < 0)
            drop(io);
        *io = (struct ctrio__outcome){0, NULL};
        return CTRIO__DONE;
    }
    if (self->in_op) {
        if (self->op.op.kind->step(&self->op.op, task, io) == CTRIO__PARKED)
            return CTRIO__PARKED;
        take_value(self, io);
        finish_step(self, io);
    }
    while (self->at->verb != NULL) {
        if (self->at->mark == SCRIPT_TRY) {
            self->trying = true;
            self->at++;
        } else if (self->at->mark == SCRIPT_LOOP || self->at->mark == SCRIPT_AGAIN) {
            turn_loop(self);
        } else {
            if (begin_step(self, io) == CTRIO__PARKED)
                return CTRIO__PARKED;
            if (self->in_op)
                take_value(self, io);
            finish_step(self, io);
        }
    }
    *io = self->failing;
    self->failing = (struct ctrio__outcome){0, NULL};
    return CTRIO__DONE;
}

struct script_task *script_task_new(const char *name, const struct script_step *script)
{
    struct script_task *self = ctrio__alloc(sizeof *self);
    if (self == NULL) {
        tap_saw(-ENOMEM);
        return NULL;
    }
    ctrio__task_init(&self->task, &script_frontend);
    self->name = name;
    self->script = script;
    self->at = script;
    world.tasks_living++;
    return self;
}

int script_spawn(struct ctrio_nursery *nursery, const char *name, const struct script_step *script)
{
    struct script_task *self = script_task_new(name, script);
    if (self == NULL)
        return -ENOMEM;
    int code = tap_saw(ctrio__task_spawn(nursery->run, &self->task, nursery));
    if (code < 0) {
        world.tasks_living--;
        ctrio__free(self);
    }
    return code;
}

struct script_task *script_find(const char *name)
{
    ctrio__list_each (link, &world.run.tasks) {
        struct script_task *self = (struct script_task *)ctrio__task_from(link, run_link);
        if (strcmp(self->name, name) == 0)
            return self;
    }
    return NULL;
}

void script_abandon(struct script_task *victim)
{
    CTRIO_ASSERT(victim->in_op);
    ctrio__list_each (link, &world.run.tasks) { /* its started() has nobody to tell any more */
        struct script_task *child = (struct script_task *)ctrio__task_from(link, run_link);
        if (child->start == &victim->op.start)
            child->start = NULL;
    }
    ctrio__op_abandon(&victim->op.op, &victim->task);
    memset(&victim->op, 0xdb, sizeof victim->op); /* nobody may look at it any more */
    victim->in_op = false;
    victim->abandoned = true;
}

void script_cancel_open(struct ctrio_cancel_scope *scope)
{
    if (scope->state == CTRIO_SCOPE_OPEN)
        ctrio__scope_cancel(scope, script_reason(CTRIO__BY_EXPLICIT));
}

void script_abandon_named(const char *name)
{
    struct script_task *victim = script_find(name);
    if (victim == NULL || !victim->in_op)
        return;
    script_abandon(victim);
    if (victim->task.state == CTRIO__TASK_PARKED)
        ctrio__task_wake(&victim->task, 0, NULL);
}

size_t script_said(const char *word)
{
    size_t count = 0, length = strlen(word);
    for (const char *at = world.trace; (at = strstr(at, word)) != NULL; at += length) {
        bool begins = at == world.trace || at[-1] == ' ';
        count += begins && (at[length] == ' ' || at[length] == '\0');
    }
    return count;
}

/* --- running a run --------------------------------------------------------------------------- */

static struct script_nursery entry_nursery, system_nursery, main_nursery;
static const struct script_step *main_script;
static unsigned idle_turns;
static int opened;

static uint32_t choose_in_order(struct ctrio__chooser *self, enum ctrio__choice kind, uint32_t n,
                                uint64_t site)
{
    (void)self;
    (void)n;
    (void)site;
    return kind == CTRIO__CHOOSE_BATCH ? 1 : 0; /* batches are used up from their end */
}

struct ctrio__chooser script_in_order = {choose_in_order, false};

void script_reset(void)
{
    memset(&world, 0, sizeof world);
    ctrio__mock_clock_init(&world.clock, 0.0);
    world.use_clock = &world.clock.clock;
    world.chooser = &script_in_order;
    world.moment = SIZE_MAX;
    script_io_init(&world.io);
    world.hash = UINT64_C(0xcbf29ce484222325);
    world.last_blame = -1;
}

static void spawn_main(struct ctrio_run *run, struct ctrio__outcome *io)
{
    io->code = script_spawn(run->system.main_nursery, "main", main_script);
    if (io->code == 0)
        run->main_task = ctrio__task_from(run->tasks.prev, run_link);
}

static int spawn_entry_queue(struct ctrio_run *run)
{
    static const struct script_step script[] = {
        SCRIPT_OP("entry queue", ctrio__entry_queue_kind, NULL), END};
    int code = script_spawn(run->system.entry_nursery, "entry queue", script);
    if (code == 0)
        ctrio__task_from(run->tasks.prev, run_link)->system = true;
    return code;
}

static int start(void)
{
    static const struct script_step script[] = {SCRIPT_OP("init", ctrio__init_kind, NULL), END};
    struct script_task *init = script_task_new("init", script);
    if (init == NULL)
        return -ENOMEM;
    struct ctrio__system system = {
        .init = &init->task,
        .entry_nursery = &entry_nursery.nursery,
        .entry_scope = &entry_nursery.scope,
        .system_nursery = &system_nursery.nursery,
        .system_scope = &system_nursery.scope,
        .main_nursery = &main_nursery.nursery,
        .main_scope = &main_nursery.scope,
        .spawn_main = spawn_main,
        .spawn_entry_queue = spawn_entry_queue,
    };
    ctrio__scope_init(&entry_nursery.scope, &script_frontend);
    ctrio__scope_init(&system_nursery.scope, &script_frontend);
    ctrio__scope_init(&main_nursery.scope, &script_frontend);
    int code = tap_saw(ctrio__run_start(&world.run, &system));
    if (code < 0)
        task_free(&init->task);
    return code;
}

int script_open(const struct script_step *script)
{
    struct ctrio__run_options options = {
        .os = (struct ctrio__os *)(void *)&world.io,
        .io_ops = &script_io_ops,
        .now = script_io_now,
        .clock = world.use_clock,
        .chooser = world.chooser,
        .seed = world.seed,
        .data = &world,
    };
    main_script = script;
    idle_turns = 0;
    opened = tap_saw(ctrio__run_open(&world.run, &options));
    if (opened < 0)
        return opened;
    world.run.hooks = world.hooks;
    world.run.guest = world.guest;
    world.run.strict = world.strict;
    int code = start();
    if (code < 0)
        ctrio__run_fail(&world.run, code);
    return code;
}

/* Turns in which nothing ran and no time passed; a few are normal (autojump, idle waits). */
static bool is_stuck(double before, size_t steps)
{
    double now = world.use_clock->current_time(world.use_clock);
    bool moved = steps != 0 || now != before || world.run.ready_count != 0;
    idle_turns = moved ? 0 : idle_turns + 1;
    if (idle_turns < 4)
        return false;
    idle_turns = 0;
    return world.stuck == NULL || !world.stuck();
}

static void moment(void)
{
    if (world.moments++ == world.moment)
        world.interfere();
    CTRIO_ASSERT_SLOW(ctrio__heap_valid(&world.run.timers));
}

bool script_turn(void)
{
    struct ctrio_run *run = &world.run;
    struct ctrio__io_events events = {NULL, 0};
    if (opened < 0 || !ctrio__run_alive(run))
        return false;
    double before = world.use_clock->current_time(world.use_clock);
    size_t steps = 0;
    world.turns++;
    run->io_ops->get_events(run->io, ctrio__run_timeout(run), &events);
    ctrio__run_begin(run, &events);
    moment();
    for (; ctrio__run_step(run); steps++)
        moment();
    if (!is_stuck(before, steps))
        return ctrio__run_alive(run);
    script_say("stuck");
    ctrio__run_fail(run, CTRIO_MISUSE);
    return false;
}

int script_close(void)
{
    struct ctrio_run *run = &world.run;
    if (opened < 0)
        return opened;
    ctrio__run_close(run);
    while (left_behind_count > 0)
        ctrio__nursery_forget(left_behind[--left_behind_count]);
    ctrio__scope_forget(&entry_nursery.scope);
    ctrio__scope_forget(&system_nursery.scope);
    ctrio__scope_forget(&main_nursery.scope);
    struct ctrio__outcome *outcome = run->failed != 0 ? &run->fatal : &run->main_outcome;
    int code = run->failed != 0 ? run->failed : outcome->code;
    describe(outcome, world.result, sizeof world.result);
    if (run->main_outcome.code < 0)
        drop(&run->main_outcome);
    if (run->fatal.code < 0)
        drop(&run->fatal);
    is(world.tasks_living, 0);
    ok(!world.io.is_open);
    return tap_saw(code);
}

int script_run(const struct script_step *script)
{
    script_open(script);
    while (script_turn())
        ;
    return script_close();
}

struct everywhere {
    const struct script_step *script;
    void (*fresh)(void), (*interfere)(void), (*check)(void);
    size_t moment;
};

static void run_with_interference(void *arg)
{
    const struct everywhere *what = arg;
    script_reset();
    what->fresh();
    world.moment = what->moment;
    world.interfere = what->interfere;
    script_run(what->script);
    what->check();
}

size_t script_everywhere(const struct script_step *script, void (*fresh)(void),
                         void (*interfere)(void), void (*check)(void))
{
    struct everywhere what = {script, fresh, interfere, check, SIZE_MAX};
    run_with_interference(&what); /* undisturbed */
    size_t moments = world.moments;
    for (what.moment = 0; what.moment < moments; what.moment++) {
        tap_each_failure(run_with_interference, &what);
        if (world.moments > moments) /* the interference made it longer */
            moments = world.moments;
    }
    return moments;
}

/* script.c - the scripted front end: how a task runs, fails and is freed.
 *
 * It does what any front end must and no more, so it also serves as the shortest example of one:
 * resume() loops over ops' step(), failures are a code and a number, groups are counted arrays. */
#include "script.h"
#include "base/alloc.h"
#include <stdio.h>
#include <string.h>

/* A CTRIO_GROUP's value. */
struct script_group {
    size_t count;
    struct ctrio__outcome leaf[];
};

const char *script_code_name(int code)
{
    static const char *const names[] = {"cancelled",   "too slow", "would block",    "busy",
                                        "closed",      "broken",   "end of channel", "run finished",
                                        "interrupted", "group",    "foreign",        "name error",
                                        "misuse"};
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

void script_describe(const struct ctrio__outcome *outcome, char *text, size_t size)
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
        script_describe(&group->leaf[i], text + used, size - used);
    }
    size_t used = strlen(text);
    snprintf(text + used, size - used, ")");
}

/* --- the table ------------------------------------------------------------------------------- */

static struct ctrio__outcome group(struct ctrio__nursery *nursery)
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
static void nursery_release(struct ctrio__nursery *nursery)
{
    if (nursery->results_lost)
        return;
    CTRIO_ASSERT(world.left_behind_count < sizeof world.left_behind / sizeof world.left_behind[0]);
    world.left_behind[world.left_behind_count++] = nursery;
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
    CTRIO_ASSERT(ctrio__op_is_told(&self->op.op));
    return self->op.op.kind->step(&self->op.op, &self->task, io);
}

static void take_value(struct script_task *self, struct ctrio__outcome *io)
{
    struct ctrio__nursery *nursery = NULL;
    self->in_op = false;
    if (self->op.op.kind == &ctrio__nursery_close_kind)
        nursery = self->op.op.object;
    else if (self->op.op.kind == &ctrio__start_kind)
        nursery = self->op.start.old;
    if (nursery != NULL && nursery->scope != NULL && nursery->scope->state == CTRIO_SCOPE_CLOSED)
        ctrio__scope_forget(nursery->scope); /* as when the object dies */
    if (self->op.op.kind == &ctrio__channel_receive_kind && io->code == 0) {
        struct script_item *item = self->op.channel.slot;
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

int script_spawn(struct ctrio__nursery *nursery, const char *name, const struct script_step *script)
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

/* frontend.c - what the kernel asks of the C front end: groups, reasons, misnesting.
 *
 * A failure's value is its story (struct ctrio_error, owned) or NULL for a bare code; a
 * cancellation's is nothing.  A group is never of Cancelled alone, and where it is beside real
 * failures one bit says so: an outer scope's "cancelled_caught" needs no more. */
#include "api/run.h"
#include "base/alloc.h"
#include "kernel/nursery.h"

static void outcome_drop(struct ctrio__outcome *outcome)
{
    if (outcome->code < 0 && outcome->code != CTRIO_CANCELLED && outcome->value != NULL)
        ctrio_error_free(outcome->value);
    outcome->value = NULL;
}

/* --- groups ---------------------------------------------------------------------------------- */

static struct ctrio_error *node_in(struct ctrio__c_task *task, int which)
{
    struct ctrio_error *node = &task->u.nodes[which];
    task->holds++;
    *node = (struct ctrio_error){.place = (uint8_t)(which + 1)};
    return node;
}

/* The story of one failure, which takes it over.  NULL: no memory for a bare code of somebody who
 * has no room of its own (the nursery's own block, a step task). */
static struct ctrio_error *leaf_of(struct ctrio__failure *failure)
{
    struct ctrio_error *leaf = failure->outcome.value;
    struct ctrio_task *task = failure->task;
    struct ctrio__c_task *own =
        task != NULL && ctrio__stackful(task) ? ctrio__c_task_of(task) : NULL;
    if (leaf == NULL) {
        leaf = own != NULL ? node_in(own, CTRIO__LEAF_NODE)
                           : ctrio__error_new(failure->outcome.code, NULL);
        if (leaf == NULL)
            return NULL;
        leaf->code = failure->outcome.code;
    }
    if (task != NULL && leaf->task_name == NULL) {
        leaf->task_name = ctrio__task_name(task);
        if (own != NULL && own->own_name != NULL && leaf != &own->u.nodes[CTRIO__LEAF_NODE]) {
            leaf->own_name = true; /* it goes with the story, which may outlive the task */
            own->own_name = NULL;
        }
    }
    return leaf;
}

/* A place for the group itself: in the first task that failed and has one. */
static struct ctrio_error *group_node(struct ctrio__nursery *nursery)
{
    ctrio__list_each (link, &nursery->failures) {
        struct ctrio_task *task = ctrio__container(link, struct ctrio__failure, link)->task;
        if (task != NULL && ctrio__stackful(task))
            return node_in(ctrio__c_task_of(task), CTRIO__GROUP_NODE);
    }
    return ctrio__error_new(CTRIO_GROUP, NULL);
}

static bool is_cancelled(const struct ctrio__failure *failure)
{
    return failure->outcome.code == CTRIO_CANCELLED;
}

/* Without memory for a node the group is what its first failure is.  Of misuse the story goes to
 * the task right here: as a result of an op its value would be a text. */
static struct ctrio__outcome first_alone(struct ctrio__nursery *nursery)
{
    struct ctrio__outcome first = {CTRIO_CANCELLED, NULL};
    ctrio__list_each (link, &nursery->failures) {
        struct ctrio__failure *failure = ctrio__container(link, struct ctrio__failure, link);
        if (first.code == CTRIO_CANCELLED)
            first = failure->outcome;
        else
            outcome_drop(&failure->outcome);
    }
    if (first.code == CTRIO_MISUSE) {
        ctrio__stories_push(ctrio__stories(), first.value);
        first.value = NULL;
    }
    return first;
}

static struct ctrio__outcome group(struct ctrio__nursery *nursery)
{
    size_t real = 0;
    bool cancelled = nursery->cancelled_children;
    ctrio__list_each (link, &nursery->failures) {
        struct ctrio__failure *failure = ctrio__container(link, struct ctrio__failure, link);
        real += !is_cancelled(failure);
        cancelled |= is_cancelled(failure);
    }
    struct ctrio_error *group = real > 0 ? group_node(nursery) : NULL;
    if (group == NULL)
        return first_alone(nursery);
    struct ctrio_list *at = nursery->failures.prev; /* from the last to the first */
    for (; at != &nursery->failures; at = at->prev) {
        struct ctrio__failure *failure = ctrio__container(at, struct ctrio__failure, link);
        struct ctrio_error *leaf = is_cancelled(failure) ? NULL : leaf_of(failure);
        if (leaf == NULL)
            continue;
        cancelled |= leaf->and_cancelled;
        ctrio__error_adopt(group, leaf);
    }
    group->code = CTRIO_GROUP;
    group->and_cancelled = cancelled;
    if (group->children == NULL) { /* bare codes only, and no memory for any */
        ctrio_error_free(group);
        return first_alone(nursery);
    }
    return (struct ctrio__outcome){CTRIO_GROUP, group};
}

/* The story may be on its way (a nursery's close) or with the task (a scope's). */
static bool strip_cancelled(struct ctrio_cancel_scope *scope, struct ctrio__outcome *io)
{
    (void)scope;
    struct ctrio_error *story = io->value;
    if (story == NULL)
        story = (struct ctrio_error *)(uintptr_t)ctrio__stories_find(ctrio__stories(), io->code);
    if (story == NULL || !story->and_cancelled)
        return false;
    story->and_cancelled = false;
    return true;
}

/* Python's exceptions come with the bridge; until then there is no other front end. */
static void adopt(const struct ctrio__frontend *from, struct ctrio__outcome *in)
{
    CTRIO_ASSERT(from != NULL);
    (void)from;
    (void)in;
}

/* --- mistakes -------------------------------------------------------------------------------- */

static void misnested(enum ctrio__misnesting how, struct ctrio_task *task,
                      struct ctrio_cancel_scope *scope, struct ctrio_cancel_scope *inner,
                      struct ctrio__outcome *io)
{
    static const char *const texts[] = {
        "a scope was closed that had been closed already",
        "a scope was closed by a task that is not inside it",
        "a scope was closed while one that was opened in it is still open",
        "a task ended after the scope around it had been closed",
        "a task ended with a nursery open",
        "a nursery was closed while one that was opened in it is still open",
    };
    (void)scope;
    (void)inner;
    CTRIO_ASSERT((size_t)how < sizeof texts / sizeof texts[0]);
    outcome_drop(io);
    struct ctrio_error *story = ctrio__error_new(CTRIO_MISUSE, texts[how]);
    *io = (struct ctrio__outcome){CTRIO_MISUSE, NULL};
    if (task->state == CTRIO__TASK_EXITED)
        io->value = story;
    else
        ctrio__stories_push(ctrio__stories(), story);
}

/* --- reasons --------------------------------------------------------------------------------- */

static struct ctrio__reason *reason_make(enum ctrio__blame blame, struct ctrio_task *task,
                                         const struct ctrio__outcome *failure)
{
    static struct ctrio__reason by_nursery = {.source = CTRIO__BY_NURSERY},
                                by_shutdown = {.source = CTRIO__BY_SHUTDOWN};
    (void)task;
    (void)failure;
    if (blame == CTRIO__MAIN_INTERRUPTED)
        return &ctrio__reason_interrupt;
    return blame == CTRIO__MAIN_EXITED || blame == CTRIO__SYSTEM_FINISHED ? &by_shutdown
                                                                          : &by_nursery;
}

static void reason_free(struct ctrio__reason *reason)
{
    (void)reason; /* ours are static */
}

/* Closed, or left behind by a task that has ended: nobody will fold what is on it. */
static void nursery_release(struct ctrio__nursery *nursery)
{
    ctrio__nursery_lose_results(nursery);
}

/* The run is given up, and the stack that it lies on with it. */
static void scope_release(struct ctrio_cancel_scope *scope)
{
    scope->magic = 0;
}

/* Who waits for the lock of a task that has gone wakes with CTRIO_BROKEN_RESOURCE: that says it. */
static void lot_broken(struct ctrio_parking_lot *lot, struct ctrio_task *task)
{
    (void)task;
    CTRIO_ASSERT(lot->broken);
    (void)lot;
}

static void task_free(struct ctrio_task *task)
{
    struct ctrio__c_task *self = ctrio__c_task_of(task);
    if (task->state == CTRIO__TASK_EXITED)
        ctrio__c_task_let_go(self);
    else
        ctrio__c_task_drop(self); /* the run is given up with it */
}

/* handover.c switches to them, and they put themselves back. */
static enum ctrio__step never_called(struct ctrio_task *task, struct ctrio__outcome *io)
{
    (void)io;
    ctrio__die("task %s was stepped as if it had no stack", ctrio__task_name(task));
}

/* --- tasks that are steps -------------------------------------------------------------------- */

static enum ctrio__step op_resume(struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct ctrio__op_task *self = ctrio__container(task, struct ctrio__op_task, task);
    return self->op->kind->step(self->op, task, io);
}

static void op_free(struct ctrio_task *task)
{
    (void)task; /* a member of its run */
}

#define SHARED                                                                                     \
    .cancelled_is_bare = true, .adopt = adopt, .group = group, .strip_cancelled = strip_cancelled, \
    .misnested = misnested, .reason_make = reason_make, .reason_free = reason_free,                \
    .outcome_drop = outcome_drop, .nursery_release = nursery_release,                              \
    .scope_release = scope_release, .lot_broken = lot_broken

const struct ctrio__frontend ctrio__c_frontend = {
    .name = "c", .resume = never_called, .task_free = task_free, SHARED};
const struct ctrio__frontend ctrio__op_frontend = {
    .name = "c", .resume = op_resume, .task_free = op_free, SHARED};
const struct ctrio__frontend ctrio__step_frontend = {
    .name = "c", .resume = ctrio__step_resume, .task_free = ctrio__step_free, SHARED};

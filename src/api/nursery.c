/* nursery.c - nurseries, and the three ways of starting a task.
 *
 * Invariant: between open and close the scope, the kernel's nursery and the magic words are alive
 * together.  A spawn that fails is a failed child, so that nobody has to look at its result. */
#include "api/nursery.h"
#include "api/watch.h"
#include "base/alloc.h"
#include <string.h>

void ctrio_nursery_open_at(struct ctrio_nursery *nursery, const char *where)
{
    struct ctrio__c_task *self = ctrio__self();
    ctrio__c_scope_init(&nursery->scope, where);
    nursery->magic = 0;
    if (self == NULL) /* the close says it */
        return;
    ctrio__c_scope_open(&nursery->scope, self, CTRIO__NURSERY_SCOPE_MAGIC);
    ctrio__nursery_open(&nursery->core, &self->task, &nursery->scope);
    nursery->spawn = (struct ctrio__failure){.task = NULL};
    ctrio__list_init(&nursery->spawn.link);
    nursery->opened_frame = __builtin_dwarf_cfa(); /* where the caller's ends: ours lies below */
    nursery->magic = CTRIO__NURSERY_MAGIC;
}

static bool is_open(const struct ctrio_nursery *nursery)
{
    return nursery->magic == CTRIO__NURSERY_MAGIC && ctrio__c_scope_is_open(&nursery->scope);
}

static int refuse_close(const struct ctrio_nursery *nursery, const struct ctrio__c_task *self)
{
    if (self == NULL)
        return ctrio__refuse_outside();
    if (!is_open(nursery))
        return ctrio__fail(CTRIO_MISUSE, "this nursery is not open: never opened, closed already, "
                                         "or copied");
    if (nursery->core.parent != &self->task)
        return ctrio__fail(CTRIO_MISUSE, "a nursery is closed by the task that opened it");
    return 0;
}

/* Waits, and folds; whoever closes a nursery has nothing to wait for any more. */
static int close_innermost(struct ctrio_nursery *nursery, struct ctrio__c_task *self, int result)
{
    struct ctrio__nursery_close_op op;
    struct ctrio__outcome io = {result < 0 ? result : 0, NULL};
    if (result < 0 && result != CTRIO_CANCELLED)
        io.value = ctrio__stories_take(ctrio__stories(), result);
    ctrio__nursery_close_op_init(&op, &nursery->core);
    ctrio__await_io(self, &op.op, &io);
    nursery->magic = 0;
    int bad = ctrio__c_scope_ended(&nursery->scope);
    if (io.code < 0) {
        ctrio__stories_push(ctrio__stories(), io.value);
        return io.code;
    }
    return bad < 0 ? bad : result < 0 ? 0 : result;
}

static struct ctrio_nursery *innermost(const struct ctrio__c_task *self)
{
    struct ctrio__nursery *core =
        ctrio__container(self->task.nurseries.prev, struct ctrio__nursery, sibling);
    return ctrio__container(core, struct ctrio_nursery, core);
}

/* Those that were opened inside and are still open go first, children and all: their frames may be
 * gone before anybody closes them. */
static int close_inside(struct ctrio_nursery *nursery, struct ctrio__c_task *self, int result)
{
    static const char text[] = "a nursery was closed while one that was opened in it is still open";
    while (innermost(self) != nursery) {
        int lost = close_innermost(innermost(self), self, ctrio__fail(CTRIO_MISUSE, text));
        result = lost < 0 ? ctrio__fail(CTRIO_MISUSE, text) : result;
    }
    return result;
}

int ctrio_nursery_close(struct ctrio_nursery *nursery, int result)
{
    struct ctrio__c_task *self = ctrio__self();
    int refused = refuse_close(nursery, self);
    if (refused < 0)
        return refused;
    if (innermost(self) == nursery)
        return close_innermost(nursery, self, result);
    result = close_inside(nursery, self, result);
    return ctrio_collapse(close_innermost(nursery, self, result));
}

/* --- starting -------------------------------------------------------------------------------- */

static int fail_spawn(struct ctrio_nursery *nursery, int code)
{
    struct ctrio__outcome failure = {code, NULL};
    if (ctrio__list_linked(&nursery->spawn.link))
        return code;          /* the first one counts */
    if (code == CTRIO_MISUSE) /* what was noted just now */
        failure.value = ctrio__stories_take(ctrio__stories(), code);
    ctrio__nursery_add_failure(&nursery->core, &nursery->spawn, &failure, CTRIO__CHILD_FAILED,
                               nursery->core.parent);
    return code;
}

int ctrio__refuse_spawn(const struct ctrio_nursery *nursery, const char *name)
{
    struct ctrio__c_run *run = ctrio__c_current;
    ctrio__refuse_handlers();
    if (run == NULL)
        return ctrio__refuse_outside();
    if (!is_open(nursery) || nursery->core.closed) {
        ctrio__log(run, CTRIO_LOG_WARNING, "%s was not started: its nursery is closed", name);
        return ctrio__fail(CTRIO_CLOSED_RESOURCE, "the nursery is closed to new tasks");
    }
    if (nursery->core.run != &run->run)
        return ctrio__fail(CTRIO_MISUSE, "the nursery is another run's: start tasks from its "
                                         "own thread, by way of a token");
    return 0;
}

#ifdef NDEBUG
static int refuse_young_arg(struct ctrio_nursery *nursery, const void *arg)
{
    (void)nursery;
    (void)arg;
    return 0;
}
#else
/* In a frame that is younger than the nursery's, `arg` dies before it: the stack between here and
 * where the nursery was opened.  (False alarm for alloca after the opening: debug builds only.) */
static int refuse_young_arg(struct ctrio_nursery *nursery, const void *arg)
{
    static const char text[] = "`arg` lies in a frame that ends before the nursery does: use "
                               "ctrio_start_soon_copy(), or declare it beside the nursery";
    const struct ctrio__c_task *self = ctrio__self();
    const char *here = __builtin_frame_address(0), *at = arg;
    if (self == NULL || nursery->core.parent != &self->task)
        return 0;
    const struct ctrio__fiber *fiber = &self->u.life.fiber;
    if (fiber->low != NULL &&
        (nursery->opened_frame < fiber->low || nursery->opened_frame >= fiber->low + fiber->size))
        return 0; /* opened on another stack: see call.c */
    if (at > here && at < nursery->opened_frame)
        return fail_spawn(nursery, ctrio__fail(CTRIO_MISUSE, text));
    return 0;
}
#endif

int ctrio__c_task_spawn(struct ctrio__c_task *task, struct ctrio__nursery *nursery)
{
    int result = task != NULL ? ctrio__task_spawn(nursery->run, &task->task, nursery) : -ENOMEM;
    if (result < 0 && task != NULL)
        ctrio__c_task_drop(task);
    return result;
}

static int spawn(struct ctrio_nursery *nursery, struct ctrio__c_task *task)
{
    int result = ctrio__c_task_spawn(task, &nursery->core);
    return result < 0 ? fail_spawn(nursery, result) : 0;
}

int ctrio_start_soon_at(struct ctrio_nursery *nursery, ctrio_task_fn *fn, const char *name,
                        void *arg)
{
    int refused = ctrio__refuse_spawn(nursery, name);
    if (refused == 0)
        refused = refuse_young_arg(nursery, arg);
    if (refused < 0)
        return refused;
    return spawn(nursery, ctrio__c_task_new(ctrio__c_current, fn, arg, name));
}

int ctrio_start_soon_copy_at(struct ctrio_nursery *nursery, ctrio_task_fn *fn, const char *name,
                             size_t size, const void *arg)
{
    struct ctrio__c_run *run = ctrio__c_current;
    int refused = ctrio__refuse_spawn(nursery, name);
    if (refused < 0)
        return refused;
    if (size > run->stacks.stack_size / 4)
        return fail_spawn(nursery, -E2BIG);
    struct ctrio__c_task *task = ctrio__c_task_new(run, fn, NULL, name);
    if (task != NULL) {
        struct ctrio__stack *stack = ctrio__stack_take(&run->stacks);
        char *copy = stack->top - (size + 63) / 64 * 64;
        ctrio__fiber_reclaim(stack->low, (size_t)(stack->top - stack->low));
        memcpy(copy, arg, size);
        task->u.life.stack = stack;
        task->u.life.arg = copy;
    }
    return spawn(nursery, task);
}

/* --- start() --------------------------------------------------------------------------------- */

struct start { /* on the stack of the one who waits */
    struct ctrio__start_op op;
    struct ctrio_cancel_scope scope;
    struct ctrio__nursery old;
    struct ctrio__c_task *child; /* until it is spawned */
};

static void start_spawn(struct ctrio__start_op *op, struct ctrio_task *task,
                        struct ctrio__outcome *io)
{
    struct start *start = ctrio__container(op, struct start, op);
    (void)task;
    *io = (struct ctrio__outcome){ctrio__c_task_spawn(start->child, &start->old), NULL};
    start->child = NULL;
}

/* The old nursery had one child: what it failed with is the result, not a group of it.  The story
 * is the waiting task's from here on; a value beside CTRIO_MISUSE would be a text (op.h). */
static void start_unwrap(struct ctrio__start_op *op, struct ctrio__outcome *io)
{
    struct ctrio_error *group = io->value;
    (void)op;
    if (group == NULL || group->children == NULL || group->children->next != NULL)
        return;
    struct ctrio_error *only = group->children;
    group->children = NULL;
    only->parent = NULL;
    *io = (struct ctrio__outcome){only->code, NULL};
    ctrio__stories_push(ctrio__stories(), only);
    ctrio_error_free(group);
}

int ctrio_start_at(struct ctrio_nursery *nursery, ctrio_task_fn *fn, const char *name, void *arg)
{
    struct ctrio__c_task *self = ctrio__self();
    struct start start = {.child = NULL};
    int refused = self == NULL ? ctrio__refuse_outside() : ctrio__refuse_spawn(nursery, name);
    if (refused < 0)
        return refused;
    start.child = ctrio__c_task_new(ctrio__c_current, fn, arg, name);
    if (start.child == NULL)
        return -ENOMEM;
    start.child->u.life.start = &start.op;
    ctrio__c_scope_init(&start.scope, name);
    start.scope.magic =
        CTRIO__NURSERY_SCOPE_MAGIC; /* of an old nursery: only the kernel closes it */
    ctrio__start_op_init(&start.op, &nursery->core);
    start.op.old = &start.old;
    start.op.old_scope = &start.scope;
    start.op.spawn = start_spawn;
    start.op.unwrap = start_unwrap;
    start.op.unstarted = "the task ended without calling ctrio_started()";
    struct ctrio__outcome io = {0, NULL};
    ctrio__await_io(self, &start.op.op, &io);
    ctrio__reason_drop(start.scope.reason);
    if (io.code < 0 && io.code != CTRIO_MISUSE)
        ctrio__stories_push(ctrio__stories(), io.value);
    return io.code;
}

void ctrio_started(void)
{
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__start_op *start = self != NULL ? self->u.life.start : NULL;
    if (start == NULL)
        return;
    self->u.life.start = NULL;
    int moved = ctrio__start_op_started(start);
    CTRIO_ASSERT(moved != CTRIO_MISUSE); /* only once: we have forgotten it */
    (void)moved;
}

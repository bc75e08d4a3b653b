/* test_invariants.c - the check of a run sees each thing that can be broken. */
#include "script.h"

static struct script_nursery nursery;
static struct ctrio_cancel_scope scope;

static void fresh(void)
{
    script_reset();
    ctrio__scope_init(&scope, &script_frontend);
}

/* A main task in a nursery, whose child waits in a scope with a deadline. */
static void open_run(void)
{
    static const struct script_step child[] = {OPEN_SCOPE(&scope), TRY, FOREVER,
                                               CLOSE_SCOPE(&scope), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "child", child), SHIELDED_CHECKPOINT,
        CLOSE_NURSERY(&nursery), END};
    fresh();
    scope.deadline = 1000.0;
    script_open(main_task);
    for (int i = 0; i < 6 && scope.state != CTRIO_SCOPE_OPEN; i++)
        script_turn();
}

static void close_run(void)
{
    script_cancel_open(&scope);
    while (script_turn())
        ;
    script_close();
}

/* The value of `place` may not be `wrong`. */
#define NOTICED(place, wrong)                                                                      \
    do {                                                                                           \
        ok(ctrio__run_valid(&world.run));                                                          \
        __typeof__(place) kept = (place);                                                          \
        (place) = (wrong);                                                                         \
        ok(!ctrio__run_valid(&world.run));                                                         \
        (place) = kept;                                                                            \
        ok(ctrio__run_valid(&world.run));                                                          \
    } while (0)

static void what_is_wrong_with_a_scope_is_seen(void)
{
    open_run();
    if (scope.state == CTRIO_SCOPE_OPEN) {
        NOTICED(scope.effectively_cancelled, true);
        NOTICED(scope.cancel_called, true);
        NOTICED(scope.state, CTRIO_SCOPE_CLOSED);
        NOTICED(scope.run, NULL);
        NOTICED(scope.parent, NULL);
        NOTICED(scope.deadline, (double)INFINITY);
        NOTICED(scope.sibling.next->prev, &scope.children);
        NOTICED(world.run.limbo.effectively_cancelled, false);
        NOTICED(world.run.limbo.children.prev, &scope.children);
    }
    close_run();
}

static void what_is_wrong_with_a_task_is_seen(void)
{
    open_run();
    struct script_task *child = script_find("child");
    if (child != NULL && scope.state == CTRIO_SCOPE_OPEN) {
        struct ctrio_task *task = &child->task;
        NOTICED(task->scope, NULL);
        NOTICED(task->scope, &nursery.scope);
        NOTICED(task->run, NULL);
        NOTICED(task->nursery, NULL);
        NOTICED(task->nursery, world.run.system.main_nursery);
        NOTICED(task->state, CTRIO__TASK_NEW);
        NOTICED(task->state, CTRIO__TASK_EXITED);
        NOTICED(task->state, CTRIO__TASK_RUNNABLE);
        ctrio__list_unlink(&task->scope_link);
        ok(!ctrio__run_valid(&world.run));
        ctrio__list_append(&scope.tasks, &task->scope_link);
        ctrio__list_append(&nursery.scope.propagate, &task->lot_link);
        ok(ctrio__run_valid(&world.run)); /* parked, and so in a queue, perhaps */
        ctrio__list_unlink(&task->lot_link);
    }
    close_run();
}

static void what_is_wrong_with_a_nursery_is_seen(void)
{
    open_run();
    if (scope.state == CTRIO_SCOPE_OPEN) {
        NOTICED(nursery.nursery.child_count, 0U);
        NOTICED(nursery.nursery.parent, NULL);
        NOTICED(nursery.nursery.run, NULL);
        NOTICED(nursery.nursery.closed, true);
        NOTICED(nursery.nursery.body_running, true);
    }
    close_run();
}

static void what_is_wrong_with_the_run_is_seen(void)
{
    open_run();
    if (scope.state == CTRIO_SCOPE_OPEN) {
        struct ctrio_run *run = &world.run;
        NOTICED(run->tasks_living, run->tasks_living + 1);
        NOTICED(run->current, run->main_task);
        NOTICED(run->finished, run->main_task);
        NOTICED(run->ready_count, run->ready_capacity + 1);
        NOTICED(run->batch_count, run->batch_capacity + 1);
        if (run->ready_count == 0) {        /* else without memory somebody is late */
            run->ready[0] = run->main_task; /* which waits */
            NOTICED(run->ready_count, 1U);
        }
        ctrio__list_append(&run->todo, &scope.propagate);
        ok(!ctrio__run_valid(run));
        ctrio__list_unlink(&scope.propagate);
        ctrio__list_append(&run->delivering, &scope.propagate);
        ok(!ctrio__run_valid(run));
        ctrio__list_unlink(&scope.propagate);
        ok(ctrio__run_valid(run));
    }
    close_run();
}

static void a_task_that_runs_is_in_no_lot(void)
{
    open_run();
    struct ctrio_task *task = world.run.main_task;
    if (scope.state == CTRIO_SCOPE_OPEN && task != NULL) {
        script_cancel_open(&scope);
        struct ctrio_task *child = &script_find("child")->task;
        ok(ctrio__run_valid(&world.run));
        ctrio__list_append(&scope.propagate, &child->lot_link);
        ok(!ctrio__run_valid(&world.run));
        ctrio__list_unlink(&child->lot_link);
        ok(ctrio__run_valid(&world.run));
    }
    close_run();
}

enum { MANY = 3000 };
static struct ctrio_cancel_scope many[MANY];

static void open_many(struct script_task *self)
{
    for (int i = 0; i < MANY; i++) {
        ctrio__scope_init(&many[i], &script_frontend);
        ctrio__scope_open(&many[i], &self->task);
    }
}

static void close_many(struct script_task *self)
{
    for (int i = MANY; i-- > 0;)
        ctrio__scope_close(&many[i], &self->task, &self->result);
}

static void of_a_large_run_only_the_beginning_is_looked_at(void)
{
    static const struct script_step main_task[] = {CALL(open_many), SHIELDED_CHECKPOINT,
                                                   SHIELDED_CHECKPOINT, CALL(close_many), END};
    fresh();
    script_open(main_task);
    for (int i = 0; i < 6 && many[0].state != CTRIO_SCOPE_OPEN; i++)
        script_turn();
    if (many[0].state == CTRIO_SCOPE_OPEN && !many[0].effectively_cancelled) {
        NOTICED(many[0].effectively_cancelled, true);
        many[MANY - 1].shield = !many[MANY - 1].shield;
        many[MANY - 1].effectively_cancelled = true;
        ok(ctrio__run_valid(&world.run));
        ok(!ctrio__scope_tree_valid(&many[0]));
        many[MANY - 1].effectively_cancelled = false;
        ok(ctrio__scope_tree_valid(&many[0]));
    }
    while (script_turn())
        ;
    script_close();
}

TAP_MAIN(TEST(what_is_wrong_with_a_scope_is_seen), TEST(what_is_wrong_with_a_task_is_seen),
         TEST(what_is_wrong_with_a_nursery_is_seen), TEST(what_is_wrong_with_the_run_is_seen),
         TEST(a_task_that_runs_is_in_no_lot),
         BIG_TEST(of_a_large_run_only_the_beginning_is_looked_at))

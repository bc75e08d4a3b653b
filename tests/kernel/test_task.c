#include "kernel/task.h"
#include "script.h"

static struct script_nursery nursery, second;
static struct ctrio_cancel_scope scope, second_scope, third_scope;
static struct ctrio_lock lock;

static void fresh(void)
{
    script_reset();
    ctrio__lock_init(&lock, &script_frontend);
}

static const struct script_step nothing[] = {END};

static void serials_count_up(struct script_task *self)
{
    struct script_task *a = script_find("a"), *b = script_find("b");
    if (a == NULL || b == NULL)
        return;
    ok(a->task.serial > self->task.serial);
    is(b->task.serial, a->task.serial + 1);
    is((int)a->task.state, (int)CTRIO__TASK_RUNNABLE);
    is((int)self->task.state, (int)CTRIO__TASK_RUNNING);
    ok(world.run.current == &self->task);
    is(world.run.tasks_living, 5); /* init, entry queue, main */
}

static void a_spawned_task_is_runnable_and_has_the_next_serial(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", nothing),
                                                   SPAWN(&nursery, "b", nothing),
                                                   CALL(serials_count_up),
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok");
    is(world.run.tasks_living, 0);
}

static void it_first_runs_at_the_next_turn(void)
{
    static const struct script_step a[] = {NOTE("first"), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", a), NOTE("before"),
        IF_CANCELLED,           NOTE("still"),           CHECKPOINT,
        NOTE("after"),          CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:before main:still a:first main:after");
}

static size_t living, refused;

static void spawn_until_refused(struct script_task *self)
{
    (void)self;
    struct script_task *child = script_task_new("late", nothing);
    living = world.run.tasks_living;
    if (child == NULL)
        return;
    int code = ctrio__task_spawn(&world.run, &child->task, &second.nursery);
    is(code, CTRIO_CLOSED_RESOURCE);
    is(world.run.tasks_living, living);
    is((int)child->task.state, (int)CTRIO__TASK_NEW);
    ok(!ctrio__list_linked(&child->task.nursery_link));
    ok(!ctrio__list_linked(&child->task.run_link));
    refused++;
    script_frontend.task_free(&child->task);
}

static void a_spawn_that_is_refused_changes_nothing(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&second), CLOSE_NURSERY(&second),
                                                   CALL(spawn_until_refused), END};
    fresh();
    refused = 0;
    is(script_run(main_task), 0);
    is(refused, 1);
}

static void many_tasks_fit_the_queue(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   LOOP(100),
                                                   SPAWN(&nursery, "x", nothing),
                                                   AGAIN,
                                                   CHECKPOINT,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok");
    ok(world.run.ready == NULL);
}

static uint64_t order[64];
static size_t events;
static uint32_t seen;

static void on_task_event(struct ctrio_run *run, enum ctrio__hook which, struct ctrio_task *task)
{
    ok(task->run == run);
    seen |= (uint32_t)which;
    if (task->serial == 4 && events < 64)
        order[events++] = (uint64_t)which;
}

static void instruments_see_a_life_in_its_order(void)
{
    static const struct script_step a[] = {CHECKPOINT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", a),
                                                   CLOSE_NURSERY(&nursery), REPORT, END};
    static const enum ctrio__hook expected[] = {
        CTRIO__HOOK_TASK_SPAWNED,   CTRIO__HOOK_TASK_SCHEDULED,  CTRIO__HOOK_BEFORE_TASK_STEP,
        CTRIO__HOOK_TASK_SCHEDULED, CTRIO__HOOK_AFTER_TASK_STEP, CTRIO__HOOK_BEFORE_TASK_STEP,
        CTRIO__HOOK_TASK_EXITED,    CTRIO__HOOK_AFTER_TASK_STEP,
    };
    fresh();
    events = 0;
    seen = 0;
    world.hooks.wanted = CTRIO__HOOK_TASK_SPAWNED | CTRIO__HOOK_TASK_SCHEDULED |
                         CTRIO__HOOK_BEFORE_TASK_STEP | CTRIO__HOOK_AFTER_TASK_STEP |
                         CTRIO__HOOK_TASK_EXITED;
    world.hooks.task_event = on_task_event;
    is(script_run(main_task), 0);
    is(seen, world.hooks.wanted);
    is(events, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < events && i < sizeof expected / sizeof expected[0]; i++)
        is(order[i], (uint64_t)expected[i]);
}

/* --- exiting --------------------------------------------------------------------------------- */

static void a_task_that_exits_breaks_what_it_holds_before_its_nursery_hears(void)
{
    static const struct script_step holder[] = {ACQUIRE(&lock), FAIL(1), END};
    static const struct script_step waiter[] = {OPEN_NURSERY(&second),  TRY, ACQUIRE(&lock), REPORT,
                                                CLOSE_NURSERY(&second), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "h", holder), SPAWN(&nursery, "w", waiter),
        CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.trace, "w=broken");
    is(world.result, "group(foreign 1)");
}

static enum ctrio__step resume_with_value(struct ctrio_task *task, struct ctrio__outcome *io)
{
    (void)task;
    *io = (struct ctrio__outcome){0, (void *)5};
    return CTRIO__DONE;
}

static struct ctrio__frontend valued;

static void spawn_valued(struct script_task *self)
{
    struct script_task *child = script_task_new("valued", NULL);
    (void)self;
    if (child == NULL)
        return;
    valued = script_frontend;
    valued.resume = resume_with_value;
    child->task.frontend = &valued;
    if (tap_saw(ctrio__task_spawn(&world.run, &child->task, &nursery.nursery)) < 0)
        script_frontend.task_free(&child->task);
}

static void a_result_nobody_wants_is_dropped(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery), CALL(spawn_valued),
                                                   CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.failures_dropped, 1);
}

static void a_failing_child_lives_on_until_its_failure_is_folded(void)
{
    static const struct script_step fails[] = {FAIL(1), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "f", fails),
                                                   SHIELDED_CHECKPOINT,
                                                   SHIELDED_CHECKPOINT,
                                                   TRY,
                                                   CLOSE_NURSERY(&nursery),
                                                   REPORT,
                                                   END};
    fresh();
    script_open(main_task);
    while (world.run.main_task == NULL && script_turn())
        ;
    for (int i = 0; i < 3; i++)
        script_turn();
    if (world.run.tasks_living == 3) /* it has exited */
        is(world.tasks_living, 4);
    while (script_turn())
        ;
    is(script_close(), 0);
    is(world.trace, "main=group");
}

/* --- waking ---------------------------------------------------------------------------------- */

static void a_wake_that_is_not_delivered_can_be_dropped(void)
{
    struct ctrio__outcome cancelled = {CTRIO_CANCELLED, NULL}, own = {CTRIO_FOREIGN, (void *)3};
    struct ctrio__outcome misuse = {CTRIO_MISUSE, (void *)"static"}, plain = {0, NULL};
    fresh();
    cancelled.value = script_reason(CTRIO__BY_EXPLICIT);
    ctrio__wake_drop(&script_frontend, &cancelled);
    is(cancelled.code, 0);
    is(world.failures_dropped, 0);
    ctrio__wake_drop(&script_frontend, &own);
    is(world.failures_dropped, 1);
    ctrio__wake_drop(&script_frontend, &misuse);
    ctrio__wake_drop(&script_frontend, &plain);
    is(world.failures_dropped, 1);
    ok(misuse.value == NULL);
}

static void abort_nothing(struct script_task *self)
{
    struct ctrio__outcome why = {CTRIO_CANCELLED, NULL};
    is((int)ctrio__abort_simply(&self->task, &why), (int)CTRIO__ABORT_SUCCEEDED);
    ok(!ctrio__task_cancel_pending(&self->task));
    ctrio__task_deliver(&self->task); /* nothing to deliver, nobody parked */
    is((int)self->task.state, (int)CTRIO__TASK_RUNNING);
}

static void what_is_not_pending_is_not_delivered(void)
{
    static const struct script_step main_task[] = {CALL(abort_nothing), CHECKPOINT, REPORT, END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok");
}

static void enter_and_leave(struct script_task *self)
{
    ctrio__task_enter_scope(&self->task, &scope);
    ok(self->task.scope == &scope);
    is(ctrio__list_count(&scope.tasks), 1);
    ctrio__task_enter_scope(&self->task, NULL);
    ok(self->task.scope == NULL);
    ok(ctrio__list_empty(&scope.tasks));
    ok(!ctrio__task_cancel_pending(&self->task));
    ctrio__task_enter_scope(&self->task, &scope);
}

static void a_task_is_in_one_scope_at_a_time(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope), CALL(enter_and_leave),
                                                   CANCEL(&scope),      TRY,
                                                   CHECKPOINT,          REPORT,
                                                   CLOSE_SCOPE(&scope), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=cancelled");
}

static struct ctrio_task *parked;

static void move_parked(struct script_task *self)
{
    (void)self;
    is((int)parked->state, (int)CTRIO__TASK_PARKED);
    ctrio__task_enter_scope(parked, &scope); /* cancelled: it is told at once */
    is((int)parked->state, (int)CTRIO__TASK_RUNNABLE);
}

static void remember(struct script_task *self)
{
    parked = &self->task;
}

static void a_parked_task_that_is_moved_to_a_cancelled_scope_is_cancelled(void)
{
    static const struct script_step sleeper[] = {CALL(remember), TRY, FOREVER, REPORT_REASON, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "s", sleeper),
                                                   CHECKPOINT,
                                                   FRESH_SCOPE(&scope),
                                                   CANCEL(&scope),
                                                   CALL(move_parked),
                                                   TRY,
                                                   SHIELDED_CHECKPOINT,
                                                   TRY,
                                                   SHIELDED_CHECKPOINT,
                                                   CLOSE_SCOPE(&scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "s=cancelled(explicit)");
}

static void first_round(struct script_task *self)
{
    self->task.run->delivery_round = 0;
}
static void last_round(struct script_task *self)
{
    self->task.run->delivery_round = UINT32_MAX;
}
static void the_count_of_rounds_may_start_anew(void)
{
    static const struct script_step seen_before[] = {FRESH_SCOPE(&scope),
                                                     FOREVER,
                                                     CLOSE_SCOPE(&scope),
                                                     FRESH_SCOPE(&second_scope),
                                                     FOREVER,
                                                     CLOSE_SCOPE(&second_scope),
                                                     REPORT,
                                                     END};
    static const struct script_step never_seen[] = {FRESH_SCOPE(&third_scope), FOREVER,
                                                    CLOSE_SCOPE(&third_scope), REPORT, END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery),
        SPAWN(&nursery, "a", seen_before),
        SPAWN(&nursery, "b", never_seen),
        CHECKPOINT,
        CALL(first_round),
        CANCEL(&scope),
        CHECKPOINT,
        CALL(last_round),
        CANCEL(&second_scope), /* its number is not the 1 of the first */
        CHECKPOINT,
        CALL(last_round),
        CANCEL(&third_scope), /* nor the 0 of a new task */
        CLOSE_NURSERY(&nursery),
        END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=ok b=ok");
}

TAP_MAIN(TEST(a_spawned_task_is_runnable_and_has_the_next_serial),
         TEST(it_first_runs_at_the_next_turn), TEST(a_spawn_that_is_refused_changes_nothing),
         TEST(many_tasks_fit_the_queue), TEST(instruments_see_a_life_in_its_order),
         TEST(a_task_that_exits_breaks_what_it_holds_before_its_nursery_hears),
         TEST(a_result_nobody_wants_is_dropped),
         TEST(a_failing_child_lives_on_until_its_failure_is_folded),
         TEST(a_wake_that_is_not_delivered_can_be_dropped),
         TEST(what_is_not_pending_is_not_delivered), TEST(a_task_is_in_one_scope_at_a_time),
         TEST(a_parked_task_that_is_moved_to_a_cancelled_scope_is_cancelled),
         TEST(the_count_of_rounds_may_start_anew))

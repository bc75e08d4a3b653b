#include "script.h"

static struct script_nursery nursery;
static struct ctrio_cancel_scope scope;

static const struct script_step system_task[] = {TRY, FOREVER, REPORT_REASON, END};

static void say_called(struct ctrio__entry *entry, struct ctrio_run *run)
{
    (void)entry;
    (void)run;
    script_say("called");
}
static struct ctrio__entry entry = {.fn = say_called};

static void push_entry(struct script_task *self)
{
    (void)self;
    entry.next = NULL;
    is(ctrio__entry_queue_push(&world.run, &entry), 0);
}

static void a_run_at_rest_has_three_tasks(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope), FOREVER,
                                                   CLOSE_SCOPE(&scope), END};
    script_reset();
    script_open(main_task);
    for (int i = 0; i < 4; i++)
        script_turn();
    if (ctrio__run_alive(&world.run) && !world.run.main_exited) {
        is(world.run.tasks_living, 3);
        ok(world.run.init_task->nursery == NULL);
        ok(world.run.init_task->system);
        ok(world.run.main_task->nursery == world.run.system.main_nursery);
        script_cancel_open(&scope);
    }
    while (script_turn())
        ;
    is(script_close(), 0);
}

static int finalized;

static enum ctrio__step finalize(struct ctrio_run *run, struct ctrio__outcome *io)
{
    *io = (struct ctrio__outcome){0, NULL};
    script_say("finalizes");
    if (finalized++ == 0) {
        ctrio__task_yield(run->init_task);
        return CTRIO__PARKED;
    }
    entry.next = NULL;
    is(ctrio__entry_queue_push(run, &entry), 0); /* the queue is still open */
    return CTRIO__DONE;
}

static void the_run_shuts_down_from_the_inside_out(void)
{
    static const struct script_step main_task[] = {SYSTEM_SPAWN("s", system_task), CHECKPOINT,
                                                   CHECKPOINT, NOTE("exits"), END};
    script_reset();
    finalized = 0;
    world.hooks.wanted = CTRIO__HOOK_FINALIZE;
    world.hooks.finalize = finalize;
    is(script_run(main_task), 0);
    is(world.trace, "main:exits s=cancelled(shutdown) finalizes finalizes called");
    is(ctrio__entry_queue_push(&world.run, &entry), CTRIO_RUN_FINISHED);
}

static enum ctrio__step finalize_badly(struct ctrio_run *run, struct ctrio__outcome *io)
{
    (void)run;
    *io = (struct ctrio__outcome){CTRIO_FOREIGN, (void *)9};
    return CTRIO__DONE;
}

static void a_finalizer_that_fails_is_an_internal_error(void)
{
    static const struct script_step main_task[] = {CHECKPOINT, END};
    script_reset();
    world.hooks.wanted = CTRIO__HOOK_FINALIZE;
    world.hooks.finalize = finalize_badly;
    is(script_run(main_task), CTRIO_GROUP);
    is(world.result, "group(foreign 9)");
}

static void the_main_task_s_outcome_is_the_run_s(void)
{
    static const struct script_step fails[] = {FAIL(4), END};
    script_reset();
    is(script_run(fails), CTRIO_FOREIGN);
    is(world.result, "foreign 4");
    ok(world.run.main_exited);
    is(world.run.failed, 0);
}

static void system_tasks_are_waited_for(void)
{
    static const struct script_step slow[] = {
        TRY, FOREVER, LOOP(5), SHIELDED_CHECKPOINT, AGAIN, NOTE("cleaned up"), END};
    static const struct script_step main_task[] = {SYSTEM_SPAWN("s", slow), CHECKPOINT,
                                                   CALL(push_entry), NOTE("exits"), END};
    script_reset();
    is(script_run(main_task), 0);
    is(world.trace, "main:exits called s:cleaned up");
}

static void a_system_task_that_fails_takes_the_run_down(void)
{
    static const struct script_step fails[] = {CHECKPOINT, FAIL(6), END};
    static const struct script_step main_task[] = {SYSTEM_SPAWN("s", fails), TRY, FOREVER,
                                                   REPORT_REASON, END};
    script_reset();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.trace, "main=cancelled(nursery)");
    is(world.result, "group(group(foreign 6))");
    is(world.run.failed, CTRIO_GROUP);
}

static void a_system_task_that_fails_at_shutdown_does_so_too(void)
{
    static const struct script_step fails[] = {TRY, FOREVER, FAIL(6), END};
    static const struct script_step main_task[] = {SYSTEM_SPAWN("s", fails), CHECKPOINT,
                                                   NOTE("exits"), END};
    script_reset();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.result, "group(group(foreign 6))");
}

static void a_failing_main_task_and_a_failing_system_task_give_the_latter(void)
{
    static const struct script_step fails[] = {TRY, FOREVER, FAIL(6), END};
    static const struct script_step main_task[] = {SYSTEM_SPAWN("s", fails), CHECKPOINT, FAIL(5),
                                                   END};
    script_reset();
    is(script_run(main_task), CTRIO_GROUP);
    is(world.result, "group(group(foreign 6))");
}

/* --- a main task that never was -------------------------------------------------------------- */

static void refuse_main(struct ctrio_run *run, struct ctrio__outcome *io)
{
    (void)run;
    *io = (struct ctrio__outcome){CTRIO_FOREIGN, (void *)3};
}

static void a_main_task_that_cannot_be_spawned_is_the_run_s_outcome(void)
{
    static const struct script_step main_task[] = {NOTE("unreached"), END};
    script_reset();
    if (script_open(main_task) == 0)
        world.run.system.spawn_main = refuse_main;
    while (script_turn())
        ;
    is(script_close(), CTRIO_FOREIGN);
    is(world.result, "foreign 3");
    is(world.trace, "");
}

static int refuse_entry_queue(struct ctrio_run *run)
{
    (void)run;
    return CTRIO_BUSY_RESOURCE;
}

static void a_run_without_its_entry_queue_fails(void)
{
    static const struct script_step main_task[] = {TRY, CHECKPOINT, REPORT_REASON, END};
    script_reset();
    if (script_open(main_task) == 0)
        world.run.system.spawn_entry_queue = refuse_entry_queue;
    while (script_turn())
        ;
    is(script_close(), CTRIO_GROUP);
    is(world.trace, "main=cancelled(nursery)");
    is(world.result, "group(group(group(busy)))");
}

static bool give_up(void)
{
    return false;
}

static void a_run_that_is_given_up_leaves_nothing(void)
{
    static const struct script_step a[] = {SLEEP(INFINITY), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", a),
                                                   SYSTEM_SPAWN("s", system_task),
                                                   FRESH_SCOPE(&scope),
                                                   FOREVER,
                                                   CLOSE_SCOPE(&scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    script_reset();
    world.stuck = give_up;
    is(script_run(main_task), CTRIO_MISUSE);
    is(world.trace, "stuck");
    ok(world.scopes_released >= 5);
}

static void give_up_now(void)
{
    ctrio__run_fail(&world.run, CTRIO_RUN_FINISHED);
}

static void nothing(void)
{
}

static void it_failed_or_was_over(void)
{
    ok(world.run.failed == CTRIO_RUN_FINISHED || world.run.failed == 0);
}

static void a_run_may_be_given_up_at_any_moment(void)
{
    static const struct script_step fails[] = {CHECKPOINT, FAIL(1), END};
    static const struct script_step sleeps[] = {TRY, SLEEP(1.0), CHECKPOINT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", sleeps),
                                                   START(&nursery, "b", sleeps),
                                                   SPAWN(&nursery, "f", fails),
                                                   SYSTEM_SPAWN("s", system_task),
                                                   FRESH_SCOPE(&scope),
                                                   SLEEP(2.0),
                                                   CLOSE_SCOPE(&scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    ok(script_everywhere(main_task, nothing, give_up_now, it_failed_or_was_over) > 15);
}

static enum ctrio__step finalize_for_ever(struct ctrio_run *run, struct ctrio__outcome *io)
{
    *io = (struct ctrio__outcome){0, NULL};
    ctrio__task_yield(run->init_task);
    if (finalized++ == 5)
        ctrio__run_fail(run, CTRIO_RUN_FINISHED);
    return CTRIO__PARKED;
}

static void a_run_may_be_given_up_while_it_finalizes(void)
{
    static const struct script_step main_task[] = {CHECKPOINT, END};
    script_reset();
    finalized = 0;
    world.hooks.wanted = CTRIO__HOOK_FINALIZE;
    world.hooks.finalize = finalize_for_ever;
    is(script_run(main_task), CTRIO_RUN_FINISHED);
    is(finalized, 6);
}

TAP_MAIN(TEST(a_run_at_rest_has_three_tasks), TEST(the_run_shuts_down_from_the_inside_out),
         TEST(a_finalizer_that_fails_is_an_internal_error),
         TEST(the_main_task_s_outcome_is_the_run_s), TEST(system_tasks_are_waited_for),
         TEST(a_system_task_that_fails_takes_the_run_down),
         TEST(a_system_task_that_fails_at_shutdown_does_so_too),
         TEST(a_failing_main_task_and_a_failing_system_task_give_the_latter),
         TEST(a_main_task_that_cannot_be_spawned_is_the_run_s_outcome),
         TEST(a_run_without_its_entry_queue_fails), TEST(a_run_that_is_given_up_leaves_nothing),
         TEST(a_run_may_be_given_up_at_any_moment), TEST(a_run_may_be_given_up_while_it_finalizes))

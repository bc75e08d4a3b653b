#include "kernel/semaphore.h"
#include "script.h"

static struct ctrio_semaphore semaphore;
static struct ctrio_cancel_scope scope;
static struct script_nursery nursery;

static void init_two(void)
{
    ctrio__semaphore_init(&semaphore, 2, 2, &script_frontend);
}

static void init_none(void)
{
    ctrio__semaphore_init(&semaphore, 0, SIZE_MAX, &script_frontend);
}

static const struct script_step user[] = {PERMIT(&semaphore), REPORT, CHECKPOINT,
                                          GIVE_PERMIT(&semaphore), END};

static void permits_are_given_until_none_is_left(void)
{
    static const struct script_step main_task[] = {PERMIT(&semaphore),
                                                   PERMIT_NOWAIT(&semaphore),
                                                   REPORT,
                                                   TRY,
                                                   PERMIT_NOWAIT(&semaphore),
                                                   REPORT,
                                                   GIVE_PERMIT(&semaphore),
                                                   GIVE_PERMIT(&semaphore),
                                                   END};
    script_reset();
    init_two();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok main=would block");
    is(semaphore.value, 2);
}

static void one_too_many_is_a_mistake(void)
{
    static const struct script_step main_task[] = {TRY, GIVE_PERMIT(&semaphore), REPORT, END};
    script_reset();
    init_two();
    is(script_run(main_task), 0);
    is(world.trace, "main=misuse");
    is(semaphore.value, 2);
}

static void without_a_maximum_it_counts_on(void)
{
    static const struct script_step main_task[] = {LOOP(100), GIVE_PERMIT(&semaphore), AGAIN, END};
    script_reset();
    init_none();
    is(script_run(main_task), 0);
    is(semaphore.value, 100);
}

static void a_permit_goes_to_the_one_who_waits_longest(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", user),
                                                   SPAWN(&nursery, "b", user),
                                                   SPAWN(&nursery, "c", user),
                                                   SPAWN(&nursery, "d", user),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    script_reset();
    init_two();
    is(script_run(main_task), 0);
    is(world.trace, "a=ok b=ok c=ok d=ok");
    is(semaphore.value, 2);
    is(semaphore.lot.count, 0);
}

static void a_permit_on_its_way_cannot_be_taken_by_another(void)
{
    static const struct script_step waiter[] = {PERMIT(&semaphore), REPORT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", waiter),
                                                   CHECKPOINT,
                                                   GIVE_PERMIT(&semaphore),
                                                   TRY,
                                                   PERMIT_NOWAIT(&semaphore),
                                                   REPORT,
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    script_reset();
    init_none();
    is(script_run(main_task), 0);
    is(world.trace, "main=would block a=ok");
}

static void break_it(struct script_task *self)
{
    ctrio__lot_break(&semaphore.lot, &self->task);
}

static void a_broken_one_admits_nobody_who_would_wait(void)
{
    static const struct script_step main_task[] = {CALL(break_it), TRY, PERMIT(&semaphore), REPORT,
                                                   END};
    script_reset();
    init_none();
    is(script_run(main_task), 0);
    is(world.trace, "main=broken");
}

/* --- at every moment ------------------------------------------------------------------------ */

static const struct script_step victim_script[] = {
    FRESH_SCOPE(&scope), PERMIT(&semaphore), GIVE_PERMIT(&semaphore), CLOSE_SCOPE(&scope), END};
static const struct script_step crowd[] = {OPEN_NURSERY(&nursery),
                                           SPAWN(&nursery, "a", user),
                                           SPAWN(&nursery, "b", user),
                                           SPAWN(&nursery, "victim", victim_script),
                                           SPAWN(&nursery, "c", user),
                                           CLOSE_NURSERY(&nursery),
                                           END};
static const struct script_step victim_first[] = {OPEN_NURSERY(&nursery),
                                                  SPAWN(&nursery, "victim", victim_script),
                                                  SPAWN(&nursery, "a", user),
                                                  SPAWN(&nursery, "b", user),
                                                  SPAWN(&nursery, "c", user),
                                                  CLOSE_NURSERY(&nursery),
                                                  END};

static void all_permits_are_back(void)
{
    is(semaphore.value, 2);
    is(semaphore.lot.count, 0);
    is(script_said("a=ok") + script_said("b=ok") + script_said("c=ok"), 3);
}

static void cancel_it(void)
{
    script_cancel_open(&scope);
}

static void abandon_it(void)
{
    script_abandon_named("victim");
}

static void a_cancellation_at_any_moment_loses_no_permit(void)
{
    ok(script_everywhere(crowd, init_two, cancel_it, all_permits_are_back) > 15);
    ok(script_everywhere(victim_first, init_two, cancel_it, all_permits_are_back) > 15);
}

static void an_op_abandoned_at_any_moment_gives_its_permit_back(void)
{
    ok(script_everywhere(crowd, init_two, abandon_it, all_permits_are_back) > 15);
    ok(script_everywhere(victim_first, init_two, abandon_it, all_permits_are_back) > 15);
}

static void cancel_and_abandon_it(void)
{
    script_cancel_open(&scope);
    script_abandon_named("victim");
}

static void an_op_cancelled_and_then_abandoned_gives_back_what_it_had(void)
{
    ok(script_everywhere(crowd, init_two, cancel_and_abandon_it, all_permits_are_back) > 15);
    ok(script_everywhere(victim_first, init_two, cancel_and_abandon_it, all_permits_are_back) > 15);
}

TAP_MAIN(TEST(permits_are_given_until_none_is_left), TEST(one_too_many_is_a_mistake),
         TEST(without_a_maximum_it_counts_on), TEST(a_permit_goes_to_the_one_who_waits_longest),
         TEST(a_permit_on_its_way_cannot_be_taken_by_another),
         TEST(a_broken_one_admits_nobody_who_would_wait),
         TEST(a_cancellation_at_any_moment_loses_no_permit),
         TEST(an_op_abandoned_at_any_moment_gives_its_permit_back),
         TEST(an_op_cancelled_and_then_abandoned_gives_back_what_it_had))

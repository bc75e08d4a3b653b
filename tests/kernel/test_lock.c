#include "kernel/lock.h"
#include "script.h"

static struct ctrio_lock lock;
static struct ctrio_cancel_scope scope;
static struct script_nursery nursery;
static int inside, entries; /* of the section that the lock guards */

static void init(void)
{
    ctrio__lock_init(&lock, &script_frontend);
    inside = 0;
    entries = 0;
}

static void fresh(void)
{
    script_reset();
    init();
}

static void enter(struct script_task *self)
{
    is(++inside, 1);
    entries++;
    ok(lock.owner == &self->task);
    ok(ctrio__lock_held_by(&lock, &self->task));
}

static void leave(struct script_task *self)
{
    (void)self;
    inside--;
}

static const struct script_step user[] = {ACQUIRE(&lock), CALL(enter),    REPORT, CHECKPOINT,
                                          CALL(leave),    RELEASE(&lock), END};

static void a_free_lock_is_taken_at_once_and_given_back(void)
{
    static const struct script_step main_task[] = {ACQUIRE(&lock), REPORT, RELEASE(&lock), REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=ok main=ok");
    ok(lock.owner == NULL);
}

static uint32_t schedule_points, cancel_points;

static void count_points(struct script_task *self)
{
    schedule_points = self->task.schedule_points - schedule_points;
    cancel_points = self->task.cancel_points - cancel_points;
}

static void acquiring_a_free_lock_is_one_checkpoint(void)
{
    static const struct script_step main_task[] = {CALL(count_points), ACQUIRE(&lock),
                                                   CALL(count_points), RELEASE(&lock), END};
    fresh();
    schedule_points = 0;
    cancel_points = 0;
    is(script_run(main_task), 0);
    is(schedule_points, 1);
    is(cancel_points, 1);
}

static void it_is_handed_to_the_one_who_waits_longest(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery),     SPAWN(&nursery, "a", user), SPAWN(&nursery, "b", user),
        SPAWN(&nursery, "c", user), CLOSE_NURSERY(&nursery),    END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=ok b=ok c=ok");
    is(entries, 3);
    ok(lock.owner == NULL);
}

static void the_releaser_cannot_take_it_from_one_who_waits(void)
{
    static const struct script_step greedy[] = {
        ACQUIRE(&lock), CHECKPOINT,     CHECKPOINT,    RELEASE(&lock), TRY, ACQUIRE_NOWAIT(&lock),
        REPORT,         ACQUIRE(&lock), NOTE("again"), RELEASE(&lock), END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "greedy", greedy), SPAWN(&nursery, "b", user),
        CLOSE_NURSERY(&nursery), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "greedy=would block b=ok greedy:again");
}

static void ten_rounds_of_three_are_fair(void)
{
    static const struct script_step rounds[] = {LOOP(10),       ACQUIRE(&lock), REPORT, CHECKPOINT,
                                                RELEASE(&lock), AGAIN,          END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery),       SPAWN(&nursery, "a", rounds), SPAWN(&nursery, "b", rounds),
        SPAWN(&nursery, "c", rounds), CLOSE_NURSERY(&nursery),      END};
    fresh();
    is(script_run(main_task), 0);
    int wrong = 0, turns = 0;
    for (const char *at = world.trace; *at != '\0'; at++)
        if (*at == '=')
            wrong += at[-1] != "abc"[turns++ % 3];
    is(turns, 30);
    is(wrong, 0);
}

static const char *text;
static void acquire_twice(struct script_task *self)
{
    struct ctrio__outcome out = {0, NULL};
    is(ctrio__lock_acquire_nowait(&lock, &self->task, &out), CTRIO_MISUSE);
    is(out.code, CTRIO_MISUSE);
    text = out.value;
}

static void acquiring_twice_is_a_mistake(void)
{
    static const struct script_step main_task[] = {
        ACQUIRE(&lock), CALL(acquire_twice), TRY, ACQUIRE(&lock), REPORT, RELEASE(&lock), END};
    fresh();
    text = "";
    is(script_run(main_task), 0);
    is(world.trace, "main=misuse");
    is(text, "attempt to re-acquire an already held Lock");
}

static void release_wrongly(struct script_task *self)
{
    struct ctrio__outcome out = {0, NULL};
    is(ctrio__lock_release(&lock, &self->task, &out), CTRIO_MISUSE);
    text = out.value;
}

static void only_the_owner_may_release(void)
{
    static const struct script_step thief[] = {CALL(release_wrongly), TRY, RELEASE(&lock), REPORT,
                                               END};
    static const struct script_step main_task[] = {CALL(release_wrongly),
                                                   ACQUIRE(&lock),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "thief", thief),
                                                   CLOSE_NURSERY(&nursery),
                                                   RELEASE(&lock),
                                                   REPORT,
                                                   END};
    fresh();
    text = "";
    is(script_run(main_task), 0);
    is(world.trace, "thief=misuse main=ok");
    is(text, "can't release a Lock you don't own");
}

static void an_owner_that_exits_breaks_the_lock(void)
{
    static const struct script_step careless[] = {ACQUIRE(&lock), CHECKPOINT, NOTE("exits"), END};
    static const struct script_step victim[] = {TRY, ACQUIRE(&lock), REPORT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "careless", careless),
                                                   SPAWN(&nursery, "a", victim),
                                                   SPAWN(&nursery, "b", victim),
                                                   CLOSE_NURSERY(&nursery),
                                                   TRY,
                                                   ACQUIRE_NOWAIT(&lock),
                                                   REPORT,
                                                   TRY,
                                                   ACQUIRE(&lock),
                                                   REPORT,
                                                   TRY,
                                                   RELEASE(&lock),
                                                   REPORT,
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "careless:exits a=broken b=broken main=would block main=broken main=misuse");
    is(world.lots_broken, 1);
    ok(!ctrio__list_linked(&lock.breaker.link));
}

static void an_owner_by_hand_over_breaks_it_too(void)
{
    static const struct script_step first[] = {ACQUIRE(&lock), CHECKPOINT, RELEASE(&lock), END};
    static const struct script_step careless[] = {ACQUIRE(&lock), NOTE("exits"), END};
    static const struct script_step victim[] = {TRY, ACQUIRE(&lock), REPORT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "first", first),
                                                   SPAWN(&nursery, "careless", careless),
                                                   SPAWN(&nursery, "a", victim),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "careless:exits a=broken");
}

static void a_cancelled_acquire_has_not_taken_it(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope),
                                                   CANCEL(&scope),
                                                   TRY,
                                                   ACQUIRE(&lock),
                                                   REPORT,
                                                   TRY,
                                                   RELEASE(&lock),
                                                   REPORT,
                                                   CLOSE_SCOPE(&scope),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=cancelled main=misuse");
}

static void one_that_was_handed_the_lock_is_cancelled_no_more(void)
{
    static const struct script_step victim[] = {FRESH_SCOPE(&scope),
                                                ACQUIRE(&lock),
                                                REPORT,
                                                RELEASE(&lock),
                                                REPORT,
                                                CLOSE_SCOPE(&scope),
                                                END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   ACQUIRE(&lock),
                                                   SPAWN(&nursery, "a", victim),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   RELEASE(&lock),
                                                   CANCEL(&scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=ok a=ok");
}

/* --- at every moment ------------------------------------------------------------------------ */

static const struct script_step victim_script[] = {
    FRESH_SCOPE(&scope), ACQUIRE(&lock), CALL(enter),         SHIELDED_CHECKPOINT,
    CALL(leave),         RELEASE(&lock), CLOSE_SCOPE(&scope), END};
static const struct script_step among_others[] = {OPEN_NURSERY(&nursery),
                                                  SPAWN(&nursery, "before", user),
                                                  SPAWN(&nursery, "victim", victim_script),
                                                  SPAWN(&nursery, "after", user),
                                                  CLOSE_NURSERY(&nursery),
                                                  END};
/* Nobody holds it: the victim is first. */
static const struct script_step before_others[] = {
    OPEN_NURSERY(&nursery),          SPAWN(&nursery, "victim", victim_script),
    SPAWN(&nursery, "before", user), SPAWN(&nursery, "after", user),
    CLOSE_NURSERY(&nursery),         END};

static void others_are_through(void)
{
    is(lock.lot.count, 0);
    ok(lock.owner == NULL);
    ok(!ctrio__list_linked(&lock.breaker.link));
    is(script_said("before=ok"), 1);
    is(script_said("after=ok"), 1);
    is(world.lots_broken, 0);
}

static void cancel_it(void)
{
    script_cancel_open(&scope);
}

/* In its own section the script's steps would be missed: that is not this test's. */
static void abandon_it(void)
{
    struct script_task *victim = script_find("victim");
    if (victim != NULL && victim->op.op.kind == &ctrio__lock_acquire_kind)
        script_abandon_named("victim");
}

static void a_cancellation_at_any_moment_loses_no_lock(void)
{
    ok(script_everywhere(among_others, init, cancel_it, others_are_through) > 15);
    ok(script_everywhere(before_others, init, cancel_it, others_are_through) > 15);
}

static void an_op_abandoned_at_any_moment_gives_the_lock_on(void)
{
    ok(script_everywhere(among_others, init, abandon_it, others_are_through) > 15);
    ok(script_everywhere(before_others, init, abandon_it, others_are_through) > 15);
}

static void an_op_abandoned_before_its_first_step_gives_nothing_back(void)
{
    fresh();
    struct ctrio_task task;
    struct ctrio__outcome out = {0, NULL};
    struct ctrio__primitive op = {.code = 0};
    ctrio__task_init(&task, &script_frontend);
    is(ctrio__lock_acquire_nowait(&lock, &task, &out), 0);
    ctrio__op_init(&op.op, &ctrio__lock_acquire_kind, &lock);
    ctrio__op_abandon(&op.op, &task);
    ok(ctrio__lock_held_by(&lock, &task));
    is(ctrio__lock_release(&lock, &task, &out), 0);
}

TAP_MAIN(TEST(a_free_lock_is_taken_at_once_and_given_back),
         TEST(acquiring_a_free_lock_is_one_checkpoint),
         TEST(it_is_handed_to_the_one_who_waits_longest),
         TEST(the_releaser_cannot_take_it_from_one_who_waits), TEST(ten_rounds_of_three_are_fair),
         TEST(acquiring_twice_is_a_mistake), TEST(only_the_owner_may_release),
         TEST(an_owner_that_exits_breaks_the_lock), TEST(an_owner_by_hand_over_breaks_it_too),
         TEST(a_cancelled_acquire_has_not_taken_it),
         TEST(one_that_was_handed_the_lock_is_cancelled_no_more),
         TEST(a_cancellation_at_any_moment_loses_no_lock),
         TEST(an_op_abandoned_at_any_moment_gives_the_lock_on),
         TEST(an_op_abandoned_before_its_first_step_gives_nothing_back))

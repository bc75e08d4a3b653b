#include "kernel/condition.h"
#include "script.h"

static struct ctrio_lock lock;
static struct ctrio_condition condition;
static struct ctrio_cancel_scope scope;
static struct script_nursery nursery;
static int holders;

static void init(void)
{
    ctrio__lock_init(&lock, &script_frontend);
    ctrio__condition_init(&condition, &lock, &script_frontend);
    holders = 0;
}

static void fresh(void)
{
    script_reset();
    init();
}

/* Whatever wait() came to, the lock is held. */
static void holds(struct script_task *self)
{
    is(++holders, 1);
    ok(ctrio__lock_held_by(&lock, &self->task));
}

static void holds_no_more(struct script_task *self)
{
    (void)self;
    holders--;
}

static const struct script_step waiter[] = {ACQUIRE(&lock),
                                            TRY,
                                            COND_WAIT(&condition),
                                            REPORT,
                                            CALL(holds),
                                            CHECKPOINT,
                                            CALL(holds_no_more),
                                            RELEASE(&lock),
                                            END};

#define THREE_WAITERS                                                                              \
    OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", waiter), SPAWN(&nursery, "b", waiter),            \
        SPAWN(&nursery, "c", waiter), CHECKPOINT, CHECKPOINT, CHECKPOINT, CHECKPOINT

static void notified_tasks_get_the_lock_one_after_the_other(void)
{
    static const struct script_step main_task[] = {THREE_WAITERS,
                                                   ACQUIRE(&lock),
                                                   NOTIFY(&condition, 2),
                                                   CHECKPOINT,
                                                   NOTE("releases"),
                                                   RELEASE(&lock),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   ACQUIRE(&lock),
                                                   NOTE("last"),
                                                   NOTIFY(&condition, 1000),
                                                   RELEASE(&lock),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:releases a=ok b=ok main:last c=ok");
    ok(lock.owner == NULL);
    is(condition.lot.count, 0);
}

static const char *text;

static void notify_wrongly(struct script_task *self)
{
    struct ctrio__outcome out = {0, NULL};
    is(ctrio__condition_notify(&condition, &self->task, 1, &out), CTRIO_MISUSE);
    text = out.value;
}

static void notifying_without_the_lock_is_a_mistake(void)
{
    static const struct script_step main_task[] = {CALL(notify_wrongly), TRY, NOTIFY(&condition, 1),
                                                   REPORT, END};
    fresh();
    text = "";
    is(script_run(main_task), 0);
    is(world.trace, "main=misuse");
    is(text, "must hold the lock to notify");
}

static void wait_wrongly(struct script_task *self)
{
    struct ctrio__outcome io = {0, NULL};
    struct ctrio__condition_wait_op op = {.op = {&ctrio__condition_wait_kind, &condition, 0}};
    is((int)op.op.kind->step(&op.op, &self->task, &io), (int)CTRIO__DONE);
    is(io.code, CTRIO_MISUSE);
    text = io.value;
    op.op.kind->abandon(&op.op, &self->task); /* nothing to give back */
}

static void waiting_without_the_lock_is_a_mistake(void)
{
    static const struct script_step main_task[] = {CALL(wait_wrongly), TRY, COND_WAIT(&condition),
                                                   REPORT, END};
    fresh();
    text = "";
    is(script_run(main_task), 0);
    is(world.trace, "main=misuse");
    is(text, "must hold the lock to wait");
}

static const struct script_step scoped_waiter[] = {FRESH_SCOPE(&scope),
                                                   ACQUIRE(&lock),
                                                   TRY,
                                                   COND_WAIT(&condition),
                                                   REPORT,
                                                   CALL(holds),
                                                   SHIELDED_CHECKPOINT,
                                                   CALL(holds_no_more),
                                                   RELEASE(&lock),
                                                   CLOSE_SCOPE(&scope),
                                                   END};

static void a_cancelled_waiter_takes_a_free_lock_back_at_once(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", scoped_waiter),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CANCEL(&scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=cancelled");
    ok(lock.owner == NULL);
}

static void a_cancelled_waiter_waits_for_the_lock_under_a_shield(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", scoped_waiter),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   ACQUIRE(&lock),
                                                   CANCEL(&scope),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   NOTE("releases"),
                                                   RELEASE(&lock),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:releases a=cancelled");
}

static void a_notified_waiter_that_is_cancelled_before_it_has_the_lock_raises(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", scoped_waiter),
                                                   SPAWN(&nursery, "b", waiter),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   ACQUIRE(&lock),
                                                   NOTIFY(&condition, 2),
                                                   CANCEL(&scope),
                                                   CHECKPOINT,
                                                   NOTE("releases"),
                                                   RELEASE(&lock),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main:releases b=ok a=cancelled"); /* to the end of the queue */
}

static void one_that_was_handed_the_lock_is_cancelled_no_more(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", scoped_waiter),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   ACQUIRE(&lock),
                                                   NOTIFY(&condition, 1),
                                                   RELEASE(&lock),
                                                   CANCEL(&scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "a=ok");
}

static const struct script_step careless[] = {ACQUIRE(&lock), NOTIFY(&condition, 1), CHECKPOINT,
                                              NOTE("exits"), END};
static const struct script_step broken_waiter[] = {FRESH_SCOPE(&scope),
                                                   ACQUIRE(&lock),
                                                   TRY,
                                                   COND_WAIT(&condition),
                                                   REPORT,
                                                   CLOSE_SCOPE(&scope),
                                                   END};

static void an_owner_that_exits_breaks_the_waiters_it_had_notified(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", broken_waiter),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   SPAWN(&nursery, "careless", careless),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "careless:exits a=broken");
}

static void a_lock_that_breaks_while_it_is_wanted_back_hides_the_cancellation(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", broken_waiter),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   SPAWN(&nursery, "careless", careless),
                                                   CHECKPOINT,
                                                   CANCEL(&scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "careless:exits a=broken");
}

static void a_lock_broken_long_ago_hides_the_cancellation_too(void)
{
    static const struct script_step owner[] = {ACQUIRE(&lock), NOTE("exits"), END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", broken_waiter),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   SPAWN(&nursery, "owner", owner),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   NOTE("cancels"),
                                                   CANCEL(&scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "owner:exits main:cancels a=broken");
}

static void break_lot(struct script_task *self)
{
    ctrio__lot_break(&condition.lot, &self->task);
}

static void a_broken_condition_gives_the_lock_back_first(void)
{
    static const struct script_step main_task[] = {
        CALL(break_lot), ACQUIRE(&lock), TRY, COND_WAIT(&condition), REPORT,
        CALL(holds),     RELEASE(&lock), END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=broken");
}

static void interrupt(struct script_task *self)
{
    (void)self;
    world.run.interrupt_pending = true;
    ctrio__run_deliver_interrupt(&world.run);
}

static const struct script_step interrupter[] = {
    ACQUIRE(&lock),  CANCEL(&scope), CHECKPOINT,     CHECKPOINT,
    CALL(interrupt), CHECKPOINT,     RELEASE(&lock), END};

static void an_interrupt_passes_the_shield_and_leaves_without_the_lock(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   FRESH_SCOPE(&scope),
                                                   ACQUIRE(&lock),
                                                   SPAWN(&nursery, "i", interrupter),
                                                   TRY,
                                                   COND_WAIT(&condition),
                                                   REPORT,
                                                   TRY,
                                                   RELEASE(&lock),
                                                   REPORT,
                                                   CLOSE_SCOPE(&scope),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh();
    is(script_run(main_task), 0);
    is(world.trace, "main=interrupted main=misuse");
    ok(!world.run.interrupt_pending);
}

/* --- at every moment ------------------------------------------------------------------------ */

static const struct script_step notifier[] = {LOOP(3),    ACQUIRE(&lock), NOTIFY(&condition, 1),
                                              CHECKPOINT, RELEASE(&lock), CHECKPOINT,
                                              CHECKPOINT, AGAIN,          END};
static const struct script_step among_others[] = {OPEN_NURSERY(&nursery),
                                                  SPAWN(&nursery, "a", waiter),
                                                  SPAWN(&nursery, "victim", scoped_waiter),
                                                  SPAWN(&nursery, "b", waiter),
                                                  CHECKPOINT,
                                                  CHECKPOINT,
                                                  CHECKPOINT,
                                                  CHECKPOINT,
                                                  SPAWN(&nursery, "notifier", notifier),
                                                  CLOSE_NURSERY(&nursery),
                                                  END};

static void others_are_through(void)
{
    is(lock.lot.count, 0);
    is(condition.lot.count, 0);
    ok(lock.owner == NULL);
    is(script_said("a=ok"), 1);
    is(script_said("b=ok"), 1);
    is(script_said("stuck"), 0);
}

static void cancel_it(void)
{
    script_cancel_open(&scope);
}

static void abandon_it(void)
{
    struct script_task *victim = script_find("victim");
    if (victim != NULL && victim->op.op.kind == &ctrio__condition_wait_kind)
        script_abandon_named("victim");
}

static void a_cancellation_at_any_moment_loses_neither_lock_nor_waiter(void)
{
    ok(script_everywhere(among_others, init, cancel_it, others_are_through) > 30);
}

static void an_op_abandoned_at_any_moment_gives_the_lock_on(void)
{
    ok(script_everywhere(among_others, init, abandon_it, others_are_through) > 30);
}

/* Cancelled, and then abandoned while it wants the lock back. */
static void cancel_then_abandon(void)
{
    static size_t countdown;
    if (scope.state == CTRIO_SCOPE_OPEN && !scope.cancel_called) {
        script_cancel_open(&scope);
        countdown = world.steps % 4;
        world.moment += 1 + countdown;
        return;
    }
    abandon_it();
}

static void an_op_abandoned_while_it_wants_the_lock_back_gives_it_on(void)
{
    ok(script_everywhere(among_others, init, cancel_then_abandon, others_are_through) > 30);
}

TAP_MAIN(TEST(notified_tasks_get_the_lock_one_after_the_other),
         TEST(notifying_without_the_lock_is_a_mistake), TEST(waiting_without_the_lock_is_a_mistake),
         TEST(a_cancelled_waiter_takes_a_free_lock_back_at_once),
         TEST(a_cancelled_waiter_waits_for_the_lock_under_a_shield),
         TEST(a_notified_waiter_that_is_cancelled_before_it_has_the_lock_raises),
         TEST(one_that_was_handed_the_lock_is_cancelled_no_more),
         TEST(an_owner_that_exits_breaks_the_waiters_it_had_notified),
         TEST(a_lock_that_breaks_while_it_is_wanted_back_hides_the_cancellation),
         TEST(a_lock_broken_long_ago_hides_the_cancellation_too),
         TEST(a_broken_condition_gives_the_lock_back_first),
         TEST(an_interrupt_passes_the_shield_and_leaves_without_the_lock),
         TEST(a_cancellation_at_any_moment_loses_neither_lock_nor_waiter),
         TEST(an_op_abandoned_at_any_moment_gives_the_lock_on),
         TEST(an_op_abandoned_while_it_wants_the_lock_back_gives_it_on))

#include "kernel/capacity_limiter.h"
#include "script.h"

static struct ctrio_capacity_limiter limiter;
static struct ctrio_cancel_scope scope;
static struct script_nursery nursery;

static void init_with(size_t total)
{
    ctrio__limiter_init(&limiter, total, &script_borrowers, &script_frontend);
}

static void init(void)
{
    init_with(2);
}

static void fresh(size_t total)
{
    script_reset();
    init_with(total);
}

static int run(const struct script_step *script)
{
    int code = script_run(script);
    ctrio__limiter_close(&limiter);
    return code;
}

static const struct script_step user[] = {TOKEN(&limiter, 0), REPORT, CHECKPOINT,
                                          GIVE_TOKEN(&limiter, 0), END};

static void tokens_are_lent_until_none_is_left(void)
{
    static const struct script_step main_task[] = {TOKEN(&limiter, 0),
                                                   TOKEN_NOWAIT(&limiter, 5),
                                                   REPORT,
                                                   TRY,
                                                   TOKEN_NOWAIT(&limiter, 6),
                                                   REPORT,
                                                   GIVE_TOKEN(&limiter, 5),
                                                   TOKEN_NOWAIT(&limiter, 6),
                                                   REPORT,
                                                   END};
    fresh(2);
    is(run(main_task), 0);
    is(world.trace, "main=ok main=would block main=ok");
    is(world.items_dropped, 3);
}

static const char *text;

static void misuse_it(struct script_task *self)
{
    struct ctrio__outcome out = {0, NULL};
    (void)self;
    is(ctrio__limiter_acquire_nowait(&limiter, (void *)5, 5, &out), CTRIO_MISUSE);
    is((const char *)out.value,
       "this borrower is already holding one of this CapacityLimiter's tokens");
    is(ctrio__limiter_release(&limiter, (void *)6, 6, &out), CTRIO_MISUSE);
    text = out.value;
}

static void a_borrower_holds_one_token_or_none(void)
{
    static const struct script_step main_task[] = {TOKEN(&limiter, 5),
                                                   CALL(misuse_it),
                                                   TRY,
                                                   TOKEN(&limiter, 5),
                                                   REPORT,
                                                   TRY,
                                                   TOKEN_NOWAIT(&limiter, 10005),
                                                   REPORT,
                                                   GIVE_TOKEN(&limiter, 10005),
                                                   TRY,
                                                   GIVE_TOKEN(&limiter, 5),
                                                   REPORT,
                                                   END};
    fresh(3);
    text = "";
    is(run(main_task), 0);
    is(world.trace, "main=misuse main=misuse main=misuse");
    is(text, "this borrower isn't holding any of this CapacityLimiter's tokens");
}

static void a_token_goes_to_the_one_who_waits_longest(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", user),
                                                   SPAWN(&nursery, "b", user),
                                                   SPAWN(&nursery, "c", user),
                                                   SPAWN(&nursery, "d", user),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh(2);
    is(run(main_task), 0);
    is(world.trace, "a=ok b=ok c=ok d=ok");
}

static void a_free_token_is_not_for_those_who_come_after_others(void)
{
    static const struct script_step main_task[] = {
        TOKEN(&limiter, 1),         OPEN_NURSERY(&nursery),
        SPAWN(&nursery, "a", user), CHECKPOINT,
        GIVE_TOKEN(&limiter, 1),    TRY,
        TOKEN_NOWAIT(&limiter, 2),  REPORT,
        CLOSE_NURSERY(&nursery),    END};
    fresh(1);
    is(run(main_task), 0);
    is(world.trace, "main=would block a=ok");
}

static void shrink(struct script_task *self)
{
    (void)self;
    ctrio__limiter_set_total(&limiter, 1);
    is(limiter.borrowers.count, 2);
}

static void grow(struct script_task *self)
{
    (void)self;
    ctrio__limiter_set_total(&limiter, SIZE_MAX);
}

static void growing_wakes_those_who_wait(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", user),
                                                   SPAWN(&nursery, "b", user),
                                                   CHECKPOINT,
                                                   NOTE("grows"),
                                                   CALL(grow),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh(0);
    is(run(main_task), 0);
    is(world.trace, "main:grows a=ok b=ok");
}

static void shrinking_takes_effect_as_tokens_come_back(void)
{
    static const struct script_step main_task[] = {TOKEN(&limiter, 1),
                                                   TOKEN(&limiter, 2),
                                                   CALL(shrink),
                                                   OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", user),
                                                   CHECKPOINT,
                                                   GIVE_TOKEN(&limiter, 1),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   NOTE("one is left"),
                                                   GIVE_TOKEN(&limiter, 2),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh(2);
    is(run(main_task), 0);
    is(world.trace, "main:one is left a=ok");
}

static const struct script_step waits_for_seven[] = {TOKEN(&limiter, 7), REPORT, END};

static void what_one_borrower_waited_for_twice_is_one_token(void)
{
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", waits_for_seven),
                                                   SPAWN(&nursery, "b", waits_for_seven),
                                                   CHECKPOINT,
                                                   CALL(grow),
                                                   CLOSE_NURSERY(&nursery),
                                                   GIVE_TOKEN(&limiter, 7),
                                                   TRY,
                                                   GIVE_TOKEN(&limiter, 7),
                                                   REPORT,
                                                   END};
    fresh(0);
    is(run(main_task), 0);
    is(world.trace, "a=ok b=ok main=misuse");
    is(world.items_dropped, 2);
}

static void a_failing_comparison_is_the_result(void)
{
    static const struct script_step main_task[] = {TOKEN(&limiter, 66),
                                                   TRY,
                                                   TOKEN(&limiter, 6666),
                                                   REPORT,
                                                   TRY,
                                                   TOKEN_NOWAIT(&limiter, 6666),
                                                   REPORT,
                                                   TRY,
                                                   GIVE_TOKEN(&limiter, 6666),
                                                   REPORT,
                                                   END};
    fresh(9);
    is(run(main_task), 0);
    is(world.trace, "main=0 main=0 main=0"); /* foreign, without a number */
    is(limiter.borrowers.count, 0);
}

static void break_it(struct script_task *self)
{
    ctrio__lot_break(&limiter.lot, &self->task);
}

static void a_broken_one_admits_nobody_who_would_wait(void)
{
    static const struct script_step main_task[] = {CALL(break_it), TRY,        TOKEN(&limiter, 1),
                                                   REPORT,         CALL(grow), TOKEN(&limiter, 1),
                                                   REPORT,         END};
    fresh(0);
    is(run(main_task), 0);
    is(world.trace, "main=broken main=ok");
}

static void breaking_it_wakes_those_who_wait(void)
{
    static const struct script_step waiter[] = {TRY, TOKEN(&limiter, 3), REPORT, END};
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", waiter), CHECKPOINT,
        CALL(break_it),         CLOSE_NURSERY(&nursery),      END};
    fresh(0);
    is(run(main_task), 0);
    is(world.trace, "a=broken");
    is(world.items_dropped, 1);
}

/* The token is given back in the borrower's name before the borrower has even run. */
static void a_token_may_be_given_back_before_its_borrower_knows_of_it(void)
{
    static const struct script_step waiter[] = {TOKEN(&limiter, 8), REPORT, END};
    static const struct script_step main_task[] = {OPEN_NURSERY(&nursery),
                                                   SPAWN(&nursery, "a", waiter),
                                                   CHECKPOINT,
                                                   CALL(grow),
                                                   GIVE_TOKEN(&limiter, 8),
                                                   ABANDON("a"),
                                                   CLOSE_NURSERY(&nursery),
                                                   END};
    fresh(0);
    is(run(main_task), 0);
    is(world.trace, "");
    is(limiter.borrowers.count, 0);
}

static void an_op_that_never_began_drops_its_borrower(void)
{
    struct ctrio_task task;
    struct ctrio__limiter_op op;
    fresh(1);
    ctrio__task_init(&task, &script_frontend);
    ctrio__limiter_op_init(&op, &limiter, (void *)1, 1);
    ctrio__op_abandon(&op.base.op, &task);
    is(world.items_dropped, 1);
    ctrio__limiter_close(&limiter);
}

static void closing_drops_what_is_still_lent(void)
{
    static const struct script_step main_task[] = {TOKEN(&limiter, 1), TOKEN(&limiter, 2), END};
    fresh(2);
    is(run(main_task), 0);
    is(world.items_dropped, 2);
    is(limiter.borrowers.count, 0);
}

static void many_borrowers_are_all_found_again(void)
{
    struct ctrio__outcome out = {0, NULL};
    int wrong = 0;
    fresh(SIZE_MAX);
    for (intptr_t n = 1; n <= 500; n++) {
        int code = ctrio__limiter_acquire_nowait(&limiter, (void *)n, (uint64_t)n % 7, &out);
        if (tap_saw(code) < 0)
            wrong++;
    }
    for (intptr_t n = 500; n >= 1; n--)
        wrong += ctrio__limiter_release(&limiter, (void *)n, (uint64_t)n % 7, &out) != 0;
    is(wrong, 0);
    is(limiter.borrowers.count, 0);
    ctrio__limiter_close(&limiter);
}

/* --- at every moment ------------------------------------------------------------------------ */

static const struct script_step victim_script[] = {
    FRESH_SCOPE(&scope), TOKEN(&limiter, 0), GIVE_TOKEN(&limiter, 0), CLOSE_SCOPE(&scope), END};
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

static void all_tokens_are_back(void)
{
    is(limiter.borrowers.count, 0);
    is(limiter.lot.count, 0);
    is(script_said("a=ok") + script_said("b=ok") + script_said("c=ok"), 3);
    is(world.items_dropped, 4);
    ctrio__limiter_close(&limiter);
}

static void cancel_it(void)
{
    script_cancel_open(&scope);
}

static void abandon_it(void)
{
    script_abandon_named("victim");
}

static void three_at_least(void)
{
    is(limiter.borrowers.count, 0);
    is(limiter.lot.count, 0);
    is(script_said("a=ok") + script_said("b=ok") + script_said("c=ok"), 3);
    ok(world.items_dropped >= 3); /* the victim may not have asked */
    ctrio__limiter_close(&limiter);
}

static void a_cancellation_at_any_moment_loses_no_token(void)
{
    ok(script_everywhere(crowd, init, cancel_it, all_tokens_are_back) > 15);
    ok(script_everywhere(victim_first, init, cancel_it, all_tokens_are_back) > 15);
}

static void init_one(void)
{
    init_with(1);
}

static void an_op_abandoned_at_any_moment_gives_its_token_back(void)
{
    ok(script_everywhere(victim_first, init_one, abandon_it, three_at_least) > 15);
    ok(script_everywhere(crowd, init, abandon_it, three_at_least) > 15);
    ok(script_everywhere(victim_first, init, abandon_it, three_at_least) > 15);
}

TAP_MAIN(TEST(tokens_are_lent_until_none_is_left), TEST(a_borrower_holds_one_token_or_none),
         TEST(a_token_goes_to_the_one_who_waits_longest),
         TEST(a_free_token_is_not_for_those_who_come_after_others),
         TEST(growing_wakes_those_who_wait), TEST(shrinking_takes_effect_as_tokens_come_back),
         TEST(what_one_borrower_waited_for_twice_is_one_token),
         TEST(a_failing_comparison_is_the_result), TEST(a_broken_one_admits_nobody_who_would_wait),
         TEST(breaking_it_wakes_those_who_wait),
         TEST(a_token_may_be_given_back_before_its_borrower_knows_of_it),
         TEST(an_op_that_never_began_drops_its_borrower), TEST(closing_drops_what_is_still_lent),
         TEST(many_borrowers_are_all_found_again),
         TEST(a_cancellation_at_any_moment_loses_no_token),
         TEST(an_op_abandoned_at_any_moment_gives_its_token_back))

/* Every free-order schedule of three tasks around each primitive: nothing lost, nobody stuck. */
#include "script.h"
#include "tape.h"
#include <stdio.h>

static struct tape tape;
static struct script_nursery nursery;
static struct ctrio_cancel_scope scope;

static void begin(struct script_task *self)
{
    (void)self;
    tape.recording = true;
}

static void end(struct script_task *self)
{
    (void)self;
    tape.recording = false;
}

/* The run's own tasks are parked before the three begin, and while they run. */
#define THREE(a, b, c)                                                                             \
    {CHECKPOINT,                                                                                   \
     CHECKPOINT,                                                                                   \
     OPEN_NURSERY(&nursery),                                                                       \
     SPAWN(&nursery, "a", a),                                                                      \
     SPAWN(&nursery, "b", b),                                                                      \
     SPAWN(&nursery, "c", c),                                                                      \
     CALL(begin),                                                                                  \
     CLOSE_NURSERY(&nursery),                                                                      \
     CALL(end),                                                                                    \
     END}

static size_t bad;

static void through_all(const char *what, const struct script_step *script, void (*fresh)(void),
                        bool (*holds)(void))
{
    bad = 0;
    tape_init(&tape);
    do {
        script_reset();
        world.chooser = &tape.chooser;
        fresh();
        if (script_run(script) != 0 || world.trace[0] != '\0' || !holds())
            bad++;
        ctrio__scope_forget(&scope); /* a reason that came too late */
    } while (bad == 0 && tape_next(&tape));
    is(bad, 0);
    if (bad != 0)
        note("#     schedule %zu of %s", tape.schedules, what);
    printf("# %s: %zu schedules\n", what, tape.schedules);
}

/* --- bare checkpoints: the size of the space is known ------------------------------------------
 */

static const struct script_step two_checkpoints[] = {CHECKPOINT, CHECKPOINT, END};
static const struct script_step four_checkpoints[] = {LOOP(4), CHECKPOINT, AGAIN, END};

static void nothing(void)
{
}

static bool always(void)
{
    return true;
}

static void the_walk_meets_each_schedule_once(void)
{
    static const struct script_step small[] =
        THREE(two_checkpoints, two_checkpoints, two_checkpoints);
    through_all("3 x 2 checkpoints", small, nothing, always);
    is(tape.schedules, 1680); /* 9! / (3! 3! 3!) */
}

static void three_times_four_checkpoints_are_all_met(void)
{
    static const struct script_step large[] =
        THREE(four_checkpoints, four_checkpoints, four_checkpoints);
    through_all("3 x 4 checkpoints", large, nothing, always);
    is(tape.schedules, 756756); /* 15! / (5! 5! 5!) */
}

/* --- sections: at most so many inside at a time ------------------------------------------------
 */

static int inside, most, passes, allowed;

static void enter(struct script_task *self)
{
    (void)self;
    if (++inside > most)
        most = inside;
    passes++;
}

static void leave(struct script_task *self)
{
    (void)self;
    inside--;
}

static void fresh_section(int limit)
{
    inside = most = passes = 0;
    allowed = limit;
    ctrio__scope_init(&scope, &script_frontend);
}

static bool six_passes(void)
{
    return inside == 0 && most <= allowed && passes == 6;
}

/* The canceller may or may not have been in time for the one it cancels. */
static bool some_passes(void)
{
    return inside == 0 && most <= allowed && passes >= 2 && passes <= 4;
}

static const struct script_step canceller[] = {CHECKPOINT, CANCEL(&scope), CHECKPOINT, END};

static struct ctrio_lock lock;
#define LOCKED ACQUIRE(&lock), CALL(enter), SHIELDED_CHECKPOINT, CALL(leave), RELEASE(&lock)
static const struct script_step locks_twice[] = {LOCKED, CHECKPOINT, LOCKED, END};
static const struct script_step locks_in_scope[] = {OPEN_SCOPE(&scope), LOCKED, LOCKED,
                                                    CLOSE_SCOPE(&scope), END};

static void fresh_lock(void)
{
    fresh_section(1);
    ctrio__lock_init(&lock, &script_frontend);
}

static bool lock_holds(void)
{
    return six_passes() && lock.owner == NULL && lock.lot.count == 0;
}

static bool lock_survives(void)
{
    return some_passes() && lock.owner == NULL && lock.lot.count == 0;
}

static void a_lock_lets_one_in_at_a_time_and_each_one_once(void)
{
    static const struct script_step script[] = THREE(locks_twice, locks_twice, locks_twice);
    static const struct script_step cancelled[] = THREE(locks_twice, locks_in_scope, canceller);
    through_all("lock", script, fresh_lock, lock_holds);
    through_all("lock, one cancelled", cancelled, fresh_lock, lock_survives);
}

static struct ctrio_semaphore semaphore;
#define PERMITTED                                                                                  \
    PERMIT(&semaphore), CALL(enter), SHIELDED_CHECKPOINT, CALL(leave), GIVE_PERMIT(&semaphore)
static const struct script_step permits_twice[] = {PERMITTED, CHECKPOINT, PERMITTED, END};
static const struct script_step permits_at_once[] = {PERMITTED, PERMITTED, END};
static const struct script_step permits_in_scope[] = {OPEN_SCOPE(&scope), PERMITTED, PERMITTED,
                                                      CLOSE_SCOPE(&scope), END};

static void fresh_semaphore(void)
{
    fresh_section(1);
    ctrio__semaphore_init(&semaphore, 1, 1, &script_frontend);
}

static void fresh_semaphore_of_two(void)
{
    fresh_section(2);
    ctrio__semaphore_init(&semaphore, 2, 2, &script_frontend);
}

static bool permits_are_back(void)
{
    return six_passes() && (int)semaphore.value == allowed && semaphore.lot.count == 0;
}

static bool permits_survive(void)
{
    return some_passes() && (int)semaphore.value == allowed && semaphore.lot.count == 0;
}

static void a_semaphore_lets_as_many_in_as_it_says_and_loses_no_permit(void)
{
    static const struct script_step script[] = THREE(permits_twice, permits_twice, permits_twice);
    static const struct script_step free[] =
        THREE(permits_at_once, permits_at_once, permits_at_once);
    static const struct script_step cancelled[] = THREE(permits_twice, permits_in_scope, canceller);
    through_all("semaphore of 1", script, fresh_semaphore, permits_are_back);
    through_all("semaphore of 2", free, fresh_semaphore_of_two, permits_are_back);
    through_all("semaphore, one cancelled", cancelled, fresh_semaphore, permits_survive);
}

static struct ctrio_capacity_limiter limiter;
#define LENT                                                                                       \
    TOKEN(&limiter, 0), CALL(enter), SHIELDED_CHECKPOINT, CALL(leave), GIVE_TOKEN(&limiter, 0)
static const struct script_step lent_twice[] = {LENT, CHECKPOINT, LENT, END};
static const struct script_step lent_at_once[] = {LENT, LENT, END};
static const struct script_step lent_in_scope[] = {OPEN_SCOPE(&scope), LENT, LENT,
                                                   CLOSE_SCOPE(&scope), END};

static void fresh_limiter(void)
{
    fresh_section(1);
    ctrio__limiter_init(&limiter, 1, &script_borrowers, &script_frontend);
}

static void fresh_limiter_of_two(void)
{
    fresh_section(2);
    ctrio__limiter_init(&limiter, 2, &script_borrowers, &script_frontend);
}

static bool tokens_are_back(void)
{
    bool back = limiter.borrowers.count == 0 && limiter.lot.count == 0;
    ctrio__limiter_close(&limiter);
    return back && six_passes() && world.items_dropped == 6;
}

static bool tokens_survive(void)
{
    bool back = limiter.borrowers.count == 0 && limiter.lot.count == 0;
    ctrio__limiter_close(&limiter);
    return back && some_passes();
}

static void a_limiter_lends_each_token_to_one_at_a_time(void)
{
    static const struct script_step script[] = THREE(lent_twice, lent_twice, lent_twice);
    static const struct script_step free[] = THREE(lent_at_once, lent_at_once, lent_at_once);
    static const struct script_step cancelled[] = THREE(lent_twice, lent_in_scope, canceller);
    through_all("limiter of 1", script, fresh_limiter, tokens_are_back);
    through_all("limiter of 2", free, fresh_limiter_of_two, tokens_are_back);
    through_all("limiter, one cancelled", cancelled, fresh_limiter, tokens_survive);
}

/* --- waking ------------------------------------------------------------------------------------
 */

static struct ctrio_event event;
static bool was_set;
static int early, woken;

static void set_it(struct script_task *self)
{
    (void)self;
    was_set = true;
    ctrio__event_set(&event);
}

static void woke(struct script_task *self)
{
    (void)self;
    early += !was_set;
    woken++;
}

static void fresh_event(void)
{
    ctrio__event_init(&event, &script_frontend);
    ctrio__scope_init(&scope, &script_frontend);
    was_set = false;
    early = woken = 0;
}

static bool all_woke(void)
{
    return early == 0 && woken == 2 && event.lot.count == 0;
}

static bool one_or_two_woke(void)
{
    return early == 0 && woken >= 1 && woken <= 2 && event.lot.count == 0;
}

static void an_event_wakes_all_who_wait_and_nobody_before_it_is_set(void)
{
    static const struct script_step waiter[] = {CHECKPOINT, WAIT(&event), CALL(woke),
                                                CHECKPOINT, WAIT(&event), END};
    static const struct script_step setter[] = {CHECKPOINT, CHECKPOINT, CALL(set_it),
                                                CHECKPOINT, CHECKPOINT, END};
    static const struct script_step in_scope[] = {
        OPEN_SCOPE(&scope), CHECKPOINT,          WAIT(&event), CALL(woke),
        CHECKPOINT,         CLOSE_SCOPE(&scope), END};
    static const struct script_step sets_and_cancels[] = {CHECKPOINT,     CALL(set_it), CHECKPOINT,
                                                          CANCEL(&scope), CHECKPOINT,   END};
    static const struct script_step script[] = THREE(waiter, waiter, setter);
    static const struct script_step cancelled[] = THREE(waiter, in_scope, sets_and_cancels);
    through_all("event", script, fresh_event, all_woke);
    through_all("event, one cancelled", cancelled, fresh_event, one_or_two_woke);
}

static struct ctrio_condition condition;
static bool ready;

/* `while (!ready) wait` of a program that knows it is notified once. */
static void begin_wait_unless_ready(struct script_task *self, const struct script_step *step)
{
    const struct ctrio__op_kind *kind =
        ready ? &ctrio__cancel_shielded_checkpoint_kind : &ctrio__condition_wait_kind;
    ctrio__op_init(&self->op.op, kind, step->object);
}

static void make_ready(struct script_task *self)
{
    (void)self;
    ready = true;
}

static void fresh_condition(void)
{
    fresh_lock();
    ctrio__condition_init(&condition, &lock, &script_frontend);
    ready = false;
}

static bool both_saw_it(void)
{
    return passes == 2 && most == 1 && lock.owner == NULL && condition.lot.count == 0;
}

static bool at_least_one_saw_it(void)
{
    return passes >= 1 && most == 1 && lock.owner == NULL && condition.lot.count == 0;
}

#define WAIT_UNLESS_READY SCRIPT_BEGIN("wait", begin_wait_unless_ready, .object = &condition)

static void release_in_any_case(struct script_task *self)
{
    struct ctrio__outcome out = {0, NULL};
    if (ctrio__lock_held_by(&lock, &self->task))
        ctrio__lock_release(&lock, &self->task, &out);
}

static void a_condition_loses_no_notification_and_gives_the_lock_back(void)
{
    static const struct script_step waiter[] = {
        ACQUIRE(&lock), WAIT_UNLESS_READY, CALL(enter), SHIELDED_CHECKPOINT,
        CALL(leave),    RELEASE(&lock),    CHECKPOINT,  END};
    static const struct script_step notifier[] = {
        CHECKPOINT, ACQUIRE(&lock), CALL(make_ready), NOTIFY(&condition, 1000),
        CHECKPOINT, RELEASE(&lock), CHECKPOINT,       END};
    static const struct script_step in_scope[] = {
        OPEN_SCOPE(&scope),  TRY, ACQUIRE(&lock), TRY, WAIT_UNLESS_READY, CALL(release_in_any_case),
        CLOSE_SCOPE(&scope), END};
    static const struct script_step notifies_and_cancels[] = {ACQUIRE(&lock),
                                                              CALL(make_ready),
                                                              NOTIFY(&condition, 1000),
                                                              CANCEL(&scope),
                                                              CHECKPOINT,
                                                              RELEASE(&lock),
                                                              END};
    static const struct script_step script[] = THREE(waiter, waiter, notifier);
    static const struct script_step cancelled[] = THREE(waiter, in_scope, notifies_and_cancels);
    through_all("condition", script, fresh_condition, both_saw_it);
    through_all("condition, one cancelled", cancelled, fresh_condition, at_least_one_saw_it);
}

static struct ctrio_parking_lot lot;
static size_t unparked;

static void unpark_one(struct script_task *self)
{
    (void)self;
    unparked += ctrio__lot_unpark(&lot, 1);
}

static bool unpark_rest(void)
{
    size_t count = ctrio__lot_unpark(&lot, 1);
    unparked += count;
    return count != 0;
}

static void count_wake(struct script_task *self)
{
    (void)self;
    woken++;
}

static void fresh_lot(void)
{
    ctrio__lot_init(&lot, &script_frontend);
    ctrio__scope_init(&scope, &script_frontend);
    unparked = 0;
    woken = 0;
    world.stuck = unpark_rest;
}

static bool every_park_was_unparked(void)
{
    return woken == 4 && unparked == 4 && lot.count == 0;
}

static bool every_unpark_woke_one(void)
{
    return (size_t)woken == unparked && woken >= 2 && lot.count == 0;
}

static void a_parking_lot_wakes_one_task_for_each_unpark(void)
{
    static const struct script_step parker[] = {
        PARK(&lot), CALL(count_wake), CHECKPOINT, PARK(&lot), CALL(count_wake), CHECKPOINT, END};
    static const struct script_step unparker[] = {LOOP(4), CALL(unpark_one), CHECKPOINT, AGAIN,
                                                  END};
    static const struct script_step in_scope[] = {
        OPEN_SCOPE(&scope),  PARK(&lot), CALL(count_wake), PARK(&lot), CALL(count_wake),
        CLOSE_SCOPE(&scope), END};
    static const struct script_step unparks_and_cancels[] = {
        CALL(unpark_one), CHECKPOINT, CALL(unpark_one), CANCEL(&scope), CHECKPOINT,
        CALL(unpark_one), END};
    static const struct script_step script[] = THREE(parker, parker, unparker);
    static const struct script_step cancelled[] = THREE(parker, in_scope, unparks_and_cancels);
    through_all("parking lot", script, fresh_lot, every_park_was_unparked);
    through_all("parking lot, one cancelled", cancelled, fresh_lot, every_unpark_woke_one);
}

/* --- channels ----------------------------------------------------------------------------------
 */

static struct ctrio__channel channel;
static struct ctrio__channel_end out, in;
static int last_of[2], received, out_of_order;

static void got(struct script_task *self)
{
    int number = (int)(intptr_t)self->result.value;
    if (self->result.code != 0) /* the end of the channel */
        return;
    int sender = number / 10 - 1;
    received++;
    out_of_order += number % 10 <= last_of[sender];
    last_of[sender] = number % 10;
}

static void fresh_channel(size_t size)
{
    ctrio__channel_init(&channel, sizeof(struct script_item *), size, script_drop_item);
    ctrio__channel_end_init(&out, &channel, CTRIO__SEND_END);
    ctrio__channel_end_init(&in, &channel, CTRIO__RECEIVE_END);
    ctrio__scope_init(&scope, &script_frontend);
    last_of[0] = last_of[1] = received = out_of_order = 0;
}

static void fresh_channel_of_0(void)
{
    fresh_channel(0);
}

static void fresh_channel_of_1(void)
{
    fresh_channel(1);
}

static bool is_empty(void)
{
    bool empty = channel.count == 0 && channel.senders_count == 0 && channel.receivers_count == 0;
    ctrio__channel_clear(&channel);
    return empty && out_of_order == 0;
}

static bool all_four_came(void)
{
    return is_empty() && received == 4 && world.items_dropped == 0;
}

static const struct script_step sends_ones[] = {SEND(&out, 11), SEND(&out, 12), END};
static const struct script_step sends_twos[] = {SEND(&out, 21), CHECKPOINT, SEND(&out, 22), END};
static const struct script_step takes_four[] = {LOOP(4), RECEIVE(&in), CALL(got), AGAIN, END};

static void a_channel_delivers_each_item_once_and_in_order(void)
{
    static const struct script_step script[] = THREE(sends_ones, sends_twos, takes_four);
    through_all("channel of 0", script, fresh_channel_of_0, all_four_came);
    through_all("channel of 1", script, fresh_channel_of_1, all_four_came);
}

/* What the cancelled receiver did not take, the rest of the channel has. */
static bool take_the_rest(void)
{
    void *item;
    if (ctrio__channel_receive_nowait(&in, &item) != 0)
        return false;
    received++;
    script_drop_item(&channel, &item);
    return true;
}

static void fresh_cancelled_0(void)
{
    fresh_channel_of_0();
    world.stuck = take_the_rest;
}

static void fresh_cancelled_1(void)
{
    fresh_channel_of_1();
    world.stuck = take_the_rest;
}

static bool both_came_or_are_there(void)
{
    while (take_the_rest())
        ;
    return is_empty() && received == 2;
}

static void a_cancelled_receiver_takes_an_item_or_leaves_it(void)
{
    static const struct script_step in_scope[] = {
        OPEN_SCOPE(&scope), LOOP(2), RECEIVE(&in), CALL(got), AGAIN, CLOSE_SCOPE(&scope), END};
    static const struct script_step script[] = THREE(sends_ones, in_scope, canceller);
    through_all("channel of 0, receiver cancelled", script, fresh_cancelled_0,
                both_came_or_are_there);
    through_all("channel of 1, receiver cancelled", script, fresh_cancelled_1,
                both_came_or_are_there);
}

static int sent;

static void count_sent(struct script_task *self)
{
    (void)self;
    sent++;
}

static void close_out(struct script_task *self)
{
    (void)self;
    ctrio__channel_end_close(&out);
}

static void fresh_sender_0(void)
{
    fresh_channel_of_0();
    sent = 0;
}

static void fresh_sender_1(void)
{
    fresh_channel_of_1();
    sent = 0;
}

static bool what_was_sent_came(void)
{
    return is_empty() && received == sent && sent + (int)world.items_dropped <= 2;
}

static void a_cancelled_sender_has_sent_what_it_was_told_and_no_more(void)
{
    static const struct script_step in_scope[] = {
        OPEN_SCOPE(&scope), SEND(&out, 11),      CALL(count_sent), SEND(&out, 12),
        CALL(count_sent),   CLOSE_SCOPE(&scope), CALL(close_out),  END};
    static const struct script_step takes_all[] = {
        TRY, RECEIVE(&in), CALL(got), TRY, RECEIVE(&in), CALL(got), TRY, RECEIVE(&in), END};
    static const struct script_step script[] = THREE(in_scope, canceller, takes_all);
    through_all("channel of 0, sender cancelled", script, fresh_sender_0, what_was_sent_came);
    through_all("channel of 1, sender cancelled", script, fresh_sender_1, what_was_sent_came);
}

TAP_MAIN(BIG_TEST(the_walk_meets_each_schedule_once),
         BIG_TEST(three_times_four_checkpoints_are_all_met),
         BIG_TEST(a_lock_lets_one_in_at_a_time_and_each_one_once),
         BIG_TEST(a_semaphore_lets_as_many_in_as_it_says_and_loses_no_permit),
         BIG_TEST(a_limiter_lends_each_token_to_one_at_a_time),
         BIG_TEST(an_event_wakes_all_who_wait_and_nobody_before_it_is_set),
         BIG_TEST(a_condition_loses_no_notification_and_gives_the_lock_back),
         BIG_TEST(a_parking_lot_wakes_one_task_for_each_unpark),
         BIG_TEST(a_channel_delivers_each_item_once_and_in_order),
         BIG_TEST(a_cancelled_receiver_takes_an_item_or_leaves_it),
         BIG_TEST(a_cancelled_sender_has_sent_what_it_was_told_and_no_more))

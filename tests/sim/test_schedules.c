/* Every free-order schedule of three tasks in sections that let so many in at a time. */
#include "walk.h"

/* --- bare checkpoints: the size of the space is known ---------------------------------------- */

static const struct script_step four_checkpoints[] = {LOOP(4), CHECKPOINT, AGAIN, END};

static void nothing(void)
{
}

static bool always(void)
{
    return true;
}

static void the_walk_meets_each_schedule_of_bare_checkpoints(void)
{
    static const struct script_step script[] =
        WALK_THREE(four_checkpoints, four_checkpoints, four_checkpoints);
    size_t schedules = walk("bare checkpoints", script, nothing, always);
    is(schedules, 756756); /* 15! / (5! 5! 5!) */
}

/* --- sections: at most so many inside at a time ---------------------------------------------- */

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

static const struct script_step canceller[] = {CHECKPOINT, CHECKPOINT, CANCEL(&walk_scope),
                                               CHECKPOINT, CHECKPOINT, END};

static struct ctrio_lock lock;
#define LOCKED ACQUIRE(&lock), CALL(enter), SHIELDED_CHECKPOINT, CALL(leave), RELEASE(&lock)
static const struct script_step locks_twice[] = {LOCKED, CHECKPOINT, LOCKED, END};
static const struct script_step locks_in_scope[] = {OPEN_SCOPE(&walk_scope), LOCKED, LOCKED,
                                                    CLOSE_SCOPE(&walk_scope), END};

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
    static const struct script_step script[] = WALK_THREE(locks_twice, locks_twice, locks_twice);
    static const struct script_step cancelled[] =
        WALK_THREE(locks_twice, locks_in_scope, canceller);
    walk("lock", script, fresh_lock, lock_holds);
    walk("lock, one cancelled", cancelled, fresh_lock, lock_survives);
}

static struct ctrio_semaphore semaphore;
#define PERMITTED                                                                                  \
    PERMIT(&semaphore), CALL(enter), SHIELDED_CHECKPOINT, CALL(leave), GIVE_PERMIT(&semaphore)
static const struct script_step permits_twice[] = {PERMITTED, CHECKPOINT, PERMITTED, END};
static const struct script_step permits_at_once[] = {PERMITTED, PERMITTED, END};
static const struct script_step permits_in_scope[] = {OPEN_SCOPE(&walk_scope), PERMITTED, PERMITTED,
                                                      CLOSE_SCOPE(&walk_scope), END};

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
    static const struct script_step script[] =
        WALK_THREE(permits_twice, permits_twice, permits_twice);
    static const struct script_step free[] =
        WALK_THREE(permits_at_once, permits_at_once, permits_at_once);
    static const struct script_step cancelled[] =
        WALK_THREE(permits_twice, permits_in_scope, canceller);
    walk("semaphore of 1", script, fresh_semaphore, permits_are_back);
    walk("semaphore of 2", free, fresh_semaphore_of_two, permits_are_back);
    walk("semaphore, one cancelled", cancelled, fresh_semaphore, permits_survive);
}

static struct ctrio_capacity_limiter limiter;
#define LENT                                                                                       \
    TOKEN(&limiter, 0), CALL(enter), SHIELDED_CHECKPOINT, CALL(leave), GIVE_TOKEN(&limiter, 0)
static const struct script_step lent_twice[] = {LENT, CHECKPOINT, LENT, END};
static const struct script_step lent_at_once[] = {LENT, LENT, END};
static const struct script_step lent_in_scope[] = {OPEN_SCOPE(&walk_scope), LENT, LENT,
                                                   CLOSE_SCOPE(&walk_scope), END};

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
    static const struct script_step script[] = WALK_THREE(lent_twice, lent_twice, lent_twice);
    static const struct script_step free[] = WALK_THREE(lent_at_once, lent_at_once, lent_at_once);
    static const struct script_step cancelled[] = WALK_THREE(lent_twice, lent_in_scope, canceller);
    walk("limiter of 1", script, fresh_limiter, tokens_are_back);
    walk("limiter of 2", free, fresh_limiter_of_two, tokens_are_back);
    walk("limiter, one cancelled", cancelled, fresh_limiter, tokens_survive);
}

TAP_MAIN(BIG_TEST(the_walk_meets_each_schedule_of_bare_checkpoints),
         BIG_TEST(a_lock_lets_one_in_at_a_time_and_each_one_once),
         BIG_TEST(a_semaphore_lets_as_many_in_as_it_says_and_loses_no_permit),
         BIG_TEST(a_limiter_lends_each_token_to_one_at_a_time))

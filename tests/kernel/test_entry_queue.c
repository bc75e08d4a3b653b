#include "kernel/entry_queue.h"
#include "script.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static struct ctrio_cancel_scope scope;

struct numbered {
    struct ctrio__entry entry;
    int number;
};
static struct numbered entries[8];

static void say_number(struct ctrio__entry *entry, struct ctrio_run *run)
{
    struct numbered *self = ctrio__container(entry, struct numbered, entry);
    script_say(run != NULL ? "%d" : "late %d", self->number);
}

static int push(int number, void (*fn)(struct ctrio__entry *entry, struct ctrio_run *run))
{
    entries[number].number = number;
    entries[number].entry.fn = fn;
    return ctrio__entry_queue_push(&world.run, &entries[number].entry);
}

static void push_three(struct script_task *self)
{
    (void)self;
    size_t wakeups = atomic_load(&world.io.wakeups);
    for (int i = 1; i <= 3; i++)
        is(push(i, say_number), 0);
    ok(ctrio__entry_queue_pending(&world.run.entries));
    is(atomic_load(&world.io.wakeups) - wakeups, 1); /* only who finds it empty wakes the loop */
}

static void push_watched(struct script_task *self)
{
    (void)self;
    struct ctrio__entry_queue *queue = &world.run.entries;
    size_t wakeups = atomic_load(&world.io.wakeups);
    ctrio__entry_queue_watch(queue);
    ok(!ctrio__entry_queue_unwatch(queue));
    ctrio__entry_queue_watch(queue);
    is(push(1, say_number), 0);
    is(atomic_load(&world.io.wakeups) - wakeups, 0);
    ok(ctrio__entry_queue_unwatch(queue)); /* so it will not sleep, and needs no bell */
    is(push(2, say_number), 0);
    is(atomic_load(&world.io.wakeups) - wakeups, 0);
}

static void push_unwatched(struct script_task *self)
{
    (void)self;
    size_t wakeups = atomic_load(&world.io.wakeups);
    is(push(3, say_number), 0);
    is(atomic_load(&world.io.wakeups) - wakeups, 1);
}

static void nobody_rings_for_a_queue_that_is_watched(void)
{
    static const struct script_step main_task[] = {
        CALL(push_watched), CHECKPOINT, CHECKPOINT, CALL(push_unwatched),
        CHECKPOINT,         CHECKPOINT, END};
    script_reset();
    is(script_run(main_task), 0);
    is(world.trace, "1 2 3");
}

static void entries_are_called_in_the_order_in_which_they_came(void)
{
    static const struct script_step main_task[] = {CALL(push_three), NOTE("pushed"), CHECKPOINT,
                                                   CHECKPOINT,       NOTE("on"),     END};
    script_reset();
    is(script_run(main_task), 0);
    is(world.trace, "main:pushed 1 2 3 main:on");
}

static void push_later(struct ctrio__entry *entry, struct ctrio_run *run)
{
    say_number(entry, run);
    entries[5].entry.later = true;
    is(push(5, say_number), 0); /* still in this round */
    is(push(6, say_number), 0); /* in the next */
}

static void push_three_of_which_one_is_later(struct script_task *self)
{
    (void)self;
    entries[1].entry.later = true;
    is(push(1, say_number), 0);
    is(push(2, push_later), 0);
    is(push(3, say_number), 0);
}

static void later_ones_come_after_all_the_others_of_their_round(void)
{
    static const struct script_step main_task[] = {CALL(push_three_of_which_one_is_later),
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   CHECKPOINT,
                                                   NOTE("on"),
                                                   END};
    script_reset();
    is(script_run(main_task), 0);
    is(world.trace, "2 3 1 5 6 main:on");
    entries[1].entry.later = entries[5].entry.later = false;
}

static void later_ones_are_called_and_refused_as_the_others_are(void)
{
    static const struct script_step main_task[] = {CALL(push_three_of_which_one_is_later), END};
    script_reset();
    is(script_run(main_task), 0);
    is(world.trace, "2 3 1 5 6");
    entries[1].entry.later = entries[5].entry.later = false;
}

static void end_the_wait(struct ctrio__entry *entry, struct ctrio_run *run)
{
    say_number(entry, run);
    script_cancel_open(&scope);
}

static bool push_from_outside(void)
{
    return push(4, end_the_wait) == 0;
}

static void an_entry_wakes_a_run_in_which_nothing_happens(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope), FOREVER,
                                                   CLOSE_SCOPE(&scope), NOTE("on"), END};
    script_reset();
    world.stuck = push_from_outside;
    is(script_run(main_task), 0);
    is(world.trace, "4 main:on");
}

static void a_wait_is_not_begun_while_entries_are_pending(void)
{
    static const struct script_step main_task[] = {FRESH_SCOPE(&scope), FOREVER,
                                                   CLOSE_SCOPE(&scope), END};
    script_reset();
    script_open(main_task);
    for (int i = 0; i < 5; i++)
        script_turn();
    if (world.run.entries.task != NULL) {
        is(push(1, end_the_wait), 0);
        is(ctrio__run_timeout(&world.run), 0.0);
    }
    while (script_turn())
        ;
    is(script_close(), 0);
    is(world.trace, "1");
}

static int chain;

static void push_next(struct ctrio__entry *entry, struct ctrio_run *run)
{
    say_number(entry, run);
    if (++chain < 6)
        is(push(chain, push_next), 0);
}

static void begin_chain(struct script_task *self)
{
    (void)self;
    chain = 0;
    is(push(0, push_next), 0);
}

static void entries_that_push_entries_let_the_others_run_in_between(void)
{
    static const struct script_step main_task[] = {CALL(begin_chain), LOOP(8), CHECKPOINT,
                                                   NOTE("x"),         AGAIN,   END};
    script_reset();
    is(script_run(main_task), 0);
    is(world.trace, "0 main:x 1 main:x 2 main:x 3 main:x 4 main:x 5 main:x main:x main:x");
}

static int code_at_end;

static void push_for_ever(struct ctrio__entry *entry, struct ctrio_run *run)
{
    (void)entry;
    (void)run;
    chain++;
    code_at_end = push(1, push_for_ever);
}

static void begin_for_ever(struct script_task *self)
{
    (void)self;
    chain = 0;
    is(push(1, push_for_ever), 0);
}

static void entries_that_push_entries_do_not_keep_the_run_alive(void)
{
    static const struct script_step main_task[] = {CALL(begin_for_ever), LOOP(5), CHECKPOINT, AGAIN,
                                                   NOTE("exits"),        END};
    script_reset();
    is(script_run(main_task), 0);
    is(world.trace, "main:exits");
    ok(chain > 4);
    is(code_at_end, CTRIO_RUN_FINISHED);
}

static void push_too_late(struct ctrio__entry *entry, struct ctrio_run *run)
{
    say_number(entry, run);
    code_at_end = push(7, say_number);
}

static void push_last(struct script_task *self)
{
    (void)self;
    is(push(5, push_too_late), 0);
    is(push(6, say_number), 0);
}

static void what_was_accepted_is_called_before_the_run_ends(void)
{
    static const struct script_step main_task[] = {CALL(push_last), NOTE("exits"), END};
    script_reset();
    is(script_run(main_task), 0);
    is(world.trace, "main:exits 5 6 7"); /* 5 pushes 7 while the queue is still open */
    is(code_at_end, 0);
    is(push(1, say_number), CTRIO_RUN_FINISHED);
    ok(!ctrio__entry_queue_pending(&world.run.entries));
}

static void push_at_shutdown(struct ctrio_run *run, enum ctrio__hook which, struct ctrio_task *task)
{
    static int scheduled;
    (void)which;
    if (world.steps == 0)
        scheduled = 0;
    /* The queue's task is woken a last time, by the cancellation. */
    if (task->system && task != run->init_task && run->main_exited && scheduled++ == 0)
        push_last(NULL);
}

static void while_the_queue_closes_the_rest_is_called_and_nothing_more_accepted(void)
{
    static const struct script_step main_task[] = {CHECKPOINT, CHECKPOINT, NOTE("exits"), END};
    script_reset();
    world.hooks.wanted = CTRIO__HOOK_TASK_SCHEDULED;
    world.hooks.task_event = push_at_shutdown;
    is(script_run(main_task), 0);
    is(world.trace, "main:exits 5 6");
    is(code_at_end, CTRIO_RUN_FINISHED);
}

static void what_is_left_when_a_run_is_given_up_is_told_so(void)
{
    static const struct script_step main_task[] = {CHECKPOINT, CALL(push_three), END};
    script_reset();
    script_open(main_task);
    while (!ctrio__entry_queue_pending(&world.run.entries) && script_turn())
        ;
    ctrio__run_fail(&world.run, CTRIO_MISUSE);
    is(script_close(), CTRIO_MISUSE);
    is(world.trace, "late 1 late 2 late 3");
    is(push(4, say_number), CTRIO_RUN_FINISHED);
}

/* --- several threads ------------------------------------------------------------------------- */

enum { THREADS = 4, EACH = 5000 };
static pthread_t threads[THREADS];
static int next_of[THREADS], out_of_order, total, refused;
static pthread_mutex_t refused_lock = PTHREAD_MUTEX_INITIALIZER;

static void count(struct ctrio__entry *entry, struct ctrio_run *run)
{
    struct numbered *self = ctrio__container(entry, struct numbered, entry);
    int thread = self->number / EACH;
    (void)run;
    out_of_order += self->number % EACH != next_of[thread];
    next_of[thread] = self->number % EACH + 1;
    free(self);
    if (++total == THREADS * EACH)
        script_cancel_open(&scope);
}

static void *pusher(void *arg)
{
    int first = (int)(intptr_t)arg * EACH;
    for (int i = 0; i < EACH; i++) {
        struct numbered *one = malloc(sizeof *one);
        *one = (struct numbered){.entry.fn = count, .number = first + i};
        if (ctrio__entry_queue_push(&world.run, &one->entry) != 0) {
            free(one);
            pthread_mutex_lock(&refused_lock);
            refused++;
            pthread_mutex_unlock(&refused_lock);
        }
    }
    return NULL;
}

static void start_threads(struct script_task *self)
{
    (void)self;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, pusher, (void *)(intptr_t)i);
}

static void join_threads(struct script_task *self)
{
    (void)self;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static bool let_threads_run(void)
{
    sched_yield();
    return true;
}

static void begin_threads(void)
{
    script_reset();
    total = refused = out_of_order = 0;
    for (int i = 0; i < THREADS; i++)
        next_of[i] = 0;
    world.stuck = let_threads_run;
}

static void four_threads_lose_no_entry_and_keep_their_order(void)
{
    static const struct script_step main_task[] = {
        FRESH_SCOPE(&scope), CALL(start_threads), TRY, FOREVER,
        CALL(join_threads),  CLOSE_SCOPE(&scope), END};
    begin_threads();
    is(script_run(main_task), 0);
    is(total, THREADS * EACH);
    is(out_of_order, 0);
    is(refused, 0);
}

/* The run ends in the middle of it: every entry is either called or refused. */
static void a_run_that_ends_meanwhile_calls_what_it_has_accepted(void)
{
    static const struct script_step main_task[] = {CALL(start_threads), LOOP(50), CHECKPOINT, AGAIN,
                                                   END};
    begin_threads();
    is(script_run(main_task), 0);
    join_threads(NULL);
    is(total + refused, THREADS * EACH);
    is(out_of_order, 0);
}

TAP_MAIN(TEST(entries_are_called_in_the_order_in_which_they_came),
         TEST(nobody_rings_for_a_queue_that_is_watched),
         TEST(later_ones_come_after_all_the_others_of_their_round),
         TEST(later_ones_are_called_and_refused_as_the_others_are),
         TEST(an_entry_wakes_a_run_in_which_nothing_happens),
         TEST(a_wait_is_not_begun_while_entries_are_pending),
         TEST(entries_that_push_entries_let_the_others_run_in_between),
         TEST(entries_that_push_entries_do_not_keep_the_run_alive),
         TEST(what_was_accepted_is_called_before_the_run_ends),
         TEST(while_the_queue_closes_the_rest_is_called_and_nothing_more_accepted),
         TEST(what_is_left_when_a_run_is_given_up_is_told_so),
         BIG_TEST(four_threads_lose_no_entry_and_keep_their_order),
         BIG_TEST(a_run_that_ends_meanwhile_calls_what_it_has_accepted))

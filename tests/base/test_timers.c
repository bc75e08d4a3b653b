#include "base/rng.h"
#include "base/timers.h"
#include "tap.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { COUNT = 3000 };
static struct ctrio_timer all[COUNT];
static bool inside[COUNT];
static struct ctrio__timers timers;
static struct ctrio__rng rng;
static uint64_t serial;

static void fresh(uint64_t seed)
{
    memset(&timers, 0, sizeof timers);
    memset(inside, 0, sizeof inside);
    rng = (struct ctrio__rng){seed};
    serial = 0;
}

static void insert(int i, double when)
{
    all[i] = (struct ctrio_timer){.when = when, .serial = ++serial};
    ctrio__timers_insert(&timers, &all[i]);
    inside[i] = true;
}

static void take(struct ctrio_timer *timer)
{
    ctrio__timers_remove(&timers, timer);
    inside[timer - all] = false;
}

static struct ctrio_timer *pop(void)
{
    struct ctrio_timer *first = ctrio__timers_first(&timers);
    take(first);
    return first;
}

/* The first of those that are inside, by looking at all of them. */
static struct ctrio_timer *expected_first(void)
{
    struct ctrio_timer *first = NULL;
    for (int i = 0; i < COUNT; i++)
        if (inside[i] && (first == NULL || ctrio__timer_before(&all[i], first)))
            first = &all[i];
    return first;
}

static double fraction(void)
{
    return (double)(ctrio__rng_next(&rng) >> 11) * 0x1p-53;
}

/* Any bits that are neither NAN nor INFINITY. */
static double any_double(void)
{
    double when;
    do {
        uint64_t bits = ctrio__rng_next(&rng);
        memcpy(&when, &bits, sizeof when);
    } while (isnan(when) || when == INFINITY);
    return when;
}

static double one_of_a_few(void)
{
    static const double few[] = {-INFINITY, -DBL_MAX,     -1.0, -DBL_TRUE_MIN, -0.0,
                                 0.0,       DBL_TRUE_MIN, 1.0,  1e300,         DBL_MAX};
    return few[ctrio__rng_next(&rng) % (sizeof few / sizeof *few)];
}

enum { KINDS = 7 };
static double time_of(int kind, double now)
{
    switch (kind) {
    case 0:
        return now + fraction() * 2.0;
    case 1:
        return now + floor(fraction() * 20.0);
    case 2:
        return any_double();
    case 3:
        return one_of_a_few();
    case 4:
        return now + 7.0;
    case 5: /* close together, and a few far away */
        return fraction() < 0.01 ? now * 1e6 : now + fraction() * 1e-6;
    default:
        return fraction() < 0.5 ? now + 60.0 : now - fraction();
    }
}

static void without_timers_nothing_is_first(void)
{
    fresh(1);
    ok(ctrio__timers_first(&timers) == NULL);
    ok(ctrio__timers_valid(&timers));
    insert(0, 1.0);
    ok(ctrio__timers_has(&timers, &all[0]));
    ok(pop() == &all[0]);
    ok(!ctrio__timers_has(&timers, &all[0]));
    ok(ctrio__timers_first(&timers) == NULL);
    is(ctrio__timers_count(&timers), 0);
    ok(ctrio__timers_valid(&timers));
}

static void what_is_inserted_in_any_order_comes_out_sorted(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        fresh((uint64_t)kind + 10);
        int wrong = 0;
        for (int i = 0; i < COUNT; i++)
            insert(i, time_of(kind, 12345.678));
        ok(ctrio__timers_valid(&timers));
        is(ctrio__timers_count(&timers), COUNT);
        struct ctrio_timer *last = pop();
        for (int i = 1; i < COUNT; i++) {
            struct ctrio_timer *first = pop();
            wrong += !ctrio__timer_before(last, first);
            last = first;
        }
        is(wrong, 0);
        is(ctrio__timers_count(&timers), 0);
        ok(ctrio__timers_valid(&timers));
    }
}

/* Inserts, removes and fires at random while time goes on, or jumps. */
static void live_through(int kind, int *wrong, int *invalid)
{
    double now = 1e5;
    for (int round = 0; round < 20000; round++) {
        int i = (int)(ctrio__rng_next(&rng) % COUNT);
        if (inside[i] && fraction() < 0.5)
            take(&all[i]);
        else if (!inside[i])
            insert(i, time_of(kind, now));
        now += fraction() < 0.001 ? 100.0 : 1e-4;
        struct ctrio_timer *first = ctrio__timers_first(&timers);
        if (first != NULL && first->when <= now)
            take(first);
        if (round % 16 == 0)
            *wrong += ctrio__timers_first(&timers) != expected_first();
        if (round % 64 == 0)
            *invalid += !ctrio__timers_valid(&timers);
    }
}

static void the_first_is_always_known_whatever_comes_and_goes(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        int wrong = 0, invalid = 0;
        fresh((uint64_t)kind + 100);
        live_through(kind, &wrong, &invalid);
        is(wrong, 0);
        is(invalid, 0);
        while (ctrio__timers_first(&timers) != NULL) {
            wrong += ctrio__timers_first(&timers) != expected_first();
            pop();
        }
        is(wrong, 0);
        ok(expected_first() == NULL);
    }
}

static void equal_times_come_out_in_the_order_of_their_serials(void)
{
    fresh(2);
    int wrong = 0;
    for (int i = 0; i < COUNT; i++)
        insert(i, i % 2 == 0 ? 0.0 : -0.0);
    ok(ctrio__timers_valid(&timers));
    ok(timers.crowd > COUNT / 2); /* it is not tried in vain each time */
    for (int i = 0; i < COUNT; i++)
        wrong += pop() != &all[i];
    is(wrong, 0);
}

/* Else all of it would be a heap, and right but slow. */
static void many_that_are_due_later_are_not_in_the_heap(void)
{
    fresh(3);
    for (int i = 0; i < COUNT; i++)
        insert(i, 1e5 + fraction() * 60.0);
    ok(timers.near.count < 300);
    for (int i = 0; i < COUNT / 2; i++) {
        pop();
        if (timers.near.count >= 300)
            break;
    }
    ok(timers.near.count < 300);
    ok(ctrio__timers_valid(&timers));
}

static void a_slot_that_holds_many_is_not_opened_into_the_heap(void)
{
    fresh(8);
    for (int i = 0; i < 300; i++)
        insert(i, 1e5 + fraction());
    for (int i = 300; i < COUNT; i++)
        insert(i, 1e5 + 10.0 + fraction() * 1e-3);
    size_t most = 0;
    while (ctrio__timers_first(&timers) != NULL) {
        pop();
        most = timers.near.count > most ? timers.near.count : most;
    }
    ok(most < 300);
    ok(most > 10);
}

static void when_many_come_that_are_due_earlier_these_are_spread_too(void)
{
    fresh(4);
    for (int i = 0; i < 500; i++)
        insert(i, 1e5 + 60.0 + fraction());
    for (int i = 0; i < 3; i++)
        pop();
    for (int i = 500; i < COUNT; i++)
        insert(i, 1e5 + fraction() * 2.0);
    ok(timers.near.count < 600);
    ok(ctrio__timers_valid(&timers));
    ok(ctrio__timers_first(&timers) == expected_first());
}

static void a_timer_that_is_due_before_all_others_becomes_the_first(void)
{
    fresh(5);
    for (int i = 1; i < COUNT; i++)
        insert(i, 10.0 + fraction());
    insert(0, 9.0);
    ok(ctrio__timers_first(&timers) == &all[0]);
    take(&all[0]);
    insert(0, -INFINITY);
    ok(ctrio__timers_first(&timers) == &all[0]);
    ok(ctrio__timers_valid(&timers));
}

static void a_removed_timer_has_no_family_left(void)
{
    fresh(6);
    int left = 0;
    for (int i = 0; i < COUNT; i++)
        insert(i, 10.0 + fraction());
    ok(timers.far_count > COUNT / 2);
    for (int i = COUNT - 1; i >= 0; i -= 2) {
        take(&all[i]);
        left += all[i].parent != NULL || all[i].left != NULL || all[i].right != NULL;
        left += ctrio__timers_has(&timers, &all[i]);
    }
    is(left, 0);
    ok(ctrio__timers_valid(&timers));
    is(ctrio__timers_count(&timers), COUNT / 2);
}

static void the_check_sees_what_is_broken(void)
{
    fresh(7);
    for (int i = 0; i < COUNT; i++)
        insert(i, 10.0 + fraction());
    struct ctrio_timer *far = &all[COUNT - 1];
    while (far->parent != &timers.far || far->left == NULL)
        far--;
    double when = far->when;
    far->when = 1e9;
    ok(!ctrio__timers_valid(&timers));
    far->when = when;
    struct ctrio_timer *previous = far->left->right;
    far->left->right = NULL;
    ok(!ctrio__timers_valid(&timers));
    far->left->right = previous;
    timers.far_count--;
    ok(!ctrio__timers_valid(&timers));
    timers.far_count++;
    timers.used[10] ^= 1;
    ok(!ctrio__timers_valid(&timers));
    timers.used[10] ^= 1;
    uint64_t border = timers.border;
    timers.border = 0;
    ok(!ctrio__timers_valid(&timers));
    timers.border = border;
    struct ctrio__heap near = timers.near;
    timers.near = (struct ctrio__heap){NULL, 0};
    ok(!ctrio__timers_valid(&timers));
    timers.near = near;
    ok(ctrio__timers_valid(&timers));
}

TAP_MAIN(TEST(without_timers_nothing_is_first),
         TEST(what_is_inserted_in_any_order_comes_out_sorted),
         TEST(the_first_is_always_known_whatever_comes_and_goes),
         TEST(equal_times_come_out_in_the_order_of_their_serials),
         TEST(many_that_are_due_later_are_not_in_the_heap),
         TEST(a_slot_that_holds_many_is_not_opened_into_the_heap),
         TEST(when_many_come_that_are_due_earlier_these_are_spread_too),
         TEST(a_timer_that_is_due_before_all_others_becomes_the_first),
         TEST(a_removed_timer_has_no_family_left), TEST(the_check_sees_what_is_broken))

#include "base/heap.h"
#include "base/rng.h"
#include "tap.h"
#include <math.h>

enum { COUNT = 2000 };
static struct ctrio_timer timers[COUNT];
static bool inside[COUNT];
static struct ctrio__heap heap;

static void insert(int i, double when, uint64_t serial)
{
    timers[i] = (struct ctrio_timer){.when = when, .serial = serial};
    ctrio__heap_insert(&heap, &timers[i]);
}

static struct ctrio_timer *pop(void)
{
    struct ctrio_timer *first = heap.root;
    ctrio__heap_remove(&heap, first);
    return first;
}

static void an_empty_heap_is_valid(void)
{
    heap = (struct ctrio__heap){NULL, 0};
    ok(ctrio__heap_valid(&heap));
    insert(0, 1.0, 0);
    ok(ctrio__heap_valid(&heap));
    ok(pop() == &timers[0]);
    ok(heap.root == NULL);
    is(heap.count, 0);
}

static void what_is_inserted_in_any_order_comes_out_sorted(void)
{
    struct ctrio__rng rng = {1};
    heap = (struct ctrio__heap){NULL, 0};
    for (int i = 0; i < COUNT; i++)
        insert(i, (double)(ctrio__rng_next(&rng) % 500), (uint64_t)i);
    ok(ctrio__heap_valid(&heap));
    is(heap.count, COUNT);
    double last = -1.0;
    int wrong = 0;
    while (heap.root != NULL) {
        struct ctrio_timer *first = pop();
        wrong += first->when < last;
        last = first->when;
    }
    is(wrong, 0);
}

static void equal_times_come_out_in_the_order_of_their_serials(void)
{
    heap = (struct ctrio__heap){NULL, 0};
    for (int i = 0; i < 100; i++)
        insert(i, 7.0, (uint64_t)(i * 37 % 100));
    int wrong = 0;
    for (uint64_t serial = 0; serial < 100; serial++)
        wrong += pop()->serial != serial;
    is(wrong, 0);
}

static void infinities_are_times_like_others(void)
{
    heap = (struct ctrio__heap){NULL, 0};
    insert(0, INFINITY, 0);
    insert(1, 0.0, 1);
    insert(2, -INFINITY, 2);
    ok(pop() == &timers[2]);
    ok(pop() == &timers[1]);
    ok(pop() == &timers[0]);
}

static void removing_from_the_middle_keeps_it_valid(void)
{
    struct ctrio__rng rng = {2};
    int invalid = 0;
    heap = (struct ctrio__heap){NULL, 0};
    for (int i = 0; i < COUNT; i++)
        inside[i] = false;
    for (int round = 0; round < 20000; round++) {
        int i = (int)(ctrio__rng_next(&rng) % 200);
        if (inside[i])
            ctrio__heap_remove(&heap, &timers[i]);
        else
            insert(i, (double)(ctrio__rng_next(&rng) % 50), (uint64_t)round);
        inside[i] = !inside[i];
        invalid += !ctrio__heap_valid(&heap);
    }
    is(invalid, 0);
}

static void a_removed_timer_has_no_family_left(void)
{
    heap = (struct ctrio__heap){NULL, 0};
    for (int i = 0; i < 7; i++)
        insert(i, (double)i, (uint64_t)i);
    ctrio__heap_remove(&heap, &timers[1]);
    ok(timers[1].parent == NULL);
    ok(timers[1].left == NULL);
    ok(timers[1].right == NULL);
    ok(ctrio__heap_valid(&heap));
    is(heap.count, 6);
}

static void the_check_sees_what_is_broken(void)
{
    heap = (struct ctrio__heap){NULL, 0};
    for (int i = 0; i < 7; i++)
        insert(i, (double)i, (uint64_t)i);
    timers[5].when = -1.0;
    ok(!ctrio__heap_valid(&heap));
    timers[5].when = 5.0;
    struct ctrio_timer *parent = timers[4].parent;
    timers[4].parent = &timers[6];
    ok(!ctrio__heap_valid(&heap));
    timers[4].parent = parent;
    heap.count++;
    ok(!ctrio__heap_valid(&heap));
    heap.count--;
    ok(ctrio__heap_valid(&heap));
    timers[0].parent = &timers[1];
    ok(!ctrio__heap_valid(&heap));
    timers[0].parent = NULL;
}

TAP_MAIN(TEST(an_empty_heap_is_valid), TEST(what_is_inserted_in_any_order_comes_out_sorted),
         TEST(equal_times_come_out_in_the_order_of_their_serials),
         TEST(infinities_are_times_like_others), TEST(removing_from_the_middle_keeps_it_valid),
         TEST(a_removed_timer_has_no_family_left), TEST(the_check_sees_what_is_broken))

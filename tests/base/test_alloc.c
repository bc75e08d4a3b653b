#include "base/alloc.h"
#include "memory.h"
#include "tap.h"
#include <errno.h>
#include <stdlib.h>

static void fresh_memory_is_zero_and_can_be_resized(void)
{
    unsigned char *memory = ctrio__alloc(100);
    if (memory == NULL) {
        tap_saw(-ENOMEM);
        ok(false);
        return;
    }
    int dirty = 0;
    for (int i = 0; i < 100; i++)
        dirty += memory[i] != 0;
    is(dirty, 0);
    memory[99] = 7;
    unsigned char *moved = ctrio__resize(memory, 1000);
    is(moved == NULL ? tap_saw(-ENOMEM) : 0, 0);
    memory = moved != NULL ? moved : memory;
    is(memory[99], 7);
    ctrio__free(memory);
    ctrio__free(NULL);
    is(memory_live_bytes(), 0);
}

static void reserving_grows_an_array_and_keeps_what_is_in_it(void)
{
    int *array = NULL;
    size_t capacity = 0;
    int code = ctrio__reserve((void **)&array, &capacity, 1, sizeof *array);
    for (int i = 0; code == 0 && i < 1000; i++) {
        code = ctrio__reserve((void **)&array, &capacity, (size_t)i + 1, sizeof *array);
        if (code == 0)
            array[i] = i;
        else
            is(i == 0 || array[i - 1] == i - 1, true);
    }
    is(code, 0);
    if (code == 0) {
        ok(capacity >= 1000);
        is(array[0], 0);
        is(array[999], 999);
        size_t calls = memory_calls();
        is(ctrio__reserve((void **)&array, &capacity, 1000, sizeof *array), 0);
        is(memory_calls(), calls);
    }
    ctrio__free(array);
}

static void one_big_reservation_is_met_at_once(void)
{
    char *array = NULL;
    size_t capacity = 0;
    if (is(ctrio__reserve((void **)&array, &capacity, 12345, 1), 0))
        ok(capacity >= 12345);
    ctrio__free(array);
}

static void a_reservation_that_overflows_fails_and_changes_nothing(void)
{
    int *array = NULL;
    size_t capacity = 0;
    is(ctrio__reserve((void **)&array, &capacity, SIZE_MAX / 2, sizeof *array), -ENOMEM);
    ok(array == NULL);
    is(capacity, 0);
}

static void without_memory_nothing_changes(void)
{
    int *array = NULL;
    size_t capacity = 0;
    if (ctrio__reserve((void **)&array, &capacity, 4, sizeof *array) < 0) {
        ok(array == NULL);
        is(capacity, 0);
        return;
    }
    size_t before = capacity;
    array[3] = 3;
    if (ctrio__reserve((void **)&array, &capacity, 1000, sizeof *array) < 0)
        is(capacity, before);
    is(array[3], 3);
    ctrio__free(array);
}

static void the_library_s_own_allocator_can_be_had_back(void)
{
    ctrio__set_allocator(NULL);
    void *memory = ctrio__alloc(10);
    ok(memory != NULL);
    memory = ctrio__resize(memory, 20);
    ok(memory != NULL);
    ctrio__free(memory);
    memory_install();
    is(memory_calls(), 0);
}

TAP_MAIN(TEST(fresh_memory_is_zero_and_can_be_resized),
         TEST(reserving_grows_an_array_and_keeps_what_is_in_it),
         TEST(one_big_reservation_is_met_at_once),
         TEST(a_reservation_that_overflows_fails_and_changes_nothing),
         TEST(without_memory_nothing_changes), TEST(the_library_s_own_allocator_can_be_had_back))

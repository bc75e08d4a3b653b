/* test_channel.c - memory channels: items of any size, ends, what is dropped, what waits. */
#include "front.h"
#include <ctrio/channel.h>
#include <string.h>

static struct ctrio_send_channel *out;
static struct ctrio_receive_channel *in;
static struct ctrio_nursery nursery;

static int open_channel(size_t item_size, size_t capacity)
{
    return tap_saw(ctrio_open_memory_channel(&out, &in, item_size, capacity, NULL));
}

static void close_both(void)
{
    ctrio_send_channel_close(out);
    ctrio_receive_channel_close(in);
}

struct hundred {
    unsigned char bytes[100];
};

static void fill(void *item, size_t size, int i)
{
    for (size_t at = 0; at < size; at++)
        ((unsigned char *)item)[at] = (unsigned char)(i * 7 + (int)at);
}

static const size_t sizes[] = {1, 8, 100};

static int send_many(void *arg)
{
    size_t size = *(const size_t *)arg;
    int result = 0;
    for (int i = 0; i < 300 && result == 0; i++) {
        struct hundred item;
        fill(&item, size, i);
        result = ctrio_send_item(out, &item, size);
    }
    ctrio_send_channel_close(out);
    return result;
}

static int items_of_each_size(size_t size, size_t capacity)
{
    if (open_channel(size, capacity) < 0)
        return -ENOMEM;
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, send_many, (void *)(uintptr_t)&size), received = 0;
    if (result < 0)
        ctrio_send_channel_close(out);
    while (result == 0) {
        struct hundred item = {{0}}, expected = {{0}};
        result = ctrio_receive_item(in, &item, size);
        fill(&expected, size, received);
        if (result == 0)
            received += memcmp(&item, &expected, sizeof item) == 0;
    }
    if (result == CTRIO_END_OF_CHANNEL) {
        is(received, 300);
        result = 0;
    }
    ctrio_receive_channel_close(in);
    return ctrio_collapse(front_saw(ctrio_nursery_close(&nursery, result)));
}

MAIN_TEST(items_of_any_size_arrive_whole_and_in_order)
{
    static const size_t capacities[] = {0, 1, 128, SIZE_MAX};
    int result = 0;
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 4 && result == 0; j++)
            result = items_of_each_size(sizes[i], capacities[j]);
    return result;
}

MAIN_TEST(what_does_not_fit_would_block)
{
    int item = 5, got = 0;
    if (open_channel(sizeof item, 2) < 0)
        return -ENOMEM;
    is(ctrio_receive_nowait(in, &got), CTRIO_WOULD_BLOCK);
    int sent = ctrio_send_nowait(out, &item) | ctrio_send_nowait(out, &(int){6});
    is(sent, 0);
    if (sent == 0) {
        is(ctrio_send_nowait(out, &item), CTRIO_WOULD_BLOCK);
        is(ctrio_receive_nowait(in, &got), 0);
        is(got, 5);
        is(ctrio_receive(in, &got), 0);
        is(got, 6);
    }
    close_both();
    return 0;
}

MAIN_TEST(an_item_of_another_size_is_misuse_and_changes_nothing)
{
    struct ctrio_channel_statistics statistics;
    int item = 5;
    char small;
    if (open_channel(sizeof item, 2) < 0)
        return -ENOMEM;
    is(ctrio_send(out, &small), CTRIO_MISUSE);
    is(ctrio_send_nowait(out, &small), CTRIO_MISUSE);
    is(ctrio_receive(in, &small), CTRIO_MISUSE);
    is(ctrio_receive_nowait(in, &small), CTRIO_MISUSE);
    front_stories_may_lack();
    is(ctrio_error_message(CTRIO_MISUSE), "an item of 1 bytes on a channel of items of 4");
    ctrio_get_channel_statistics(in, &statistics);
    is(statistics.items_waiting, 0);
    close_both();
    is(ctrio_open_memory_channel(&out, &in, 0, 1, NULL), -EINVAL);
    ok(out == NULL && in == NULL);
    return 0;
}

static int receive_one(void *arg)
{
    int item = 0;
    *(int *)arg = ctrio_receive(in, &item);
    return *(int *)arg == CTRIO_CANCELLED ? CTRIO_CANCELLED : 0;
}

static int send_one(void *arg)
{
    int item = 77;
    *(int *)arg = ctrio_send(out, &item);
    return *(int *)arg == CTRIO_CANCELLED ? CTRIO_CANCELLED : 0;
}

/* A task waits in fn when then() happens; what it was told. */
static int while_waiting(ctrio_task_fn *fn, void (*then)(void), int *told)
{
    *told = 1;
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, fn, told);
    if (result == 0)
        result = ctrio_wait_all_tasks_blocked(0);
    bool waiting = result == 0; /* else it may not even have begun */
    if (waiting)
        then();
    result = ctrio_collapse(front_saw(ctrio_nursery_close(&nursery, result)));
    if (!waiting)
        then();
    return result;
}

static void close_out(void)
{
    ctrio_send_channel_close(out);
}

static void close_in(void)
{
    ctrio_receive_channel_close(in);
}

MAIN_TEST(who_waits_at_an_end_is_told_when_it_is_closed_and_when_the_other_one_is)
{
    int told, result = 0;
    if (open_channel(sizeof told, 0) < 0)
        return -ENOMEM;
    result = while_waiting(receive_one, close_out, &told);
    if (result == 0)
        is(told, CTRIO_END_OF_CHANNEL);
    ctrio_receive_channel_close(in);
    if (open_channel(sizeof told, 0) < 0)
        return -ENOMEM;
    result = while_waiting(receive_one, close_in, &told);
    if (result == 0)
        is(told, CTRIO_CLOSED_RESOURCE);
    ctrio_send_channel_close(out);
    if (open_channel(sizeof told, 0) < 0)
        return -ENOMEM;
    result = while_waiting(send_one, close_in, &told);
    if (result == 0)
        is(told, CTRIO_BROKEN_RESOURCE);
    ctrio_send_channel_close(out);
    if (open_channel(sizeof told, 0) < 0)
        return -ENOMEM;
    result = while_waiting(send_one, close_out, &told);
    if (result == 0)
        is(told, CTRIO_CLOSED_RESOURCE);
    ctrio_receive_channel_close(in);
    return result;
}

MAIN_TEST(a_channel_ends_when_its_last_sender_does_and_breaks_with_its_last_receiver)
{
    struct ctrio_send_channel *more_out;
    struct ctrio_receive_channel *more_in;
    int item = 3;
    if (open_channel(sizeof item, 5) < 0)
        return -ENOMEM;
    int result = tap_saw(ctrio_send_channel_clone(out, &more_out));
    result = result == 0 ? tap_saw(ctrio_receive_channel_clone(in, &more_in)) : result;
    if (result < 0) {
        ctrio_send_channel_close(more_out);
        close_both();
        return result;
    }
    ctrio_send_channel_close(out);
    int sent = tap_saw(ctrio_send_nowait(more_out, &item));
    ctrio_send_channel_close(more_out);
    if (sent == 0)
        is(ctrio_receive(in, &item), 0);
    is(ctrio_receive(in, &item), CTRIO_END_OF_CHANNEL);
    is(ctrio_receive_nowait(more_in, &item), CTRIO_END_OF_CHANNEL);
    ctrio_receive_channel_close(in);
    ctrio_receive_channel_close(more_in);
    if (open_channel(sizeof item, 5) < 0)
        return -ENOMEM;
    result = tap_saw(ctrio_receive_channel_clone(in, &more_in));
    ctrio_receive_channel_close(in);
    sent = tap_saw(ctrio_send_nowait(out, &item));
    if (result == 0)
        is(sent, 0);
    ctrio_receive_channel_close(more_in);
    is(ctrio_send(out, &item), CTRIO_BROKEN_RESOURCE);
    is(ctrio_send_nowait(out, &item), CTRIO_BROKEN_RESOURCE);
    ctrio_send_channel_close(out);
    return 0;
}

static int dropped;

static void drop(void *item)
{
    dropped += *(int *)item;
}

MAIN_TEST(items_that_nobody_will_receive_are_dropped_once)
{
    static const struct ctrio_item_ops ops = {.drop = drop};
    int item = 0;
    dropped = 0;
    int result = tap_saw(ctrio_open_memory_channel(&out, &in, sizeof item, 8, &ops));
    if (result < 0)
        return result;
    for (item = 1; item <= 4 && result == 0; item++)
        result = tap_saw(ctrio_send(out, &item));
    if (result == 0)
        is(ctrio_receive(in, &item), 0);
    is(dropped, 0);
    ctrio_receive_channel_close(in);
    if (result == 0)
        is(dropped, 2 + 3 + 4);
    is(ctrio_send(out, &item), CTRIO_BROKEN_RESOURCE); /* still the sender's */
    if (result == 0)
        is(dropped, 2 + 3 + 4);
    ctrio_send_channel_close(out);
    return result;
}

MAIN_TEST(a_cancelled_send_has_sent_nothing_and_a_cancelled_receive_has_taken_nothing)
{
    struct ctrio_cancel_scope scope;
    int item = 9;
    if (open_channel(sizeof item, 1) < 0)
        return -ENOMEM;
    ctrio_move_on_after(&scope, 1);
    int result = ctrio_receive(in, &item);
    is(result, CTRIO_CANCELLED);
    is(ctrio_cancel_scope_close(&scope, result), 0);
    int sent = tap_saw(ctrio_send(out, &item));
    if (sent == 0) {
        ctrio_move_on_after(&scope, 1);
        result = ctrio_send(out, &item);
        is(result, CTRIO_CANCELLED);
        is(ctrio_cancel_scope_close(&scope, result), 0);
        ctrio_move_on_after(&scope, 0);
        is(ctrio_receive(in, &item), CTRIO_CANCELLED);
        is(ctrio_cancel_scope_close(&scope, CTRIO_CANCELLED), 0);
        is(ctrio_receive_nowait(in, &item), 0);
        is(ctrio_receive_nowait(in, &item), CTRIO_WOULD_BLOCK);
    }
    close_both();
    return 0;
}

MAIN_TEST(statistics_say_what_waits)
{
    struct ctrio_channel_statistics statistics;
    int item = 1, told = 1;
    if (open_channel(sizeof item, 1) < 0)
        return -ENOMEM;
    int result = tap_saw(ctrio_send_nowait(out, &item));
    ctrio_nursery_open(&nursery);
    if (result == 0)
        result = ctrio_start_soon(&nursery, send_one, &told);
    if (result == 0)
        result = ctrio_wait_all_tasks_blocked(0);
    ctrio_get_channel_statistics(in, &statistics);
    if (result == 0) {
        is(statistics.items_waiting, 1);
        is(statistics.tasks_sending, 1);
    }
    is(statistics.capacity, 1);
    is(statistics.senders_open, 1);
    is(statistics.receivers_open, 1);
    is(statistics.tasks_receiving, 0);
    ctrio_cancel(&nursery.scope);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    close_both();
    return ctrio_collapse(result);
}

static void an_end_may_be_used_without_waiting_and_closed_outside_of_a_run(void)
{
    int item = 4;
    int result = tap_saw(ctrio_open_memory_channel(&out, &in, sizeof item, 1, NULL));
    if (result < 0)
        return;
    is(ctrio_send_nowait(out, &item), 0);
    is(ctrio_send(out, &item), CTRIO_MISUSE);
    ctrio_send_channel_close(out);
    ctrio_receive_channel_close(in);
    ctrio_send_channel_close(NULL);
    ctrio_receive_channel_close(NULL);
    front_forget();
}

TAP_MAIN(TEST(items_of_any_size_arrive_whole_and_in_order), TEST(what_does_not_fit_would_block),
         TEST(an_item_of_another_size_is_misuse_and_changes_nothing),
         TEST(who_waits_at_an_end_is_told_when_it_is_closed_and_when_the_other_one_is),
         TEST(a_channel_ends_when_its_last_sender_does_and_breaks_with_its_last_receiver),
         TEST(items_that_nobody_will_receive_are_dropped_once),
         TEST(a_cancelled_send_has_sent_nothing_and_a_cancelled_receive_has_taken_nothing),
         TEST(statistics_say_what_waits),
         TEST(an_end_may_be_used_without_waiting_and_closed_outside_of_a_run))

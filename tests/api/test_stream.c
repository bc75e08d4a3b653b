/* test_stream.c - bytes over a connection: halves, cut-off sends, closing under somebody's feet. */
#include "api/run.h"
#include "io/net.h"
#include "wire.h"
#include <stdlib.h>
#include <string.h>

static struct wire wire;
static struct ctrio_nursery nursery;
static char large[16 << 20]; /* more than two socket buffers hold */

/* Receives until the end or `size`; how many. */
static int receive_all(struct ctrio_stream *stream, char *buffer, size_t size)
{
    size_t got = 0;
    while (got < size) {
        int n = ctrio_receive_some(stream, buffer + got, size - got);
        if (n <= 0)
            return n < 0 ? n : (int)got;
        got += (size_t)n;
    }
    return (int)got;
}

MAIN_TEST(bytes_go_both_ways_and_a_close_is_the_end)
{
    char buffer[16] = "";
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    is(ctrio_send_all(wire.here, "hello", 5), 0);
    is(receive_all(wire.there, buffer, 5), 5);
    ok(memcmp(buffer, "hello", 5) == 0);
    is(ctrio_send_all(wire.there, "you", 3), 0);
    is(ctrio_stream_close(wire.there), 0);
    wire.there = NULL;
    is(receive_all(wire.here, buffer, sizeof buffer), 3);
    is(ctrio_receive_some(wire.here, buffer, sizeof buffer), 0);
    is(ctrio_receive_some(wire.here, buffer, sizeof buffer), 0);
    wire_close(&wire);
    is(ctrio_stream_close(NULL), 0);
    return 0;
}

MAIN_TEST(after_the_end_was_sent_the_other_direction_goes_on)
{
    char buffer[16];
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    is(ctrio_send_eof(wire.here), 0);
    is(ctrio_receive_some(wire.there, buffer, sizeof buffer), 0);
    is(ctrio_send_all(wire.there, "still", 5), 0);
    is(receive_all(wire.here, buffer, 5), 5);
    is(ctrio_send_all(wire.here, "x", 1), CTRIO_BROKEN_RESOURCE);
    front_stories_may_lack();
    ok(strstr(ctrio_error_message(CTRIO_BROKEN_RESOURCE), "the end was sent") != NULL);
    is(ctrio_send_eof(wire.here), 0);
    wire_close(&wire);
    return 0;
}

MAIN_TEST(a_send_that_is_cancelled_in_the_middle_breaks_the_sending)
{
    struct ctrio_stream_statistics statistics;
    struct ctrio_cancel_scope scope;
    char buffer[4];
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    ctrio_move_on_after(&scope, 1);
    result = ctrio_send_all(wire.here, large, sizeof large);
    if (!is(result, CTRIO_CANCELLED))
        front_saw(result);
    is(ctrio_cancel_scope_close(&scope, result), 0);
    ctrio_stream_get_statistics(wire.here, &statistics);
    ok(statistics.bytes_sent > 0 && statistics.bytes_sent < sizeof large);
    is(ctrio_send_all(wire.here, "x", 1), CTRIO_BROKEN_RESOURCE);
    is(ctrio_wait_send_all_might_not_block(wire.here), CTRIO_BROKEN_RESOURCE);
    is(ctrio_send_all(wire.there, "back", 4), 0);
    is(receive_all(wire.here, buffer, 4), 4);
    wire_close(&wire);
    return 0;
}

MAIN_TEST(slices_that_are_cancelled_in_the_middle_break_the_sending_too)
{
    const struct ctrio_slice slices[] = {{"a", 1}, {large, sizeof large}, {"b", 1}};
    struct ctrio_cancel_scope scope;
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    ctrio_move_on_after(&scope, 1);
    result = ctrio_send_slices(wire.here, slices, 3);
    if (!is(result, CTRIO_CANCELLED))
        front_saw(result);
    is(ctrio_cancel_scope_close(&scope, result), 0);
    is(ctrio_send_all(wire.here, "x", 1), CTRIO_BROKEN_RESOURCE);
    wire_close(&wire);
    return 0;
}

MAIN_TEST(a_send_that_is_cancelled_before_the_first_byte_has_done_nothing)
{
    struct ctrio_cancel_scope scope;
    char buffer[8];
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel(&scope);
    is(ctrio_send_all(wire.here, "no", 2), CTRIO_CANCELLED);
    is(ctrio_send_format(wire.here, "no"), CTRIO_CANCELLED);
    is(ctrio_send_eof(wire.here), CTRIO_CANCELLED);
    is(ctrio_receive_some(wire.here, buffer, 8), CTRIO_CANCELLED);
    is(ctrio_cancel_scope_close(&scope, CTRIO_CANCELLED), 0);
    is(ctrio_send_all(wire.here, "yes", 3), 0);
    is(receive_all(wire.there, buffer, 3), 3);
    ok(memcmp(buffer, "yes", 3) == 0);
    wire_close(&wire);
    return 0;
}

static int receives(void *arg)
{
    char buffer[8];
    *(int *)arg = ctrio_receive_some(wire.here, buffer, sizeof buffer);
    return *(int *)arg == CTRIO_CANCELLED ? CTRIO_CANCELLED : 0;
}

static int sends(void *arg)
{
    *(int *)arg = ctrio_send_all(wire.here, large, sizeof large);
    return *(int *)arg == CTRIO_CANCELLED ? CTRIO_CANCELLED : 0;
}

/* fn is inside a call on wire.here; then the main task goes on. */
CTRIO_UNCHECKED_PAIRS static int with_caller(ctrio_task_fn *fn, int *told)
{
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    *told = 1;
    ctrio_nursery_open(&nursery);
    result = ctrio_start_soon(&nursery, fn, told);
    return result < 0 ? result : ctrio_wait_all_tasks_blocked(0);
}

CTRIO_UNCHECKED_PAIRS MAIN_TEST(one_task_a_direction)
{
    struct ctrio_stream_statistics statistics;
    char buffer[8];
    int told, result = with_caller(receives, &told);
    if (wire.here == NULL)
        return result;
    if (result == 0) {
        is(ctrio_receive_some(wire.here, buffer, 8), CTRIO_BUSY_RESOURCE);
        ctrio_stream_get_statistics(wire.here, &statistics);
        is(statistics.receivers, 1U);
        is(statistics.senders, 0U);
        is(ctrio_send_all(wire.here, "x", 1), 0);
        is(ctrio_send_all(wire.there, "y", 1), 0);
    }
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0)
        is(told, 1);
    wire_close(&wire);
    if (result < 0)
        return ctrio_collapse(result);
    result = with_caller(sends, &told);
    if (wire.here == NULL)
        return result;
    if (result == 0) {
        is(ctrio_send_all(wire.here, "x", 1), CTRIO_BUSY_RESOURCE);
        is(ctrio_send_eof(wire.here), CTRIO_BUSY_RESOURCE);
        is(ctrio_wait_send_all_might_not_block(wire.here), CTRIO_BUSY_RESOURCE);
    }
    ctrio_cancel(&nursery.scope);
    result = front_saw(ctrio_nursery_close(&nursery, result));
    wire_close(&wire);
    return ctrio_collapse(result);
}

static int waits_to_send(void *arg)
{
    int result = ctrio_send_all(wire.here, large, sizeof large);
    (void)arg;
    return result == CTRIO_CLOSED_RESOURCE ? 0 : result;
}

static int sends_eof(void *arg)
{
    *(int *)arg = ctrio_send_eof(wire.here);
    return 0;
}

CTRIO_UNCHECKED_PAIRS MAIN_TEST(a_task_inside_a_call_is_told_that_the_stream_was_closed)
{
    static ctrio_task_fn *const calls[] = {receives, sends, waits_to_send};
    int told, result = 0;
    for (int i = 0; i < 3 && result == 0; i++) {
        result = with_caller(calls[i], &told);
        if (wire.here == NULL)
            return result;
        ctrio_stream_abort(wire.here);
        result = front_saw(ctrio_nursery_close(&nursery, result));
        if (result == 0 && i < 2)
            is(told, CTRIO_CLOSED_RESOURCE);
        wire.here = NULL;
        wire_close(&wire);
    }
    return ctrio_collapse(result);
}

MAIN_TEST(a_stream_that_is_closed_while_its_end_is_being_sent_is_let_go_after_that)
{
    int told = 1, result = wire_open(&wire);
    if (result < 0)
        return result;
    ctrio_nursery_open(&nursery);
    result = ctrio_start_soon(&nursery, sends_eof, &told);
    if (result == 0) /* the other one is in its checkpoint now, or will be in the next turn */
        result = ctrio_checkpoint();
    if (told == 1) {
        ctrio_stream_abort(wire.here);
        wire.here = NULL;
    }
    if (result == 0)
        result = ctrio_checkpoint();
    bool never_ran = told == 1;
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0)
        ok(told == CTRIO_CLOSED_RESOURCE || told == 0);
    ok(!never_ran || result < 0);
    wire_close(&wire);
    return ctrio_collapse(result);
}

static int answers(void *arg)
{
    (void)arg;
    return ctrio_send_all(wire.there, "next", 4);
}

static int aborts(void *arg)
{
    (void)arg;
    ctrio_stream_abort(wire.here);
    return 0;
}

/* The stream has been read empty, the buffer not been filled: the other task has its turn before
 * the system is asked again.  What the receive then says. */
CTRIO_UNCHECKED_PAIRS static int receive_after(ctrio_task_fn *meanwhile, char *buffer, size_t size,
                                               int *told)
{
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    result = ctrio_send_all(wire.there, "one", 3);
    if (result == 0)
        result = ctrio_receive_some(wire.here, buffer, size);
    if (result < 0)
        return result;
    is(result, 3);
    ctrio_nursery_open(&nursery);
    result = ctrio_start_soon(&nursery, meanwhile, NULL);
    if (result == 0)
        *told = ctrio_receive_some(wire.here, buffer, size);
    return front_saw(ctrio_nursery_close(&nursery, result));
}

static ptrdiff_t (*real_recv)(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size,
                              int flags);
static int received;

static ptrdiff_t counted_recv(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size,
                              int flags)
{
    received++;
    return real_recv(os, handle, buffer, size, flags);
}

/* In strict cadence the second receive asks at once, in vain. */
MAIN_TEST(who_has_read_all_there_was_lets_others_run_before_it_asks_again)
{
    char buffer[16] = "";
    struct ctrio_run *run = &ctrio__c_current->run;
    const struct ctrio__net_ops *net = run->os->net;
    struct ctrio__net_ops counted = *net;
    real_recv = net->recv;
    counted.recv = counted_recv;
    received = 0;
    run->os->net = &counted;
    int told = 0, result = receive_after(answers, buffer, sizeof buffer, &told);
    run->os->net = net;
    if (result == 0) {
        is(told, 4);
        is(received, run->bounded ? 2 : 3);
        ok(memcmp(buffer, "next", 4) == 0);
    }
    wire_close(&wire);
    return ctrio_collapse(result);
}

MAIN_TEST(a_stream_that_is_closed_before_it_is_asked_again_says_so)
{
    char buffer[16];
    int told = 0, result = receive_after(aborts, buffer, sizeof buffer, &told);
    if (told != 0)
        wire.here = NULL;
    if (result == 0)
        is(told, CTRIO_CLOSED_RESOURCE);
    wire_close(&wire);
    return ctrio_collapse(result);
}

MAIN_TEST(a_peer_that_has_gone_breaks_the_sending)
{
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    is(ctrio_send_all(wire.here, "unread", 6), 0);
    ctrio_stream_abort(wire.there); /* with bytes unread: a reset */
    wire.there = NULL;
    for (int i = 0; i < 100 && result == 0; i++)
        result = ctrio_send_all(wire.here, large, 1000);
    is(result, CTRIO_BROKEN_RESOURCE);
    is(ctrio_send_all(wire.here, "x", 1), CTRIO_BROKEN_RESOURCE);
    wire_close(&wire);
    return 0;
}

MAIN_TEST(no_room_is_not_the_end_of_the_stream)
{
    char buffer[1];
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    is(ctrio_receive_some(wire.here, buffer, 0), -EINVAL);
    is(ctrio_send_all(wire.here, "", 0), 0);
    is(ctrio_send_slices(wire.here, NULL, 0), 0);
    is(ctrio_send_slices(wire.here, (struct ctrio_slice[]){{"", 0}, {"", 0}}, 2), 0);
    wire_close(&wire);
    return 0;
}

MAIN_TEST(sending_nothing_is_a_checkpoint_however_it_is_cut)
{
    static const struct ctrio_slice empty[] = {{"", 0}, {"", 0}};
    struct ctrio_cancel_scope scope;
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    for (size_t count = 0; count <= 2; count++) {
        ctrio_cancel_scope_open(&scope);
        ctrio_cancel(&scope);
        result = ctrio_send_slices(wire.here, empty, count);
        is(result, CTRIO_CANCELLED);
        is(ctrio_cancel_scope_close(&scope, result), 0);
    }
    is(ctrio_send_all(wire.here, "x", 1), 0); /* which has broken nothing */
    wire_close(&wire);
    return 0;
}

MAIN_TEST(slices_arrive_as_one_however_many)
{
    enum { MANY = 50 };
    struct ctrio_slice slices[MANY];
    char expected[MANY * MANY], buffer[MANY * MANY + 1];
    size_t size = 0;
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    for (int i = 0; i < MANY; i++) {
        memset(expected + size, 'A' + i % 26, (size_t)i);
        slices[i] = (struct ctrio_slice){expected + size, (size_t)i};
        size += (size_t)i;
    }
    is(ctrio_send_slices(wire.here, slices, MANY), 0);
    is(ctrio_send_eof(wire.here), 0);
    is(receive_all(wire.there, buffer, sizeof buffer), (int)size);
    ok(memcmp(buffer, expected, size) == 0);
    wire_close(&wire);
    return 0;
}

MAIN_TEST(a_formatted_line_is_sent_whole_or_not_at_all)
{
    char buffer[5000];
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    is(ctrio_send_format(wire.here, "%04097d", 1), -EMSGSIZE);
    is(ctrio_send_format(wire.here, "%04096d", 1), 0);
    is(ctrio_send_format(wire.here, "%s %d\r\n", "GET", 7), 0);
    is(ctrio_send_eof(wire.here), 0);
    is(receive_all(wire.there, buffer, sizeof buffer), 4096 + 7);
    ok(memcmp(buffer + 4096, "GET 7\r\n", 7) == 0);
    wire_close(&wire);
    return 0;
}

static int drains(void *arg)
{
    char *sink = malloc(1 << 20);
    int n = 1;
    (void)arg;
    while (n > 0)
        n = ctrio_receive_some(wire.there, sink, 1 << 20);
    free(sink);
    return n;
}

MAIN_TEST(a_large_send_goes_through_as_the_peer_reads)
{
    struct ctrio_stream_statistics statistics;
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, drains, NULL);
    result = ctrio_send_all(wire.here, large, sizeof large);
    result = result == 0 ? ctrio_wait_send_all_might_not_block(wire.here) : result;
    result = result == 0 ? ctrio_send_eof(wire.here) : result;
    result = front_saw(ctrio_nursery_close(&nursery, result));
    if (result == 0) {
        ctrio_stream_get_statistics(wire.there, &statistics);
        is(statistics.bytes_received, sizeof large);
        ctrio_stream_get_statistics(wire.here, &statistics);
        is(statistics.bytes_sent, sizeof large);
    }
    wire_close(&wire);
    return ctrio_collapse(result);
}

MAIN_TEST(both_ends_know_where_they_are)
{
    struct ctrio_address address[4];
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    is(ctrio_stream_address(wire.here, CTRIO_LOCAL, &address[0]), 0);
    is(ctrio_stream_address(wire.there, CTRIO_PEER, &address[1]), 0);
    is(ctrio_stream_address(wire.here, CTRIO_PEER, &address[2]), 0);
    is(ctrio_stream_address(wire.there, CTRIO_LOCAL, &address[3]), 0);
    char text[2][CTRIO_ADDRESS_TEXT_SIZE];
    for (int i = 0; i < 4; i += 2)
        is(ctrio_address_format(&address[i], text[0], sizeof text[0]),
           ctrio_address_format(&address[i + 1], text[1], sizeof text[1]));
    ok(ctrio_stream_handle(wire.here) >= 0);
    wire_close(&wire);
    return 0;
}

MAIN_TEST(a_close_that_is_cancelled_closes_all_the_same)
{
    struct ctrio_cancel_scope scope;
    char buffer[1];
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    ctrio_cancel_scope_open(&scope);
    ctrio_cancel(&scope);
    result = ctrio_stream_close(wire.here);
    is(result, CTRIO_CANCELLED);
    wire.here = NULL;
    is(ctrio_cancel_scope_close(&scope, result), 0);
    is(ctrio_receive_some(wire.there, buffer, 1), 0);
    wire_close(&wire);
    return 0;
}

TAP_MAIN(TEST(bytes_go_both_ways_and_a_close_is_the_end),
         TEST(after_the_end_was_sent_the_other_direction_goes_on),
         TEST(a_send_that_is_cancelled_in_the_middle_breaks_the_sending),
         TEST(slices_that_are_cancelled_in_the_middle_break_the_sending_too),
         TEST(a_send_that_is_cancelled_before_the_first_byte_has_done_nothing),
         TEST(one_task_a_direction), TEST(a_task_inside_a_call_is_told_that_the_stream_was_closed),
         TEST(a_stream_that_is_closed_while_its_end_is_being_sent_is_let_go_after_that),
         TEST(who_has_read_all_there_was_lets_others_run_before_it_asks_again),
         TEST(a_stream_that_is_closed_before_it_is_asked_again_says_so),
         TEST(a_peer_that_has_gone_breaks_the_sending), TEST(no_room_is_not_the_end_of_the_stream),
         TEST(slices_arrive_as_one_however_many),
         TEST(a_formatted_line_is_sent_whole_or_not_at_all),
         TEST(a_large_send_goes_through_as_the_peer_reads), TEST(both_ends_know_where_they_are),
         TEST(a_close_that_is_cancelled_closes_all_the_same),
         TEST(sending_nothing_is_a_checkpoint_however_it_is_cut))

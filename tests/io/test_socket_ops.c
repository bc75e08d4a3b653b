/* test_socket_ops.c - receive and send on the scripted os: what they give, how often they yield,
 * and what cancelling, failing and abandoning leave behind. */
#include "io/scripted_net.h"
#include "play.h"
#include <limits.h>
#include <string.h>

/* --- receive and send ----------------------------------------------------------------------- */

static void receiving_what_is_there_yields_once(void)
{
    static struct play_op one;
    char buffer[8] = {0};
    play_begin();
    play_send_now(1, "abc");
    ctrio__receive_some_init(&one.u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        play_settle();
        is(task->code, 3);
        is(strcmp(buffer, "abc"), 0);
        is(task->steps, 2U); /* the start, and after the schedule point */
        is(task->task.cancel_points, 1U);
        is(task->task.schedule_points, 1U);
        play_finish();
    }
    play_end();
}

static void receiving_waits_and_then_yields_no_more(void)
{
    static struct play_op one;
    char buffer[8];
    play_begin();
    ctrio__receive_some_init(&one.u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        play_settle();
        ok(!task->over);
        is(play_waiting(), 1U);
        play_send_now(1, "abc");
        play_settle();
        is(task->code, 3);
        is(task->steps, 2U); /* the start, and the wake */
        is(play_waiting(), 0U);
        play_finish();
    }
    play_end();
}

static void an_error_yields_too_before_it_is_told(void)
{
    static struct play_op one;
    char buffer[8];
    play_begin();
    ctrio__scripted_reset(&play.world, play.ends[0].handle);
    ctrio__receive_some_init(&one.u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        play_settle();
        is(task->code, -ECONNRESET);
        is(task->steps, 2U);
        play_finish();
    }
    play_end();
}

static void the_end_of_the_stream_is_zero_bytes(void)
{
    static struct play_op one;
    char buffer[8];
    play_begin();
    ctrio__receive_some_init(&one.u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        play_settle();
        play.net.close(&play.world.os, play.ends[1].handle);
        play_settle();
        ok(task->over);
        is(task->code, 0);
        play_finish();
    }
    play_end();
}

static void a_cancelled_receive_has_taken_nothing(void)
{
    static struct play_op one;
    char buffer[8];
    play_begin();
    play_send_now(1, "abc");
    ctrio__receive_some_init(&one.u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
    struct crew_task *task = play_add(&one);
    crew_cancel(task); /* before it starts: data that is there makes no difference */
    if (play_start()) {
        play_settle();
        is(task->code, CTRIO_CANCELLED);
        is(play.net.recv(&play.world.os, play.ends[0].handle, buffer, sizeof buffer, 0), 3);
        play_finish();
    }
    play_end();
}

static void a_waiting_receive_can_be_cancelled_closed_and_abandoned(void)
{
    static struct play_op one;
    char buffer[8];
    for (int how = 0; how < 3; how++) {
        play_begin();
        ctrio__receive_some_init(&one.u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
        struct crew_task *task = play_add(&one);
        if (play_start()) {
            static const int expected[] = {CTRIO_CANCELLED, CTRIO_CLOSED_RESOURCE, 0};
            play_settle();
            if (how == 0)
                crew_cancel(task);
            else if (how == 1)
                ctrio__socket_close(&play.ends[0], &play.crew.run, &play.world.os);
            else
                crew_abandon(task);
            is(play_waiting(), 0U);
            play_settle();
            ok(task->over);
            is(task->code, expected[how]);
            play_finish();
        }
        play_end();
    }
}

static void once_it_has_succeeded_a_receive_is_not_cancelled_any_more(void)
{
    static struct play_op one;
    char buffer[8];
    play_begin();
    play_send_now(1, "abc");
    ctrio__receive_some_init(&one.u.transfer, &play.ends[0], buffer, sizeof buffer, 0);
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        while (task->steps == 0 && crew_turn(&play.crew, 0)) {
        }
        crew_cancel(task); /* at its schedule point */
        play_settle();
        is(task->code, 3);
        play_finish();
    }
    play_end();
}

static void a_message_is_received_and_sent_in_pieces(void)
{
    static struct play_op receive, send;
    char first[3] = {0}, second[8] = {0};
    struct iovec out[2] = {{"ab", 2}, {"cde", 3}}, in[2] = {{first, 2}, {second, sizeof second}};
    struct msghdr sent = {.msg_iov = out, .msg_iovlen = 2};
    struct msghdr received = {.msg_iov = in, .msg_iovlen = 2};
    play_begin();
    ctrio__receive_message_init(&receive.u.message, &play.ends[0], &received, 0);
    ctrio__send_message_init(&send.u.message, &play.ends[1], &sent, 0);
    struct crew_task *receiver = play_add(&receive), *sender = play_add(&send);
    if (play_start()) {
        play_settle();
        is(sender->code, 5);
        is(receiver->code, 5);
        is(strcmp(first, "ab"), 0);
        is(strcmp(second, "cde"), 0);
        play_finish();
    }
    play_end();
}

static void sizes_are_cut_to_what_a_code_can_hold(void)
{
    static struct play_op one;
    play_begin();
    ctrio__send_some_init(&one.u.transfer, &play.ends[0], "x", (size_t)INT_MAX + 10, 0);
    is(one.u.transfer.size, (size_t)INT_MAX);
    play_end();
}

/* --- send_all ------------------------------------------------------------------------------- */

static const char text[] = "a text that is longer than the buffer between the two ends";

static void send_all_sends_everything_however_small_the_pieces(void)
{
    static struct play_op one;
    for (uint64_t seed = 0; seed < 5; seed++) {
        char got[sizeof text] = {0};
        size_t count = 0;
        play_begin_with((struct ctrio__scripted_options){
            .seed = seed, .buffer_size = 16, .short_counts = true});
        ctrio__send_all_init(&one.u.send_all, &play.ends[0], text, sizeof text, NULL);
        struct crew_task *task = play_add(&one);
        if (play_start()) {
            for (int i = 0; i < 200 && count < sizeof text; i++) {
                crew_turn(&play.crew, 0);
                ptrdiff_t more = play.net.recv(&play.world.os, play.ends[1].handle, got + count,
                                               sizeof got - count, 0);
                count += more > 0 ? (size_t)more : 0;
            }
            play_settle();
            is(task->code, 0);
            is(one.u.send_all.sent, sizeof text);
            is(memcmp(got, text, sizeof text), 0);
            play_finish();
        }
        play_end();
    }
}

static void a_cancelled_send_all_says_how_much_had_gone(void)
{
    static struct play_op one;
    play_begin();
    ctrio__send_all_init(&one.u.send_all, &play.ends[0], text, sizeof text, NULL);
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        play_settle();
        ok(!task->over);
        crew_cancel(task);
        play_settle();
        is(task->code, CTRIO_CANCELLED);
        is(one.u.send_all.sent, (size_t)16);
        play_finish();
    }
    play_end();
}

static int sends;

static ptrdiff_t counting_send(struct ctrio__os *os, intptr_t handle, const void *data, size_t size,
                               int flags)
{
    sends++;
    return ctrio__scripted_net.send(os, handle, data, size, flags);
}

/* Each piece looks for a cancellation anew, as a loop over send() would, though there is room. */
static void send_all_can_be_cancelled_between_two_pieces(void)
{
    static struct play_op one;
    play_begin_with((struct ctrio__scripted_options){.seed = 3, .short_counts = true});
    play.net.send = counting_send;
    sends = 0;
    ctrio__send_all_init(&one.u.send_all, &play.ends[0], text, sizeof text, NULL);
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        while (task->steps == 0 && crew_turn(&play.crew, 0)) {
        }
        crew_cancel(task);
        play_settle();
        is(task->code, CTRIO_CANCELLED);
        is(sends, 1);
        ok(one.u.send_all.sent > 0 && one.u.send_all.sent < sizeof text);
        play_finish();
    }
    play_end();
}

static void send_all_of_nothing_is_still_a_checkpoint(void)
{
    static struct play_op one;
    for (int closed = 0; closed < 2; closed++) {
        play_begin();
        if (closed)
            ctrio__socket_close(&play.ends[0], NULL, &play.world.os);
        ctrio__send_all_init(&one.u.send_all, &play.ends[0], text, 0, NULL);
        struct crew_task *task = play_add(&one);
        if (play_start()) {
            play_settle();
            is(task->code, closed ? CTRIO_CLOSED_RESOURCE : 0);
            is(task->steps, closed ? 1U : 2U);
            is(task->task.cancel_points, closed ? 0U : 1U);
            play_finish();
        }
        play_end();
    }
}

static void a_second_send_all_on_the_same_stream_is_told_it_is_busy(void)
{
    static struct play_op first, second;
    static bool busy;
    play_begin();
    busy = false;
    ctrio__send_all_init(&first.u.send_all, &play.ends[0], text, sizeof text, &busy);
    ctrio__send_all_init(&second.u.send_all, &play.ends[0], text, sizeof text, &busy);
    struct crew_task *a = play_add(&first), *b = play_add(&second);
    if (play_start()) {
        play_settle();
        ok((a->code == CTRIO_BUSY_RESOURCE) != (b->code == CTRIO_BUSY_RESOURCE));
        struct crew_task *told = a->code == CTRIO_BUSY_RESOURCE ? a : b;
        is(told->steps, 1U); /* at once, without a checkpoint */
        ok(a->over && b->over);
        ok(!busy);
        play_finish();
    }
    play_end();
}

static void an_abandoned_send_all_gives_the_stream_free(void)
{
    static struct play_op one;
    static bool busy;
    play_begin();
    busy = false;
    ctrio__send_all_init(&one.u.send_all, &play.ends[0], text, sizeof text, &busy);
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        play_settle();
        ok(busy);
        crew_abandon(task);
        ok(!busy);
        is(play_waiting(), 0U);
        play_settle();
        play_finish();
    }
    play_end();
}

static void sending_to_nobody_is_a_broken_pipe(void)
{
    static struct play_op one;
    static bool busy;
    play_begin();
    busy = false;
    play.net.close(&play.world.os, play.ends[1].handle);
    ctrio__send_all_init(&one.u.send_all, &play.ends[0], text, sizeof text, &busy);
    struct crew_task *task = play_add(&one);
    if (play_start()) {
        play_settle();
        is(task->code, -EPIPE);
        ok(!busy);
        play_finish();
    }
    play_end();
}

TAP_MAIN(TEST(receiving_what_is_there_yields_once), TEST(receiving_waits_and_then_yields_no_more),
         TEST(an_error_yields_too_before_it_is_told), TEST(the_end_of_the_stream_is_zero_bytes),
         TEST(a_cancelled_receive_has_taken_nothing),
         TEST(a_waiting_receive_can_be_cancelled_closed_and_abandoned),
         TEST(once_it_has_succeeded_a_receive_is_not_cancelled_any_more),
         TEST(a_message_is_received_and_sent_in_pieces),
         TEST(sizes_are_cut_to_what_a_code_can_hold),
         TEST(send_all_sends_everything_however_small_the_pieces),
         TEST(a_cancelled_send_all_says_how_much_had_gone),
         TEST(send_all_can_be_cancelled_between_two_pieces),
         TEST(send_all_of_nothing_is_still_a_checkpoint),
         TEST(a_second_send_all_on_the_same_stream_is_told_it_is_busy),
         TEST(an_abandoned_send_all_gives_the_stream_free),
         TEST(sending_to_nobody_is_a_broken_pipe))

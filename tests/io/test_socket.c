/* test_socket.c - sockets that the library owns: one lasting registration each, and what happens
 * to it when numbers are closed and reused behind its back (docs/design/io.md, the five
 * situations). */
#include "rig.h"
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

static struct rig rig;
static intptr_t ends[2];
static struct ctrio__socket ours; /* on ends[0] */

static void begin(void)
{
    rig_init(&rig);
    rig_pair(ends);
    ctrio__socket_init(&ours, ends[0]);
}

static void end(void)
{
    close((int)ends[0]);
    close((int)ends[1]);
    rig_close(&rig);
}

static struct crew_task *add_receive(struct rig_receive *data, struct ctrio__socket *socket,
                                     int times)
{
    *data = (struct rig_receive){.socket = socket, .times = times};
    return crew_add(&rig.crew, "receiver", rig_receive_body, data);
}

static struct crew_task *add_send(struct rig_send *data, struct ctrio__socket *socket)
{
    *data = (struct rig_send){.socket = socket, .data = "hello", .size = 5};
    return crew_add(&rig.crew, "sender", rig_send_body, data);
}

static struct crew_task *add_wait(struct rig_wait *data, intptr_t handle,
                                  enum ctrio__io_interest interest)
{
    *data = (struct rig_wait){.handle = handle, .interest = interest};
    return crew_add(&rig.crew, "waiter", rig_wait_body, data);
}

static unsigned controls(void)
{
    return rig.calls[RIG_CONTROL] - 1; /* the bell's */
}

static void one_registration_serves_a_socket_for_its_life(void)
{
    static struct rig_receive data;
    begin();
    struct crew_task *receiver = add_receive(&data, &ours, 20);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        for (int i = 0; i < 20; i++) {
            is(data.received, i);
            ok(!receiver->over);
            rig_say(ends[1]);
            rig_settle(&rig);
        }
        ok(receiver->over);
        is(data.received, 20);
        is(controls(), 1U);
        is(rig_finish(&rig), 0);
    }
    end();
}

static void what_is_there_already_needs_no_registration(void)
{
    static struct rig_receive data;
    begin();
    rig_say(ends[1]);
    struct crew_task *receiver = add_receive(&data, &ours, 1);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        is(receiver->code, 1);
        is(controls(), 0U);
        is(rig_finish(&rig), 0);
    }
    end();
}

static void a_sender_that_must_wait_adds_its_direction_once(void)
{
    static struct rig_receive reading;
    static struct rig_send first, second;
    begin();
    rig_fill(ends[0]);
    struct crew_task *receiver = add_receive(&reading, &ours, 1);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        struct crew_task *sender = add_send(&first, &ours);
        rig_settle(&rig);
        ok(!sender->over);
        is(controls(), 2U);
        rig_drain(ends[1]);
        rig_settle(&rig);
        ok(sender->over);
        rig_fill(ends[0]);
        sender = add_send(&second, &ours);
        rig_settle(&rig);
        ok(!sender->over);
        rig_drain(ends[1]);
        rig_settle(&rig);
        ok(sender->over);
        rig_say(ends[1]);
        rig_settle(&rig);
        ok(receiver->over);
        is(controls(), 2U);
        is(rig_finish(&rig), 0);
    }
    end();
}

/* A call that answers "not yet" and is overtaken by the data before the task is parked. */
static ptrdiff_t overtaken_recv(struct ctrio__os *os, intptr_t handle, void *buffer, size_t size,
                                int flags)
{
    ptrdiff_t result = ctrio__net_native.recv(os, handle, buffer, size, flags);
    if (result == -EAGAIN)
        rig_say(ends[1]);
    return result;
}

static void data_between_the_try_and_the_wait_is_not_missed(void)
{
    static struct rig_receive data;
    struct ctrio__net_ops overtaken = ctrio__net_native;
    overtaken.recv = overtaken_recv;
    begin();
    rig.native.os.net = &overtaken;
    struct crew_task *receiver = add_receive(&data, &ours, 5);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        ok(receiver->over);
        is(data.received, 5);
        is(controls(), 1U);
        is(rig_finish(&rig), 0);
    }
    end();
}

static void a_second_task_in_the_same_direction_is_told_it_is_busy(void)
{
    static struct rig_receive first, second;
    static struct rig_wait third;
    begin();
    struct crew_task *a = add_receive(&first, &ours, 1);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        struct crew_task *b = add_receive(&second, &ours, 1);
        struct crew_task *c = add_wait(&third, ends[0], CTRIO__READABLE);
        rig_settle(&rig);
        ok(a->over && b->over && c->over);
        is(a->code, CTRIO_CANCELLED);
        ok(b->code == CTRIO_BUSY_RESOURCE || c->code == CTRIO_BUSY_RESOURCE);
        is(rig_finish(&rig), CTRIO_BUSY_RESOURCE);
    }
    end();
}

/* wait_readable(sock) by foreign code while the socket is registered for good. */
static void a_wait_by_number_shares_the_registration(void)
{
    static struct rig_receive receive, again;
    static struct rig_wait early, late;
    begin();
    struct crew_task *receiver = add_receive(&receive, &ours, 1);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        rig_say(ends[1]);
        rig_settle(&rig);
        ok(receiver->over);
        rig_say(ends[1]); /* its edge comes and goes before anybody waits */
        rig_settle(&rig);
        struct crew_task *a = add_wait(&early, ends[0], CTRIO__READABLE);
        rig_settle(&rig);
        ok(a->over);
        is(a->code, 0);
        rig_drain(ends[0]);
        struct crew_task *b = add_wait(&late, ends[0], CTRIO__READABLE);
        rig_settle(&rig);
        ok(!b->over);
        rig_say(ends[1]);
        rig_settle(&rig);
        ok(b->over);
        rig_drain(ends[0]);
        unsigned before = controls();
        struct crew_task *c = add_receive(&again, &ours, 1);
        rig_settle(&rig);
        is(controls(), before); /* still registered */
        rig_say(ends[1]);
        rig_settle(&rig);
        is(c->code, 1);
        is(rig_finish(&rig), 0);
    }
    end();
}

/* As when one stdlib socket is wrapped twice. */
static void two_objects_on_one_number_take_turns_and_both_work(void)
{
    static struct rig_receive receive[2];
    static struct rig_send send;
    static struct ctrio__socket twin;
    begin();
    ctrio__socket_init(&twin, ends[0]);
    struct crew_task *reader = add_receive(&receive[0], &ours, 3);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        rig_fill(ends[0]);
        struct crew_task *writer = add_send(&send, &twin);
        rig_settle(&rig);
        ok(twin.epoch != ours.epoch);
        rig_say(ends[1]);
        rig_settle(&rig);
        is(receive[0].received, 1);
        rig_drain(ends[1]);
        rig_settle(&rig);
        ok(writer->over);
        rig_say(ends[1]);
        rig_settle(&rig);
        is(receive[0].received, 2);
        rig_say(ends[1]);
        rig_settle(&rig);
        ok(reader->over);
        struct crew_task *last = add_receive(&receive[1], &twin, 1);
        rig_settle(&rig);
        rig_say(ends[1]);
        rig_settle(&rig);
        is(last->code, 1);
        is(rig_finish(&rig), 0);
    }
    end();
}

static void a_socket_may_move_from_run_to_run(void)
{
    static struct rig_receive data;
    uint64_t last = 0;
    begin();
    for (int i = 0; i < 3; i++) {
        crew_init(&rig.crew);
        struct crew_task *receiver = add_receive(&data, &ours, 1);
        if (crew_open(&rig.crew, &rig.native.os, rig.native.os.io) != 0) {
            tap_saw(-ENOMEM);
            break;
        }
        rig_settle(&rig);
        ok(!receiver->over);
        ok(ours.epoch > last); /* even if the backend is where the last one was */
        last = ours.epoch;
        rig_say(ends[1]);
        rig_settle(&rig);
        ok(receiver->over);
        is(crew_close(&rig.crew), 0);
    }
    end();
}

static void a_failed_registration_is_the_ops_result(void)
{
    static struct rig_receive data;
    begin();
    rig.fail[RIG_CONTROL] = 0;
    struct crew_task *receiver = add_receive(&data, &ours, 1);
    if (rig_start(&rig)) {
        rig.fail[RIG_CONTROL] = -ENOSPC;
        rig_settle(&rig);
        is(receiver->code, -ENOSPC);
        is(ours.epoch, 0U);
        is(rig_finish(&rig), -ENOSPC);
    }
    end();
}

static void closing_wakes_who_waits_and_the_next_owner_starts_afresh(void)
{
    static struct rig_receive first, second;
    static struct ctrio__socket next;
    intptr_t fresh[2];
    begin();
    rig_pair(fresh);
    struct crew_task *receiver = add_receive(&first, &ours, 1);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        is(ctrio__socket_close(&ours, &rig.crew.run, &rig.native.os), 0);
        is(ours.handle, -1);
        is(ctrio__socket_close(&ours, &rig.crew.run, &rig.native.os), 0);
        is(fcntl((int)ends[0], F_GETFD), -1);
        rig_settle(&rig);
        is(receiver->code, CTRIO_CLOSED_RESOURCE);
        is(rig_finish(&rig), CTRIO_CLOSED_RESOURCE);
    }
    /* The number is free; a fresh socket gets it, in a fresh run. */
    crew_init(&rig.crew);
    ctrio__socket_init(&next, fresh[0]);
    receiver = add_receive(&second, &next, 1);
    if (crew_open(&rig.crew, &rig.native.os, rig.native.os.io) == 0) {
        rig_settle(&rig);
        rig_say(fresh[1]);
        rig_settle(&rig);
        is(receiver->code, 1);
        is(crew_close(&rig.crew), 0);
    } else {
        tap_saw(-ENOMEM);
    }
    is(ctrio__socket_close(&next, NULL, &rig.native.os), 0);
    close((int)fresh[1]);
    end();
}

static void a_closed_socket_answers_ebadf(void)
{
    static struct rig_receive data;
    begin();
    ctrio__socket_init(&ours, -1);
    struct crew_task *receiver = add_receive(&data, &ours, 1);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        is(receiver->code, -EBADF);
        is(rig_finish(&rig), -EBADF);
    }
    end();
}

/* --- the five situations -------------------------------------------------------------------- */

/* Registers `ours` by letting a task wait and be served; it is left without waiter. */
static void make_registered(struct rig_receive *data)
{
    struct crew_task *receiver = add_receive(data, &ours, 2);
    rig_settle(&rig);
    rig_say(ends[1]);
    rig_settle(&rig);
    is(data->received, 1);
    ok(ours.epoch != 0);
    crew_cancel(receiver);
    rig_settle(&rig);
    ok(receiver->over);
}

/* A socket on the number of ours that has just been freed; its other end in *peer. */
static void reuse_number(struct ctrio__socket *next, intptr_t *peer)
{
    intptr_t fresh[2];
    rig_pair(fresh);
    if (fresh[0] != ends[0] && fresh[1] == ends[0]) {
        fresh[1] = fresh[0];
        fresh[0] = ends[0];
    }
    is(fresh[0], ends[0]);
    ctrio__socket_init(next, fresh[0]);
    *peer = fresh[1];
}

/* Situations 1 and 2: the file is gone with its number, which means another now. */
static void number_reused(bool through_object)
{
    static struct rig_receive data[2];
    static struct ctrio__socket next;
    intptr_t peer = -1;
    begin();
    if (rig_start(&rig)) {
        make_registered(&data[0]);
        if (through_object)
            ctrio__net_native.close(NULL, ours.handle); /* as `_sock.close()` would */
        else
            close((int)ours.handle);
        reuse_number(&next, &peer);
        struct crew_task *receiver = add_receive(&data[1], &next, 1);
        rig_settle(&rig);
        ok(!receiver->over);
        rig_say(peer);
        rig_settle(&rig);
        ok(receiver->over); /* trusting the number instead of the object, it would hang */
        is(receiver->code, 1);
        is(rig_idle_events(&rig, 5), 0U);
        is(rig_finish(&rig), 0);
        close((int)peer);
    }
    end();
}

static void a_raw_number_closed_without_notice_and_reused(void)
{
    number_reused(false);
}

static void a_stdlib_object_closed_under_a_socket_and_its_number_reused(void)
{
    number_reused(true);
}

static void closed_while_registered_with_a_duplicate_and_data_pending(void)
{
    static struct rig_receive data;
    begin();
    if (rig_start(&rig)) {
        make_registered(&data);
        int duplicate = dup((int)ours.handle);
        close((int)ours.handle);
        for (int i = 0; i < 3; i++)
            rig_say(ends[1]);
        ok(rig_idle_events(&rig, 50) <= 1); /* no spinning */
        close(duplicate);
        is(rig_finish(&rig), 0);
        ends[0] = -1;
    }
    end();
}

static void the_same_with_the_number_reused_by_a_socket_that_a_task_waits_for(void)
{
    static struct rig_receive data[2];
    static struct ctrio__socket next;
    intptr_t peer = -1;
    begin();
    if (rig_start(&rig)) {
        make_registered(&data[0]);
        int duplicate = dup((int)ours.handle);
        close((int)ours.handle);
        reuse_number(&next, &peer);
        struct crew_task *receiver = add_receive(&data[1], &next, 2);
        rig_settle(&rig);
        for (int i = 0; i < 3; i++)
            rig_say(ends[1]);
        uint32_t steps = receiver->steps;
        ok(rig_idle_events(&rig, 50) <= 1);
        is(receiver->steps, steps); /* what is stale wakes nobody */
        rig_say(peer);
        rig_settle(&rig);
        is(data[1].received, 1);
        rig_say(peer);
        rig_settle(&rig);
        ok(receiver->over);
        close(duplicate);
        is(rig_finish(&rig), 0);
        close((int)peer);
    }
    end();
}

/* The one case that asks for notice: nothing tells that the number means another file. */
static void dup2_over_a_socket_works_after_notify_closing(void)
{
    static struct rig_receive data[2];
    intptr_t fresh[2];
    begin();
    if (rig_start(&rig)) {
        make_registered(&data[0]);
        rig_pair(fresh);
        rig.native.os.io->notify_closing(rig_io(&rig), ends[0]);
        dup2((int)fresh[0], (int)ends[0]);
        struct crew_task *receiver = add_receive(&data[1], &ours, 1);
        rig_settle(&rig);
        ok(!receiver->over);
        rig_say(fresh[1]);
        rig_settle(&rig);
        ok(receiver->over);
        is(receiver->code, 1);
        is(rig_finish(&rig), 0);
        close((int)fresh[0]);
        close((int)fresh[1]);
    }
    end();
}

/* And by number the new file is seen even without it. */
static void dup2_over_a_socket_is_seen_by_waits_by_number(void)
{
    static struct rig_receive data;
    static struct rig_wait wait;
    intptr_t fresh[2];
    begin();
    if (rig_start(&rig)) {
        make_registered(&data);
        rig_pair(fresh);
        dup2((int)fresh[0], (int)ends[0]);
        struct crew_task *waiter = add_wait(&wait, ends[0], CTRIO__READABLE);
        rig_settle(&rig);
        ok(!waiter->over);
        rig_say(fresh[1]);
        rig_settle(&rig);
        ok(waiter->over);
        is(rig_finish(&rig), 0);
        close((int)fresh[0]);
        close((int)fresh[1]);
    }
    end();
}

/* It was registered once, and so is the number; but not by it, and not for this file. */
static void an_object_whose_registration_was_taken_over_registers_anew(void)
{
    static struct rig_receive data[3];
    static struct ctrio__socket twin, next;
    intptr_t peer = -1;
    begin();
    if (rig_start(&rig)) {
        make_registered(&data[0]);
        ctrio__socket_init(&twin, ends[0]);
        struct crew_task *receiver = add_receive(&data[1], &twin, 1);
        rig_settle(&rig);
        crew_cancel(receiver);
        rig_settle(&rig);
        close((int)ends[0]);
        reuse_number(&next, &peer);
        receiver = add_receive(&data[2], &ours, 1);
        rig_settle(&rig);
        rig_say(peer);
        rig_settle(&rig);
        is(receiver->code, 1);
        is(rig_finish(&rig), 0);
        close((int)peer);
    }
    end();
}

static void a_socket_that_dies_late_does_not_touch_its_numbers_new_owner(void)
{
    static struct rig_receive data[2];
    static struct ctrio__socket next;
    intptr_t peer = -1;
    begin();
    if (rig_start(&rig)) {
        make_registered(&data[0]);
        close((int)ours.handle);
        reuse_number(&next, &peer);
        struct crew_task *receiver = add_receive(&data[1], &next, 1);
        rig_settle(&rig);
        memset(&ours, 0, sizeof ours); /* freed without a word: nothing points at it */
        rig_say(peer);
        rig_settle(&rig);
        is(receiver->code, 1);
        is(rig_finish(&rig), 0);
        close((int)peer);
    }
    end();
}

TAP_MAIN(TEST(one_registration_serves_a_socket_for_its_life),
         TEST(what_is_there_already_needs_no_registration),
         TEST(a_sender_that_must_wait_adds_its_direction_once),
         TEST(data_between_the_try_and_the_wait_is_not_missed),
         TEST(a_second_task_in_the_same_direction_is_told_it_is_busy),
         TEST(a_wait_by_number_shares_the_registration),
         TEST(two_objects_on_one_number_take_turns_and_both_work),
         TEST(a_socket_may_move_from_run_to_run), TEST(a_failed_registration_is_the_ops_result),
         TEST(closing_wakes_who_waits_and_the_next_owner_starts_afresh),
         TEST(a_closed_socket_answers_ebadf), TEST(a_raw_number_closed_without_notice_and_reused),
         TEST(a_stdlib_object_closed_under_a_socket_and_its_number_reused),
         TEST(closed_while_registered_with_a_duplicate_and_data_pending),
         TEST(the_same_with_the_number_reused_by_a_socket_that_a_task_waits_for),
         TEST(dup2_over_a_socket_works_after_notify_closing),
         TEST(dup2_over_a_socket_is_seen_by_waits_by_number),
         TEST(an_object_whose_registration_was_taken_over_registers_anew),
         TEST(a_socket_that_dies_late_does_not_touch_its_numbers_new_owner))

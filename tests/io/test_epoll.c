/* test_epoll.c - waiting by number, as foreign code does; docs/design/io.md. */
#include "rig.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct rig rig;
static intptr_t ends[2];

static struct crew_task *add_wait(struct rig_wait *data, intptr_t handle,
                                  enum ctrio__io_interest interest)
{
    *data = (struct rig_wait){.handle = handle, .interest = interest};
    return crew_add(&rig.crew, "waiter", rig_wait_body, data);
}

static struct ctrio__io_statistics statistics(void)
{
    struct ctrio__io_statistics out;
    ctrio__epoll_ops.statistics(rig_io(&rig), &out);
    return out;
}

static void begin(void)
{
    rig_init(&rig);
    rig_pair(ends);
}

static void end(void)
{
    close((int)ends[0]);
    close((int)ends[1]);
    rig_close(&rig);
}

static void a_waiter_wakes_when_its_handle_is_ready(void)
{
    static struct rig_wait reads, writes;
    begin();
    struct crew_task *reader = add_wait(&reads, ends[0], CTRIO__READABLE);
    struct crew_task *writer = add_wait(&writes, ends[1], CTRIO__WRITABLE);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        ok(!reader->over);
        ok(writer->over);
        is(writer->code, 0);
        is(statistics().tasks_waiting_read, 1U);
        is(statistics().tasks_waiting_write, 0U);
        rig_say(ends[1]);
        rig_settle(&rig);
        ok(reader->over);
        is(reads.woken, 1);
        is(rig_finish(&rig), 0);
        /* No memory for the table: epoll has been told to forget it. */
        bool told = reader->code == -ENOMEM || writer->code == -ENOMEM;
        if (told && rig.deletes != 1)
            abort(); /* else it would count as excused */
    }
    end();
}

/* Whichever comes first. */
static void both_directions_wait_apart_and_share_a_registration(void)
{
    static struct rig_wait reads, writes;
    for (uint64_t seed = 0; seed < 6; seed++) {
        begin();
        rig.crew.seed = seed;
        rig_fill(ends[0]);
        struct crew_task *reader = add_wait(&reads, ends[0], CTRIO__READABLE);
        struct crew_task *writer = add_wait(&writes, ends[0], CTRIO__WRITABLE);
        if (rig_start(&rig)) {
            rig_settle(&rig);
            is(rig.adds, 2U); /* the bell, and the handle */
            is(rig.modifies, 1U);
            if (seed % 2 == 0)
                rig_say(ends[1]);
            else
                rig_drain(ends[1]);
            rig_settle(&rig);
            is(reader->over, seed % 2 == 0);
            is(writer->over, seed % 2 != 0);
            rig_say(ends[1]);
            rig_drain(ends[1]);
            rig_settle(&rig);
            ok(reader->over && writer->over);
            is(rig_finish(&rig), 0);
        }
        end();
    }
}

static void a_second_waiter_for_a_direction_is_told_it_is_busy(void)
{
    static struct rig_wait first, second;
    begin();
    struct crew_task *a = add_wait(&first, ends[0], CTRIO__READABLE);
    struct crew_task *b = add_wait(&second, ends[0], CTRIO__READABLE);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        /* Whichever came second failed, which cancelled the other. */
        ok((a->code == CTRIO_BUSY_RESOURCE) != (b->code == CTRIO_BUSY_RESOURCE));
        ok((a->code == CTRIO_CANCELLED) != (b->code == CTRIO_CANCELLED));
        is(rig_finish(&rig), CTRIO_BUSY_RESOURCE);
    }
    end();
}

static void notify_closing_wakes_all_who_wait(void)
{
    static struct rig_wait reads, writes;
    begin();
    rig_fill(ends[0]);
    struct crew_task *reader = add_wait(&reads, ends[0], CTRIO__READABLE);
    struct crew_task *writer = add_wait(&writes, ends[0], CTRIO__WRITABLE);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        ctrio__epoll_ops.notify_closing(rig_io(&rig), ends[0]);
        ctrio__epoll_ops.notify_closing(rig_io(&rig), ends[0]);
        ctrio__epoll_ops.notify_closing(rig_io(&rig), 12345678);
        ctrio__epoll_ops.notify_closing(rig_io(&rig), -1);
        is(rig.deletes, 1U);
        rig_settle(&rig);
        is(reader->code, CTRIO_CLOSED_RESOURCE);
        is(writer->code, CTRIO_CLOSED_RESOURCE);
        is(rig_finish(&rig), CTRIO_CLOSED_RESOURCE);
    }
    end();
}

/* Fetched, then given up, then processed: as when a guest's host closes between two ticks. */
static void notify_closing_counts_for_events_already_fetched(void)
{
    static struct rig_wait reads, again;
    struct ctrio__io_events events;
    begin();
    struct crew_task *reader = add_wait(&reads, ends[0], CTRIO__READABLE);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        rig_say(ends[1]);
        is(ctrio__epoll_ops.get_events(rig_io(&rig), 0, &events), 1);
        ctrio__epoll_ops.notify_closing(rig_io(&rig), ends[0]);
        struct crew_task *later = add_wait(&again, ends[0], CTRIO__READABLE);
        ctrio__run_begin(&rig.crew.run, &events);
        while (ctrio__run_step(&rig.crew.run)) {
        }
        is(reader->code, CTRIO_CLOSED_RESOURCE);
        is(reads.woken, 0);
        rig_settle(&rig);
        ok(later->over); /* its nursery was cancelled by the failure */
        is(rig_finish(&rig), CTRIO_CLOSED_RESOURCE);
    }
    end();
}

/* An event of an old registration does not wake who waits on the new one. */
static void an_old_event_is_dropped_when_the_number_is_registered_anew(void)
{
    static struct rig_wait old, new;
    struct ctrio__io_events events;
    begin();
    struct crew_task *first = add_wait(&old, ends[0], CTRIO__READABLE);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        rig_say(ends[1]);
        is(ctrio__epoll_ops.get_events(rig_io(&rig), 0, &events), 1);
        struct epoll_event stale = *(struct epoll_event *)events.raw;
        ctrio__run_begin(&rig.crew.run, &events);
        while (ctrio__run_step(&rig.crew.run)) {
        }
        rig_drain(ends[0]);
        struct crew_task *second = add_wait(&new, ends[0], CTRIO__READABLE);
        rig_settle(&rig);
        events = (struct ctrio__io_events){&stale, 1};
        ctrio__epoll_ops.process_events(rig_io(&rig), &events);
        rig_settle(&rig);
        ok(first->over);
        ok(!second->over);
        crew_cancel(second);
        rig_settle(&rig);
        is(rig_finish(&rig), 0);
    }
    end();
}

/* Trio's test_can_survive_unnotified_close, told by its steps. */
static void a_number_closed_without_notice_does_not_break_the_loop(void)
{
    static struct rig_wait lost, found;
    intptr_t fresh[2];
    begin();
    struct crew_task *first = add_wait(&lost, ends[0], CTRIO__READABLE);
    rig_pair(fresh);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        dup2((int)fresh[0], (int)ends[0]);
        unsigned adds = rig.adds;
        struct crew_task *second = add_wait(&found, ends[0], CTRIO__WRITABLE);
        rig_settle(&rig);
        is(rig.modifies, 2U); /* tried first, in vain; and re-armed for the first */
        is(rig.adds, adds + 1);
        ok(second->over);
        is(second->code, 0);
        ok(!first->over); /* it waits by number, as in Trio: */
        rig_say(fresh[1]);
        rig_settle(&rig);
        ok(first->over);
        is(rig_finish(&rig), 0);
    }
    close((int)fresh[0]);
    close((int)fresh[1]);
    end();
}

static void numbers_that_cannot_be_waited_for_say_why(void)
{
    static struct rig_wait waits[4];
    static const int expected[] = {-EBADF, -EBADF, -EBADF, -EPERM};
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const intptr_t handles[] = {-1, (intptr_t)(sizeof(intptr_t) > 4 ? INT64_C(1) << 31 : -2),
                                1000000000, file};
    for (int i = 0; i < 4; i++) {
        begin();
        struct crew_task *task = add_wait(&waits[i], handles[i], CTRIO__READABLE);
        if (rig_start(&rig)) {
            rig_settle(&rig);
            is(task->code, expected[i]);
            is(rig_finish(&rig), expected[i]);
        }
        end();
    }
    close(file);
}

static void a_cancelled_waiter_leaves_nothing_behind(void)
{
    static struct rig_wait reads, writes, again;
    begin();
    rig_fill(ends[0]);
    struct crew_task *reader = add_wait(&reads, ends[0], CTRIO__READABLE);
    struct crew_task *writer = add_wait(&writes, ends[0], CTRIO__WRITABLE);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        crew_cancel(reader);
        rig_settle(&rig);
        ok(reader->over);
        is(reader->code, CTRIO_CANCELLED);
        is(statistics().tasks_waiting_read, 0U);
        is(statistics().tasks_waiting_write, 1U);
        crew_cancel(writer);
        rig_settle(&rig);
        is(statistics().tasks_waiting_write, 0U);
        rig_say(ends[1]);
        is(rig_idle_events(&rig, 3), 0U);
        struct crew_task *third = add_wait(&again, ends[0], CTRIO__READABLE);
        rig_settle(&rig);
        is(third->code, 0);
        is(rig_finish(&rig), 0);
    }
    end();
}

static void an_abandoned_waiter_leaves_nothing_behind(void)
{
    static struct rig_wait reads;
    begin();
    struct crew_task *reader = add_wait(&reads, ends[0], CTRIO__READABLE);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        crew_abandon(reader);
        is(statistics().tasks_waiting_read, 0U);
        rig_say(ends[1]);
        rig_settle(&rig);
        ok(reader->over);
        is(reads.woken, 1); /* by its own end, not by the handle */
        is(rig_finish(&rig), 0);
    }
    end();
}

static void a_hang_up_wakes_both_directions(void)
{
    static struct rig_wait reads, writes;
    begin();
    rig_fill(ends[0]);
    struct crew_task *reader = add_wait(&reads, ends[0], CTRIO__READABLE);
    struct crew_task *writer = add_wait(&writes, ends[0], CTRIO__WRITABLE);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        close((int)ends[1]);
        rig_settle(&rig);
        ok(reader->over && writer->over);
        is(reader->code, 0);
        is(writer->code, 0);
        is(rig_finish(&rig), 0);
        ends[1] = -1;
    }
    end();
}

static void a_failed_registration_wakes_the_other_direction_too(void)
{
    static struct rig_wait reads, writes;
    begin();
    rig_fill(ends[0]);
    struct crew_task *reader = add_wait(&reads, ends[0], CTRIO__READABLE);
    if (rig_start(&rig)) {
        rig_settle(&rig);
        rig.fail[RIG_CONTROL] = -ENOSPC;
        struct crew_task *writer = add_wait(&writes, ends[0], CTRIO__WRITABLE);
        rig_settle(&rig);
        is(reader->code, -ENOSPC);
        is(writer->code, -ENOSPC);
        is(statistics().tasks_waiting_read, 0U);
        is(rig_finish(&rig), -ENOSPC);
    }
    end();
}

static void a_backend_that_cannot_open_closes_what_it_had(void)
{
    static const enum rig_call calls[] = {RIG_CREATE, RIG_BELL, RIG_CONTROL};
    struct ctrio__io *io = NULL;
    for (unsigned i = 0; i < 3; i++) {
        rig_init(&rig);
        rig.fail[calls[i]] = -EMFILE;
        is(ctrio__epoll_open(&rig.native.os, &rig_calls, &io), -EMFILE);
        is(rig.closes, i < 2 ? i : 3U); /* epoll's; the two ends of the bell */
        ok(io == NULL);
        rig_close(&rig);
    }
}

static struct ctrio__io *open_io(void)
{
    struct ctrio__io *io = NULL;
    rig_init(&rig);
    is(ctrio__epoll_open(&rig.native.os, &rig_calls, &io), 0);
    return io;
}

static void close_io(struct ctrio__io *io)
{
    ctrio__epoll_ops.close(io);
    rig_close(&rig);
}

static int look(struct ctrio__io *io, double timeout)
{
    struct ctrio__io_events events;
    return ctrio__epoll_ops.get_events(io, timeout, &events);
}

/* And what a run does with it. */
static int look_and_process(struct ctrio__io *io, double timeout)
{
    struct ctrio__io_events events;
    int count = ctrio__epoll_ops.get_events(io, timeout, &events);
    ctrio__epoll_ops.process_events(io, &events);
    return count;
}

static void *ring(void *io)
{
    ctrio__epoll_ops.force_wakeup(io);
    return NULL;
}

static void a_wakeup_from_another_thread_ends_the_sleep(void)
{
    struct ctrio__io *io = open_io();
    pthread_t thread;
    if (io == NULL)
        return;
    is(pthread_create(&thread, NULL, ring, io), 0);
    is(look_and_process(io, 60), 1);
    pthread_join(thread, NULL);
    is(look(io, 0), 0);
    for (int i = 0; i < 100000; i++) /* more than the bell can hold */
        ring(io);
    is(look_and_process(io, 0), 1);
    is(look(io, 0), 0);
    close_io(io);
}

/* As signal handlers of other languages do. */
static void a_byte_written_to_the_bell_ends_the_sleep(void)
{
    struct ctrio__io *io = open_io();
    if (io == NULL)
        return;
    is(write((int)ctrio__epoll_ops.bell(io), "x", 1), 1);
    is(look_and_process(io, 60), 1);
    is(look(io, 0), 0);
    close_io(io);
}

static struct ctrio__io *rung_by_signal;
static volatile sig_atomic_t errno_after;

static void on_signal(int number)
{
    (void)number;
    errno = 4321;
    ctrio__epoll_ops.force_wakeup(rung_by_signal);
    ctrio__epoll_calls_native.ring_bell(NULL, -1); /* fails */
    errno_after = errno;
}

static void a_wakeup_from_a_signal_handler_leaves_errno_alone(void)
{
    struct sigaction action = {.sa_handler = on_signal}, before;
    rung_by_signal = open_io();
    if (rung_by_signal == NULL)
        return;
    sigaction(SIGUSR1, &action, &before);
    raise(SIGUSR1);
    is((int)errno_after, 4321);
    sigaction(SIGUSR1, &before, NULL);
    is(look(rung_by_signal, 0), 1);
    close_io(rung_by_signal);
}

static void times_are_exact_where_the_system_can(void)
{
    struct ctrio__io *io = open_io();
    if (io == NULL)
        return;
    rig.asleep = true;
    is(look(io, 0.0001), 0);
    is(rig.last_seconds, 0.0001);
    is(rig.calls[RIG_WAIT], 0U);
    is(look(io, 0), 0);
    is(rig.calls[RIG_WAIT], 1U); /* just to look needs no clock */
    is(rig.last_milliseconds, 0);
    is(look(io, 1e9), 0);
    is(rig.last_seconds, 86400.0);
    close_io(io);
}

static void times_round_up_to_milliseconds_where_it_cannot(void)
{
    static const int reasons[] = {-ENOSYS, -EPERM};
    for (int i = 0; i < 2; i++) {
        struct ctrio__io *io = open_io();
        if (io == NULL)
            return;
        rig.asleep = true;
        rig.fail[RIG_WAIT_EXACTLY] = reasons[i];
        is(look(io, 0.0000001), 0);
        is(rig.last_milliseconds, 1);
        is(look(io, 0.0011), 0);
        is(rig.last_milliseconds, 2);
        is(look(io, 0.002), 0);
        is(rig.last_milliseconds, 2);
        is(look(io, INFINITY), 0);
        is(rig.last_milliseconds, 86400000);
        is(rig.calls[RIG_WAIT_EXACTLY], 1U); /* asked once, believed ever after */
        close_io(io);
    }
}

static void a_signal_during_the_sleep_is_no_event_and_errors_are_told(void)
{
    struct ctrio__io *io = open_io();
    if (io == NULL)
        return;
    rig.fail[RIG_WAIT_EXACTLY] = -EINTR;
    is(look(io, 5), 0);
    rig.fail[RIG_WAIT] = -EINTR;
    is(look(io, 0), 0);
    rig.fail[RIG_WAIT] = -EBADF;
    is(look(io, 0), -EBADF);
    rig.fail[RIG_WAIT_EXACTLY] = -EFAULT;
    is(look(io, 1), -EFAULT);
    close_io(io);
}

static void the_native_sleep_lasts_at_least_as_long_as_asked(void)
{
    struct ctrio__io *io = open_io();
    if (io == NULL)
        return;
    struct ctrio__os *os = &rig.native.os;
    uint64_t before = os->now(os, CTRIO__MONOTONIC);
    is(look(io, 0.0003), 0);
    uint64_t between = os->now(os, CTRIO__MONOTONIC);
    rig.fail[RIG_WAIT_EXACTLY] = -ENOSYS;
    is(look(io, 0.0003), 0);
    uint64_t after = os->now(os, CTRIO__MONOTONIC);
    ok(between - before >= 300000);
    ok(after - between >= 300000);
    close_io(io);
}

TAP_MAIN(TEST(a_waiter_wakes_when_its_handle_is_ready),
         TEST(both_directions_wait_apart_and_share_a_registration),
         TEST(a_second_waiter_for_a_direction_is_told_it_is_busy),
         TEST(notify_closing_wakes_all_who_wait),
         TEST(notify_closing_counts_for_events_already_fetched),
         TEST(an_old_event_is_dropped_when_the_number_is_registered_anew),
         TEST(a_number_closed_without_notice_does_not_break_the_loop),
         TEST(numbers_that_cannot_be_waited_for_say_why),
         TEST(a_cancelled_waiter_leaves_nothing_behind),
         TEST(an_abandoned_waiter_leaves_nothing_behind), TEST(a_hang_up_wakes_both_directions),
         TEST(a_failed_registration_wakes_the_other_direction_too),
         TEST(a_backend_that_cannot_open_closes_what_it_had),
         TEST(a_wakeup_from_another_thread_ends_the_sleep),
         TEST(a_byte_written_to_the_bell_ends_the_sleep),
         TEST(a_wakeup_from_a_signal_handler_leaves_errno_alone),
         TEST(times_are_exact_where_the_system_can),
         TEST(times_round_up_to_milliseconds_where_it_cannot),
         TEST(a_signal_during_the_sleep_is_no_event_and_errors_are_told),
         TEST(the_native_sleep_lasts_at_least_as_long_as_asked))

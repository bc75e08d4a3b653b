/* test_no_memory.c - once its tasks are spawned a run asks for no memory any more.
 *
 * Parking, waking, cancelling, failing and exiting cannot fail, because nothing that they need is
 * still to be had.  The crew allocates nothing itself, so every call would be the kernel's. */
#include "crew.h"
#include "io/scripted.h"
#include "kernel/channel.h"
#include "kernel/event.h"
#include "kernel/lock.h"
#include "kernel/semaphore.h"
#include "memory.h"
#include "tap.h"

static struct ctrio__scripted scripted;
static struct crew crew;
static struct ctrio_event event;
static struct ctrio_lock lock;
static struct ctrio_semaphore semaphore;
static struct ctrio__channel channel;
static struct ctrio__channel_end out, in;
static struct ctrio__primitive acquire, permit;
static struct ctrio__op wait, forever;
static struct ctrio__channel_op sending, receiving;
static struct crew_task *waiter, *holder, *sleeper, *patient, *failer;
static size_t noted; /* calls when the first task was resumed: all had been spawned by then */

static void note_once(void)
{
    if (noted == SIZE_MAX)
        noted = memory_calls();
}

static void begin_primitive(struct crew_task *self, struct ctrio__primitive *op,
                            const struct ctrio__op_kind *kind, void *object)
{
    *op = (struct ctrio__primitive){.op = {.kind = kind, .object = object}};
    crew_do(self, &op->op);
}

static int number; /* what goes through the channel */

/* Parks in an event, a lock, a semaphore, a channel; woken each time, then cancelled. */
static bool waits_for_all(struct crew_task *self)
{
    note_once();
    struct ctrio__outcome unused = {0, NULL};
    if (self->code < 0 && self->code != CTRIO_CANCELLED)
        return false;
    switch (self->stage++) {
    case 0:
        ctrio__op_init(&wait, &ctrio__event_wait_kind, &event);
        crew_do(self, &wait);
        return true;
    case 1:
        begin_primitive(self, &acquire, &ctrio__lock_acquire_kind, &lock);
        return true;
    case 2:
        is(ctrio__lock_release(&lock, &self->task, &unused), 0);
        begin_primitive(self, &permit, &ctrio__semaphore_acquire_kind, &semaphore);
        return true;
    case 3:
        ctrio__channel_receive_op_init(&receiving, &in, &number);
        crew_do(self, &receiving.base.op);
        return true;
    case 4:
        ctrio__op_init(&forever, &ctrio__sleep_forever_kind, NULL);
        crew_do(self, &forever);
        return true;
    default:
        return false; /* with the cancellation */
    }
}

/* Wakes the waiter each time, and cancels the sleeper; exits with the lock in its hands. */
static bool hands_out(struct crew_task *self)
{
    note_once();
    struct ctrio__outcome unused = {0, NULL};
    if (self->code < 0)
        return false;
    switch (self->stage++) {
    case 0:
        is(ctrio__lock_acquire_nowait(&lock, &self->task, &unused), 0);
        is(ctrio__semaphore_acquire_nowait(&semaphore), 0);
        break;
    case 1:
        ctrio__event_set(&event);
        break;
    case 2:
        is(ctrio__lock_release(&lock, &self->task, &unused), 0);
        break;
    case 3:
        ctrio__semaphore_release(&semaphore);
        break;
    case 4:
        ctrio__channel_send_op_init(&sending, &out, &number);
        crew_do(self, &sending.base.op);
        return true;
    case 5:
        crew_cancel(sleeper);
        is(ctrio__lock_acquire_nowait(&lock, &self->task, &unused), 0);
        break;
    default:
        return false;
    }
    crew_sleep(self, 1.0);
    return true;
}

static bool sleeps(struct crew_task *self)
{
    note_once();
    if (self->stage++ != 0)
        return false;
    crew_sleep(self, 1000.0);
    return true;
}

static bool sleeps_and_fails(struct crew_task *self)
{
    note_once();
    if (self->stage++ == 0) {
        crew_sleep(self, 10.0);
        return true;
    }
    self->code = self->code == 0 ? -EIO : self->code;
    return false;
}

static void parking_waking_cancelling_failing_and_exiting_take_no_memory(void)
{
    noted = SIZE_MAX;
    ctrio__scripted_init(&scripted, &(struct ctrio__scripted_options){.seed = 1});
    crew_init(&crew);
    ctrio__event_init(&event, crew.tasks[0].task.frontend);
    ctrio__lock_init(&lock, crew.tasks[0].task.frontend);
    ctrio__semaphore_init(&semaphore, 1, 1, crew.tasks[0].task.frontend);
    ctrio__channel_init(&channel, sizeof(int), 0, NULL);
    ctrio__channel_end_init(&out, &channel, CTRIO__SEND_END);
    ctrio__channel_end_init(&in, &channel, CTRIO__RECEIVE_END);
    waiter = crew_add(&crew, "waiter", waits_for_all, NULL);
    holder = crew_add(&crew, "holder", hands_out, NULL);
    sleeper = crew_add(&crew, "sleeper", sleeps, NULL);
    patient = crew_add(&crew, "patient", sleeps, NULL);
    failer = crew_add(&crew, "failer", sleeps_and_fails, NULL);
    patient->scope.relative_deadline = 2.5;
    if (crew_open(&crew, &scripted.os, scripted.os.io) < 0) {
        tap_saw(-ENOMEM);
        return;
    }
    while (crew_turn(&crew, INFINITY)) {
    }
    is(memory_calls(), noted);
    is(crew_close(&crew), -EIO);
    is(waiter->stage, 6); /* to the end: it has waited for everything, and was cancelled */
    is(holder->stage, 7);
    is(sleeper->code, CTRIO_CANCELLED);
    is(sleeper->scope.cancelled_caught, true);
    is(patient->code, CTRIO_CANCELLED);
    is(patient->scope.cancelled_caught, true);
    is(failer->code, -EIO);
    ok(lock.lot.broken); /* its owner has exited */
    ctrio__channel_clear(&channel);
    ctrio__scripted_close(&scripted);
}

TAP_MAIN(TEST(parking_waking_cancelling_failing_and_exiting_take_no_memory))

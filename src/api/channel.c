/* channel.c - memory channels: two ends, each owned by its user, over one channel of the kernel.
 *
 * Invariant: the channel lives as long as any of its ends; an end lives until its owner closes it
 * and the last call on it has returned (a task may be inside when another closes it). */
#include "kernel/channel.h"
#include "api/handover.h"
#include "api/watch.h"
#include "base/alloc.h"
#include "kernel/loop.h"
#include <ctrio/channel.h>

struct shared {
    struct ctrio__channel channel;
    const struct ctrio_item_ops *ops; /* NULL: plain bytes */
    size_t ends;
};
/* Both public types are this. */
struct end {
    struct ctrio__channel_end end;
    struct shared *shared;
    size_t calls; /* inside a call now; the last one frees a closed end */
};

static struct end *of_send(const struct ctrio_send_channel *channel)
{
    return (struct end *)(uintptr_t)channel;
}

static struct end *of_receive(const struct ctrio_receive_channel *channel)
{
    return (struct end *)(uintptr_t)channel;
}

static void drop_item(struct ctrio__channel *channel, void *item)
{
    const struct ctrio_item_ops *ops = ctrio__container(channel, struct shared, channel)->ops;
    if (ops == NULL || ops->drop == NULL)
        return;
    bool inside = ctrio__set_inside(ctrio__c_current, false);
    ops->drop(item);
    ctrio__set_inside(ctrio__c_current, inside);
}

static struct end *end_new(struct shared *shared, enum ctrio__channel_side side)
{
    struct end *end = ctrio__alloc(sizeof *end);
    if (end == NULL)
        return NULL;
    ctrio__channel_end_init(&end->end, &shared->channel, side);
    end->shared = shared;
    shared->ends++;
    return end;
}

static void shared_drop(struct shared *shared)
{
    CTRIO_ASSERT(shared->ends > 0);
    if (--shared->ends > 0)
        return;
    ctrio__channel_clear(&shared->channel);
    ctrio__free(shared);
}

static void leave(struct end *end)
{
    if (end->calls > 0 || !end->end.closed)
        return;
    shared_drop(end->shared);
    ctrio__free(end);
}

static void end_close(struct end *end)
{
    if (end == NULL)
        return;
    CTRIO_ASSERT(!end->end.closed); /* each is closed exactly once */
    ctrio__channel_end_close(&end->end);
    leave(end);
}

/* --- opening --------------------------------------------------------------------------------- */

static struct shared *shared_new(size_t item_size, size_t capacity,
                                 const struct ctrio_item_ops *ops)
{
    struct shared *shared = ctrio__alloc(sizeof *shared);
    if (shared == NULL)
        return NULL;
    ctrio__channel_init(&shared->channel, item_size, capacity, drop_item);
    shared->ops = ops;
    return shared;
}

int ctrio_open_memory_channel(struct ctrio_send_channel **send,
                              struct ctrio_receive_channel **receive, size_t item_size,
                              size_t capacity, const struct ctrio_item_ops *ops)
{
    *send = NULL;
    *receive = NULL;
    if (item_size == 0 || item_size > SIZE_MAX / 4)
        return ctrio__fail(-EINVAL, "a channel of items of no size, or of more than there can be");
    struct shared *shared = shared_new(item_size, capacity, ops);
    if (shared == NULL)
        return -ENOMEM;
    struct end *out = end_new(shared, CTRIO__SEND_END);
    struct end *in = out != NULL ? end_new(shared, CTRIO__RECEIVE_END) : NULL;
    if (in == NULL) {
        if (out != NULL)
            end_close(out);
        else
            ctrio__free(shared);
        return -ENOMEM;
    }
    *send = (struct ctrio_send_channel *)out;
    *receive = (struct ctrio_receive_channel *)in;
    return 0;
}

int ctrio_send_channel_clone(struct ctrio_send_channel *channel, struct ctrio_send_channel **clone)
{
    struct end *end = of_send(channel);
    *clone = NULL;
    if (end->end.closed)
        return CTRIO_CLOSED_RESOURCE;
    *clone = (struct ctrio_send_channel *)end_new(end->shared, CTRIO__SEND_END);
    return *clone != NULL ? 0 : -ENOMEM;
}

int ctrio_receive_channel_clone(struct ctrio_receive_channel *channel,
                                struct ctrio_receive_channel **clone)
{
    struct end *end = of_receive(channel);
    *clone = NULL;
    if (end->end.closed)
        return CTRIO_CLOSED_RESOURCE;
    *clone = (struct ctrio_receive_channel *)end_new(end->shared, CTRIO__RECEIVE_END);
    return *clone != NULL ? 0 : -ENOMEM;
}

void ctrio_send_channel_close(struct ctrio_send_channel *channel)
{
    end_close(of_send(channel));
}

void ctrio_receive_channel_close(struct ctrio_receive_channel *channel)
{
    end_close(of_receive(channel));
}

/* --- items ----------------------------------------------------------------------------------- */

static int refuse_size(const struct end *end, size_t size)
{
    if (size == end->shared->channel.item_size)
        return 0;
    return ctrio_fail(CTRIO_MISUSE, "an item of %zu bytes on a channel of items of %zu", size,
                      end->shared->channel.item_size);
}

/* Most items go at once.  For these, kernel/primitive.c's cadence without an op: look for a
 * cancellation, try, one schedule point.  The caller has tried; false: it has to wait. */
static bool went_at_once(struct ctrio__c_task *self, int *code)
{
    if (*code == CTRIO_WOULD_BLOCK)
        return false;
    self->task.cancel_points++;
    if (*code == 0 && !ctrio__may_go_on(self->task.run, &self->task))
        ctrio__c_yield(self);
    return true;
}

static int await_op(struct end *end, struct ctrio__c_task *self, struct ctrio__channel_op *op)
{
    end->calls++;
    int result = ctrio__await(self, &op->base.op);
    end->calls--;
    leave(end);
    return result;
}

int ctrio_send_item(struct ctrio_send_channel *channel, const void *item, size_t size)
{
    struct end *end = of_send(channel);
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__channel_op op;
    int refused = self == NULL ? ctrio__refuse_outside() : refuse_size(end, size);
    if (refused < 0)
        return refused;
    int code = CTRIO_WOULD_BLOCK;
    if (!ctrio__task_cancel_pending(&self->task))
        code = ctrio__channel_send_nowait(&end->end, item);
    if (went_at_once(self, &code))
        return code;
    ctrio__channel_send_op_init(&op, &end->end, (void *)(uintptr_t)item);
    return await_op(end, self, &op);
}

int ctrio_send_item_nowait(struct ctrio_send_channel *channel, const void *item, size_t size)
{
    struct end *end = of_send(channel);
    int refused = refuse_size(end, size);
    return refused < 0 ? refused : ctrio__channel_send_nowait(&end->end, item);
}

int ctrio_receive_item(struct ctrio_receive_channel *channel, void *item, size_t size)
{
    struct end *end = of_receive(channel);
    struct ctrio__c_task *self = ctrio__self();
    struct ctrio__channel_op op;
    int refused = self == NULL ? ctrio__refuse_outside() : refuse_size(end, size);
    if (refused < 0)
        return refused;
    int code = CTRIO_WOULD_BLOCK;
    if (!ctrio__task_cancel_pending(&self->task))
        code = ctrio__channel_receive_nowait(&end->end, item);
    if (went_at_once(self, &code))
        return code;
    ctrio__channel_receive_op_init(&op, &end->end, item);
    return await_op(end, self, &op);
}

int ctrio_receive_item_nowait(struct ctrio_receive_channel *channel, void *item, size_t size)
{
    struct end *end = of_receive(channel);
    int refused = refuse_size(end, size);
    return refused < 0 ? refused : ctrio__channel_receive_nowait(&end->end, item);
}

void ctrio_get_channel_statistics(const struct ctrio_receive_channel *channel,
                                  struct ctrio_channel_statistics *statistics)
{
    const struct ctrio__channel *inner = &of_receive(channel)->shared->channel;
    *statistics = (struct ctrio_channel_statistics){
        .items_waiting = inner->count,
        .capacity = inner->max_buffer_size,
        .senders_open = inner->open_send,
        .receivers_open = inner->open_receive,
        .tasks_sending = inner->senders_count,
        .tasks_receiving = inner->receivers_count,
    };
}

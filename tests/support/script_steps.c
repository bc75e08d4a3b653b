/* script_steps.c - what the steps of a script do.
 *
 * An act answers its code; a failure's value, if it has one, is left in self->failing.value. */
#include "base/alloc.h"
#include "script.h"
#include <string.h>

/* A front end's own failure takes no static text along. */
static int code_of(struct script_task *self, int code)
{
    self->failing.value = NULL;
    return code;
}

int script_do_note(struct script_task *self, const struct script_step *step)
{
    script_say("%s:%s", self->name, step->name);
    return 0;
}

static int say_result(struct script_task *self, bool with_source)
{
    static const char *const sources[] = {"unknown", "deadline", "explicit",
                                          "nursery", "shutdown", "interrupt"};
    int code = self->result.code;
    if (code == CTRIO_FOREIGN || (code >= 0 && self->result.value != NULL))
        script_say("%s=%d", self->name, (int)(intptr_t)self->result.value);
    else if (code == CTRIO_CANCELLED && with_source)
        script_say("%s=cancelled(%s)", self->name,
                   self->source < 0 ? "unsaid" : sources[self->source]);
    else
        script_say("%s=%s", self->name, script_code_name(code));
    return 0;
}

int script_do_report(struct script_task *self, const struct script_step *step)
{
    (void)step;
    return say_result(self, false);
}

int script_do_reason(struct script_task *self, const struct script_step *step)
{
    (void)step;
    return say_result(self, true);
}

int script_do_fail(struct script_task *self, const struct script_step *step)
{
    self->failing.value = (void *)step->number;
    return CTRIO_FOREIGN;
}

int script_do_call(struct script_task *self, const struct script_step *step)
{
    step->call(self);
    return 0;
}

/* --- nurseries and scopes -------------------------------------------------------------------- */

int script_do_spawn(struct script_task *self, const struct script_step *step)
{
    struct script_nursery *nursery = step->object;
    return code_of(self, script_spawn(&nursery->nursery, step->name, step->child));
}

int script_do_system_spawn(struct script_task *self, const struct script_step *step)
{
    struct ctrio_run *run = self->task.run;
    int code = script_spawn(run->system.system_nursery, step->name, step->child);
    if (code == 0)
        ctrio__task_from(run->tasks.prev, run_link)->system = true;
    return code_of(self, code);
}

void script_open_nursery(struct script_task *self, struct script_nursery *nursery)
{
    ctrio__scope_init(&nursery->scope, &script_frontend);
    ctrio__scope_open(&nursery->scope, &self->task);
    ctrio__nursery_open(&nursery->nursery, &self->task, &nursery->scope);
}

int script_do_open_nursery(struct script_task *self, const struct script_step *step)
{
    script_open_nursery(self, step->object);
    return 0;
}

void script_begin_close(struct script_task *self, const struct script_step *step)
{
    struct script_nursery *nursery = step->object;
    ctrio__nursery_close_op_init(&self->op.close, &nursery->nursery);
}

static void spawn_for_start(struct ctrio__start_op *op, struct ctrio_task *task,
                            struct ctrio__outcome *io)
{
    struct script_task *self = (struct script_task *)task;
    io->code = script_spawn(op->old, self->at->name, self->at->child);
    if (io->code == 0)
        script_find(self->at->name)->start = op;
}

struct group_of_one {
    size_t count;
    struct ctrio__outcome leaf[];
};

static void unwrap(struct ctrio__start_op *op, struct ctrio__outcome *io)
{
    struct group_of_one *group = io->value;
    (void)op;
    if (group->count != 1)
        return;
    *io = group->leaf[0];
    ctrio__free(group);
}

void script_begin_start(struct script_task *self, const struct script_step *step)
{
    struct script_nursery *nursery = step->object;
    struct script_nursery *old = &world.old[world.old_count++];
    CTRIO_ASSERT(world.old_count <= sizeof world.old / sizeof world.old[0]);
    ctrio__start_op_init(&self->op.start, &nursery->nursery);
    self->op.start.unstarted = "exited without started";
    ctrio__scope_init(&old->scope, &script_frontend);
    self->op.start.old = &old->nursery;
    self->op.start.old_scope = &old->scope;
    self->op.start.spawn = spawn_for_start;
    self->op.start.unwrap = unwrap;
}

int script_do_started(struct script_task *self, const struct script_step *step)
{
    (void)step;
    return self->start != NULL ? code_of(self, ctrio__start_op_started(self->start)) : 0;
}

int script_do_open_scope(struct script_task *self, const struct script_step *step)
{
    struct ctrio_cancel_scope *scope = step->object;
    if (step->number == 1)
        ctrio__scope_init(scope, &script_frontend);
    ctrio__scope_open(scope, &self->task);
    return 0;
}

int script_do_close_scope(struct script_task *self, const struct script_step *step)
{
    struct ctrio_cancel_scope *scope = step->object;
    ctrio__scope_close(scope, &self->task, &self->failing);
    if (scope->state == CTRIO_SCOPE_CLOSED)
        ctrio__scope_forget(scope);
    return self->failing.code;
}

int script_do_cancel(struct script_task *self, const struct script_step *step)
{
    (void)self;
    ctrio__scope_cancel(step->object, script_reason(CTRIO__BY_EXPLICIT));
    return 0;
}

int script_do_shield(struct script_task *self, const struct script_step *step)
{
    (void)self;
    ctrio__scope_set_shield(step->object, step->number != 0);
    return 0;
}

/* --- time and readiness ---------------------------------------------------------------------- */

void script_begin_sleep(struct script_task *self, const struct script_step *step)
{
    ctrio__sleep_op_init(&self->op.sleep, ctrio__run_time(self->task.run) + step->seconds);
}

void script_begin_sleep_until(struct script_task *self, const struct script_step *step)
{
    ctrio__sleep_op_init(&self->op.sleep, step->seconds);
}

void script_begin_idle(struct script_task *self, const struct script_step *step)
{
    ctrio__idle_op_init(&self->op.idle, step->seconds);
}

int script_do_jump(struct script_task *self, const struct script_step *step)
{
    (void)self;
    ctrio__mock_clock_jump(&world.clock, step->seconds);
    return 0;
}

void script_begin_io(struct script_task *self, const struct script_step *step)
{
    script_io_op_init(&self->op.io, step->number, (enum ctrio__io_interest)step->how);
}

/* --- primitives ------------------------------------------------------------------------------ */

int script_do_acquire_nowait(struct script_task *self, const struct script_step *step)
{
    struct ctrio__outcome out = {0, NULL};
    return code_of(self, ctrio__lock_acquire_nowait(step->object, &self->task, &out));
}

int script_do_release(struct script_task *self, const struct script_step *step)
{
    struct ctrio__outcome out = {0, NULL};
    return code_of(self, ctrio__lock_release(step->object, &self->task, &out));
}

int script_do_permit_nowait(struct script_task *self, const struct script_step *step)
{
    return code_of(self, ctrio__semaphore_acquire_nowait(step->object));
}

int script_do_give_permit(struct script_task *self, const struct script_step *step)
{
    return code_of(self, ctrio__semaphore_release(step->object));
}

int script_do_set(struct script_task *self, const struct script_step *step)
{
    (void)self;
    ctrio__event_set(step->object);
    return 0;
}

int script_do_notify(struct script_task *self, const struct script_step *step)
{
    struct ctrio__outcome out = {0, NULL};
    return code_of(self,
                   ctrio__condition_notify(step->object, &self->task, (size_t)step->number, &out));
}

/* Borrowers are numbers from 1 on; a task's is 1000 + its serial.  Any two with the same
 * remainder by 10,000 are equal; 6666 cannot be compared. */
static int equal(const struct ctrio_table_node *node, const void *borrower)
{
    const struct ctrio__loan *loan = ctrio__container(node, const struct ctrio__loan, node);
    if ((intptr_t)loan->borrower == 6666 || (intptr_t)borrower == 6666)
        return CTRIO_FOREIGN;
    return (intptr_t)loan->borrower % 10000 == (intptr_t)borrower % 10000;
}

static void drop_borrower(void *borrower)
{
    (void)borrower;
    CTRIO_ASSERT(borrower != NULL);
    world.items_dropped++;
}

const struct ctrio__borrower_ops script_borrowers = {equal, drop_borrower};

static void *borrower(struct script_task *self, const struct script_step *step)
{
    return (void *)(step->number != 0 ? step->number : 1000 + (intptr_t)self->task.serial);
}

static uint64_t hash_of(const void *who)
{
    return (uint64_t)((intptr_t)who % 100); /* so that some collide */
}

void script_begin_token(struct script_task *self, const struct script_step *step)
{
    void *who = borrower(self, step);
    ctrio__limiter_op_init(&self->op.limiter, step->object, who, hash_of(who));
}

int script_do_token_nowait(struct script_task *self, const struct script_step *step)
{
    void *who = borrower(self, step);
    struct ctrio__outcome out = {0, NULL};
    return code_of(self, ctrio__limiter_acquire_nowait(step->object, who, hash_of(who), &out));
}

int script_do_give_token(struct script_task *self, const struct script_step *step)
{
    void *who = borrower(self, step);
    struct ctrio__outcome out = {0, NULL};
    return code_of(self, ctrio__limiter_release(step->object, who, hash_of(who), &out));
}

static struct script_item *item_new(intptr_t number)
{
    struct script_item *item = ctrio__alloc(sizeof *item);
    if (item != NULL)
        item->number = number;
    return item;
}

void script_drop_item(struct ctrio__channel *unused, void *item)
{
    (void)unused;
    world.items_dropped++;
    ctrio__free(*(struct script_item **)item);
}

/* Without memory for the item, NULL is sent: the receiver will see number 0. */
void script_begin_send(struct script_task *self, const struct script_step *step)
{
    struct script_item *item = item_new(step->number);
    if (item == NULL)
        tap_saw(-ENOMEM);
    struct ctrio__channel_op *op = &self->op.channel;
    ctrio__channel_send_op_init(op, step->object, &op->slot);
    op->slot = item;
    op->owned = true;
}

int script_send_item(struct ctrio__channel_end *end, intptr_t number)
{
    struct script_item *item = item_new(number);
    if (item == NULL)
        return -ENOMEM;
    int code = ctrio__channel_send_nowait(end, &item);
    if (code < 0)
        ctrio__free(item);
    return code;
}

int script_do_send_nowait(struct script_task *self, const struct script_step *step)
{
    return code_of(self, script_send_item(step->object, step->number));
}

void script_begin_receive(struct script_task *self, const struct script_step *step)
{
    ctrio__channel_receive_op_init(&self->op.channel, step->object, &self->op.channel.slot);
}

int script_do_receive_nowait(struct script_task *self, const struct script_step *step)
{
    struct script_item *item = NULL;
    int code = ctrio__channel_receive_nowait(step->object, &item);
    if (code == 0 && item != NULL)
        self->value = (void *)item->number;
    ctrio__free(item);
    return code_of(self, code);
}

int script_do_close_end(struct script_task *self, const struct script_step *step)
{
    (void)self;
    ctrio__channel_end_close(step->object);
    return 0;
}

int script_do_unpark(struct script_task *self, const struct script_step *step)
{
    (void)self;
    return (int)ctrio__lot_unpark(step->object, (size_t)step->number);
}

int script_do_abandon(struct script_task *self, const struct script_step *step)
{
    (void)self;
    script_abandon(script_find(step->name));
    return 0;
}

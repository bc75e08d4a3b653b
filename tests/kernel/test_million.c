/* A million: children that fail at once, and tasks each in a nursery of the one before. */
#include "kernel/nursery.h"
#include "script.h"
#include <stdlib.h>

enum { MILLION = 1000000 };

/* A task without a script, and what it may need for a nursery of its own. */
struct light {
    struct ctrio_task task;
    struct ctrio_cancel_scope scope;
    struct ctrio__nursery nursery;
    struct ctrio__nursery_close_op close;
    bool begun;
};

static struct ctrio__frontend frontend; /* the scripted one, with what is light */
static struct script_nursery nursery;
static struct light *chain;
static struct ctrio_task *many;
static size_t freed, groups, failures;
static int last_code; /* what the last of the chain comes to; 0: it waits */

static void light_free(struct ctrio_task *task)
{
    (void)task;
    freed++;
}

static void light_drop(struct ctrio__outcome *outcome)
{
    if (outcome->code == CTRIO_CANCELLED)
        ctrio__reason_drop(outcome->value);
    *outcome = (struct ctrio__outcome){0, NULL};
}

/* A group is its first failure that is not a cancellation. */
static struct ctrio__outcome light_group(struct ctrio__nursery *of)
{
    struct ctrio__outcome folded = {CTRIO_CANCELLED, NULL};
    groups++;
    ctrio__list_each (link, &of->failures) {
        struct ctrio__failure *node = ctrio__container(link, struct ctrio__failure, link);
        failures++;
        if (folded.code == CTRIO_CANCELLED)
            folded.code = node->outcome.code;
        light_drop(&node->outcome);
    }
    return folded;
}

static struct ctrio__reason *light_reason(enum ctrio__blame blame, struct ctrio_task *task,
                                          const struct ctrio__outcome *failure)
{
    (void)blame;
    (void)task;
    (void)failure;
    return NULL;
}

static void fresh(enum ctrio__step (*resume)(struct ctrio_task *, struct ctrio__outcome *))
{
    script_reset();
    frontend = script_frontend;
    frontend.resume = resume;
    frontend.group = light_group;
    frontend.reason_make = light_reason;
    frontend.outcome_drop = light_drop;
    frontend.nursery_release = NULL;
    frontend.task_free = light_free;
    freed = groups = failures = 0;
}

/* --- side by side ---------------------------------------------------------------------------- */

static enum ctrio__step waits(struct ctrio_task *task, struct ctrio__outcome *io)
{
    if (io->code < 0)
        return CTRIO__DONE;
    ctrio__task_park(task, ctrio__abort_simply, NULL);
    return CTRIO__PARKED;
}

static enum ctrio__step fails(struct ctrio_task *task, struct ctrio__outcome *io)
{
    (void)task;
    *io = (struct ctrio__outcome){CTRIO_FOREIGN, (void *)7};
    return CTRIO__DONE;
}

static void spawn_a_million(struct script_task *self)
{
    (void)self;
    int refused = 0;
    for (int i = 0; i < MILLION; i++) {
        ctrio__task_init(&many[i], &frontend);
        refused += ctrio__task_spawn(&world.run, &many[i], &nursery.nursery) != 0;
    }
    is(refused, 0);
    is(nursery.nursery.child_count, MILLION);
}

static void a_million_children_wait_are_cancelled_and_go(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), CALL(spawn_a_million),   CHECKPOINT, CHECKPOINT,
        CANCEL(&nursery.scope), CLOSE_NURSERY(&nursery), REPORT,     END};
    fresh(waits);
    many = malloc(sizeof *many * MILLION);
    is(script_run(main_task), 0);
    is(world.trace, "main=ok");
    is(freed, MILLION);
    free(many);
}

static void a_million_children_that_fail_at_once_are_one_failure(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), CALL(spawn_a_million), TRY, CLOSE_NURSERY(&nursery), REPORT, END};
    fresh(fails);
    many = malloc(sizeof *many * MILLION);
    is(script_run(main_task), 0);
    is(world.trace, "main=group");
    is(world.adopted, MILLION); /* no failure is lost, though the first cancels the others */
    is(world.failures_dropped, MILLION + 1);
    is(freed, MILLION);
    free(many);
}

/* --- one inside the other -------------------------------------------------------------------- */

static enum ctrio__step chain_resume(struct ctrio_task *task, struct ctrio__outcome *io)
{
    struct light *self = ctrio__container(task, struct light, task);
    bool last = self == &chain[MILLION - 1];
    if (!last && !self->begun) {
        ctrio__scope_init(&self->scope, &frontend);
        ctrio__scope_open(&self->scope, task);
        ctrio__nursery_open(&self->nursery, task, &self->scope);
        ctrio__task_init(&self[1].task, &frontend);
        self[1].begun = false;
        io->code = ctrio__task_spawn(task->run, &self[1].task, &self->nursery);
        ctrio__nursery_close_op_init(&self->close, &self->nursery);
    } else if (last && !self->begun && last_code == 0) {
        self->begun = true;
        ctrio__task_park(task, ctrio__abort_simply, NULL);
        return CTRIO__PARKED;
    } else if (last) {
        io->code = self->begun ? io->code : last_code;
        return CTRIO__DONE;
    }
    self->begun = true;
    if (self->close.op.kind->step(&self->close.op, task, io) == CTRIO__PARKED)
        return CTRIO__PARKED;
    ctrio__scope_forget(&self->scope);
    return CTRIO__DONE;
}

static void begin_the_chain(struct script_task *self)
{
    (void)self;
    ctrio__task_init(&chain[0].task, &frontend);
    chain[0].begun = false;
    is(ctrio__task_spawn(&world.run, &chain[0].task, &nursery.nursery), 0);
}

static void is_whole(struct script_task *self)
{
    (void)self;
    is(chain[MILLION - 1].begun, true);
    ok(chain[MILLION - 1].task.scope == &chain[MILLION - 2].scope);
}

static int run_the_chain(const struct script_step *script, int last)
{
    fresh(chain_resume);
    last_code = last;
    chain = malloc(sizeof *chain * MILLION);
    int code = script_run(script);
    is(freed, MILLION);
    free(chain);
    return code;
}

/* The nurseries close from the innermost out, a turn each. */
static void a_million_nested_tasks_are_cancelled_and_go(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), CALL(begin_the_chain),   SLEEP(1.0), CALL(is_whole),
        CANCEL(&nursery.scope), CLOSE_NURSERY(&nursery), REPORT,     END};
    is(run_the_chain(main_task, 0), 0);
    is(world.trace, "main=ok");
    is(groups, MILLION - 1);
}

static void the_innermost_of_a_million_fails_and_all_hear_of_it(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), CALL(begin_the_chain), TRY, CLOSE_NURSERY(&nursery), REPORT, END};
    is(run_the_chain(main_task, -EIO), 0);
    is(world.trace, "main=group");
    is(groups, MILLION - 1);
    is(failures, MILLION - 1); /* one in each nursery */
}

static void give_up(struct script_task *self)
{
    ctrio__run_fail(self->task.run, CTRIO_MISUSE);
}

static void a_run_with_a_million_nested_tasks_can_be_given_up(void)
{
    static const struct script_step main_task[] = {
        OPEN_NURSERY(&nursery), CALL(begin_the_chain),   SLEEP(1.0), CALL(is_whole),
        CALL(give_up),          CLOSE_NURSERY(&nursery), END};
    is(run_the_chain(main_task, 0), CTRIO_MISUSE);
    is(world.scopes_released, MILLION - 1 + 4); /* with that of main, and the run's own three */
}

TAP_MAIN(BIG_TEST(a_million_children_wait_are_cancelled_and_go),
         BIG_TEST(a_million_children_that_fail_at_once_are_one_failure),
         BIG_TEST(a_million_nested_tasks_are_cancelled_and_go),
         BIG_TEST(the_innermost_of_a_million_fails_and_all_hear_of_it),
         BIG_TEST(a_run_with_a_million_nested_tasks_can_be_given_up))

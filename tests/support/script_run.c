/* script_run.c - the world a script runs in: what every run needs around the main task, and the
 * loop that drives it.
 *
 * A run is never waited for: when nothing can happen any more the test is asked, and else the run
 * is given up, so that a lost wake-up is a failure and not a hang. */
#include "script.h"
#include <stdarg.h>
#include <stdio.h>

struct script_world world;
static struct script_nursery entry_nursery, system_nursery, main_nursery;
static const struct script_step *main_script;
static unsigned idle_turns;
static int opened;

void script_say(const char *format, ...)
{
    size_t used = strlen(world.trace);
    va_list arguments;
    if (used != 0 && used + 1 < sizeof world.trace)
        world.trace[used++] = ' ';
    va_start(arguments, format);
    vsnprintf(world.trace + used, sizeof world.trace - used, format, arguments);
    va_end(arguments);
}

size_t script_said(const char *word)
{
    size_t count = 0, length = strlen(word);
    for (const char *at = world.trace; (at = strstr(at, word)) != NULL; at += length) {
        bool begins = at == world.trace || at[-1] == ' ';
        count += begins && (at[length] == ' ' || at[length] == '\0');
    }
    return count;
}

static uint32_t choose_in_order(struct ctrio__chooser *self, enum ctrio__choice kind, uint32_t n,
                                uint64_t site)
{
    (void)self;
    (void)n;
    (void)site;
    return kind == CTRIO__CHOOSE_BATCH ? 1 : 0; /* batches are used up from their end */
}

struct ctrio__chooser script_in_order = {choose_in_order, false};

void script_reset(void)
{
    memset(&world, 0, sizeof world);
    ctrio__mock_clock_init(&world.clock, 0.0);
    world.use_clock = &world.clock.clock;
    world.chooser = &script_in_order;
    world.moment = SIZE_MAX;
    script_io_init(&world.io);
    world.hash = UINT64_C(0xcbf29ce484222325);
    world.last_blame = -1;
}

static void spawn_main(struct ctrio_run *run, struct ctrio__outcome *io)
{
    io->code = script_spawn(run->system.main_nursery, "main", main_script);
    if (io->code == 0)
        run->main_task = ctrio__task_from(run->tasks.prev, run_link);
}

static int spawn_entry_queue(struct ctrio_run *run)
{
    static const struct script_step script[] = {
        SCRIPT_OP("entry queue", ctrio__entry_queue_kind, &world.run), END};
    int code = script_spawn(run->system.entry_nursery, "entry queue", script);
    if (code == 0)
        ctrio__task_from(run->tasks.prev, run_link)->system = true;
    return code;
}

static int start(void)
{
    static const struct script_step script[] = {SCRIPT_OP("init", ctrio__init_kind, &world.run),
                                                END};
    struct script_task *init = script_task_new("init", script);
    if (init == NULL)
        return -ENOMEM;
    struct ctrio__system system = {
        .init = &init->task,
        .entry_nursery = &entry_nursery.nursery,
        .entry_scope = &entry_nursery.scope,
        .system_nursery = &system_nursery.nursery,
        .system_scope = &system_nursery.scope,
        .main_nursery = &main_nursery.nursery,
        .main_scope = &main_nursery.scope,
        .spawn_main = spawn_main,
        .spawn_entry_queue = spawn_entry_queue,
    };
    ctrio__scope_init(&entry_nursery.scope, &script_frontend);
    ctrio__scope_init(&system_nursery.scope, &script_frontend);
    ctrio__scope_init(&main_nursery.scope, &script_frontend);
    int code = tap_saw(ctrio__run_start(&world.run, &system));
    if (code < 0)
        script_frontend.task_free(&init->task);
    return code;
}

int script_open(const struct script_step *script)
{
    struct ctrio__run_options options = {
        .os = (struct ctrio__os *)(void *)&world.io,
        .io_ops = &script_io_ops,
        .now = script_io_now,
        .clock = world.use_clock,
        .chooser = world.chooser,
        .seed = world.seed,
        .data = &world,
    };
    main_script = script;
    idle_turns = 0;
    opened = tap_saw(ctrio__run_open(&world.run, &options));
    if (opened < 0)
        return opened;
    world.run.hooks = world.hooks;
    world.run.guest = world.guest;
    world.run.strict = world.strict;
    int code = start();
    if (code < 0)
        ctrio__run_fail(&world.run, code);
    return code;
}

/* Turns in which nothing ran and no time passed; a few are normal (autojump, idle waits). */
static bool is_stuck(double before, size_t steps)
{
    double now = world.use_clock->current_time(world.use_clock);
    bool moved = steps != 0 || now != before || world.run.ready_count != 0;
    idle_turns = moved ? 0 : idle_turns + 1;
    if (idle_turns < 4)
        return false;
    idle_turns = 0;
    return world.stuck == NULL || !world.stuck();
}

static void moment(void)
{
    if (world.moments++ == world.moment)
        world.interfere();
    CTRIO_ASSERT_SLOW(ctrio__timers_valid(&world.run.timers));
}

bool script_turn(void)
{
    struct ctrio_run *run = &world.run;
    struct ctrio__io_events events = {NULL, 0};
    if (opened < 0 || !ctrio__run_alive(run))
        return false;
    double before = world.use_clock->current_time(world.use_clock);
    size_t steps = 0;
    world.turns++;
    run->io_ops->get_events(run->io, ctrio__run_timeout(run), &events);
    ctrio__run_begin(run, &events);
    moment();
    while (ctrio__run_step(run)) {
        steps++;
        moment();
        if (ctrio__run_looks_each_step(run))
            break;
    }
    if (!is_stuck(before, steps))
        return ctrio__run_alive(run);
    script_say("stuck");
    ctrio__run_fail(run, CTRIO_MISUSE);
    return false;
}

static void forget_objects(void)
{
    while (world.left_behind_count > 0)
        ctrio__nursery_forget(world.left_behind[--world.left_behind_count]);
    ctrio__scope_forget(&entry_nursery.scope);
    ctrio__scope_forget(&system_nursery.scope);
    ctrio__scope_forget(&main_nursery.scope);
}

int script_close(void)
{
    struct ctrio_run *run = &world.run;
    if (opened < 0)
        return opened;
    ctrio__run_close(run);
    forget_objects();
    struct ctrio__outcome *outcome = run->failed != 0 ? &run->fatal : &run->main_outcome;
    int code = run->failed != 0 ? run->failed : outcome->code;
    script_describe(outcome, world.result, sizeof world.result);
    if (run->main_outcome.code < 0)
        script_frontend.outcome_drop(&run->main_outcome);
    if (run->fatal.code < 0)
        script_frontend.outcome_drop(&run->fatal);
    is(world.tasks_living, 0);
    ok(!world.io.is_open);
    return tap_saw(code);
}

int script_run(const struct script_step *script)
{
    script_open(script);
    while (script_turn())
        ;
    return script_close();
}

struct everywhere {
    const struct script_step *script;
    void (*fresh)(void), (*interfere)(void), (*check)(void);
    size_t moment;
};

static void run_with_interference(void *arg)
{
    const struct everywhere *what = arg;
    script_reset();
    what->fresh();
    world.moment = what->moment;
    world.interfere = what->interfere;
    script_run(what->script);
    what->check();
}

size_t script_everywhere(const struct script_step *script, void (*fresh)(void),
                         void (*interfere)(void), void (*check)(void))
{
    struct everywhere what = {script, fresh, interfere, check, SIZE_MAX};
    run_with_interference(&what); /* undisturbed */
    size_t moments = world.moments;
    for (what.moment = 0; what.moment < moments; what.moment++) {
        tap_each_failure(run_with_interference, &what);
        if (world.moments > moments) /* the interference made it longer */
            moments = world.moments;
    }
    return moments;
}

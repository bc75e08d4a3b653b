/* open.c - ctrio_run(): a run from its opening to its end.
 *
 * Invariant: what is opened in some order is closed in the reverse one, whatever fails in between;
 * a run that could not be opened has left nothing. */
#include "api/run.h"
#include "api/signals.h"
#include "api/token.h"
#include "api/watch.h"
#include "base/alloc.h"

static int check_options(const struct ctrio_run_options *options)
{
    if (!CTRIO__RESERVED_IS_ZERO(options))
        return ctrio__fail(-EINVAL, "ctrio_run_options: `reserved` must be zero");
    if (isnan(options->slow_step_seconds) || options->slow_step_seconds < 0)
        return ctrio__fail(-EINVAL, "ctrio_run_options: slow_step_seconds is no length of time");
    if (options->stack_size > SIZE_MAX / 65536)
        return ctrio__fail(-EINVAL, "ctrio_run_options: stack_size is beyond any memory");
    return 0;
}

/* On a machine that is lent nobody looks unless he is told to: its time is not the thread's. */
static double slow_step(const struct ctrio__c_run *run)
{
#ifdef NDEBUG
    static const double usual = INFINITY;
#else
    static const double usual = 0.1;
#endif
    if (run->options.slow_step_seconds != 0.0)
        return run->options.slow_step_seconds;
    return run->native != NULL ? usual : INFINITY;
}

static int open_kernel(struct ctrio__c_run *run, struct ctrio__chooser *chooser)
{
    uint64_t random[2] = {0, 0};
    int result = run->os->random(run->os, random, sizeof random);
    if (result < 0)
        return result;
    double offset = 1000.0 + (double)(random[1] % 1000000); /* nobody mixes it up with another */
    ctrio__system_clock_init(&run->clock, run->os, run->os->now, offset);
    const struct ctrio__run_options options = {
        .os = run->os,
        .io_ops = run->os->io,
        .now = run->os->now,
        .clock = run->options.clock != NULL ? run->options.clock : &run->clock.clock,
        .chooser = chooser,
        .seed = run->options.seed != 0 ? run->options.seed : random[0],
    };
    result = ctrio__run_open(&run->run, &options);
    run->run.bounded = !run->options.strict_checkpoints;
    return result;
}

static int open_loop(struct ctrio__c_run *run)
{
    size_t size = run->options.stack_size != 0 ? run->options.stack_size : 65536;
    ctrio__stack_pool_init(&run->stacks, &ctrio__memory_native, size);
    ctrio__stack_pool_init(&run->loop_stacks, &ctrio__memory_native, CTRIO__LOOP_STACK);
    run->loop_stacks.at_once = 1;
    int result = ctrio__stack_promise(&run->loop_stacks);
    if (result < 0)
        return result;
    struct ctrio__stack *stack = ctrio__stack_take(&run->loop_stacks);
    ctrio__fiber_init(&run->loop, stack->low, (size_t)(stack->top - stack->low), ctrio__c_run_loop,
                      run);
    run->slow_step = slow_step(run);
    ctrio__watch_steps(run);
    return 0;
}

static void forget_streams(struct ctrio__c_run *run)
{
#ifdef NDEBUG
    (void)run;
#else
    for (size_t i = 0; i < CTRIO__FREED_STREAMS; i++)
        ctrio__free(run->freed[i]);
#endif
}

static void close_loop(struct ctrio__c_run *run)
{
    forget_streams(run);
    ctrio__fiber_close(&run->left);
    ctrio__fiber_close(&run->loop);
    while (run->spare != NULL) {
        struct ctrio__c_task *task = run->spare;
        run->spare = task->u.life.arg;
        ctrio__free(task);
    }
    ctrio__stack_pool_close(&run->stacks);
    ctrio__stack_pool_close(&run->loop_stacks);
}

/* A result >= 0 is the main function's own.  What ended the run from outside of the main task (a
 * system task's failure) comes before what that one came to: it was cancelled by it. */
static int live(struct ctrio__c_run *run)
{
    int result = ctrio__c_run_start(run);
    if (result < 0)
        return result;
    ctrio__c_run_live(run);
    const struct ctrio__outcome *main = &run->run.main_outcome, *fatal = &run->run.fatal;
    ctrio__stories_push(ctrio__stories(), main->value);
    if (fatal->code < 0) {
        ctrio__stories_push(ctrio__stories(), fatal->value);
        return ctrio_collapse(fatal->code);
    }
    return main->code < 0 ? main->code : run->main_result;
}

static int open_and_live(struct ctrio__c_run *run, struct ctrio__chooser *chooser)
{
    int result = open_kernel(run, chooser);
    if (result < 0)
        return result;
    result = open_loop(run);
    if (result == 0) {
        ctrio__c_current = run;
        ctrio__overflow_begin(&run->overflow); /* without it an overflow is only a crash */
        ctrio__signals_begin(run);
        result = live(run);
        ctrio__signals_end(run);
        ctrio__overflow_end(&run->overflow);
        ctrio__token_run_over(run);
    }
    ctrio__run_close(&run->run);
    ctrio__c_current = NULL;
    close_loop(run);
    return result;
}

static bool guard_of_running(void *arg, const char **low, size_t *size)
{
    struct ctrio__c_run *run = arg;
    struct ctrio_task *task = run->run.current;
    if (task == NULL || !ctrio__stackful(task))
        return false;
    const struct ctrio__stack *stack = ctrio__c_task_of(task)->u.life.stack;
    if (stack == NULL || stack->guard == CTRIO__GUARD_CANARY)
        return false;
    *size = run->stacks.page;
    *low = stack->low - *size;
    return true;
}

static const char *name_of_running(void *arg)
{
    struct ctrio__c_run *run = arg;
    return ctrio__task_name(run->run.current);
}

static void init_main(struct ctrio__c_run *run, const char *name)
{
    struct ctrio__c_task *main = &run->main;
    ctrio__task_init(&main->task, &ctrio__c_frontend);
    main->name = name;
    main->holds = 2; /* a member of the run: nobody frees it */
    main->u.life = (struct ctrio__c_life){.stack = NULL};
    ctrio__fiber_adopt_thread(&main->u.life.fiber);
    run->overflow = (struct ctrio__overflow_watch){
        .guard = guard_of_running, .name = name_of_running, .arg = run};
}

int ctrio__c_run_on(struct ctrio__os *os, struct ctrio__chooser *chooser, ctrio_task_fn *fn,
                    void *arg, const struct ctrio_run_options *options, const char *name)
{
    struct ctrio__c_run *run = ctrio__alloc(sizeof *run);
    if (run == NULL)
        return -ENOMEM;
    run->options = *options;
    run->user_fn = fn;
    run->user_arg = arg;
    run->os = os;
    if (os == NULL) {
        run->native = ctrio__native_os_new();
        run->os = run->native != NULL ? &run->native->os : NULL;
    }
    int result = -ENOMEM;
    if (run->os != NULL) {
        init_main(run, name);
        result = open_and_live(run, chooser);
        ctrio__free(run->main.own_name);
    }
    if (run->native != NULL)
        ctrio__native_os_drop(run->native);
    ctrio__free(run);
    return result;
}

int ctrio_run_at(ctrio_task_fn *fn, void *arg, const struct ctrio_run_options *options,
                 const char *name, int header_version)
{
    static const struct ctrio_run_options defaults = {.stack_size = 0};
    ctrio__refuse_handlers();
    if (ctrio__forked())
        ctrio__die_outside();
    if (ctrio__c_current != NULL)
        return ctrio__fail(CTRIO_MISUSE, "ctrio_run() inside of a run");
    if (header_version != CTRIO_VERSION)
        return ctrio__fail(CTRIO_MISUSE, "the program was compiled with the headers of another "
                                         "version than that of the library");
    if (options == NULL)
        options = &defaults;
    int result = check_options(options);
    ctrio__run_seen();
    return result < 0 ? result : ctrio__c_run_on(NULL, NULL, fn, arg, options, name);
}

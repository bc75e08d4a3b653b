/* walk.c - every schedule of a script, and the proof that it is as large as it says.
 *
 * Counted is how often each of the three was resumed: a task of four checkpoints is resumed five
 * times at least, if nobody cancels it. */
#include "walk.h"
#include <stdio.h>

enum { RESUMES = 5 };

struct script_nursery walk_nursery;
struct ctrio_cancel_scope walk_scope;
static struct tape tape;
static unsigned resumes[3], most[3]; /* in this schedule, in any */

void walk_begin(struct script_task *self)
{
    (void)self;
    tape.recording = true;
}

void walk_end(struct script_task *self)
{
    (void)self;
    tape.recording = false;
}

static void count(struct ctrio_run *run, enum ctrio__hook which, struct ctrio_task *task)
{
    const char *name = ((struct script_task *)task)->name;
    (void)run;
    (void)which;
    if (name[1] == '\0' && name[0] >= 'a' && name[0] <= 'c')
        resumes[name[0] - 'a']++;
}

static void fresh_world(void)
{
    script_reset();
    world.chooser = &tape.chooser;
    world.hooks.wanted = CTRIO__HOOK_BEFORE_TASK_STEP;
    world.hooks.task_event = count;
    ctrio__scope_init(&walk_scope, &script_frontend);
    memset(resumes, 0, sizeof resumes);
}

size_t walk(const char *what, const struct script_step *script, void (*fresh)(void),
            bool (*holds)(void))
{
    size_t bad = 0;
    memset(most, 0, sizeof most);
    tape_init(&tape);
    do {
        fresh_world();
        fresh();
        if (script_run(script) != 0 || world.trace[0] != '\0' || !holds())
            bad++;
        ctrio__scope_forget(&walk_scope); /* a reason that came too late */
        for (int i = 0; i < 3; i++)
            most[i] = resumes[i] > most[i] ? resumes[i] : most[i];
    } while (bad == 0 && tape_next(&tape));
    is(bad, 0);
    if (bad != 0)
        note("#     schedule %zu of %s", tape.schedules, what);
    ok(bad != 0 || (most[0] >= RESUMES && most[1] >= RESUMES && most[2] >= RESUMES));
    printf("# %s: %zu schedules, %u, %u and %u checkpoints\n", what, tape.schedules, most[0] - 1,
           most[1] - 1, most[2] - 1);
    return tape.schedules;
}

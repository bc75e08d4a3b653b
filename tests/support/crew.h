/* crew.h - a front end for the tests of src/os and src/io: tasks that run ops on any `os`.
 *
 *   static bool echo(struct crew_task *self) { switch (self->stage++) { case 0: …init op…;
 *       crew_do(self, &op.head.base.op); return true; default: return false; } }
 *   crew_open(&crew, &os, os->io); crew_add(&crew, "server", echo, data); is(crew_run(&crew), 0);
 *
 * A body is called with the code of its last op in self->code (0 at first) and asks for the next
 * one by crew_do; false ends the task with that code.  Each task runs in a scope of its own. */
#ifndef CTRIO_TESTS_CREW_H
#define CTRIO_TESTS_CREW_H
#include "io/scripted_chooser.h"
#include "kernel/checkpoint.h"
#include "kernel/run.h"
#include "os/os.h"

enum { CREW_TASKS = 16 };

struct crew_task;
typedef bool crew_body(struct crew_task *self);

struct crew_task {
    struct ctrio_task task;
    struct ctrio_cancel_scope scope; /* cancel it to cancel the task */
    const char *name;
    crew_body *body;
    void *data;
    int stage;            /* the body's own */
    int code;             /* of the last op */
    uint32_t steps;       /* how often it was resumed */
    struct ctrio__op *op; /* under way; NULL: the body's turn */
    struct ctrio__op plain;
    struct ctrio__sleep_op sleep;
    bool begun, over;
};

struct crew {
    struct ctrio_run run;
    struct ctrio__system_clock clock;
    struct crew_task tasks[CREW_TASKS]; /* 0: the main task, which waits for the others */
    size_t count;
    struct crew_task init, entries;
    struct ctrio__init_op init_op;
    struct ctrio__nursery nurseries[4]; /* entry, system, main; and the crew's own */
    struct ctrio_cancel_scope scopes[4];
    struct ctrio__nursery_close_op close;
    struct ctrio__chooser *chooser; /* set between init and open */
    struct ctrio__trace *trace;     /* likewise: gets the serial of each task that is resumed */
    uint64_t seed;
    int failed; /* what a turn came to, if < 0 */
    size_t freed;
};

void crew_init(struct crew *crew);
/* A task of the crew; before or during the run.  `name` is borrowed. */
struct crew_task *crew_add(struct crew *crew, const char *name, crew_body *body, void *data);
/* Opens a run and starts its tasks; < 0: there is none. */
int crew_open(struct crew *crew, struct ctrio__os *os, const struct ctrio__io_ops *io_ops);
/* One turn of the loop, waiting at most `most` seconds; false: the run is over or has failed. */
bool crew_turn(struct crew *crew, double most);
/* Closes the run; what the main task, or the run, came to. */
int crew_close(struct crew *crew);
/* From open to close. */
int crew_run(struct crew *crew, struct ctrio__os *os, const struct ctrio__io_ops *io_ops);
void crew_do(struct crew_task *self, struct ctrio__op *op);
void crew_checkpoint(struct crew_task *self);
void crew_sleep(struct crew_task *self, double seconds);
/* The op under way, if any, will not be stepped again; the task ends when it is resumed. */
void crew_abandon(struct crew_task *victim);
static inline void crew_cancel(struct crew_task *victim)
{
    ctrio__scope_cancel(&victim->scope, NULL);
}
#endif

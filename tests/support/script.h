/* script.h - a front end whose tasks are arrays of steps, and a world for them to run in.
 *
 *   static const struct script_step waiter[] = {ACQUIRE(&lock), REPORT, RELEASE(&lock), END};
 *   static const struct script_step main_task[] = {
 *       OPEN_NURSERY(&nursery), SPAWN(&nursery, "a", waiter), SPAWN(&nursery, "b", waiter),
 *       CLOSE_NURSERY(&nursery), END};
 *   script_reset(); ctrio__lock_init(&lock, &script_frontend);
 *   is(script_run(main_task), 0); is(world.trace, "a=ok b=ok");
 *
 * A step that fails ends the script, but for the CLOSE_ steps on its way out, which get the
 * failure and may swallow it.  After TRY the next step's failure is only reported. */
#ifndef CTRIO_TESTS_SCRIPT_H
#define CTRIO_TESTS_SCRIPT_H
#include "kernel/capacity_limiter.h"
#include "kernel/channel.h"
#include "kernel/checkpoint.h"
#include "kernel/condition.h"
#include "kernel/event.h"
#include "kernel/idle.h"
#include "kernel/run.h"
#include "kernel/semaphore.h"
#include "script_io.h"
#include "tap.h"
#include <string.h>

struct script_task;
struct script_step;
typedef int script_act(struct script_task *self, const struct script_step *step);

enum script_mark {
    SCRIPT_PLAIN,
    SCRIPT_OPENS,
    SCRIPT_CLOSES,
    SCRIPT_TRY,
    SCRIPT_LOOP,
    SCRIPT_AGAIN
};

/* Every member that a step does not name is zero; a step of zeros ends the script. */
struct script_step {
    const char *verb;
    script_act *act; /* a step without waiting; its code is the step's result */
    void (*begin)(struct script_task *self, const struct script_step *step); /* fills self->op */
    const struct ctrio__op_kind *kind; /* with neither act nor begin: an op of this kind */
    void (*call)(struct script_task *self);
    void *object;
    intptr_t number;
    int how; /* an enum of the verb's own */
    double seconds;
    const struct script_step *child;
    const char *name;
    enum script_mark mark;
};

/* A nursery and the scope around it. */
struct script_nursery {
    struct ctrio__nursery nursery;
    struct ctrio_cancel_scope scope;
};

union script_op {
    struct ctrio__op op;
    struct ctrio__primitive primitive;
    struct ctrio__limiter_op limiter;
    struct ctrio__channel_op channel;
    struct ctrio__sleep_op sleep;
    struct ctrio__idle_op idle;
    struct ctrio__condition_wait_op condition;
    struct ctrio__nursery_close_op close;
    struct ctrio__start_op start;
    struct ctrio__init_op init;
    struct ctrio__wait_op wait;
    struct script_io_op io;
};

struct script_task {
    struct ctrio_task task;
    const char *name;
    const struct script_step *script, *at;
    union script_op op;
    bool in_op;                    /* op has begun and is not done */
    bool trying;                   /* the step at `at` may fail */
    bool abandoned;                /* its op was abandoned: it ends when it next runs */
    struct ctrio__outcome result;  /* of the last step; the value only if it is a number */
    void *value;                   /* of an act that succeeded, a number */
    struct ctrio__outcome failing; /* code < 0: on the way out; owned */
    int source;                    /* of the last cancellation, enum ctrio__source; -1: unsaid */
    intptr_t loops;                /* turns left of the loop */
    struct ctrio__start_op *start; /* of the parent that waits for our started() */
};

/* An item on its way through a channel; from the hooked allocator, so that a lost one shows. */
struct script_item {
    intptr_t number;
};

struct script_world {
    /* Before the run: */
    struct ctrio__mock_clock clock; /* autojump_threshold 0 */
    struct ctrio_clock *use_clock;  /* &clock.clock */
    struct ctrio__chooser *chooser; /* &script_in_order */
    uint64_t seed;
    struct ctrio__hooks hooks;
    bool guest, strict;
    size_t moment; /* the moment, from 0, at which interfere() is called: see script_everywhere */
    void (*interfere)(void);
    bool (*stuck)(void); /* nothing can happen any more: make something happen, or false */
    struct script_io io;

    /* During and after it: */
    struct ctrio_run run;
    char trace[8192]; /* words of REPORT and NOTE */
    uint64_t hash;    /* of every step that ended, when, by whom, how */
    size_t steps, turns, moments;
    struct script_nursery old[32]; /* for start(): they may outlive their tasks */
    size_t old_count;
    struct ctrio__nursery *left_behind[32]; /* released while they still held failures */
    size_t left_behind_count;
    size_t tasks_living; /* structs of ours */
    size_t items_dropped, failures_dropped, lots_broken, scopes_released, adopted;
    size_t misnested[CTRIO__NURSERY_OUT_OF_ORDER + 1];
    int last_blame;    /* enum ctrio__blame of the last reason made; -1 */
    char result[1024]; /* what the main task came to, in words */
};
extern struct script_world world;
extern const struct ctrio__frontend script_frontend;
extern const struct ctrio__borrower_ops script_borrowers; /* numbers, equal or not */

/* A fresh world; first in a test. */
void script_reset(void);
/* Runs `script` as the main task of a run; the code of its outcome (or of what stopped the run). */
int script_run(const struct script_step *script);
/* The same in pieces; the tests may look about between them. */
int script_open(const struct script_step *script);
bool script_turn(void); /* false: the run is over, or stuck */
int script_close(void);

/* Runs it again and again, with interfere() at every moment in turn: after the waking of what is
 * due and after each single step of each task, so on both sides of every completion.  fresh()
 * follows script_reset, check() script_run.  Returns how many moments there were. */
size_t script_everywhere(const struct script_step *script, void (*fresh)(void),
                         void (*interfere)(void), void (*check)(void));

/* Batches in the order of waking; the chooser of a fresh world. */
extern struct ctrio__chooser script_in_order;

/* The living task of this name, or NULL. */
struct script_task *script_find(const char *name);
/* As when a coroutine is closed: its op is abandoned; if it is parked it stays so. */
void script_abandon(struct script_task *victim);
/* For interfere(): cancels the scope if it is open; abandons the op the named task is in, and
 * wakes the task if it is parked, so that it ends. */
void script_cancel_open(struct ctrio_cancel_scope *scope);
void script_abandon_named(const char *name);
/* Whether the trace has this word, and how often. */
size_t script_said(const char *word);
/* A new task, not yet spawned; NULL without memory. */
struct script_task *script_task_new(const char *name, const struct script_step *script);
int script_spawn(struct ctrio__nursery *nursery, const char *name,
                 const struct script_step *script);
struct ctrio__reason *script_reason(enum ctrio__source source);
void script_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *script_code_name(int code);
void script_describe(const struct ctrio__outcome *outcome, char *text, size_t size);
void script_open_nursery(struct script_task *self, struct script_nursery *nursery);

/* --- steps ---------------------------------------------------------------------------------- */

script_act script_do_note, script_do_report, script_do_reason, script_do_fail, script_do_call;
script_act script_do_spawn, script_do_system_spawn, script_do_started, script_do_open_nursery;
script_act script_do_open_scope, script_do_close_scope, script_do_cancel, script_do_shield;
script_act script_do_release, script_do_acquire_nowait, script_do_set, script_do_notify;
script_act script_do_permit_nowait, script_do_give_permit;
script_act script_do_token_nowait, script_do_give_token;
script_act script_do_send_nowait, script_do_receive_nowait, script_do_close_end;
script_act script_do_unpark, script_do_abandon, script_do_jump;
void script_begin_sleep(struct script_task *self, const struct script_step *step);
void script_begin_sleep_until(struct script_task *self, const struct script_step *step);
void script_begin_idle(struct script_task *self, const struct script_step *step);
void script_begin_token(struct script_task *self, const struct script_step *step);
void script_begin_send(struct script_task *self, const struct script_step *step);
void script_begin_receive(struct script_task *self, const struct script_step *step);
void script_begin_close(struct script_task *self, const struct script_step *step);
void script_begin_start(struct script_task *self, const struct script_step *step);
void script_begin_io(struct script_task *self, const struct script_step *step);
int script_send_item(struct ctrio__channel_end *end, intptr_t number);
void script_drop_item(struct ctrio__channel *unused, void *item);

#define END {.verb = NULL}
#define TRY {.verb = "try", .mark = SCRIPT_TRY}
#define LOOP(times) {.verb = "loop", .mark = SCRIPT_LOOP, .number = (times)}
#define AGAIN {.verb = "again", .mark = SCRIPT_AGAIN}
#define SCRIPT_ACT(word, fn, ...) {.verb = (word), .act = (fn), __VA_ARGS__}
#define SCRIPT_OP(word, k, o) {.verb = (word), .kind = &(k), .object = (o)}
#define SCRIPT_BEGIN(word, fn, ...) {.verb = (word), .begin = (fn), __VA_ARGS__}

/* Into the trace: "name:text", and "name=result of the last step". */
#define NOTE(text) SCRIPT_ACT("note", script_do_note, .name = (text))
#define REPORT SCRIPT_ACT("report", script_do_report, .number = 0)
#define REPORT_REASON SCRIPT_ACT("report", script_do_reason, .number = 0)
#define FAIL(n) SCRIPT_ACT("fail", script_do_fail, .number = (n))
#define CALL(fn) SCRIPT_ACT("call", script_do_call, .call = (fn))
#define DO(fn, o) SCRIPT_ACT("do", fn, .object = (o))

#define SPAWN(n, label, s)                                                                         \
    SCRIPT_ACT("spawn", script_do_spawn, .object = (n), .name = (label), .child = (s))
#define SYSTEM_SPAWN(label, s)                                                                     \
    SCRIPT_ACT("spawn", script_do_system_spawn, .name = (label), .child = (s))
#define START(n, label, s)                                                                         \
    SCRIPT_BEGIN("start", script_begin_start, .object = (n), .name = (label), .child = (s))
#define STARTED SCRIPT_ACT("started", script_do_started, .number = 0)
#define OPEN_NURSERY(n)                                                                            \
    SCRIPT_ACT("open nursery", script_do_open_nursery, .object = (n), .mark = SCRIPT_OPENS)
#define CLOSE_NURSERY(n)                                                                           \
    SCRIPT_BEGIN("close nursery", script_begin_close, .object = (n), .mark = SCRIPT_CLOSES)
/* A scope that the test has initialised, or (FRESH) that is initialised now. */
#define OPEN_SCOPE(s)                                                                              \
    SCRIPT_ACT("open scope", script_do_open_scope, .object = (s), .mark = SCRIPT_OPENS)
#define FRESH_SCOPE(s)                                                                             \
    SCRIPT_ACT("open scope", script_do_open_scope, .object = (s), .number = 1, .mark = SCRIPT_OPENS)
#define CLOSE_SCOPE(s)                                                                             \
    SCRIPT_ACT("close scope", script_do_close_scope, .object = (s), .mark = SCRIPT_CLOSES)
#define CANCEL(s) SCRIPT_ACT("cancel", script_do_cancel, .object = (s))
#define SHIELD(s, on) SCRIPT_ACT("shield", script_do_shield, .object = (s), .number = (on))

#define CHECKPOINT SCRIPT_OP("checkpoint", ctrio__checkpoint_kind, NULL)
#define SHIELDED_CHECKPOINT SCRIPT_OP("shielded", ctrio__cancel_shielded_checkpoint_kind, NULL)
#define IF_CANCELLED SCRIPT_OP("if cancelled", ctrio__checkpoint_if_cancelled_kind, NULL)
#define FOREVER SCRIPT_OP("sleep forever", ctrio__sleep_forever_kind, NULL)
#define SLEEP(s) SCRIPT_BEGIN("sleep", script_begin_sleep, .seconds = (s))
#define SLEEP_UNTIL(t) SCRIPT_BEGIN("sleep", script_begin_sleep_until, .seconds = (t))
#define IDLE(cushion) SCRIPT_BEGIN("idle", script_begin_idle, .seconds = (cushion))
#define JUMP(s) SCRIPT_ACT("jump", script_do_jump, .seconds = (s))
#define WAIT_IO(handle, interest)                                                                  \
    SCRIPT_BEGIN("wait io", script_begin_io, .number = (handle), .how = (interest))

#define ACQUIRE(lock) SCRIPT_OP("acquire", ctrio__lock_acquire_kind, lock)
#define ACQUIRE_NOWAIT(lock)                                                                       \
    SCRIPT_ACT("acquire nowait", script_do_acquire_nowait, .object = (lock))
#define RELEASE(lock) SCRIPT_ACT("release", script_do_release, .object = (lock))
#define PERMIT(semaphore) SCRIPT_OP("permit", ctrio__semaphore_acquire_kind, semaphore)
#define PERMIT_NOWAIT(semaphore)                                                                   \
    SCRIPT_ACT("permit nowait", script_do_permit_nowait, .object = (semaphore))
#define GIVE_PERMIT(semaphore)                                                                     \
    SCRIPT_ACT("give permit", script_do_give_permit, .object = (semaphore))
#define WAIT(event) SCRIPT_OP("wait", ctrio__event_wait_kind, event)
#define SET(event) SCRIPT_ACT("set", script_do_set, .object = (event))
#define COND_WAIT(condition) SCRIPT_OP("cond wait", ctrio__condition_wait_kind, condition)
#define NOTIFY(condition, n)                                                                       \
    SCRIPT_ACT("notify", script_do_notify, .object = (condition), .number = (n))
/* For borrower number n; 0: the task itself. */
#define TOKEN(limiter, n)                                                                          \
    SCRIPT_BEGIN("token", script_begin_token, .object = (limiter), .number = (n))
#define TOKEN_NOWAIT(limiter, n)                                                                   \
    SCRIPT_ACT("token nowait", script_do_token_nowait, .object = (limiter), .number = (n))
#define GIVE_TOKEN(limiter, n)                                                                     \
    SCRIPT_ACT("give token", script_do_give_token, .object = (limiter), .number = (n))
#define SEND(end, n) SCRIPT_BEGIN("send", script_begin_send, .object = (end), .number = (n))
#define SEND_NOWAIT(end, n)                                                                        \
    SCRIPT_ACT("send nowait", script_do_send_nowait, .object = (end), .number = (n))
#define RECEIVE(end) SCRIPT_BEGIN("receive", script_begin_receive, .object = (end))
#define RECEIVE_NOWAIT(end) SCRIPT_ACT("receive nowait", script_do_receive_nowait, .object = (end))
#define CLOSE_END(end) SCRIPT_ACT("close end", script_do_close_end, .object = (end))
#define PARK(lot) SCRIPT_OP("park", ctrio__park_kind, lot)
#define UNPARK(lot, n) SCRIPT_ACT("unpark", script_do_unpark, .object = (lot), .number = (n))
/* Closes the named task's coroutine, so to speak. */
#define ABANDON(victim) SCRIPT_ACT("abandon", script_do_abandon, .name = (victim))
#endif

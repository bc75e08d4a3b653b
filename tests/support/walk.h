/* walk.h - three tasks of four checkpoints, in every order there is.
 *
 *   static const struct script_step script[] = WALK_THREE(one, other, third);
 *   walk("lock", script, fresh, holds);
 *
 * Any task that can run may be next at each step.  Each schedule runs in a fresh world, after which
 * holds() must be true, nobody stuck, and the trace empty. */
#ifndef CTRIO_TESTS_WALK_H
#define CTRIO_TESTS_WALK_H
#include "script.h"
#include "tape.h"

extern struct script_nursery walk_nursery;   /* the three run in it */
extern struct ctrio_cancel_scope walk_scope; /* for a script to open and cancel; forgotten for it */

/* Runs all schedules of `script`, up to the first that is bad, and says how many they were. */
size_t walk(const char *what, const struct script_step *script, void (*fresh)(void),
            bool (*holds)(void));
/* Steps of scripts: choices are recorded, and the three are counted, in between. */
void walk_begin(struct script_task *self);
void walk_end(struct script_task *self);

/* The run's own tasks are parked before the three begin, and while they run. */
#define WALK_SOME(...)                                                                             \
    {CHECKPOINT,                                                                                   \
     CHECKPOINT,                                                                                   \
     OPEN_NURSERY(&walk_nursery),                                                                  \
     __VA_ARGS__,                                                                                  \
     CALL(walk_begin),                                                                             \
     CLOSE_NURSERY(&walk_nursery),                                                                 \
     CALL(walk_end),                                                                               \
     END}
#define WALK_THREE(one, other, third)                                                              \
    WALK_SOME(SPAWN(&walk_nursery, "a", one), SPAWN(&walk_nursery, "b", other),                    \
              SPAWN(&walk_nursery, "c", third))
/* Two; one of them starts the third by the name "c". */
#define WALK_TWO(one, other)                                                                       \
    WALK_SOME(SPAWN(&walk_nursery, "a", one), SPAWN(&walk_nursery, "b", other))
#endif

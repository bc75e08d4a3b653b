/* tape.h - a chooser that plays a tape of answers, and the walk through all tapes.
 *
 *   tape_init(&tape);
 *   do { script_reset(); world.chooser = &tape.chooser; …run…check… } while (tape_next(&tape));
 *
 * Each run replays the answers so far and adds zeros; tape_next raises the last answer that can be
 * raised and cuts what is behind it: depth first, each schedule once. */
#ifndef CTRIO_TESTS_TAPE_H
#define CTRIO_TESTS_TAPE_H
#include "kernel/chooser.h"
#include <stddef.h>

struct tape {
    struct ctrio__chooser chooser; /* task by task */
    bool recording;                /* while false every answer is 0 and none is recorded */
    uint32_t answer[256], arity[256];
    size_t length, position;
    size_t schedules; /* runs so far, the present one included */
};
void tape_init(struct tape *tape);
/* Rewinds to the next tape; false: that was the last one. */
bool tape_next(struct tape *tape);
#endif

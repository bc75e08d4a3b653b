/* scripted_chooser.h - choices from a seed or from a tape, and a hash of all that happened. */
#ifndef CTRIO_IO_SCRIPTED_CHOOSER_H
#define CTRIO_IO_SCRIPTED_CHOOSER_H
#include "base/rng.h"
#include "kernel/chooser.h"
#include <stddef.h>

/* A rolling hash: two runs did the same, in the same order, if theirs are equal. */
struct ctrio__trace {
    uint64_t hash, count;
};
void ctrio__trace_add(struct ctrio__trace *trace, uint64_t what);

struct ctrio__scripted_chooser {
    struct ctrio__chooser chooser;
    struct ctrio__trace *trace; /* gets each choice; borrowed */
    struct ctrio__rng rng;      /* without a tape */
    const uint32_t *tape;       /* the answers, borrowed; NULL: seeded */
    size_t length, position;    /* behind its end, and where it asks for too much, it says 0 */
};
/* Any task that can run may be next, at once. */
void ctrio__scripted_chooser_seed(struct ctrio__scripted_chooser *chooser, uint64_t seed,
                                  struct ctrio__trace *trace);
void ctrio__scripted_chooser_play(struct ctrio__scripted_chooser *chooser, const uint32_t *tape,
                                  size_t length, struct ctrio__trace *trace);
#endif

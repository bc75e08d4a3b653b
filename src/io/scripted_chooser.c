/* scripted_chooser.c - the smallest chooser that can repeat itself.
 *
 * Invariant: the answers depend on nothing but the seed or tape and how many were asked for.
 * Strategies that look for bugs, and shrinking of tapes, are a simulator's. */
#include "io/scripted_chooser.h"
#include "base/assert.h"
#include "base/list.h"

void ctrio__trace_add(struct ctrio__trace *trace, uint64_t what)
{
    /* Position counts: the same words in another order give another hash. */
    struct ctrio__rng mix = {trace->hash ^ what};
    trace->hash = ctrio__rng_next(&mix) + ++trace->count;
}

static uint32_t choose(struct ctrio__chooser *base, enum ctrio__choice kind, uint32_t n,
                       uint64_t site)
{
    struct ctrio__scripted_chooser *self =
        ctrio__container(base, struct ctrio__scripted_chooser, chooser);
    uint32_t answer = 0;
    CTRIO_ASSERT(n >= 2);
    if (self->tape == NULL)
        answer = (uint32_t)(ctrio__rng_next(&self->rng) % n);
    else if (self->position < self->length)
        answer = self->tape[self->position];
    self->position++;
    if (answer >= n)
        answer = 0;
    ctrio__trace_add(self->trace, (uint64_t)kind << 56 | (uint64_t)n << 28 | answer);
    ctrio__trace_add(self->trace, site);
    return answer;
}

void ctrio__scripted_chooser_seed(struct ctrio__scripted_chooser *chooser, uint64_t seed,
                                  struct ctrio__trace *trace)
{
    CTRIO_ASSERT(trace != NULL);
    *chooser = (struct ctrio__scripted_chooser){
        .chooser = {choose, true},
        .trace = trace,
        .rng = {seed},
    };
}

void ctrio__scripted_chooser_play(struct ctrio__scripted_chooser *chooser, const uint32_t *tape,
                                  size_t length, struct ctrio__trace *trace)
{
    ctrio__scripted_chooser_seed(chooser, 0, trace);
    CTRIO_ASSERT(tape != NULL || length == 0);
    chooser->tape = tape;
    chooser->length = length;
}

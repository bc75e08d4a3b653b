/* tape.c - depth first through a tree of choices, without remembering more than one branch. */
#include "tape.h"
#include "base/assert.h"
#include "base/list.h"

static uint32_t choose(struct ctrio__chooser *self, enum ctrio__choice kind, uint32_t n,
                       uint64_t site)
{
    struct tape *tape = ctrio__container(self, struct tape, chooser);
    (void)kind;
    (void)site;
    if (!tape->recording)
        return 0;
    size_t at = tape->position++;
    CTRIO_ASSERT(at < sizeof tape->answer / sizeof tape->answer[0]);
    if (at == tape->length) {
        tape->answer[at] = 0;
        tape->arity[at] = n;
        tape->length++;
    }
    CTRIO_ASSERT(tape->arity[at] == n); /* else: not the same run up to here */
    return tape->answer[at];
}

void tape_init(struct tape *tape)
{
    *tape = (struct tape){.chooser = {choose, true}, .schedules = 1};
}

bool tape_next(struct tape *tape)
{
    size_t last = tape->length;
    while (last > 0 && tape->answer[last - 1] + 1 == tape->arity[last - 1])
        last--;
    if (last == 0)
        return false;
    tape->answer[last - 1]++;
    tape->length = last;
    tape->position = 0;
    tape->recording = false;
    tape->schedules++;
    return true;
}

/* reason.c - why a scope was cancelled.
 *
 * One reason is shared by every scope the cancellation spreads to; the first one a scope gets is
 * the one it keeps.  Reasons without details are static, so that a deadline allocates nothing. */
#include "base/assert.h"
#include "kernel/frontend.h"

struct ctrio__reason ctrio__reason_deadline = {NULL, 1, CTRIO__BY_DEADLINE};
struct ctrio__reason ctrio__reason_misnesting = {NULL, 1, CTRIO__BY_UNKNOWN};
struct ctrio__reason ctrio__reason_interrupt = {NULL, 1, CTRIO__BY_INTERRUPT};

void ctrio__reason_drop(struct ctrio__reason *reason)
{
    if (reason == NULL || reason->frontend == NULL)
        return;
    CTRIO_ASSERT(reason->references > 0);
    if (--reason->references == 0)
        reason->frontend->reason_free(reason);
}

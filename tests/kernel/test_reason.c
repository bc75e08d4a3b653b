#include "script.h"

static void a_static_reason_is_never_freed(void)
{
    script_reset();
    ok(ctrio__reason_share(&ctrio__reason_deadline) == &ctrio__reason_deadline);
    ctrio__reason_drop(&ctrio__reason_deadline);
    ctrio__reason_drop(&ctrio__reason_deadline);
    ctrio__reason_drop(&ctrio__reason_deadline);
    is(ctrio__reason_deadline.references, 1);
    is((int)ctrio__reason_deadline.source, (int)CTRIO__BY_DEADLINE);
    is((int)ctrio__reason_misnesting.source, (int)CTRIO__BY_UNKNOWN);
    is((int)ctrio__reason_interrupt.source, (int)CTRIO__BY_INTERRUPT);
}

static void no_reason_can_be_shared_and_dropped(void)
{
    ok(ctrio__reason_share(NULL) == NULL);
    ctrio__reason_drop(NULL);
}

static void a_made_reason_lives_until_its_last_sharer_drops_it(void)
{
    script_reset();
    struct ctrio__reason *reason = script_reason(CTRIO__BY_EXPLICIT);
    if (reason == NULL)
        return;
    ctrio__reason_share(reason);
    ctrio__reason_share(reason);
    is(reason->references, 3);
    ctrio__reason_drop(reason);
    ctrio__reason_drop(reason);
    is(reason->references, 1);
    ctrio__reason_drop(reason); /* a leak or a second free would show */
}

/* The first reason a scope gets is the one it keeps; others inside share it. */
static struct ctrio_cancel_scope outer, inner;

static void cancel_twice(struct script_task *self)
{
    (void)self;
    ctrio__scope_cancel(&outer, script_reason(CTRIO__BY_EXPLICIT));
    ctrio__scope_cancel(&outer, script_reason(CTRIO__BY_NURSERY));
    ok(outer.reason == inner.reason);
    if (outer.reason != NULL) {
        is((int)outer.reason->source, (int)CTRIO__BY_EXPLICIT);
        is(outer.reason->references, 2);
    }
}

static void scopes_share_the_first_reason(void)
{
    static const struct script_step main_task[] = {
        FRESH_SCOPE(&outer), FRESH_SCOPE(&inner), CALL(cancel_twice),  TRY, CHECKPOINT,
        REPORT_REASON,       CLOSE_SCOPE(&inner), CLOSE_SCOPE(&outer), END};
    script_reset();
    is(script_run(main_task), 0);
    is(world.trace, "main=cancelled(explicit)");
}

TAP_MAIN(TEST(a_static_reason_is_never_freed), TEST(no_reason_can_be_shared_and_dropped),
         TEST(a_made_reason_lives_until_its_last_sharer_drops_it),
         TEST(scopes_share_the_first_reason))

/* The result of a scope's close is dropped.
 * gcc: -Wunused-result
 * clang: -Wunused-result */
#include <ctrio.h>

void dropped_scope_close(void);
void dropped_scope_close(void)
{
    struct ctrio_cancel_scope s;
    ctrio_move_on_after(&s, 1.0);
    ctrio_cancel_scope_close(&s, 0);
}

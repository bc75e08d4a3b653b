/* A failure is returned past the scope's close.
 * clang: 's' is not held on every path through here */
#include <ctrio.h>

int early_return(void);
int early_return(void)
{
    struct ctrio_cancel_scope s;
    ctrio_move_on_after(&s, 1.0);
    int rc = ctrio_sleep(2.0);
    if (rc < 0)
        return rc;
    return ctrio_cancel_scope_close(&s, rc);
}

/* A loop is left with the scope of its body open.
 * clang: 's' is not held on every path through here */
#include <ctrio.h>

int break_out(void);
int break_out(void)
{
    int rc = 0;
    while (rc == 0) {
        struct ctrio_cancel_scope s;
        ctrio_fail_after(&s, 1.0);
        rc = ctrio_sleep(2.0);
        if (rc < 0)
            break;
        rc = ctrio_cancel_scope_close(&s, rc);
    }
    return rc;
}

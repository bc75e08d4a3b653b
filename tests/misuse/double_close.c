/* The same scope closed twice.
 * clang: 's' that was not held */
#include <ctrio.h>

int double_close(void);
int double_close(void)
{
    struct ctrio_cancel_scope s;
    ctrio_cancel_scope_open(&s);
    int rc = ctrio_cancel_scope_close(&s, 0);
    return ctrio_cancel_scope_close(&s, rc);
}

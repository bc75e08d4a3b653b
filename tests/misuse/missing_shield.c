/* A shield that nobody closes.
 * clang: 's' is still held at the end of function */
#include <ctrio.h>

void missing_shield(void);
void missing_shield(void)
{
    struct ctrio_cancel_scope s;
    ctrio_shield_for(&s, 1.0);
}

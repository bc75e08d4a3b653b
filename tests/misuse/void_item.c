/* An item of unknown size.
 * gcc: -Wpointer-arith
 * clang: -Wpointer-arith */
#include <ctrio.h>

int void_item(struct ctrio_send_channel *channel, void *item);
int void_item(struct ctrio_send_channel *channel, void *item)
{
    return ctrio_send(channel, item);
}

/* A message that does not fit its arguments.
 * gcc: -Wformat
 * clang: -Wformat */
#include <ctrio.h>

int wrong_format(struct ctrio_stream *stream);
int wrong_format(struct ctrio_stream *stream)
{
    return ctrio_send_format(stream, "%s", 1);
}

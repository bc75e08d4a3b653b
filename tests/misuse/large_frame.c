/* A frame that is as large as a task's whole stack: with -Wframe-larger-than=16384.
 * gcc: -Wframe-larger-than=
 * clang: -Wframe-larger-than */
#include <ctrio.h>

int large_frame(struct ctrio_stream *stream);
int large_frame(struct ctrio_stream *stream)
{
    char buffer[65536];
    return ctrio_receive_some(stream, buffer, sizeof buffer);
}

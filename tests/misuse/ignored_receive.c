/* Bytes are received, and nobody knows how many.
 * gcc: -Wunused-result
 * clang: -Wunused-result */
#include <ctrio.h>

char ignored_receive(struct ctrio_stream *stream);
char ignored_receive(struct ctrio_stream *stream)
{
    char buffer[16] = {0};
    ctrio_receive_some(stream, buffer, sizeof buffer);
    return buffer[0];
}

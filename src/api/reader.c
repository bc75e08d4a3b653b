/* reader.c - records out of a stream, in a buffer of the user's.
 *
 * Invariant: start <= end <= capacity.  A call that is cancelled has only added bytes
 * behind `end`, so that it can be made again. */
#include "base/assert.h"
#include <ctrio/stream.h>
#include <limits.h>
#include <string.h>

void ctrio_reader_init(struct ctrio_reader *reader, struct ctrio_stream *stream, void *buffer,
                       size_t capacity)
{
    *reader = (struct ctrio_reader){.stream = stream, .buffer = buffer, .capacity = capacity};
}

/* At least one more byte behind `end`; 0: the stream has ended.  -EMSGSIZE: no room. */
static int fill(struct ctrio_reader *reader)
{
    CTRIO_ASSERT(reader->start <= reader->end && reader->end <= reader->capacity);
    if (reader->start > 0 && reader->end == reader->capacity) {
        memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    if (reader->end == reader->capacity)
        return -EMSGSIZE;
    int n = ctrio_receive_some(reader->stream, reader->buffer + reader->end,
                               reader->capacity - reader->end);
    if (n > 0)
        reader->end += (size_t)n;
    return n;
}

static int at_end(const struct ctrio_reader *reader)
{
    return reader->end == reader->start ? CTRIO_END_OF_CHANNEL : CTRIO_BROKEN_RESOURCE;
}

/* `size` bytes of the record, then `skip` more of what ends it. */
static int take(struct ctrio_reader *reader, size_t size, size_t skip, char **data)
{
    if (size > INT_MAX)
        return -EMSGSIZE;
    *data = reader->buffer + reader->start;
    reader->start += size + skip;
    return (int)size;
}

static int require(struct ctrio_reader *reader, size_t size)
{
    if (size > reader->capacity)
        return -EMSGSIZE;
    while (reader->end - reader->start < size) {
        int n = fill(reader);
        if (n <= 0)
            return n < 0 ? n : at_end(reader);
    }
    return 0;
}

int ctrio_read_until(struct ctrio_reader *reader, const char *delimiter, char **data)
{
    size_t length = strlen(delimiter), scanned = 0; /* of what is buffered */
    if (length == 0)
        return -EINVAL;
    for (;;) {
        char *from = reader->buffer + reader->start;
        size_t size = reader->end - reader->start;
        char *found = memmem(from + scanned, size - scanned, delimiter, length);
        if (found != NULL)
            return take(reader, (size_t)(found - from), length, data);
        if (size >= length) /* it may have begun in the last bytes */
            scanned = size - length + 1;
        int n = fill(reader);
        if (n <= 0)
            return n < 0 ? n : at_end(reader);
    }
}

int ctrio_read_line(struct ctrio_reader *reader, char **line)
{
    int length = ctrio_read_until(reader, "\n", line);
    if (length < 0)
        return length;
    if (length > 0 && (*line)[length - 1] == '\r')
        length--;
    (*line)[length] = '\0';
    return length;
}

int ctrio_read_exactly(struct ctrio_reader *reader, size_t size, char **data)
{
    int result = require(reader, size);
    return result < 0 ? result : take(reader, size, 0, data);
}

int ctrio_read_frame(struct ctrio_reader *reader, size_t prefix_size, char **data)
{
    size_t size = 0;
    if (prefix_size != 1 && prefix_size != 2 && prefix_size != 4)
        return -EINVAL;
    int result = require(reader, prefix_size);
    if (result < 0)
        return result;
    for (size_t i = 0; i < prefix_size; i++)
        size = size << 8 | (unsigned char)reader->buffer[reader->start + i];
    result = require(reader, prefix_size + size);
    if (result < 0)
        return result;
    reader->start += prefix_size;
    return take(reader, size, 0, data);
}

int ctrio_read_some(struct ctrio_reader *reader, void *buffer, size_t size)
{
    size_t waiting = reader->end - reader->start;
    if (waiting == 0 || size == 0) /* no room at all is refused there */
        return ctrio_receive_some(reader->stream, buffer, size);
    if (waiting > size)
        waiting = size;
    if (waiting > INT_MAX)
        waiting = INT_MAX;
    memcpy(buffer, reader->buffer + reader->start, waiting);
    reader->start += waiting;
    return (int)waiting;
}

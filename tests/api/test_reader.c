/* test_reader.c - records out of a stream. */
#include "wire.h"
#include <string.h>

static struct wire wire;
static struct ctrio_reader reader;
static char buffer[16];

/* A reader on `there`, to which `text` has been sent; with the end behind it if `ends`. */
static int begin(const char *text, size_t size, bool ends)
{
    int result = wire_open(&wire);
    if (result < 0)
        return result;
    memset(buffer, '#', sizeof buffer);
    ctrio_reader_init(&reader, wire.there, buffer, sizeof buffer);
    is(ctrio_send_all(wire.here, text, size), 0);
    if (ends)
        is(ctrio_send_eof(wire.here), 0);
    return 0;
}

static void got(int length, const char *data, const char *expected)
{
    if (is(length, (int)strlen(expected)))
        ok(memcmp(data, expected, strlen(expected)) == 0);
}

#define BEGIN(text, ends)                                                                          \
    int result = begin(text, sizeof(text) - 1, ends);                                              \
    char *data = NULL;                                                                             \
    if (result < 0)                                                                                \
    return result

MAIN_TEST(lines_come_without_their_ends_and_then_the_end)
{
    BEGIN("one\ntwo\r\n\n\r\nlast one\n", true);
    static const char *const lines[] = {"one", "two", "", "", "last one"};
    for (size_t i = 0; i < 5; i++) {
        int length = ctrio_read_line(&reader, &data);
        got(length, data, lines[i]);
        if (length >= 0)
            is((int)data[length], 0);
    }
    is(ctrio_read_line(&reader, &data), CTRIO_END_OF_CHANNEL);
    is(ctrio_read_line(&reader, &data), CTRIO_END_OF_CHANNEL);
    wire_close(&wire);
    return 0;
}

MAIN_TEST(an_end_inside_a_record_is_broken)
{
    BEGIN("whole\nhal", true);
    is(ctrio_read_line(&reader, &data), 5);
    is(ctrio_read_line(&reader, &data), CTRIO_BROKEN_RESOURCE);
    is(ctrio_read_exactly(&reader, 4, &data), CTRIO_BROKEN_RESOURCE);
    is(ctrio_read_exactly(&reader, 3, &data), 3);
    is(ctrio_read_exactly(&reader, 1, &data), CTRIO_END_OF_CHANNEL);
    wire_close(&wire);
    return 0;
}

MAIN_TEST(a_record_beyond_the_buffer_is_refused)
{
    BEGIN("0123456789abcdef\n", true);
    is(ctrio_read_line(&reader, &data), -EMSGSIZE);
    is(ctrio_read_exactly(&reader, 17, &data), -EMSGSIZE);
    result = ctrio_read_exactly(&reader, 16, &data);
    got(result, data, "0123456789abcdef");
    is(ctrio_read_line(&reader, &data), 0);
    wire_close(&wire);
    return 0;
}

static int sends_byte_by_byte(void *arg)
{
    const char *text = arg;
    int result = 0;
    for (; *text != '\0' && result == 0; text++) {
        result = ctrio_send_all(wire.here, text, 1);
        if (result == 0)
            result = ctrio_sleep(1);
    }
    return result == 0 ? ctrio_send_eof(wire.here) : result;
}

MAIN_TEST(a_delimiter_may_come_in_pieces)
{
    static const char text[] = "ab--==c--=d--==e--==";
    struct ctrio_nursery nursery;
    BEGIN("", false);
    ctrio_nursery_open(&nursery);
    result = ctrio_start_soon(&nursery, sends_byte_by_byte, (void *)(uintptr_t)text);
    if (result == 0) {
        result = ctrio_read_until(&reader, "--==", &data);
        got(result, data, "ab");
        result = ctrio_read_until(&reader, "--==", &data);
        got(result, data, "c--=d");
        is(ctrio_read_until(&reader, "--==", &data), 1);
        is(ctrio_read_until(&reader, "--==", &data), CTRIO_END_OF_CHANNEL);
        is(ctrio_read_until(&reader, "", &data), -EINVAL);
    }
    result = front_saw(ctrio_nursery_close(&nursery, result < 0 ? result : 0));
    wire_close(&wire);
    return ctrio_collapse(result);
}

MAIN_TEST(a_cancelled_read_has_consumed_nothing)
{
    struct ctrio_cancel_scope scope;
    BEGIN("begun, ", false);
    ctrio_move_on_after(&scope, 1);
    result = ctrio_read_line(&reader, &data);
    is(result, CTRIO_CANCELLED);
    is(ctrio_cancel_scope_close(&scope, result), 0);
    is(ctrio_send_all(wire.here, "ended\n", 6), 0);
    result = ctrio_read_line(&reader, &data);
    got(result, data, "begun, ended");
    wire_close(&wire);
    return 0;
}

MAIN_TEST(what_was_in_vain_may_be_read_with_another_delimiter)
{
    BEGIN("one,two;", true);
    is(ctrio_read_line(&reader, &data), CTRIO_BROKEN_RESOURCE);
    result = ctrio_read_until(&reader, ",", &data);
    got(result, data, "one");
    result = ctrio_read_until(&reader, ";", &data);
    got(result, data, "two");
    wire_close(&wire);
    return 0;
}

MAIN_TEST(frames_have_lengths_of_one_two_or_four_bytes)
{
    BEGIN("\x03one\x00\x03two\x00\x00\x00\x05three\x00\x00\x11", true);
    is(ctrio_read_frame(&reader, 3, &data), -EINVAL);
    result = ctrio_read_frame(&reader, 1, &data);
    got(result, data, "one");
    result = ctrio_read_frame(&reader, 2, &data);
    got(result, data, "two");
    result = ctrio_read_frame(&reader, 4, &data);
    got(result, data, "three");
    is(ctrio_read_frame(&reader, 1, &data), 0);
    is(ctrio_read_frame(&reader, 2, &data), -EMSGSIZE); /* 17 and 2 are more than 16 */
    wire_close(&wire);
    return 0;
}

MAIN_TEST(what_is_buffered_comes_first_then_what_the_stream_has)
{
    char body[8];
    BEGIN("head\nbody", true);
    is(ctrio_read_line(&reader, &data), 4);
    is(ctrio_read_some(&reader, body, 0), -EINVAL); /* would look like the end */
    is(ctrio_read_some(&reader, body, 3), 3);
    ok(memcmp(body, "bod", 3) == 0);
    is(ctrio_read_some(&reader, body, sizeof body), 1);
    is(ctrio_read_some(&reader, body, sizeof body), 0);
    is(ctrio_read_exactly(&reader, 0, &data), 0);
    wire_close(&wire);
    return 0;
}

TAP_MAIN(TEST(lines_come_without_their_ends_and_then_the_end),
         TEST(an_end_inside_a_record_is_broken), TEST(a_record_beyond_the_buffer_is_refused),
         TEST(a_delimiter_may_come_in_pieces), TEST(a_cancelled_read_has_consumed_nothing),
         TEST(frames_have_lengths_of_one_two_or_four_bytes),
         TEST(what_is_buffered_comes_first_then_what_the_stream_has),
         TEST(what_was_in_vain_may_be_read_with_another_delimiter))

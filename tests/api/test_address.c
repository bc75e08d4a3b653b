/* test_address.c - socket addresses as text. */
#include "tap.h"
#include <ctrio/resolver.h>
#include <string.h>

static void a_text_that_is_an_address_comes_back_the_same(void)
{
    static const char *const texts[] = {"192.0.2.1:80",         "0.0.0.0:0",        "[::1]:80",
                                        "[2001:db8::17]:65535", "unix:/run/socket", "127.0.0.1:1"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ctrio_address address;
        char text[CTRIO_ADDRESS_TEXT_SIZE];
        is(ctrio_address_parse(&address, texts[i]), 0);
        is(ctrio_address_format(&address, text, sizeof text), texts[i]);
    }
}

static void what_is_no_address_is_refused(void)
{
    static const char *const texts[] = {"",
                                        "localhost:80",
                                        "192.0.2.1",
                                        "192.0.2.1:",
                                        "192.0.2.1:65536",
                                        ":80",
                                        "192.0.2.1:-1",
                                        "[::1]",
                                        "[::1]80",
                                        "[::1:80",
                                        "::1:80",
                                        "[192.0.2.1]:8",
                                        "192.0.2:80",
                                        "[::1]:x",
                                        "[]:80",
                                        "unix:",
                                        "192.0.2.1: 80",
                                        "192.0.2.1:+8",
                                        "[::1%lo]:80",
                                        "]:80",
                                        "[",
                                        ":",
                                        "[:",
                                        "1.2.3.4:99999999999999999999"};
    char path[200];
    struct ctrio_address address;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        is(ctrio_address_parse(&address, texts[i]), -EINVAL);
    memset(path, 'x', sizeof path);
    memcpy(path, "unix:", 5);
    path[sizeof path - 1] = '\0';
    is(ctrio_address_parse(&address, path), -EINVAL);
    memset(path, '1', sizeof path - 1);
    memcpy(path + sizeof path - 4, ":80", 4);
    is(ctrio_address_parse(&address, path), -EINVAL);
}

static void a_text_is_cut_to_its_room(void)
{
    struct ctrio_address address, none = {.size = 0}, other = {.size = 16};
    char text[CTRIO_ADDRESS_TEXT_SIZE];
    is(ctrio_address_parse(&address, "192.0.2.1:80"), 0);
    is(ctrio_address_format(&address, text, 6), "192.0");
    is(ctrio_address_format(&none, text, sizeof text), "no address");
    other.storage[0] = other.storage[1] = 0x7777777777777777;
    is(ctrio_address_format(&other, text, sizeof text),
       "an address of a family that has no form here");
}

static void a_path_may_lack_its_end_and_an_abstract_name_or_none_has_no_text(void)
{
    struct ctrio_address address;
    char text[CTRIO_ADDRESS_TEXT_SIZE];
    is(ctrio_address_parse(&address, "unix:/abc"), 0);
    address.size -= 2; /* the system may give it so */
    is(ctrio_address_format(&address, text, sizeof text), "unix:/ab");
    address.size = 2; /* a socket that was never bound */
    is(ctrio_address_format(&address, text, sizeof text), "unix:");
}

TAP_MAIN(TEST(a_text_that_is_an_address_comes_back_the_same), TEST(what_is_no_address_is_refused),
         TEST(a_text_is_cut_to_its_room),
         TEST(a_path_may_lack_its_end_and_an_abstract_name_or_none_has_no_text))

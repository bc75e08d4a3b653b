/* test_names.c - what tasks are called, and the tree of them as text. */
#include "front.h"
#include <ctrio/lowlevel.h>
#include <ctrio/sync.h>
#include <ctrio/testing.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static char text[8192];

static const char *dump(void)
{
    memset(text, 0, sizeof text);
    FILE *out = fmemopen(text, sizeof text - 1, "w");
    ctrio_dump_tasks(out);
    fclose(out);
    return text;
}

static int named(void *arg)
{
    ok(strstr(ctrio_task_name(ctrio_current_task()), "named at ") != NULL);
    ok(strstr(ctrio_task_name(ctrio_current_task()), "test_names.c:") != NULL);
    ctrio_set_task_name("worker %d", *(int *)arg);
    front_stories_may_lack();
    is(ctrio_task_name(ctrio_current_task()), "worker 3");
    ctrio_set_task_name("%s of the %s", ctrio_task_name(ctrio_current_task()), "east");
    is(ctrio_task_name(ctrio_current_task()), "worker 3 of the east");
    ctrio_set_task_name("%0100d", 7);
    is(strlen(ctrio_task_name(ctrio_current_task())), 63);
    return ctrio_fail(-EIO, "gone");
}

static int named_child(void *arg)
{
    (void)arg;
    ctrio_set_task_name("the child");
    return ctrio_fail(-EIO, "gone");
}

static void print_story(int code, char *to, size_t size)
{
    memset(to, 0, size);
    FILE *out = fmemopen(to, size - 1, "w");
    ctrio_error_print(code, out);
    fclose(out);
}

MAIN_TEST(a_task_is_named_after_its_function_and_may_be_renamed)
{
    struct ctrio_nursery nursery;
    int three = 3;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, named, &three);
    int result = front_saw(ctrio_nursery_close(&nursery, 0));
    is(result, CTRIO_GROUP);
    print_story(result, text, sizeof text);
    front_stories_may_lack();
    char expected[128];
    snprintf(expected, sizeof expected, "gone (%s)  [00000", strerror(EIO));
    ok(strstr(text, expected) != NULL); /* the story keeps the name */
    return 0;
}

static int renamed_parent(void *arg)
{
    struct ctrio_nursery nursery;
    (void)arg;
    ctrio_set_task_name("the %s", "parent");
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, named_child, NULL);
    return front_saw(ctrio_nursery_close(&nursery, 0));
}

MAIN_TEST(a_name_outlives_its_task_in_a_story_that_lies_in_another)
{
    struct ctrio_nursery nursery;
    char out[512];
    ctrio_nursery_open(&nursery);
    int result = front_saw(ctrio_start(&nursery, renamed_parent, NULL));
    is(ctrio_nursery_close(&nursery, 0), 0);
    is(result, CTRIO_GROUP);
    print_story(result, out, sizeof out);
    front_stories_may_lack();
    ok(strstr(out, "[the parent]") != NULL);
    ok(strstr(out, "[the child]") != NULL);
    return 0;
}

static struct ctrio_event event;

static int waits(void *arg)
{
    struct ctrio_cancel_scope scope;
    (void)arg;
    ctrio_set_task_name("waiter");
    ctrio_move_on_after(&scope, 7);
    int result = ctrio_event_wait(&event);
    return ctrio_cancel_scope_close(&scope, result);
}

static int nests(void *arg)
{
    struct ctrio_nursery inner;
    (void)arg;
    ctrio_set_task_name("parent");
    ctrio_nursery_open(&inner);
    ctrio_start_soon(&inner, waits, NULL);
    return front_saw(ctrio_nursery_close(&inner, 0));
}

static int sleeps_as_step(struct ctrio_task *task, void *arg, int woken)
{
    (void)arg;
    return woken < 0 ? woken : ctrio_step_sleep_until(task, NULL, INFINITY);
}

/* Its lines without what stands behind " at …". */
static const char *skeleton(void)
{
    static char lines[2048];
    size_t used = 0;
    const char *line = dump();
    while (*line != '\0') {
        size_t length = strcspn(line, "\n");
        const char *at = memmem(line, length, " at ", 4);
        const char *comma = at != NULL ? memchr(at, ',', length - (size_t)(at - line)) : NULL;
        size_t head = at != NULL ? (size_t)(at - line) : length;
        size_t rest = comma != NULL ? length - (size_t)(comma - line) : 0;
        used += (size_t)snprintf(lines + used, sizeof lines - used, "%.*s%.*s\n", (int)head, line,
                                 (int)rest, comma != NULL ? comma : "");
        line += length + (line[length] == '\n');
    }
    return lines;
}

MAIN_TEST(the_dump_is_a_tree_of_tasks_nurseries_and_scopes)
{
    struct ctrio_nursery nursery;
    ctrio_event_init(&event);
    ctrio_set_task_name("main");
    ctrio_nursery_open(&nursery);
    int result = ctrio_start_soon(&nursery, nests, NULL);
    result = result == 0 ? tap_saw(ctrio_start_step(&nursery, sleeps_as_step, NULL)) : result;
    result = result == 0 ? ctrio_wait_all_tasks_blocked(0) : result;
    const char *lines = skeleton();
    ctrio_event_set(&event);
    ctrio_cancel(&nursery.scope);
    front_stories_may_lack();
    is(lines, "task ctrio's root: waits\n"
              "  nursery\n"
              "    task ctrio's run-soon calls: waits\n"
              "  nursery\n"
              "  nursery\n"
              "    task main: running\n"
              "      nursery opened\n"
              "        task parent: waits in close nursery\n"
              "          nursery opened\n"
              "            task waiter: waits in wait\n"
              "              scope opened, 7.000 s left\n"
              "        task a step task: waits\n");
    result = front_saw(ctrio_nursery_close(&nursery, result));
    return ctrio_collapse(result);
}

MAIN_TEST(the_dump_says_what_is_cancelled_and_shielded)
{
    struct ctrio_cancel_scope outer, inner;
    ctrio_cancel_scope_open(&outer);
    ctrio_shield_for(&inner, INFINITY);
    ctrio_cancel(&outer);
    dump();
    ok(strstr(text, ", shielded\n") != NULL);
    const char *cancelled = strstr(text, ", cancelled at ");
    ok(cancelled != NULL && strstr(cancelled, "test_names.c:") != NULL);
    is(ctrio_cancel_scope_close(&inner, 0), 0);
    return ctrio_cancel_scope_close(&outer, 0);
}

static void outside_of_a_run_there_is_nothing_to_dump(void)
{
    is(dump(), "no run on this thread\n");
    ctrio_set_task_name("nobody");
}

static int asks_for_a_dump(void *arg)
{
    (void)arg;
    ctrio_set_task_name("asker");
    raise(SIGUSR1);
    raise(SIGUSR1); /* one of two that come at once may be lost, and no more */
    int result = ctrio_checkpoint();
    return result < 0 ? result : ctrio_checkpoint();
}

static int run_with_dump(void *arg)
{
    struct ctrio_run_options options = {.dump_signal = SIGUSR1};
    (void)arg;
    return ctrio_run(asks_for_a_dump, NULL, &options);
}

static void a_signal_asks_for_a_dump(void)
{
    memset(text, 0, sizeof text);
    is(front_child(run_with_dump, NULL, text, sizeof text), 0);
    const char *first = strstr(text, "task asker: runnable\n");
    ok(first != NULL);
}

static int deep_nursery(void *arg)
{
    int depth = *(int *)arg - 1;
    struct ctrio_nursery nursery;
    if (depth == 0)
        return ctrio_event_wait(&event);
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, deep_nursery, &depth);
    return ctrio_nursery_close(&nursery, 0);
}

MAIN_TEST(ten_thousand_nested_nurseries_are_dumped_and_closed)
{
    struct ctrio_nursery nursery;
    int depth = (int)tap_most(10000);
    ctrio_event_init(&event);
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, deep_nursery, &depth);
    is(ctrio_wait_all_tasks_blocked(0), 0);
    FILE *nowhere = fopen("/dev/null", "w");
    ctrio_dump_tasks(nowhere);
    fclose(nowhere);
    ctrio_event_set(&event);
    return ctrio_nursery_close(&nursery, 0);
}

TAP_MAIN(TEST(a_task_is_named_after_its_function_and_may_be_renamed),
         TEST(the_dump_is_a_tree_of_tasks_nurseries_and_scopes),
         TEST(the_dump_says_what_is_cancelled_and_shielded),
         TEST(outside_of_a_run_there_is_nothing_to_dump), BIG_TEST(a_signal_asks_for_a_dump),
         BIG_TEST(ten_thousand_nested_nurseries_are_dumped_and_closed),
         TEST(a_name_outlives_its_task_in_a_story_that_lies_in_another))

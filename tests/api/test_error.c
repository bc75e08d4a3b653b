/* test_error.c - stories, groups, and taking them apart. */
#include "api/error.h"
#include "front.h"
#include "memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_code_without_a_story_has_its_own_words(void)
{
    for (int code = CTRIO_CANCELLED; code <= CTRIO_MISUSE; code++)
        ok(strlen(ctrio_error_message(code)) > 3);
    is(ctrio_error_message(-EPIPE), strerror(EPIPE));
    is(ctrio_error_message(0), "no failure");
    is(ctrio_error_message(17), "no failure");
}

static void the_newest_story_of_a_code_speaks_for_it(void)
{
    is(ctrio_fail(-EIO, "first"), -EIO);
    is(ctrio_fail(-EPIPE, "other"), -EPIPE);
    is(ctrio_fail(-EIO, "second %d", 2), -EIO);
    front_stories_may_lack();
    is(ctrio_error_message(-EIO), "second 2");
    is(ctrio_error_message(-EPIPE), "other");
    front_forget();
}

static void four_stories_are_kept(void)
{
    for (int i = 1; i <= 5; i++)
        is(ctrio_fail(-i, "number %d", i), -i);
    front_stories_may_lack();
    is(ctrio_error_message(-1), strerror(1));
    for (int i = 2; i <= 5; i++) {
        char text[16];
        snprintf(text, sizeof text, "number %d", i);
        is(ctrio_error_message(-i), (const char *)text);
    }
    front_forget();
}

static void a_success_cannot_be_failed_with(void)
{
    is(ctrio_fail(5, "well"), CTRIO_MISUSE);
    front_forget();
}

static void a_story_is_taken_kept_and_raised_again(void)
{
    is(ctrio_fail(-EIO, "kept"), -EIO);
    struct ctrio_error *error = ctrio_error_take(-EIO);
    is(ctrio_error_code(error), -EIO);
    is(ctrio_error_message(-EIO), strerror(EIO)); /* it is out */
    front_stories_may_lack();
    is(ctrio_error_text(error), "kept");
    ok(ctrio_error_child(error, 0) == NULL);
    is(ctrio_error_restore(error), -EIO);
    is(ctrio_error_message(-EIO), "kept");
    ok(ctrio_error_take(3) == NULL);
    is(ctrio_error_restore(NULL), 0);
    ctrio_error_free(NULL);
    front_forget();
}

static void without_memory_the_code_still_travels(void)
{
    static const int codes[] = {-EIO, -EPIPE, -EIO};
    is(ctrio_fail(-ENOENT, "an older one"), -ENOENT);
    for (int i = 0; i < 3; i++) {
        memory_fail_at(1);
        struct ctrio_error *error = ctrio_error_take(codes[i]);
        memory_fail_at(0);
        is(ctrio_error_code(error), codes[i]);
        is(ctrio_error_text(error), strerror(-codes[i]));
        is(ctrio_error_restore(error), codes[i]);
    }
    is(ctrio_error_message(-ENOENT), "an older one");
    front_forget();
}

/* --- groups ---------------------------------------------------------------------------------- */

static struct ctrio_error *leaf(int code)
{
    struct ctrio_error *error = ctrio__error_new(code, NULL);
    if (error == NULL)
        tap_saw(-ENOMEM);
    return error;
}

/* "(1 2 (3))" is a group of -1, -2 and a group of -3; g: a leaf that says it is a group. */
static struct ctrio_error *tree(const char **text)
{
    struct ctrio_error *last = NULL, *made[8];
    size_t count = 0;
    struct ctrio_error *group = leaf(CTRIO_GROUP);
    for (++*text; **text != ')' && **text != '\0';) {
        if (**text == '(') {
            made[count++] = tree(text);
        } else {
            last = **text == 'g' ? leaf(CTRIO_GROUP) : **text > ' ' ? leaf('0' - **text) : NULL;
            if (last != NULL && **text == 'g')
                last->text = "a leaf";
            if (last != NULL)
                made[count++] = last;
            ++*text;
        }
    }
    if (**text == ')')
        ++*text;
    while (count > 0)
        if (group == NULL)
            ctrio_error_free(made[--count]);
        else if (made[--count] != NULL)
            ctrio__error_adopt(group, made[count]);
    return group;
}

static struct ctrio_error *parse(const char *text)
{
    return tree(&text);
}

static const char *shape(const struct ctrio_error *root)
{
    static char text[256];
    size_t used = 0;
    const struct ctrio_error *at = root;
    if (root == NULL)
        return "nothing";
    for (;;) {
        bool group = at->code == CTRIO_GROUP && at->children != NULL;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s",
                                 group                     ? "("
                                 : at->code == CTRIO_GROUP ? "g"
                                                           : (char[]){(char)('0' - at->code), 0});
        if (at->children != NULL) {
            if (!group)
                used += (size_t)snprintf(text + used, sizeof text - used, "[");
            at = at->children;
            continue;
        }
        while (at != root && at->next == NULL) {
            at = at->parent;
            used += (size_t)snprintf(text + used, sizeof text - used, "%s",
                                     at->code == CTRIO_GROUP ? ")" : "]");
        }
        if (at == root)
            return text;
        at = at->next;
    }
}

static void check_except(const char *before, int which, const char *after)
{
    int code = ctrio_error_restore(parse(before));
    int result = ctrio_except(code, which);
    struct ctrio_error *rest = ctrio__stories_take(ctrio__stories(), CTRIO_GROUP);
    is(result, rest != NULL ? CTRIO_GROUP : 0);
    is(shape(rest), after);
    ctrio_error_free(rest);
    front_forget();
}

static void except_takes_out_the_leaves_of_a_code_and_what_becomes_empty(void)
{
    check_except("(12)", -1, "(2)");
    check_except("(12)", -2, "(1)");
    check_except("(12)", -3, "(12)");
    check_except("(1(11(1))2)", -1, "(2)");
    check_except("(1(12)(3(1)))", -1, "((2)(3))");
    check_except("(1(1(11)))", -1, "nothing");
    check_except("((((2))))", -1, "((((2))))");
}

static void a_leaf_that_says_it_is_a_group_is_a_leaf(void)
{
    check_except("(1g)", -1, "(g)");
    check_except("(g(1))", -1, "(g)");
    check_except("(g)", CTRIO_GROUP, "nothing");
    struct ctrio_error *match, *rest, *error = parse("(1g(g2))");
    int result = ctrio_error_split(error, -1, &match, &rest);
    if (is(result, 0)) {
        is(shape(match), "(1)");
        is(shape(rest), "(g(g2))");
        ctrio_error_free(match);
        ctrio_error_free(rest);
    } else {
        ctrio_error_free(error);
    }
}

static void except_works_on_plain_codes(void)
{
    is(ctrio_except(0, -EIO), 0);
    is(ctrio_except(7, -EIO), 7);
    is(ctrio_except(-EIO, -EIO), 0);
    is(ctrio_except(-EPIPE, -EIO), -EPIPE);
    is(ctrio_except(CTRIO_GROUP, -EIO), CTRIO_GROUP); /* its story has gone */
    is(ctrio_fail(-EIO, "told"), -EIO);
    is(ctrio_except(-EIO, -EIO), 0);
    is(ctrio_error_message(-EIO), strerror(EIO));
    front_forget();
}

static void check_split(const char *before, const char *matches, const char *rests)
{
    struct ctrio_error *match, *rest, *error = parse(before);
    int result = ctrio_error_split(error, -1, &match, &rest);
    if (tap_saw(result) == 0) {
        is(shape(match), matches);
        is(shape(rest), rests);
        ctrio_error_free(match);
        ctrio_error_free(rest);
    } else {
        is(result, -ENOMEM);
        ok(match == NULL && rest == NULL);
        is(shape(error), before); /* still ours and unchanged */
        ctrio_error_free(error);
    }
}

static void split_keeps_the_shape_on_both_sides(void)
{
    check_split("(12)", "(1)", "(2)");
    check_split("(1)", "(1)", "nothing");
    check_split("(2)", "nothing", "(2)");
    check_split("(1(21)(2(13)))", "(1(1)((1)))", "((2)(2(3)))");
    check_split("((1)(2))", "((1))", "((2))");
    struct ctrio_error *match, *rest, *single = leaf(-1);
    is(ctrio_error_split(single, -1, &match, &rest), 0);
    ok(match == single && rest == NULL);
    is(ctrio_error_split(single, -2, &match, &rest), 0);
    ok(match == NULL && rest == single);
    is(ctrio_error_split(NULL, -2, &match, &rest), 0);
    ctrio_error_free(single);
}

static void check_collapse(const char *before, int code, const char *after)
{
    int result = ctrio_collapse(ctrio_error_restore(parse(before)));
    struct ctrio_error *story = ctrio__stories_take(ctrio__stories(), code);
    is(result, code);
    is(shape(story), after);
    ctrio_error_free(story);
    front_forget();
}

static void a_collapsed_group_is_its_first_leaf_with_the_others_behind_it(void)
{
    check_collapse("(1)", -1, "1");
    check_collapse("(((1)))", -1, "1");
    check_collapse("(123)", -1, "1[(23)]");
    check_collapse("((1)2)", -1, "1[(2)]");
    check_collapse("((12)3)", -1, "1[((2)3)]");
    is(ctrio_collapse(-EIO), -EIO);
    is(ctrio_collapse(3), 3);
    is(ctrio_collapse(CTRIO_GROUP), CTRIO_GROUP);
    is(ctrio_collapse(ctrio_fail(CTRIO_GROUP, "mine")), CTRIO_GROUP);
    front_forget();
}

static void a_collapsed_one_can_be_part_of_a_group_again_and_its_others_do_not_count(void)
{
    int code = ctrio_collapse(ctrio_error_restore(parse("(12)")));
    is(code, -1);
    struct ctrio_error *group = leaf(CTRIO_GROUP),
                       *first = ctrio__stories_take(ctrio__stories(), -1);
    if (group != NULL && first != NULL)
        ctrio__error_adopt(group, first);
    else
        ctrio_error_free(first);
    int result = ctrio_except(ctrio_error_restore(group), -2);
    is(result, CTRIO_GROUP);
    is(ctrio_except(result, -1), 0);
    front_forget();
}

/* --- cancelled ones beside failures ---------------------------------------------------------- */

static int fails_when_cancelled(void *arg)
{
    (void)arg;
    return ctrio_sleep(INFINITY) == CTRIO_CANCELLED ? -EIO : 0;
}

/* A cancellation from further out ends two tasks, one of which fails then: *depth nurseries down.
 */
static int both(void *arg)
{
    struct ctrio_nursery nursery;
    int *depth = arg;
    ctrio_nursery_open(&nursery);
    if ((*depth)-- > 0) {
        ctrio_start_soon(&nursery, both, depth);
    } else {
        ctrio_start_soon(&nursery, fails_when_cancelled, NULL);
        ctrio_start_soon(&nursery, front_sleeper, NULL);
    }
    return front_saw(ctrio_nursery_close(&nursery, 0));
}

/* What `how` makes of the group is `left`; whether the scope then has caught something. */
static void check_both(int depth, int how(int code), int left, bool caught)
{
    struct ctrio_cancel_scope scope;
    ctrio_move_on_after(&scope, 1);
    int result = how(both(&depth));
    is(result, left);
    result = ctrio_cancel_scope_close(&scope, result);
    is(result, left == CTRIO_CANCELLED ? 0 : left);
    is(ctrio_cancelled_caught(&scope), caught);
    front_forget();
}

static int without_the_failure(int code)
{
    return ctrio_except(code, -EIO);
}

static int split_from_it(int code)
{
    struct ctrio_error *match, *rest, *error = ctrio_error_take(code);
    int result = ctrio_error_split(error, -EIO, &match, &rest);
    if (tap_saw(result) < 0) {
        ctrio_error_free(error);
        return CTRIO_CANCELLED;
    }
    ctrio_error_free(match);
    return ctrio_error_restore(rest);
}

static int the_failure_alone(int code)
{
    struct ctrio_error *match, *rest, *error = ctrio_error_take(code);
    int result = ctrio_error_split(error, -EIO, &match, &rest);
    if (tap_saw(result) < 0) {
        ctrio_error_free(error);
        return CTRIO_GROUP;
    }
    ctrio_error_free(rest);
    return ctrio_error_restore(match);
}

MAIN_TEST(a_group_without_its_failures_is_still_cancelled)
{
    for (int depth = 0; depth < 3; depth++) {
        check_both(depth, without_the_failure, CTRIO_CANCELLED, true);
        check_both(depth, split_from_it, CTRIO_CANCELLED, true);
        check_both(depth, the_failure_alone, CTRIO_GROUP, false);
    }
    return 0;
}

static int as_it_is(int code)
{
    return code;
}

MAIN_TEST(a_scope_has_caught_what_was_cancelled_beside_a_failure)
{
    for (int depth = 0; depth < 3; depth++)
        check_both(depth, as_it_is, CTRIO_GROUP, true);
    return 0;
}

static int collapsed_without_it(int code)
{
    return ctrio_except(ctrio_collapse(code), -EIO);
}

MAIN_TEST(what_was_cancelled_beside_a_failure_is_forgotten_when_that_speaks_alone)
{
    for (int depth = 0; depth < 3; depth++) {
        check_both(depth, ctrio_collapse, -EIO, false);
        check_both(depth, collapsed_without_it, 0, false);
    }
    return 0;
}

static const char *printed(int code)
{
    static char text[4096];
    FILE *out = fmemopen(text, sizeof text, "w");
    ctrio_error_print(code, out);
    fclose(out);
    return text;
}

static void the_printed_tree_is_indented(void)
{
    int code = ctrio_error_restore(parse("(1(23)4)"));
    front_stories_may_lack();
    char expected[512];
    snprintf(expected, sizeof expected, "%s\n  %s\n  %s\n    %s\n    %s\n  %s\n",
             "tasks of a nursery failed", strerror(1), "tasks of a nursery failed", strerror(2),
             strerror(3), strerror(4));
    is(printed(code), (const char *)expected);
    front_forget();
    is(printed(-EPIPE), "Broken pipe\n");
    is(ctrio_fail(-EPIPE, "mine"), -EPIPE);
    front_stories_may_lack();
    is(printed(-EPIPE), "mine (Broken pipe)\n");
    front_forget();
}

/* --- deep ones ------------------------------------------------------------------------------- */

enum { DEEP = 1000000 };

static struct ctrio_error *deep(void)
{
    struct ctrio_error *at = leaf(-1);
    for (int i = 0; i < DEEP; i++) {
        struct ctrio_error *group = leaf(CTRIO_GROUP);
        ctrio__error_adopt(group, at);
        if (i % 2 == 1)
            ctrio__error_adopt(group, leaf(-2));
        at = group;
    }
    return at;
}

static void a_million_nested_groups_are_walked_without_recursion(void)
{
    struct ctrio_error *match, *rest;
    is(ctrio_error_split(deep(), -2, &match, &rest), 0);
    ok(match != NULL && rest != NULL);
    ctrio_error_free(match);
    is(ctrio_error_restore(rest), CTRIO_GROUP);
    is(ctrio_except(CTRIO_GROUP, -2), CTRIO_GROUP);
    is(ctrio_collapse(CTRIO_GROUP), -1);
    is(ctrio_except(ctrio_error_restore(deep()), -1), CTRIO_GROUP);
    is(ctrio_except(CTRIO_GROUP, -2), 0);
    ctrio_error_free(deep());
    FILE *nowhere = fopen("/dev/null", "w");
    ctrio_error_print(ctrio_error_restore(deep()), nowhere);
    fclose(nowhere);
    front_forget();
}

TAP_MAIN(TEST(a_code_without_a_story_has_its_own_words),
         TEST(the_newest_story_of_a_code_speaks_for_it), TEST(four_stories_are_kept),
         TEST(a_success_cannot_be_failed_with), TEST(a_story_is_taken_kept_and_raised_again),
         BIG_TEST(without_memory_the_code_still_travels),
         TEST(except_takes_out_the_leaves_of_a_code_and_what_becomes_empty),
         TEST(a_leaf_that_says_it_is_a_group_is_a_leaf), TEST(except_works_on_plain_codes),
         TEST(split_keeps_the_shape_on_both_sides),
         TEST(a_collapsed_group_is_its_first_leaf_with_the_others_behind_it),
         TEST(a_collapsed_one_can_be_part_of_a_group_again_and_its_others_do_not_count),
         TEST(the_printed_tree_is_indented),
         BIG_TEST(a_million_nested_groups_are_walked_without_recursion),
         TEST(a_group_without_its_failures_is_still_cancelled),
         TEST(a_scope_has_caught_what_was_cancelled_beside_a_failure),
         TEST(what_was_cancelled_beside_a_failure_is_forgotten_when_that_speaks_alone))

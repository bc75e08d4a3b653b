#include "base/list.h"
#include "tap.h"

struct node {
    int number;
    struct ctrio_list link;
};

static struct ctrio_list list, other;
static struct node nodes[4];

static void fresh(void)
{
    ctrio__list_init(&list);
    ctrio__list_init(&other);
    for (int i = 0; i < 4; i++) {
        nodes[i].number = i;
        ctrio__list_init(&nodes[i].link);
    }
}

static int number_of(const struct ctrio_list *link)
{
    return ctrio__container(link, const struct node, link)->number;
}

/* The numbers in order as decimal digits, checked both ways. */
static int digits(const struct ctrio_list *of)
{
    int forwards = 0, backwards = 0, unit = 1;
    for (const struct ctrio_list *at = of->next; at != of; at = at->next)
        forwards = forwards * 10 + number_of(at) + 1;
    for (const struct ctrio_list *at = of->prev; at != of; at = at->prev) {
        backwards += (number_of(at) + 1) * unit;
        unit *= 10;
    }
    is(backwards, forwards);
    return forwards;
}

static void an_empty_list_has_nothing_to_pop(void)
{
    fresh();
    ok(ctrio__list_empty(&list));
    ok(ctrio__list_pop(&list) == NULL);
    is(ctrio__list_count(&list), 0);
    ok(!ctrio__list_linked(&nodes[0].link));
}

static void appending_keeps_the_order(void)
{
    fresh();
    for (int i = 0; i < 4; i++)
        ctrio__list_append(&list, &nodes[i].link);
    is(digits(&list), 1234);
    is(ctrio__list_count(&list), 4);
    ok(ctrio__list_linked(&nodes[2].link));
    is(number_of(ctrio__list_pop(&list)), 0);
    is(digits(&list), 234);
}

static void inserting_before_a_link_puts_it_there(void)
{
    fresh();
    ctrio__list_append(&list, &nodes[0].link);
    ctrio__list_append(&list, &nodes[1].link);
    ctrio__list_insert_before(&nodes[1].link, &nodes[2].link);
    ctrio__list_insert_before(list.next, &nodes[3].link);
    is(digits(&list), 4132);
}

static void unlinking_twice_does_no_harm(void)
{
    fresh();
    for (int i = 0; i < 3; i++)
        ctrio__list_append(&list, &nodes[i].link);
    ctrio__list_unlink(&nodes[1].link);
    ctrio__list_unlink(&nodes[1].link);
    ok(!ctrio__list_linked(&nodes[1].link));
    is(digits(&list), 13);
    ctrio__list_append(&list, &nodes[1].link);
    is(digits(&list), 132);
}

static void splicing_moves_everything_behind(void)
{
    fresh();
    ctrio__list_append(&list, &nodes[0].link);
    ctrio__list_append(&other, &nodes[1].link);
    ctrio__list_append(&other, &nodes[2].link);
    ctrio__list_splice(&list, &other);
    is(digits(&list), 123);
    ok(ctrio__list_empty(&other));
    ctrio__list_splice(&list, &other);
    is(digits(&list), 123);
    ctrio__list_splice(&other, &list);
    is(digits(&other), 123);
    ok(ctrio__list_empty(&list));
}

static void the_loop_survives_unlinking_the_link_at_hand(void)
{
    fresh();
    for (int i = 0; i < 4; i++)
        ctrio__list_append(&list, &nodes[i].link);
    int seen = 0;
    ctrio__list_each (link, &list) {
        seen = seen * 10 + number_of(link) + 1;
        if (number_of(link) % 2 == 0)
            ctrio__list_unlink(link);
    }
    is(seen, 1234);
    is(digits(&list), 24);
}

TAP_MAIN(TEST(an_empty_list_has_nothing_to_pop), TEST(appending_keeps_the_order),
         TEST(inserting_before_a_link_puts_it_there), TEST(unlinking_twice_does_no_harm),
         TEST(splicing_moves_everything_behind), TEST(the_loop_survives_unlinking_the_link_at_hand))

#include "base/table.h"
#include "tap.h"

struct node {
    struct ctrio_table_node node;
    int key;
};

enum { COUNT = 1000 };
static struct ctrio_table table;
static struct node nodes[COUNT];
static int compared;
static int (*on_compare)(const struct node *node);

static int equal(const struct ctrio_table_node *base, const void *key)
{
    const struct node *node = ctrio__container(base, const struct node, node);
    compared++;
    if (on_compare != NULL)
        return on_compare(node);
    return node->key == *(const int *)key;
}

/* Few hashes, so that chains are long. */
static uint64_t hash_of(int key)
{
    return (uint64_t)(key % 17);
}

static struct node *find(int key, int *error)
{
    struct ctrio_table_node *found = ctrio__table_find(&table, hash_of(key), equal, &key, error);
    return found != NULL ? ctrio__container(found, struct node, node) : NULL;
}

static bool insert(int key)
{
    nodes[key].key = key;
    if (tap_saw(ctrio__table_reserve(&table, table.count + 1)) < 0)
        return false;
    ctrio__table_insert(&table, &nodes[key].node, hash_of(key));
    return true;
}

static void fresh(void)
{
    ctrio__table_init(&table);
    on_compare = NULL;
    compared = 0;
}

static void empty_and_close(void)
{
    while (!ctrio__list_empty(&table.order))
        ctrio__table_remove(&table,
                            ctrio__container(table.order.next, struct ctrio_table_node, order));
    ctrio__table_close(&table);
}

static void an_empty_table_finds_nothing(void)
{
    int error = 1;
    fresh();
    ok(find(3, &error) == NULL);
    is(error, 0);
    is(ctrio__table_reserve(&table, 0), 0);
    ok(find(3, &error) == NULL);
    ctrio__table_close(&table);
}

static void every_node_is_found_until_it_is_removed(void)
{
    int error, lost = 0, kept = 0;
    fresh();
    for (int key = 0; key < COUNT; key++)
        if (!insert(key)) {
            empty_and_close();
            ok(tap_excused());
            return;
        }
    is(table.count, COUNT);
    for (int key = 0; key < COUNT; key++)
        lost += find(key, &error) != &nodes[key];
    is(lost, 0);
    for (int key = 0; key < COUNT; key += 3)
        ctrio__table_remove(&table, &nodes[key].node);
    for (int key = 0; key < COUNT; key++)
        kept += (find(key, &error) != NULL) != (key % 3 != 0);
    is(kept, 0);
    empty_and_close();
}

static void the_order_is_that_of_insertion(void)
{
    int wrong = 0, last = COUNT;
    fresh();
    for (int key = COUNT - 1; key >= 0; key--)
        if (!insert(key))
            break;
    ctrio__list_each (link, &table.order) {
        struct ctrio_table_node *node = ctrio__container(link, struct ctrio_table_node, order);
        int key = ctrio__container(node, struct node, node)->key;
        wrong += key != last - 1;
        last = key;
    }
    is(wrong, 0);
    empty_and_close();
}

static void room_that_was_reserved_needs_no_more_memory(void)
{
    fresh();
    if (ctrio__table_reserve(&table, 100) < 0) {
        tap_saw(-ENOMEM);
        is(table.bucket_count, 0);
        return;
    }
    struct ctrio_table_node **buckets = table.buckets;
    for (int key = 0; key < 100; key++) {
        nodes[key].key = key;
        ctrio__table_insert(&table, &nodes[key].node, hash_of(key));
    }
    ok(table.buckets == buckets);
    empty_and_close();
}

static void a_reservation_beyond_all_memory_fails(void)
{
    fresh();
    is(ctrio__table_reserve(&table, SIZE_MAX), -ENOMEM);
    is(table.bucket_count, 0);
    ctrio__table_close(&table);
}

static int fails(const struct node *node)
{
    (void)node;
    return -7;
}

static void a_failing_comparison_ends_the_search(void)
{
    int error = 0;
    fresh();
    if (insert(1) && insert(18)) {
        on_compare = fails;
        ok(find(1, &error) == NULL);
        is(error, -7);
        is(compared, 1);
    }
    empty_and_close();
}

/* The first comparison removes the node it is asked about, and says no. */
static int removes(const struct node *node)
{
    if (compared > 1)
        return node->key == 1;
    ctrio__table_remove(&table, (struct ctrio_table_node *)(uintptr_t)&node->node);
    return node->key == 1;
}

static void a_comparison_may_change_the_table(void)
{
    int error = 0;
    fresh();
    if (insert(1) && insert(18)) { /* 18 is first in the chain */
        on_compare = removes;
        ok(find(1, &error) == &nodes[1]);
        is(compared, 2);
        is(table.count, 1);
        compared = 0;
        ok(find(1, &error) == NULL); /* equal, but gone by then */
        is(table.count, 0);
    }
    empty_and_close();
}

TAP_MAIN(TEST(an_empty_table_finds_nothing), TEST(every_node_is_found_until_it_is_removed),
         TEST(the_order_is_that_of_insertion), TEST(room_that_was_reserved_needs_no_more_memory),
         TEST(a_reservation_beyond_all_memory_fails), TEST(a_failing_comparison_ends_the_search),
         TEST(a_comparison_may_change_the_table))

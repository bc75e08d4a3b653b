/* table.c - chains in buckets, the bucket by the high bits of a multiplied hash.
 *
 * Invariant: a node is on exactly one chain and on `order`; count == length of `order`.
 * equal() may run foreign code that changes the table, so find() starts again when `changes` has
 * moved (CPython's dictionaries do the same).  Open addressing refused: nodes must not move. */
#include "base/table.h"
#include "base/alloc.h"

/* Owners' hashes may be addresses or small numbers: spread them (Knuth's golden ratio). */
static size_t bucket_of(const struct ctrio_table *table, uint64_t hash)
{
    CTRIO_ASSERT(table->bucket_count > 0);
    return (size_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (table->bucket_count - 1);
}

static void push(struct ctrio_table *table, struct ctrio_table_node *node)
{
    struct ctrio_table_node **bucket = &table->buckets[bucket_of(table, node->hash)];
    node->chain = *bucket;
    *bucket = node;
}

void ctrio__table_init(struct ctrio_table *table)
{
    *table = (struct ctrio_table){0};
    ctrio__list_init(&table->order);
}

void ctrio__table_close(struct ctrio_table *table)
{
    CTRIO_ASSERT(table->count == 0);
    CTRIO_ASSERT(ctrio__list_empty(&table->order));
    ctrio__free(table->buckets);
    table->buckets = NULL;
    table->bucket_count = 0;
}

int ctrio__table_reserve(struct ctrio_table *table, size_t count)
{
    if (count <= table->bucket_count)
        return 0;
#ifdef CTRIO_TORTURE /* chains get long and every growth path runs */
    size_t grown = 1;
#else
    size_t grown = 8;
#endif
    while (grown < count) {
        if (grown > SIZE_MAX / 2 / sizeof(*table->buckets))
            return -ENOMEM;
        grown *= 2;
    }
    struct ctrio_table_node **buckets = ctrio__alloc(grown * sizeof(*buckets));
    if (buckets == NULL)
        return -ENOMEM;
    ctrio__free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = grown;
    table->changes++;
    ctrio__list_each (link, &table->order)
        push(table, ctrio__container(link, struct ctrio_table_node, order));
    return 0;
}

void ctrio__table_insert(struct ctrio_table *table, struct ctrio_table_node *node, uint64_t hash)
{
    CTRIO_ASSERT(table->count < table->bucket_count);
    node->hash = hash;
    ctrio__list_init(&node->order);
    ctrio__list_append(&table->order, &node->order);
    push(table, node);
    table->count++;
    table->changes++;
    CTRIO_ASSERT_SLOW(ctrio__list_has(&table->order, table->count));
}

void ctrio__table_remove(struct ctrio_table *table, struct ctrio_table_node *node)
{
    CTRIO_ASSERT(table->count > 0);
    CTRIO_ASSERT(ctrio__list_linked(&node->order));
    struct ctrio_table_node **link = &table->buckets[bucket_of(table, node->hash)];
    while (*link != node)
        link = &(*link)->chain;
    *link = node->chain;
    node->chain = NULL;
    ctrio__list_unlink(&node->order);
    table->count--;
    table->changes++;
}

struct ctrio_table_node *ctrio__table_find(const struct ctrio_table *table, uint64_t hash,
                                           int (*equal)(const struct ctrio_table_node *node,
                                                        const void *key),
                                           const void *key, int *error)
{
    *error = 0;
again:
    if (table->count == 0)
        return NULL;
    struct ctrio_table_node *node = table->buckets[bucket_of(table, hash)];
    while (node != NULL) {
        if (node->hash == hash) {
            uint64_t changes = table->changes;
            int answer = equal(node, key);
            if (answer < 0) {
                *error = answer;
                return NULL;
            }
            if (changes != table->changes)
                goto again; /* the node may be gone, equal or not */
            if (answer > 0)
                return node;
        }
        node = node->chain;
    }
    return NULL;
}

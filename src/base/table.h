/* table.h - an intrusive hash table with chains.
 *
 * Only table_reserve allocates, so that a later insert cannot fail: room is made when a task
 * asks, and used when it is served.  Keys are hashed and compared by their owner; the order of
 * iteration is the order of insertion, never of addresses. */
#ifndef CTRIO_BASE_TABLE_H
#define CTRIO_BASE_TABLE_H
#include "base/list.h"

void ctrio__table_init(struct ctrio_table *table);
void ctrio__table_close(struct ctrio_table *table); /* empty */
/* Room for `count` nodes in all.  -ENOMEM changes nothing. */
int ctrio__table_reserve(struct ctrio_table *table, size_t count);
/* Room for it has been reserved. */
void ctrio__table_insert(struct ctrio_table *table, struct ctrio_table_node *node, uint64_t hash);
void ctrio__table_remove(struct ctrio_table *table, struct ctrio_table_node *node);
/* equal: > 0 yes, 0 no, < 0 a failure, which ends the search and lands in *error.  It may change
 * the table [code]: the search then starts again. */
struct ctrio_table_node *ctrio__table_find(const struct ctrio_table *table, uint64_t hash,
                                           int (*equal)(const struct ctrio_table_node *node,
                                                        const void *key),
                                           const void *key, int *error);
#endif

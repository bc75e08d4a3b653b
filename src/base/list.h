/* list.h - circular, doubly linked, intrusive lists.
 *
 * A list head and a link are the same struct.  A link that is in no list points at itself, so
 * that unlinking is idempotent and "is it queued?" needs no flag.  Linked never means owned. */
#ifndef CTRIO_BASE_LIST_H
#define CTRIO_BASE_LIST_H
#include "base/assert.h"
#include <ctrio/types.h>

#define ctrio__container(pointer, type, member)                                                    \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

static inline void ctrio__list_init(struct ctrio_list *list)
{
    list->next = list;
    list->prev = list;
}
static inline bool ctrio__list_empty(const struct ctrio_list *list)
{
    return list->next == list;
}
/* True while `link` is in some list (or is a head with members). */
static inline bool ctrio__list_linked(const struct ctrio_list *link)
{
    return link->next != link;
}
static inline void ctrio__list_insert_before(struct ctrio_list *at, struct ctrio_list *link)
{
    CTRIO_ASSERT(!ctrio__list_linked(link));
    link->prev = at->prev;
    link->next = at;
    at->prev->next = link;
    at->prev = link;
}
static inline void ctrio__list_append(struct ctrio_list *list, struct ctrio_list *link)
{
    ctrio__list_insert_before(list, link);
}
static inline void ctrio__list_unlink(struct ctrio_list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link;
    link->prev = link;
}
/* Takes the first link out; NULL when empty. */
static inline struct ctrio_list *ctrio__list_pop(struct ctrio_list *list)
{
    struct ctrio_list *first = list->next;
    if (first == list)
        return NULL;
    ctrio__list_unlink(first);
    return first;
}
/* Moves all of `from` behind the members of `to`. */
static inline void ctrio__list_splice(struct ctrio_list *to, struct ctrio_list *from)
{
    if (ctrio__list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    ctrio__list_init(from);
}
static inline size_t ctrio__list_count(const struct ctrio_list *list)
{
    size_t count = 0;
    for (const struct ctrio_list *at = list->next; at != list; at = at->next)
        count++;
    return count;
}

/* For assertions: a list that is too long to be counted each time is believed. */
static inline bool ctrio__list_has(const struct ctrio_list *list, size_t count)
{
    return count > 1000 || count == ctrio__list_count(list);
}

/* The body may unlink `link` itself, and nothing else. */
#define ctrio__list_each(link, list)                                                               \
    for (struct ctrio_list *link = (list)->next, *link##_next = link->next; link != (list);        \
         link = link##_next, link##_next = link->next)
#endif

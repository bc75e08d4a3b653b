/* heap.c - a complete binary tree whose shape follows from the count alone.
 *
 * The path to the n-th node is n's binary digits below the leading one: 0 left, 1 right.  So the
 * last node is found in log n steps without an array, and the tree stays complete.  A pairing
 * heap inserts faster but has long tails on expiry. */
#include "base/heap.h"
#include "base/assert.h"

/* The link that holds node number `number` (1 is the root); *parent is who owns that link. */
static struct ctrio_timer **link_of(struct ctrio__heap *heap, size_t number,
                                    struct ctrio_timer **parent)
{
    CTRIO_ASSERT(number >= 1);
    size_t bit = (size_t)1 << (63 - __builtin_clzll(number));
    struct ctrio_timer **link = &heap->root;
    *parent = NULL;
    for (bit /= 2; bit > 0; bit /= 2) {
        *parent = *link;
        link = (number & bit) != 0 ? &(*link)->right : &(*link)->left;
    }
    return link;
}

static struct ctrio_timer **holder(struct ctrio__heap *heap, struct ctrio_timer *timer)
{
    if (timer->parent == NULL)
        return &heap->root;
    return timer->parent->left == timer ? &timer->parent->left : &timer->parent->right;
}

/* Puts `timer` into the place of `old` with old's family. */
static void take_place(struct ctrio__heap *heap, struct ctrio_timer *old, struct ctrio_timer *timer)
{
    *holder(heap, old) = timer;
    timer->parent = old->parent;
    timer->left = old->left;
    timer->right = old->right;
    if (timer->left != NULL)
        timer->left->parent = timer;
    if (timer->right != NULL)
        timer->right->parent = timer;
}

/* Swaps a child with its parent. */
static void swap_up(struct ctrio__heap *heap, struct ctrio_timer *child)
{
    struct ctrio_timer *parent = child->parent;
    struct ctrio_timer *left = child->left;
    struct ctrio_timer *right = child->right;
    struct ctrio_timer *sibling = parent->left == child ? parent->right : parent->left;
    bool was_left = parent->left == child;
    CTRIO_ASSERT(was_left || parent->right == child);
    *holder(heap, parent) = child;
    child->parent = parent->parent;
    child->left = was_left ? parent : sibling;
    child->right = was_left ? sibling : parent;
    if (sibling != NULL)
        sibling->parent = child;
    parent->parent = child;
    parent->left = left;
    parent->right = right;
    if (left != NULL)
        left->parent = parent;
    if (right != NULL)
        right->parent = parent;
}

static void sift_up(struct ctrio__heap *heap, struct ctrio_timer *timer)
{
    while (timer->parent != NULL && ctrio__timer_before(timer, timer->parent))
        swap_up(heap, timer);
}

static void sift_down(struct ctrio__heap *heap, struct ctrio_timer *timer)
{
    for (;;) {
        struct ctrio_timer *least = timer->left;
        if (least == NULL)
            return;
        if (timer->right != NULL && ctrio__timer_before(timer->right, least))
            least = timer->right;
        if (!ctrio__timer_before(least, timer))
            return;
        swap_up(heap, least);
    }
}

void ctrio__heap_insert(struct ctrio__heap *heap, struct ctrio_timer *timer)
{
    CTRIO_ASSERT(timer->when == timer->when);
    struct ctrio_timer *parent;
    struct ctrio_timer **link = link_of(heap, heap->count + 1, &parent);
    CTRIO_ASSERT(*link == NULL);
    timer->parent = parent;
    timer->left = NULL;
    timer->right = NULL;
    *link = timer;
    heap->count++;
    sift_up(heap, timer);
}

void ctrio__heap_remove(struct ctrio__heap *heap, struct ctrio_timer *timer)
{
    CTRIO_ASSERT(heap->count > 0);
    CTRIO_ASSERT(*holder(heap, timer) == timer);
    struct ctrio_timer *parent;
    struct ctrio_timer **link = link_of(heap, heap->count, &parent);
    struct ctrio_timer *last = *link;
    *link = NULL;
    heap->count--;
    if (last != timer) {
        take_place(heap, timer, last);
        sift_down(heap, last);
        sift_up(heap, last);
    }
    timer->parent = NULL;
    timer->left = NULL;
    timer->right = NULL;
}

bool ctrio__heap_valid(const struct ctrio__heap *heap)
{
    size_t seen = 0;
    const struct ctrio_timer *at = heap->root;
    if (at != NULL && at->parent != NULL)
        return false;
    while (at != NULL) { /* preorder by the parent links: no recursion, no stack */
        seen++;
        const struct ctrio_timer *children[2] = {at->left, at->right};
        for (int i = 0; i < 2; i++) {
            const struct ctrio_timer *child = children[i];
            if (child != NULL && (child->parent != at || ctrio__timer_before(child, at)))
                return false;
        }
        if (at->left != NULL) {
            at = at->left;
            continue;
        }
        while (at != NULL &&
               (at->parent == NULL || at->parent->right == at || at->parent->right == NULL))
            at = at->parent;
        at = at != NULL ? at->parent->right : NULL;
    }
    return seen == heap->count;
}

/* timers.c - a heap for what is due next, lists for what is due later.
 *
 * A heap of a hundred thousand timers costs a cache miss a level, and most timers of that many are
 * either disarmed long before they fire or wait for long.  So only the next few are kept in order.
 * The others lie in slots of a wheel of eleven levels: a time is read as an integer of eleven
 * digits that has the same order, and the highest digit in which it differs from the border's is
 * its level, that digit its slot.  What has a lower level is due earlier.  When the heap has become
 * empty the first slot of the lowest level is opened: into the heap if it holds few, else into the
 * levels below.  So each timer moves at most eleven times, in practice two or three.
 *
 * This is a timing wheel that has no tick: it rounds nothing, takes any double, and a clock that
 * jumps by a year skips the empty slots at once.
 *
 * Invariant: the border and whoever is in a slot have the same digits above their level; the
 * border's digit there is lower.  So a timer's place follows from its time and the border, as long
 * as the border moves only past slots that are empty. */
#include "base/timers.h"
#include "base/assert.h"
#include <string.h>

enum { FEW = 32 /* in a slot */ };

/* -INFINITY to INFINITY as integers of the same order; the two zeros are one. */
static uint64_t key_of(const struct ctrio_timer *timer)
{
    double when = timer->when + 0.0;
    uint64_t bits;
    memcpy(&bits, &when, sizeof bits);
    return (bits >> 63) != 0 ? ~bits : bits | UINT64_C(1) << 63;
}

struct place {
    unsigned level, digit;
};

static struct place place_of(uint64_t border, uint64_t key)
{
    CTRIO_ASSERT(key > border);
    unsigned level = (63U - (unsigned)__builtin_clzll(key ^ border)) / CTRIO__TIMER_DIGIT;
    unsigned digit = (unsigned)(key >> (level * CTRIO__TIMER_DIGIT)) % CTRIO__TIMER_SLOTS;
    return (struct place){level, digit};
}

static void insert_far(struct ctrio__timers *timers, struct ctrio_timer *timer, uint64_t key)
{
    struct place place = place_of(timers->border, key);
    struct ctrio_timer **slot = &timers->slots[place.level][place.digit];
    timer->parent = &timers->far;
    timer->left = *slot;
    timer->right = NULL;
    if (*slot != NULL)
        (*slot)->right = timer;
    *slot = timer;
    timers->used[place.level] |= UINT64_C(1) << place.digit;
    timers->far_count++;
}

static void remove_far(struct ctrio__timers *timers, struct ctrio_timer *timer)
{
    struct ctrio_timer *next = timer->left, *previous = timer->right;
    CTRIO_ASSERT(timers->far_count > 0);
    if (next != NULL)
        next->right = previous;
    if (previous != NULL) {
        previous->left = next;
    } else {
        struct place place = place_of(timers->border, key_of(timer));
        CTRIO_ASSERT(timers->slots[place.level][place.digit] == timer);
        timers->slots[place.level][place.digit] = next;
        if (next == NULL)
            timers->used[place.level] &= ~(UINT64_C(1) << place.digit);
    }
    timer->parent = NULL;
    timer->left = NULL;
    timer->right = NULL;
    timers->far_count--;
}

/* Each of a list by `left`, which count as far, to where it belongs now. */
static void sort_in(struct ctrio__timers *timers, struct ctrio_timer *list)
{
    while (list != NULL) {
        struct ctrio_timer *timer = list;
        uint64_t key = key_of(timer);
        list = timer->left;
        timers->far_count--;
        if (key <= timers->border)
            ctrio__heap_insert(&timers->near, timer);
        else
            insert_far(timers, timer, key);
    }
}

/* Takes the list of the first slot of a level. */
static struct ctrio_timer *take_slot(struct ctrio__timers *timers, unsigned level)
{
    unsigned digit = (unsigned)__builtin_ctzll(timers->used[level]);
    struct ctrio_timer *list = timers->slots[level][digit];
    CTRIO_ASSERT(list != NULL);
    timers->slots[level][digit] = NULL;
    timers->used[level] &= timers->used[level] - 1;
    return list;
}

static bool are_few(const struct ctrio_timer *list)
{
    unsigned count = 0;
    while (list != NULL && count <= FEW) {
        list = list->left;
        count++;
    }
    return count <= FEW;
}

/* The heap is empty: the slot that is due first is opened, and the border moved to its beginning,
 * or to its end if all that is in it goes into the heap. */
static void open_slot(struct ctrio__timers *timers)
{
    unsigned level = 0;
    while (timers->used[level] == 0)
        level++;
    struct ctrio_timer *list = take_slot(timers, level);
    uint64_t below = (UINT64_C(1) << (level * CTRIO__TIMER_DIGIT)) - 1;
    timers->border = key_of(list) & ~below;
    if (are_few(list))
        timers->border |= below;
    timers->crowd = 0;
    sort_in(timers, list);
}

/* Takes all out of the heap and puts them before `list`; their parents serve as a stack. */
static struct ctrio_timer *take_heap(struct ctrio__timers *timers, struct ctrio_timer *list)
{
    struct ctrio_timer *stack = timers->near.root;
    timers->far_count += timers->near.count;
    timers->near = (struct ctrio__heap){NULL, 0};
    while (stack != NULL) {
        struct ctrio_timer *timer = stack;
        struct ctrio_timer *children[2] = {timer->left, timer->right};
        stack = timer->parent;
        for (int i = 0; i < 2; i++) {
            if (children[i] == NULL)
                continue;
            children[i]->parent = stack;
            stack = children[i];
        }
        timer->left = list;
        list = timer;
    }
    return list;
}

/* Many have come that are due before the border, or there is none yet: the first of all becomes the
 * border.  It costs as much as there are timers, so it is done when half as many have come; and if
 * it was no use, as most are due at the same time, not before they have doubled. */
static void spread(struct ctrio__timers *timers)
{
    struct ctrio_timer *list = NULL;
    for (unsigned level = 0; level < CTRIO__TIMER_LEVELS; level++) {
        while (timers->used[level] != 0) {
            struct ctrio_timer *slot = take_slot(timers, level), *last = slot;
            while (last->left != NULL)
                last = last->left;
            last->left = list;
            list = slot;
        }
    }
    timers->border = key_of(timers->near.root);
    sort_in(timers, take_heap(timers, list));
    CTRIO_ASSERT(timers->near.count != 0);
    timers->crowd = 2 * timers->near.count;
}

void ctrio__timers_insert_among_many(struct ctrio__timers *timers, struct ctrio_timer *timer)
{
    uint64_t key = key_of(timer);
    if (timers->far_count != 0 && key > timers->border) {
        insert_far(timers, timer, key);
        return;
    }
    ctrio__heap_insert(&timers->near, timer);
    size_t near = timers->near.count;
    if (near >= CTRIO__TIMER_CROWD && near >= timers->crowd && near >= timers->far_count / 2)
        spread(timers);
}

void ctrio__timers_remove_from_many(struct ctrio__timers *timers, struct ctrio_timer *timer)
{
    if (timer->parent == &timers->far) {
        remove_far(timers, timer);
        return;
    }
    ctrio__heap_remove(&timers->near, timer);
    while (timers->near.root == NULL && timers->far_count != 0)
        open_slot(timers);
}

/* --- the check ----------------------------------------------------------------------------------
 */

static bool heap_is_due_first(const struct ctrio__timers *timers)
{
    const struct ctrio_timer *at = timers->near.root;
    while (at != NULL) { /* preorder, as ctrio__heap_valid */
        if (key_of(at) > timers->border)
            return false;
        const struct ctrio_timer *next = at->left;
        while (next == NULL && at != NULL) {
            const struct ctrio_timer *parent = at->parent;
            if (parent != NULL && parent->left == at)
                next = parent->right;
            at = parent;
        }
        at = next;
    }
    return true;
}

/* How many are in the slot; SIZE_MAX: one does not belong there. */
static size_t check_slot(const struct ctrio__timers *timers, unsigned level, unsigned digit)
{
    size_t count = 0;
    const struct ctrio_timer *previous = NULL;
    for (const struct ctrio_timer *at = timers->slots[level][digit]; at != NULL; at = at->left) {
        uint64_t key = key_of(at);
        if (at->parent != &timers->far || at->right != previous || key <= timers->border)
            return SIZE_MAX;
        struct place place = place_of(timers->border, key);
        if (place.level != level || place.digit != digit)
            return SIZE_MAX;
        previous = at;
        count++;
    }
    return count;
}

bool ctrio__timers_valid(const struct ctrio__timers *timers)
{
    size_t seen = 0;
    for (unsigned level = 0; level < CTRIO__TIMER_LEVELS; level++) {
        if (timers->far_count == 0 && timers->used[level] == 0)
            continue; /* simulations ask millions of times */
        for (unsigned digit = 0; digit < CTRIO__TIMER_SLOTS; digit++) {
            size_t count = check_slot(timers, level, digit);
            bool used = (timers->used[level] >> digit & 1) != 0;
            if (count == SIZE_MAX || used != (count != 0))
                return false;
            seen += count;
        }
    }
    if (seen != timers->far_count || !ctrio__heap_valid(&timers->near))
        return false;
    return seen == 0 || (timers->near.root != NULL && heap_is_due_first(timers));
}

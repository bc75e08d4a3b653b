/* invariants.c - what is true of a run between two turns, looked at link by link.
 *
 * For assertions that walk structures (CTRIO_ASSERT_SLOW) and for tests; no program asks.  The
 * walks have a budget: of a large run, which may take a million turns, only the beginning is looked
 * at after each, and counts are compared only of what was seen whole.  It changes nothing, so it
 * may be asked anywhere that no list is half changed. */
#include "kernel/run.h"

enum { MANY = 500, BUDGET = 2 * MANY, BUDGET_OF_MANY = 8 }; /* tasks and scopes */

struct walk {
    const struct ctrio_run *run; /* NULL: not asked which */
    size_t left;                 /* of the budget */
    size_t tasks;                /* found in scopes */
};

static size_t budget_of(const struct ctrio_run *run)
{
    return run->tasks_living > MANY ? BUDGET_OF_MANY : BUDGET;
}

static bool spend(struct walk *walk)
{
    if (walk->left == 0)
        return false;
    walk->left--;
    return true;
}

static bool tasks_of_scope_valid(const struct ctrio_cancel_scope *scope, struct walk *walk)
{
    const struct ctrio_list *at = scope->tasks.next;
    for (; at != &scope->tasks && spend(walk); at = at->next) {
        if (ctrio__task_from(at, scope_link)->scope != scope || at->next->prev != at)
            return false;
        walk->tasks++;
    }
    return true;
}

static bool cancellation_valid(const struct ctrio_cancel_scope *scope)
{
    const struct ctrio_cancel_scope *parent = scope->parent;
    bool from_outside = parent != NULL && !scope->shield && parent->effectively_cancelled;
    return scope->effectively_cancelled == (scope->cancel_called || from_outside);
}

static bool timer_valid(const struct ctrio_cancel_scope *scope)
{
    bool wanted = !scope->cancel_called && scope->deadline != INFINITY;
    return ctrio__timer_armed(scope->run, &scope->timer) == wanted;
}

static bool node_valid(const struct ctrio_cancel_scope *scope, struct walk *walk)
{
    if (scope->state != CTRIO_SCOPE_OPEN || scope->run == NULL)
        return false;
    if (walk->run != NULL && scope->run != walk->run)
        return false;
    if (scope->children.next->prev != &scope->children)
        return false;
    return cancellation_valid(scope) && timer_valid(scope) && tasks_of_scope_valid(scope, walk);
}

/* The child that `link` is, once it is known to be one of `parent`. */
static const struct ctrio_cancel_scope *child_at(const struct ctrio_list *link,
                                                 const struct ctrio_cancel_scope *parent)
{
    const struct ctrio_cancel_scope *child = ctrio__scope_from(link, sibling);
    return child->parent == parent && link->next->prev == link ? child : NULL;
}

/* In preorder by the links: there may be a million, one inside the other. */
static bool tree_valid(const struct ctrio_cancel_scope *root, struct walk *walk)
{
    const struct ctrio_cancel_scope *at = root;
    for (;;) {
        if (at == NULL || !node_valid(at, walk))
            return false;
        if (!spend(walk))
            return true;
        if (!ctrio__list_empty(&at->children)) {
            at = child_at(at->children.next, at);
            continue;
        }
        while (at != root && at->sibling.next == &at->parent->children)
            at = at->parent;
        if (at == root)
            return true;
        at = child_at(at->sibling.next, at->parent);
    }
}

bool ctrio__scope_tree_valid(const struct ctrio_cancel_scope *root)
{
    struct walk walk = {.left = SIZE_MAX};
    return tree_valid(root, &walk);
}

static bool children_valid(const struct ctrio__nursery *nursery, struct walk *walk)
{
    size_t count = 0;
    const struct ctrio_list *at = nursery->children.next;
    for (; at != &nursery->children; at = at->next, count++) {
        if (!spend(walk))
            return true;
        if (ctrio__task_from(at, nursery_link)->nursery != nursery)
            return false;
    }
    return nursery->child_count == count;
}

static bool nurseries_valid(const struct ctrio_task *task, struct walk *walk)
{
    const struct ctrio_list *at = task->nurseries.next;
    for (; at != &task->nurseries && spend(walk); at = at->next) {
        const struct ctrio__nursery *nursery = ctrio__container(at, struct ctrio__nursery, sibling);
        if (nursery->run != task->run || nursery->parent != task)
            return false;
        if (nursery->parent_waiting && (nursery->closed || nursery->body_running))
            return false;
        if (!children_valid(nursery, walk))
            return false;
    }
    return true;
}

static bool task_valid(const struct ctrio_task *task, struct walk *walk)
{
    if (task->run != walk->run)
        return false;
    if (task->state == CTRIO__TASK_NEW || task->state == CTRIO__TASK_EXITED)
        return false;
    if ((task->scope != NULL) != ctrio__list_linked(&task->scope_link))
        return false;
    if ((task->nursery != NULL) != ctrio__list_linked(&task->nursery_link))
        return false;
    if (task->state != CTRIO__TASK_PARKED && ctrio__list_linked(&task->lot_link))
        return false;
    return nurseries_valid(task, walk);
}

static bool queue_valid(struct ctrio_task *const *queue, size_t count, size_t budget)
{
    for (size_t i = 0; i < count && i < budget; i++)
        if (queue[i]->state != CTRIO__TASK_RUNNABLE)
            return false;
    return true;
}

static bool tasks_valid(const struct ctrio_run *run, size_t *in_scopes, bool *whole)
{
    struct walk walk = {.run = run, .left = budget_of(run)};
    size_t living = 0, runnable = 0;
    for (const struct ctrio_list *at = run->tasks.next; at != &run->tasks; at = at->next) {
        const struct ctrio_task *task = ctrio__task_from(at, run_link);
        *whole = spend(&walk);
        if (!*whole)
            return true;
        if (!task_valid(task, &walk))
            return false;
        living++;
        runnable += task->state == CTRIO__TASK_RUNNABLE;
        *in_scopes += task->scope != NULL;
    }
    *whole = walk.left != 0;
    return living == run->tasks_living && runnable == run->ready_count + run->batch_count;
}

static bool roots_valid(const struct ctrio_run *run, struct walk *walk)
{
    const struct ctrio_list *at = run->roots.next;
    for (; at != &run->roots && walk->left != 0; at = at->next) {
        const struct ctrio_cancel_scope *root = child_at(at, NULL);
        if (root == NULL || !tree_valid(root, walk))
            return false;
    }
    return tree_valid(&run->limbo, walk);
}

bool ctrio__run_valid(const struct ctrio_run *run)
{
    size_t expected = 0;
    bool whole = true;
    const size_t budget = budget_of(run);
    struct walk walk = {.run = run, .left = budget};
    if (run->current != NULL || run->finished != NULL)
        return false;
    if (!ctrio__list_empty(&run->todo) || !ctrio__list_empty(&run->delivering))
        return false;
    if (run->batch_count > run->batch_capacity || run->ready_count > run->ready_capacity)
        return false;
    if (!queue_valid(run->ready, run->ready_count, budget) ||
        !queue_valid(run->batch, run->batch_count, budget))
        return false;
    if (!tasks_valid(run, &expected, &whole) || !roots_valid(run, &walk))
        return false;
    return !whole || walk.left == 0 || walk.tasks == expected;
}

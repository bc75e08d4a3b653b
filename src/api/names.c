/* names.c - what tasks are called, and the tree of them, printed.
 *
 * The tree is walked without recursion and without memory: nurseries may be nested deeper than any
 * stack, and a dump must work when nothing else does. */
#include "api/nursery.h"
#include "api/step.h"
#include "base/alloc.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct ctrio_task *ctrio_current_task(void)
{
    struct ctrio__c_run *run = ctrio__c_current;
    return run != NULL ? run->run.current : NULL;
}

const char *ctrio__task_name(const struct ctrio_task *task)
{
    if (ctrio__stackful(task))
        return ctrio__c_task_of(task)->name;
    if (task->frontend == &ctrio__op_frontend)
        return ctrio__container(task, struct ctrio__op_task, task)->name;
    return ctrio__step_name(task);
}

const char *ctrio_task_name(const struct ctrio_task *task)
{
    return ctrio__task_name(task);
}

void ctrio_set_task_name(const char *format, ...)
{
    enum { LONGEST = 64 };
    struct ctrio__c_task *self = ctrio__self();
    va_list args;
    if (self == NULL)
        return;
    char text[LONGEST]; /* the old name may be among the arguments */
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *name = self->own_name != NULL ? self->own_name : ctrio__alloc(LONGEST);
    if (name == NULL)
        return; /* it keeps its old one */
    memcpy(name, text, sizeof text);
    self->own_name = name;
    self->name = name;
}

/* --- the tree -------------------------------------------------------------------------------- */

static struct ctrio__nursery *nursery_at(const struct ctrio_list *link)
{
    return ctrio__container(link, struct ctrio__nursery, sibling);
}

static void print_scope(const struct ctrio_cancel_scope *scope, double now, FILE *out)
{
    if (scope->opened_at != NULL)
        fprintf(out, " opened at %s", scope->opened_at);
    if (scope->deadline < INFINITY && !scope->cancel_called)
        fprintf(out, ", %.3f s left", scope->deadline - now);
    if (scope->shield)
        fputs(", shielded", out);
    if (scope->cancel_called && scope->cancelled_at != NULL)
        fprintf(out, ", cancelled at %s", scope->cancelled_at);
    else if (scope->effectively_cancelled)
        fputs(", cancelled", out);
    fputc('\n', out);
}

static void indent(size_t depth, FILE *out)
{
    enum { DEEPEST = 40 };
    fprintf(out, "%*s", (int)(2 * (depth < DEEPEST ? depth : DEEPEST)), "");
}

static void print_task(const struct ctrio_task *task, size_t depth, FILE *out)
{
    static const char *const states[] = {"new", "runnable", "running", "waits", "exited"};
    const struct ctrio__op *op = NULL;
    if (ctrio__stackful(task))
        op = ctrio__c_task_of(task)->u.life.op;
    indent(depth, out);
    fprintf(out, "task %s: %s", ctrio__task_name(task), states[task->state]);
    if (op != NULL && task->state == CTRIO__TASK_PARKED)
        fprintf(out, " in %s", op->kind->verb);
    fputc('\n', out);
}

/* The scopes that the task has opened, from the one around `inner` outwards: those of a nursery
 * are told with it. */
static void print_scopes(const struct ctrio_task *task, size_t depth, double now, FILE *out)
{
    const struct ctrio_cancel_scope *scope = task->scope;
    for (; scope != NULL && scope->owner == task; scope = scope->parent) {
        if (scope->magic != CTRIO__SCOPE_MAGIC)
            continue;
        indent(depth, out);
        fputs("scope", out);
        print_scope(scope, now, out);
    }
}

/* Next in preorder: the first child of its nurseries, else the next sibling, else up. */
static struct ctrio_task *down(const struct ctrio_task *task, const struct ctrio_list *from,
                               size_t depth, double now, FILE *out)
{
    for (; from != &task->nurseries; from = from->next) {
        const struct ctrio__nursery *nursery = nursery_at(from);
        indent(depth, out);
        fputs("nursery", out);
        print_scope(nursery->scope, now, out);
        if (!ctrio__list_empty(&nursery->children))
            return ctrio__task_from(nursery->children.next, nursery_link);
    }
    return NULL;
}

void ctrio_dump_tasks(FILE *out)
{
    struct ctrio__c_run *run = ctrio__c_current;
    if (run == NULL) {
        fputs("no run on this thread\n", out);
        return;
    }
    double now = ctrio__run_time(&run->run);
    struct ctrio_task *task = run->run.init_task;
    size_t depth = 0;
    while (task != NULL) {
        print_task(task, depth, out);
        print_scopes(task, depth + 1, now, out);
        struct ctrio_task *next = down(task, task->nurseries.next, depth + 1, now, out);
        depth += next != NULL ? 2 : 0;
        while (next == NULL && task->nursery != NULL) {
            const struct ctrio__nursery *nursery = task->nursery;
            if (task->nursery_link.next != &nursery->children) {
                next = ctrio__task_from(task->nursery_link.next, nursery_link);
            } else {
                task = nursery->parent;
                depth -= 2;
                if (task == NULL)
                    return; /* left behind by its task: where it hung is not known */
                next = down(task, nursery->sibling.next, depth + 1, now, out);
                depth += next != NULL ? 2 : 0;
            }
        }
        task = next;
    }
}

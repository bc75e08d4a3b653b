/* error_tree.c - groups: walking them, taking them apart, printing them.
 *
 * Groups are as deep as nurseries are nested, which may be a million: nothing here recurses, the
 * nodes know their parents. */
#include "api/error.h"
#include "api/task.h"
#include "base/alloc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A leaf may have children too: the others of a group that it speaks for. */
static bool is_group(const struct ctrio_error *error)
{
    return error->code == CTRIO_GROUP && error->children != NULL;
}

const struct ctrio_error *ctrio__error_after(const struct ctrio_error *at,
                                             const struct ctrio_error *root)
{
    if (at->children != NULL)
        return at->children;
    while (at != root && at->next == NULL)
        at = at->parent;
    return at != root ? at->next : NULL;
}

void ctrio__error_adopt(struct ctrio_error *group, struct ctrio_error *child)
{
    child->parent = group;
    child->next = group->children;
    group->children = child;
}

/* A pointer would cost each task sixteen bytes: it holds two nodes. */
static struct ctrio__c_task *home_of(struct ctrio_error *error)
{
    if (error->place == 0)
        return NULL;
    struct ctrio_error(*nodes)[2] = (void *)(error - (error->place - 1));
    return ctrio__container(nodes, struct ctrio__c_task, u.nodes);
}

static void release(struct ctrio_error *error)
{
    struct ctrio__c_task *home = home_of(error);
    if (error->own_name)
        ctrio__free((void *)(uintptr_t)error->task_name);
    if (home != NULL)
        ctrio__c_task_let_go(home);
    else if (!error->bare)
        ctrio__free(error);
}

void ctrio_error_free(struct ctrio_error *error)
{
    struct ctrio_error *work = error; /* linked by next; children go in front of their parent */
    while (work != NULL) {
        struct ctrio_error *child = work->children;
        if (child != NULL) {
            work->children = child->next;
            child->next = work;
            work = child;
        } else {
            struct ctrio_error *rest = work == error ? NULL : work->next;
            release(work);
            work = rest;
        }
    }
}

/* --- taking groups apart ---------------------------------------------------------------------
 *
 * In two passes without recursion: the first collects the groups, outer ones first; the second goes
 * through them inner ones first, looks at each member once, and drops what has become empty. */

static struct ctrio_error *next_group(struct ctrio_error *at, const struct ctrio_error *root)
{
    do {
        if (is_group(at)) {
            at = at->children;
            continue;
        }
        while (at != root && at->next == NULL)
            at = at->parent;
        at = at != root ? at->next : NULL;
    } while (at != NULL && !is_group(at));
    return at;
}

static void append(struct ctrio_error ***tail, struct ctrio_error *parent,
                   struct ctrio_error *child)
{
    child->parent = parent;
    child->next = NULL;
    **tail = child;
    *tail = &child->next;
}

static void take_apart(struct ctrio_error *group, struct ctrio_error *twin)
{
    group->apart = true;
    group->twin = twin;
}

static void put_together(struct ctrio_error *error)
{
    if (error->apart)
        error->text = NULL; /* a group has none */
    error->apart = false;
}

/* Keeps what is not a leaf of that code, nor a group that has become empty. */
static void strip_group(struct ctrio_error *group, int code)
{
    struct ctrio_error *child = group->children, **tail = &group->children;
    group->children = NULL;
    while (child != NULL) {
        struct ctrio_error *next = child->next;
        bool emptied = child->apart && child->children == NULL;
        bool leaf = !child->apart;
        put_together(child);
        if (emptied || (leaf && child->code == code))
            ctrio_error_free(child);
        else
            append(&tail, group, child);
        child = next;
    }
}

int ctrio_except(int code, int which)
{
    if (code >= 0)
        return code;
    struct ctrio_error *root = ctrio__stories_take(ctrio__stories(), code);
    if (code == which || (root != NULL && is_group(root))) {
        struct ctrio_error *work = NULL;
        struct ctrio_error *at = code != which ? root : NULL;
        for (; at != NULL; at = next_group(at, root)) {
            take_apart(at, work);
            work = at;
        }
        while (work != NULL) {
            struct ctrio_error *outer = work->twin;
            strip_group(work, which);
            work = outer;
        }
        if (root != NULL)
            put_together(root);
        if (code == which || root->children == NULL) {
            bool cancelled = root != NULL && root->and_cancelled;
            ctrio_error_free(root);
            return cancelled ? CTRIO_CANCELLED : 0;
        }
    }
    ctrio__stories_push(ctrio__stories(), root);
    return code;
}

/* Twins for `root` and the groups in it, innermost first by next, each knowing the other. */
static int make_twins(struct ctrio_error *root, struct ctrio_error **work)
{
    *work = NULL;
    for (struct ctrio_error *at = root; at != NULL; at = next_group(at, root)) {
        struct ctrio_error *twin = ctrio__error_new(CTRIO_GROUP, NULL);
        if (twin == NULL) {
            while (*work != NULL) {
                struct ctrio_error *made = *work;
                *work = made->next;
                put_together(made->twin);
                ctrio__free(made);
            }
            return -ENOMEM;
        }
        take_apart(twin, at);
        take_apart(at, twin);
        twin->next = *work;
        *work = twin;
    }
    return 0;
}

/* The groups inside are done: one that is empty on a side is not there on that side. */
static void split_group(struct ctrio_error *group, struct ctrio_error *twin, int code)
{
    struct ctrio_error *child = group->children;
    struct ctrio_error **rest = &group->children, **match = &twin->children;
    group->children = NULL;
    while (child != NULL) {
        struct ctrio_error *next = child->next;
        if (child->apart) {
            struct ctrio_error *other = child->twin;
            put_together(child);
            if (other->children != NULL)
                append(&match, twin, other);
            else
                ctrio__free(other);
            if (child->children != NULL)
                append(&rest, group, child);
            else
                ctrio_error_free(child);
        } else if (child->code == code) {
            append(&match, twin, child);
        } else {
            append(&rest, group, child);
        }
        child = next;
    }
}

int ctrio_error_split(struct ctrio_error *error, int code, struct ctrio_error **match,
                      struct ctrio_error **rest)
{
    struct ctrio_error *work;
    *match = NULL;
    *rest = NULL;
    if (error == NULL)
        return 0;
    if (!is_group(error)) {
        *(error->code == code ? match : rest) = error;
        return 0;
    }
    int result = make_twins(error, &work);
    if (result < 0)
        return result;
    struct ctrio_error *twin = NULL;
    while (work != NULL) {
        twin = work;
        work = twin->next;
        twin->next = NULL;
        struct ctrio_error *group = twin->twin;
        put_together(twin);
        split_group(group, twin, code);
    }
    put_together(error);
    CTRIO_ASSERT(twin != NULL);
    *match = twin->children != NULL ? twin : NULL;
    *rest = error->children != NULL || error->and_cancelled ? error : NULL;
    if (*match == NULL)
        ctrio__free(twin);
    if (*rest == NULL)
        ctrio_error_free(error);
    else if (error->children == NULL)
        error->code = CTRIO_CANCELLED; /* all that is left of it */
    return 0;
}

int ctrio_collapse(int code)
{
    if (code != CTRIO_GROUP)
        return code;
    struct ctrio_error **stories = ctrio__stories();
    struct ctrio_error *root = ctrio__stories_take(stories, code);
    if (root == NULL)
        return code;
    struct ctrio_error *leaf = root;
    while (is_group(leaf))
        leaf = leaf->children;
    if (leaf == root) { /* of the user's own making, without members */
        ctrio__stories_push(stories, root);
        return code;
    }
    struct ctrio_error *emptied =
        leaf; /* what goes with it: the first of its group all the way up */
    while (emptied->parent != root && emptied->next == NULL)
        emptied = emptied->parent;
    emptied->parent->children = emptied->next;
    emptied->next = NULL;
    if (emptied != leaf) {
        leaf->parent->children = leaf->next;
        ctrio_error_free(emptied);
    }
    leaf->next = NULL;
    leaf->parent = NULL;
    if (root->children == NULL)
        ctrio_error_free(root);
    else
        ctrio__error_adopt(leaf, root);
    code = leaf->code;
    ctrio__stories_push(stories, leaf);
    return code;
}

/* --- printing -------------------------------------------------------------------------------- */

static void print_line(const struct ctrio_error *error, int depth, FILE *out)
{
    static const int deepest = 40;
    const char *text = ctrio_error_text(error), *words = ctrio__code_text(error->code);
    fprintf(out, "%*s%s", 2 * (depth < deepest ? depth : deepest), "", text);
    if (error->code != CTRIO_GROUP && strstr(text, words) == NULL)
        fprintf(out, " (%s)", words);
    if (error->task_name != NULL)
        fprintf(out, "  [%s]", error->task_name);
    fputc('\n', out);
}

void ctrio_error_print(int code, FILE *out)
{
    const struct ctrio_error *root = ctrio__stories_find(ctrio__stories(), code);
    if (root == NULL) {
        fprintf(out, "%s\n", ctrio__code_text(code));
        return;
    }
    int depth = 0;
    for (const struct ctrio_error *at = root; at != NULL;) {
        print_line(at, depth, out);
        const struct ctrio_error *next = ctrio__error_after(at, root);
        if (at->children != NULL) {
            depth++;
        } else if (next != NULL) {
            for (const struct ctrio_error *up = at; up->parent != next->parent; up = up->parent)
                depth--;
        }
        at = next;
    }
}

int ctrio_exit_status(int code, const char *who)
{
    if (code >= 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "%s: ", who);
    ctrio_error_print(code, stderr);
    ctrio__stories_drop(ctrio__stories()); /* nobody will ask any more, but a leak checker */
    return code == CTRIO_INTERRUPTED ? 130 : EXIT_FAILURE;
}

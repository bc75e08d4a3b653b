/* error.h - stories: what is known of a failure beyond its code.
 *
 * A node is a leaf or a group.  It lies on the heap, or in the task that failed, which then stays
 * until the node goes: so a child's failure allocates nothing. */
#ifndef CTRIO_API_ERROR_H
#define CTRIO_API_ERROR_H
#include <ctrio/error.h>

struct ctrio_error {
    struct ctrio_error *next;     /* the next of its group; the next older story */
    struct ctrio_error *parent;   /* the group that it is in */
    struct ctrio_error *children; /* of a group, in the order of failing; owned.  Of a leaf that
                                   * speaks for a collapsed group: the others */
    union {
        const char *text;         /* NULL: the code's own words.  Static, or behind the node */
        struct ctrio_error *twin; /* of a group, and only while it is taken apart */
    };
    const char *task_name; /* who failed with it; NULL: not known.  See `own_name` */
    int code;
    /* One byte for the flags: two nodes lie in each task, and the size counts there. */
    uint8_t place; /* 1 + its index in the nodes of the task that it lies in; 0: the heap */
    bool and_cancelled : 1; /* Cancelled leaves were taken from it, or from a group inside; so of a
                             * whole story the root's counts */
    bool own_name : 1;      /* task_name is ours to free */
    bool bare : 1;          /* the thread's own, for when there is no memory: not freed */
    bool apart : 1;         /* a group that is being taken apart: `twin` is meaningful */
};

/* The next one in preorder below `root`, children first; NULL: that was the last. */
const struct ctrio_error *ctrio__error_after(const struct ctrio_error *at,
                                             const struct ctrio_error *root);
/* Puts `child` in front of the group's; what is built from the end is in order. */
void ctrio__error_adopt(struct ctrio_error *group, struct ctrio_error *child);

/* The stories of whoever runs: of the task, or outside of one of the thread. */
struct ctrio_error **ctrio__stories(void);
/* Puts it in front; the fifth is dropped.  Steals; accepts NULL. */
void ctrio__stories_push(struct ctrio_error **stories, struct ctrio_error *error);
/* The newest with that code, taken out; NULL: there is none. */
struct ctrio_error *ctrio__stories_take(struct ctrio_error **stories, int code);
const struct ctrio_error *ctrio__stories_find(struct ctrio_error *const *stories, int code);
void ctrio__stories_drop(struct ctrio_error **stories);
/* A leaf on the heap; NULL: no memory.  `text` is borrowed, and static. */
struct ctrio_error *ctrio__error_new(int code, const char *text);
/* What a later version may give a meaning must be zero now. */
#define CTRIO__RESERVED_IS_ZERO(options)                                                           \
    ctrio__all_zero((options)->reserved, sizeof(options)->reserved / sizeof(uint64_t))
bool ctrio__all_zero(const uint64_t *words, size_t count);
/* Notes a static text for `code` and gives it back. */
int ctrio__fail(int code, const char *text);
/* The code's own words; static, or in a buffer of the thread's. */
const char *ctrio__code_text(int code);
#endif

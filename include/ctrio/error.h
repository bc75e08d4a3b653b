/* error.h - codes, the story behind a code, and groups of failures.
 *
 * A code is the whole error for most callers and costs nothing.  Beside it each task (outside a
 * run: each thread) keeps the stories of its last four failures - a message or a group - and every
 * call below that takes a `code` means the newest story with that code, or a plain one made up for
 * it.  Closers and free functions never disturb the stories, so cleanup cannot lose one. */
#ifndef CTRIO_ERROR_H
#define CTRIO_ERROR_H
#include <ctrio/types.h>
#include <stdio.h>
#ifdef __cplusplus
extern "C" {
#endif
/* Notes a message for `code` and gives back `code`: return ctrio_fail(rc, "…").  One allocation;
 * without memory the code travels alone. */
CTRIO_CHECKED int ctrio_fail(int code, const char *format, ...) CTRIO_PRINTF(2, 3);
/* One line for `code`; never NULL, borrowed until this task's next failure. */
CTRIO_API const char *ctrio_error_message(int code);
/* Prints the whole tree: messages, task names, where each task was started. */
CTRIO_API void ctrio_error_print(int code, FILE *out);
/* For the end of main(): prints a failure as "who: …" on stderr and drops all stories; the exit
 * status (130 for CTRIO_INTERRUPTED). */
CTRIO_API int ctrio_exit_status(int code, const char *who);
/* Python's `except* which: pass`: `code` without its leaves `which`; 0 when nothing is left, or
 * CTRIO_CANCELLED where children of the group were cancelled too by a scope further out: return it.
 * Works on plain codes too.  Never allocates. */
CTRIO_CHECKED int ctrio_except(int code, int which);
/* For a nursery that is an implementation detail: a group becomes its first leaf's code, and the
 * leaf's story lists the others, but no cancelled ones: their scope will say it at the next
 * checkpoint.  Any other code passes through. */
CTRIO_CHECKED int ctrio_collapse(int code);

/* Takes the story out to keep or to walk; owned: ctrio_error_free().  Never NULL for code < 0. */
CTRIO_API struct ctrio_error *ctrio_error_take(int code);
/* Steals `error`, makes it this task's newest story and returns its code: raises it again. */
CTRIO_CHECKED int ctrio_error_restore(struct ctrio_error *error);
/* Frees a taken error and its whole tree; accepts NULL. */
CTRIO_API void ctrio_error_free(struct ctrio_error *error);
/* Code and text of one node; the text is borrowed from `error`, never NULL. */
CTRIO_API int ctrio_error_code(const struct ctrio_error *error);
/* One node's message, not its children's; borrowed from `error`, never NULL. */
CTRIO_API const char *ctrio_error_text(const struct ctrio_error *error);
/* The i-th child of a group in the order they failed; NULL past the end and for a leaf. */
CTRIO_API const struct ctrio_error *ctrio_error_child(const struct ctrio_error *error, size_t i);
/* ExceptionGroup.split(): leaves with `code` go to *match, others to *rest, each with the tree's
 * shape, each NULL when empty; *rest a leaf CTRIO_CANCELLED where only such were left.  Steals
 * `error`; -ENOMEM: it is still yours and unchanged. */
CTRIO_CHECKED int ctrio_error_split(struct ctrio_error *error, int code, struct ctrio_error **match,
                                    struct ctrio_error **rest);
#ifdef __cplusplus
}
#endif
#endif

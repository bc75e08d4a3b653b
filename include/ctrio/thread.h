/* thread.h - the way into a run from other threads. */
#ifndef CTRIO_THREAD_H
#define CTRIO_THREAD_H
#include <ctrio/types.h>
#ifdef __cplusplus
extern "C" {
#endif
/* A handle on the run that may outlive it; owned. */
CTRIO_CHECKED int ctrio_current_token(struct ctrio_token **token);
/* [any thread] Accepts NULL. */
CTRIO_API void ctrio_token_free(struct ctrio_token *token);
/* [any thread, not signal handlers] Calls fn(arg) soon in the run, in no task: it must not suspend.
 * CTRIO_RUN_FINISHED; -ENOMEM.  `arg` must live until fn has run: not in a frame. */
CTRIO_CHECKED int ctrio_token_run_soon(struct ctrio_token *token, void (*fn)(void *arg), void *arg);
#ifdef __cplusplus
}
#endif
#endif

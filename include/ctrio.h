/* ctrio.h - structured concurrency for C, with Trio's semantics: everything a program needs.
 *
 * Results: 0 or a count on success, a negative code on failure.  CTRIO_ASYNC marks a checkpoint:
 * the call may suspend the task, and a cancelled one returns CTRIO_CANCELLED and has done nothing
 * unless its comment says otherwise; errno survives it, other thread-local state need not.  Times
 * are seconds as double.  Pointers are borrowed unless the comment says "owned" (you must free it)
 * or "steals" (the callee frees it, success or not).  On failure an owned out-pointer is NULL and
 * other out-parameters are untouched; every close and free takes NULL: cleanup needs no conditions.
 * One thread owns a run; [any thread] marks the calls that may come from another.
 * Not included here: <ctrio/lowlevel.h>, <ctrio/testing.h>. */
#ifndef CTRIO_H
#define CTRIO_H
#include <ctrio/cancel.h>
#include <ctrio/channel.h>
#include <ctrio/error.h>
#include <ctrio/nursery.h>
#include <ctrio/resolver.h>
#include <ctrio/run.h>
#include <ctrio/serve.h>
#include <ctrio/stream.h>
#include <ctrio/sync.h>
#include <ctrio/tcp.h>
#include <ctrio/thread.h>
#include <ctrio/types.h>
#endif

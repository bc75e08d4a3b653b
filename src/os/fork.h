/* fork.h - to be told of a fork. */
#ifndef CTRIO_OS_FORK_H
#define CTRIO_OS_FORK_H

/* Calls fn in the child of each fork from now on, on the one thread that it has; -errno.  Nobody
 * can be told no longer, so fn must bear to find nothing. */
int ctrio__on_fork(void (*fn)(void));
#endif

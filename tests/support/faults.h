/* faults.h - a machine with one fault: the n-th call of a kind fails, with a given errno. */
#ifndef CTRIO_TESTS_FAULTS_H
#define CTRIO_TESTS_FAULTS_H
#include "io/net.h"

enum fault_call {
    FAULT_OPEN,
    FAULT_BIND,
    FAULT_LISTEN,
    FAULT_CONNECT,
    FAULT_ACCEPT,
    FAULT_RECV,
    FAULT_SEND,
    FAULT_SENDMSG,
    FAULT_SHUTDOWN,
    FAULT_CLOSE,
    FAULT_GETSOCKOPT,
    FAULT_SETSOCKOPT,
    FAULT_NAME,
    FAULT_WAIT, /* for readiness: epoll_ctl */
    FAULT_IO_OPEN,
    FAULT_RANDOM,
    FAULT_SIGNAL,
    FAULT_RESOLVE, /* no thread for it */
    FAULT_CALLS
};
extern const char *const fault_names[FAULT_CALLS];

struct fault {
    enum fault_call call;
    int code;  /* -errno */
    int first; /* what the program comes to when the first such call fails */
};
/* The plausible ones, from Linux's manual pages.  Not EINTR: the table's contract is that an
 * interrupted call is made again (io/net.h). */
extern const struct fault faults[];
extern const size_t fault_count;

/* Puts calls of ours in front of the os's own; one os at a time. */
void fault_begin(struct ctrio__os *os);
/* From now on nothing fails but the n-th call of this kind, counted from 1. */
void fault_arm(const struct fault *fault, size_t n);
/* Whether that call was made. */
bool fault_met(void);
/* Handles that were opened and not closed. */
ptrdiff_t fault_handles(void);
/* How often the loop has looked for events since it was armed. */
size_t fault_turns(void);
#endif

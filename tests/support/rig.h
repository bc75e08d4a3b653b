/* rig.h - a native os whose epoll calls can be counted and made to fail. */
#ifndef CTRIO_TESTS_RIG_H
#define CTRIO_TESTS_RIG_H
#include "crew.h"
#include "io/epoll.h"
#include "io/native.h"
#include "io/socket_ops.h"
#include "tap.h"
#include <unistd.h>

enum rig_call { RIG_CREATE, RIG_BELL, RIG_CONTROL, RIG_WAIT, RIG_WAIT_EXACTLY, RIG_CALLS };

struct rig {
    struct ctrio__native_os native;
    struct crew crew;
    struct crew_task *keeper; /* keeps the nursery open for tasks that are added late */
    unsigned calls[RIG_CALLS];
    unsigned adds, modifies, deletes, closes; /* of control; of close */
    unsigned events;                          /* that waits have brought */
    int fail[RIG_CALLS];                      /* -errno: all such calls answer so; 0: none */
    bool asleep;                              /* waits only note what they were asked for */
    int last_milliseconds;
    double last_seconds;
};

extern const struct ctrio__epoll_calls rig_calls;
/* Opens the os; the test adds tasks to rig->crew, which already has one that sleeps. */
void rig_init(struct rig *rig);
void rig_close(struct rig *rig);
/* As crew_open on the rig; false: no run. */
bool rig_start(struct rig *rig);
/* Turns without sleeping, as long as something happens; at most 100. */
void rig_settle(struct rig *rig);
/* Turns that do nothing but look: the events they bring are counted. */
unsigned rig_idle_events(struct rig *rig, int turns);
/* Lets the run end and closes it: what it came to, or 1 if some task would not end. */
int rig_finish(struct rig *rig);
struct ctrio__io *rig_io(struct rig *rig);
/* Two connected sockets, which do not block. */
void rig_pair(intptr_t out[2]);
/* Writes a byte; writes until there is no room; reads until there is nothing. */
void rig_say(intptr_t to);
void rig_fill(intptr_t handle);
void rig_drain(intptr_t handle);

/* Bodies, and what they need. */
struct rig_wait {
    struct ctrio__wait_handle_op op;
    intptr_t handle;
    enum ctrio__io_interest interest;
    int times; /* how often to wait; 0: once */
    int woken; /* how often it did, with 0 */
};
bool rig_wait_body(struct crew_task *self);
struct rig_receive {
    struct ctrio__transfer_op op;
    struct ctrio__socket *socket;
    char buffer[64];
    int times;    /* 0: once */
    int received; /* bytes in all */
};
bool rig_receive_body(struct crew_task *self);
struct rig_send {
    struct ctrio__send_all_op op;
    struct ctrio__socket *socket;
    const char *data;
    size_t size;
};
bool rig_send_body(struct crew_task *self);
#endif

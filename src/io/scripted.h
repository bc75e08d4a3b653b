/* scripted.h - an `os` without a machine: time, readiness, sockets, threads, all in memory.
 *
 * Nothing here calls the system; everything follows from the options and from what the run does,
 * so a run on it can be repeated exactly.  TCP on one host, as far as a server and its clients
 * need: streams with bounded buffers, a backlog, end of stream, reset, refused connections. */
#ifndef CTRIO_IO_SCRIPTED_H
#define CTRIO_IO_SCRIPTED_H
#include "base/list.h"
#include "base/rng.h"
#include "io/net.h"
#include "io/scripted_chooser.h"

struct ctrio__scripted_options {
    uint64_t seed;      /* of random bytes and of the sizes below */
    size_t buffer_size; /* bytes on their way in one direction; 0: 4096 */
    bool short_counts;  /* sends and receives move any number of bytes, at least one */
    /* Numbers for new handles, >= 0 or -errno, for a front end whose sockets need a descriptor
     * each; NULL: from 2^30 up. */
    intptr_t (*new_handle)(void *data);
    void *data;
    struct ctrio__trace *trace; /* gets each call and its result; NULL: nobody asks */
};

struct ctrio__scripted {
    struct ctrio__os os;
    struct ctrio__scripted_options options;
    struct ctrio__rng rng;
    struct ctrio__trace own_trace;
    struct ctrio__trace calls;    /* of the sockets', alone: equal for the same program elsewhere */
    uint64_t now;                 /* ns; passes only in get_events and in wait */
    struct ctrio_list sockets;    /* struct ctrio__sim_socket, oldest first; owned */
    struct ctrio_list waits;      /* of parked tasks, oldest first; owned */
    struct ctrio_list free_waits; /* kept for the next one */
    struct ctrio_list jobs;       /* not yet run, oldest first; owned */
    intptr_t last_handle;
    uint64_t socket_serial;
    uint16_t last_port;
    bool woken;          /* force_wakeup was called since the last look */
    bool idle_runs_jobs; /* jobs run, inline, when a run has nothing else to do */
    struct {
        void (*fn)(void *arg, int number);
        void *arg;
    } watches[65]; /* by signal number */
};

void ctrio__scripted_init(struct ctrio__scripted *world,
                          const struct ctrio__scripted_options *options);
/* Forgets sockets that nobody closed; returns how many there were. */
size_t ctrio__scripted_close(struct ctrio__scripted *world);
/* Runs the jobs that wait, and those they lead to, on this thread; how many. */
size_t ctrio__scripted_run_jobs(struct ctrio__scripted *world);
/* As if the signal had come.  False: nobody watches it. */
bool ctrio__scripted_raise(struct ctrio__scripted *world, int number);
/* A stream socket; one that listens on this port of the only host.  -errno. */
intptr_t ctrio__scripted_socket(struct ctrio__scripted *world);
intptr_t ctrio__scripted_listener(struct ctrio__scripted *world, uint16_t port, int backlog);
size_t ctrio__scripted_socket_count(const struct ctrio__scripted *world);
/* The connection that this handle is an end of breaks: both ends get -ECONNRESET.  False: it is
 * not connected. */
bool ctrio__scripted_reset(struct ctrio__scripted *world, intptr_t handle);
#endif

/* play.h - two connected sockets of a scripted os, and tasks that each run one op on them. */
#ifndef CTRIO_TESTS_PLAY_H
#define CTRIO_TESTS_PLAY_H
#include "crew.h"
#include "io/scripted.h"
#include "io/socket_ops.h"
#include "tap.h"

struct play {
    struct ctrio__scripted world;
    struct ctrio__net_ops net; /* the scripted one, with what a test puts in its place */
    struct crew crew;
    struct ctrio__socket ends[2];
};
extern struct play play;

/* Any op, once. */
struct play_op {
    union {
        struct ctrio__op op;
        struct ctrio__transfer_op transfer;
        struct ctrio__message_op message;
        struct ctrio__send_all_op send_all;
        struct ctrio__accept_op accept;
        struct ctrio__connect_op connect;
        struct ctrio__wait_handle_op wait;
    } u;
};

void play_begin_with(struct ctrio__scripted_options options);
void play_begin(void); /* with buffers of 16 bytes */
struct crew_task *play_add(struct play_op *op);
bool play_start(void);  /* false: no run */
void play_settle(void); /* turns until nothing moves */
void play_finish(void); /* closes the run */
void play_end(void);    /* and the world */
size_t play_waiting(void);
ptrdiff_t play_send_now(int end, const char *text);
#endif

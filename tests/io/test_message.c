/* test_message.c - how a message waits for room: by an edge where the system promises one, and by
 * asking again where it does not. */
#include "rig.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct rig rig;
static intptr_t sender, receiver;
static struct ctrio__socket ours; /* on sender */
static struct sockaddr_un there;
static uint32_t there_size;

/* Datagrams of Unix sockets; the receiver has a name, the sender has not, nor a peer. */
static void begin(void)
{
    const struct ctrio__net_ops *net = &ctrio__net_native;
    there = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(there.sun_path + 1, sizeof there.sun_path - 1, "ctrio-%d", (int)getpid());
    there_size = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    rig_init(&rig);
    sender = net->open(NULL, AF_UNIX, SOCK_DGRAM, 0);
    receiver = net->open(NULL, AF_UNIX, SOCK_DGRAM, 0);
    ok(sender >= 0 && receiver >= 0);
    is(net->bind(NULL, receiver, (const struct sockaddr *)&there, there_size), 0);
    ctrio__socket_init(&ours, sender);
}

static void end(void)
{
    close((int)sender);
    close((int)receiver);
    rig_close(&rig);
}

static void fill(void)
{
    while (sendto((int)sender, "x", 1, 0, (const struct sockaddr *)&there, there_size) == 1) {
    }
    is(errno, EAGAIN);
}

static void drain(void)
{
    char byte;
    while (recv((int)receiver, &byte, 1, 0) == 1) {
    }
}

struct message {
    struct ctrio__message_op op;
    struct msghdr header;
    struct iovec piece;
};

static bool send_body(struct crew_task *self)
{
    struct message *message = self->data;
    if (self->stage++ != 0)
        return false;
    ctrio__send_message_init(&message->op, &ours, &message->header, 0);
    crew_do(self, &message->op.head.base.op);
    return true;
}

static struct crew_task *add_message(struct message *message)
{
    *message = (struct message){.piece = {"hello", 5}};
    message->header.msg_iov = &message->piece;
    message->header.msg_iovlen = 1;
    return crew_add(&rig.crew, "sender", send_body, message);
}

static void a_message_to_an_address_is_tried_again_until_there_is_room(void)
{
    static struct message message;
    begin();
    struct crew_task *task = add_message(&message);
    message.header.msg_name = &there;
    message.header.msg_namelen = there_size;
    fill();
    if (rig_start(&rig)) {
        rig_settle(&rig);
        ok(!task->over);
        unsigned before = rig.modifies;
        rig_idle_events(&rig, 10);
        ok(rig.modifies - before >= 5); /* whether the system would tell us by itself or not */
        drain();
        rig_settle(&rig);
        ok(task->over);
        is(task->code, 5);
        is(rig_finish(&rig), 0);
    }
    end();
}

static void one_that_is_cancelled_meanwhile_has_not_been_sent(void)
{
    static struct message message;
    char byte;
    begin();
    struct crew_task *task = add_message(&message);
    message.header.msg_name = &there;
    message.header.msg_namelen = there_size;
    fill();
    if (rig_start(&rig)) {
        rig_settle(&rig);
        crew_cancel(task);
        drain();
        rig_settle(&rig);
        ok(task->over);
        is(task->code, CTRIO_CANCELLED);
        is(recv((int)receiver, &byte, 1, 0), -1);
        is(rig_finish(&rig), 0);
    }
    end();
}

static void a_message_to_the_peer_sleeps_until_there_is_room(void)
{
    static struct message message;
    begin();
    is(connect((int)sender, (const struct sockaddr *)&there, there_size), 0);
    struct crew_task *task = add_message(&message);
    fill();
    if (rig_start(&rig)) {
        rig_settle(&rig);
        ok(!task->over);
        is(rig_idle_events(&rig, 10), 0U);
        drain();
        rig_settle(&rig);
        ok(task->over);
        is(task->code, 5);
        is(rig_finish(&rig), 0);
    }
    end();
}

TAP_MAIN(TEST(a_message_to_an_address_is_tried_again_until_there_is_room),
         TEST(one_that_is_cancelled_meanwhile_has_not_been_sent),
         TEST(a_message_to_the_peer_sleeps_until_there_is_room))

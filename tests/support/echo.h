/* echo.h - an echo server and its clients, as tasks of a crew, for whatever os. */
#ifndef CTRIO_TESTS_ECHO_H
#define CTRIO_TESTS_ECHO_H
#include "crew.h"
#include "io/socket_ops.h"
#include "tap.h"
#include <netinet/in.h>

enum { ECHO_CLIENTS = 4, ECHO_ROUNDS = 5 };

struct echo_session {
    struct ctrio__socket socket;
    union {
        struct ctrio__transfer_op receive;
        struct ctrio__send_all_op send;
        struct ctrio__connect_op connect;
    } op;
    char buffer[64];
    size_t count; /* of this round's bytes, at the client */
    int rounds;
};

struct echo {
    struct ctrio__os *os;
    struct crew crew;
    struct sockaddr_in address;
    struct ctrio__socket listener;
    struct ctrio__accept_op accept;
    struct echo_session servers[ECHO_CLIENTS], clients[ECHO_CLIENTS];
    size_t accepted;
    size_t echoed; /* rounds in which what came back was what was said */
};

/* Opens the sockets, on loopback, and adds the tasks: before the run, as a program's own set-up
 * would.  Clients beyond the backlog wait for their connection: on the machine, for a second. */
void echo_init(struct echo *echo, struct ctrio__os *os, int backlog);
/* The run.  0: every byte came back. */
int echo_run(struct echo *echo);
#endif

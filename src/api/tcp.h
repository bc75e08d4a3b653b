/* tcp.h - what connecting and listening share. */
#ifndef CTRIO_API_TCP_H
#define CTRIO_API_TCP_H
#include "os/os.h"
#include <ctrio/serve.h>
#include <ctrio/tcp.h>

int ctrio__tcp_check(const struct ctrio_tcp_options *options); /* -EINVAL */
/* A wish, not a need: that it fails is no failure. */
void ctrio__set_int(struct ctrio__os *os, intptr_t handle, int level, int name, int value);
/* What the options wish of a connected socket. */
void ctrio__tcp_configure(struct ctrio__os *os, intptr_t handle,
                          const struct ctrio_tcp_options *options);
#endif

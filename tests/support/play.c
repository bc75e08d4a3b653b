/* play.c - a stage for one or two ops at a time. */
#include "play.h"
#include <string.h>

struct play play;

static bool once(struct crew_task *self)
{
    struct play_op *op = self->data;
    if (self->stage++ != 0)
        return false;
    crew_do(self, &op->u.op);
    return true;
}

void play_begin_with(struct ctrio__scripted_options options)
{
    intptr_t handles[2] = {-1, -1};
    ctrio__scripted_init(&play.world, &options);
    play.net = *play.world.os.net;
    play.world.os.net = &play.net;
    crew_init(&play.crew);
    tap_saw(play.net.pair(&play.world.os, AF_UNIX, SOCK_STREAM, handles));
    ctrio__socket_init(&play.ends[0], handles[0]);
    ctrio__socket_init(&play.ends[1], handles[1]);
}

void play_begin(void)
{
    play_begin_with((struct ctrio__scripted_options){.buffer_size = 16});
}

struct crew_task *play_add(struct play_op *op)
{
    return crew_add(&play.crew, "task", once, op);
}

bool play_start(void)
{
    int result = crew_open(&play.crew, &play.world.os, play.world.os.io);
    return is(result, 0);
}

void play_settle(void)
{
    for (int i = 0; i < 50; i++)
        if (!crew_turn(&play.crew, 0))
            return;
}

void play_finish(void)
{
    crew_close(&play.crew);
}

void play_end(void)
{
    ctrio__scripted_close(&play.world);
}

size_t play_waiting(void)
{
    struct ctrio__io_statistics out;
    play.world.os.io->statistics(play.crew.run.io, &out);
    return out.tasks_waiting_read + out.tasks_waiting_write;
}

ptrdiff_t play_send_now(int end, const char *text)
{
    return play.net.send(&play.world.os, play.ends[end].handle, text, strlen(text), 0);
}

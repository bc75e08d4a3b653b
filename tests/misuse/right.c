/* Everything that the others get wrong, done right.
 * gcc: nothing
 * clang: nothing */
#include <ctrio.h>

struct job {
    int number;
};

static int work(void *arg)
{
    const struct job *job = arg;
    struct ctrio_cancel_scope scope;
    ctrio_move_on_after(&scope, 1.0);
    int rc = ctrio_sleep(job->number);
    return ctrio_cancel_scope_close(&scope, rc);
}

static int start_all(struct ctrio_nursery *nursery, struct ctrio_send_channel *channel)
{
    struct job job = {0};
    for (job.number = 0; job.number < 3; job.number++)
        ctrio_start_soon_copy(nursery, work, &job);
    ctrio_start_soon_copy(nursery, work, &(struct job){4});
    return ctrio_send(channel, &job);
}

int right(struct ctrio_send_channel *channel, struct ctrio_stream *stream);
int right(struct ctrio_send_channel *channel, struct ctrio_stream *stream)
{
    struct ctrio_nursery nursery;
    char buffer[1024];
    ctrio_nursery_open(&nursery);
    int rc = start_all(&nursery, channel);
    if (rc == 0)
        rc = ctrio_receive_some(stream, buffer, sizeof buffer);
    ctrio_stream_close(stream); /* the one checkpoint whose result may be dropped */
    return ctrio_nursery_close(&nursery, rc);
}

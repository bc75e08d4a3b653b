// The headers as C++ sees them: macros as expressions, structs as members, names without `struct`.
#include <ctrio.h>
#include <ctrio/lowlevel.h>
#include <ctrio/testing.h>

#include <cstdio>

namespace {

struct job {
    ctrio_send_channel *channel;
    int number;
};

class pipeline {
  public:
    int run();

  private:
    int produce();
    int consume();
    ctrio_nursery nursery_;
    ctrio_lock lock_;
    ctrio_send_channel *send_ = nullptr;
    ctrio_receive_channel *receive_ = nullptr;
    int sum_ = 0;
};

int work(void *arg)
{
    auto *mine = static_cast<job *>(arg);
    int rc = ctrio_sleep(0.01 * mine->number);
    return rc < 0 ? rc : ctrio_send(mine->channel, &mine->number);
}

int never(void *)
{
    return ctrio_sleep(INFINITY);
}

int pipeline::produce()
{
    int rc = 0;
    for (int i = 1; i <= 4 && rc == 0; i++) {
        job mine = {send_, i};
        rc = ctrio_start_soon_copy(&nursery_, work, &mine);
    }
    return rc == 0 ? ctrio_start_soon(&nursery_, never, nullptr) : rc;
}

int pipeline::consume()
{
    int number = 0, rc = ctrio_lock_acquire(&lock_);
    for (int i = 0; i < 4 && rc == 0; i++) {
        rc = ctrio_receive(receive_, &number);
        sum_ += number;
    }
    return rc == 0 ? ctrio_lock_release(&lock_) : rc;
}

int pipeline::run()
{
    ctrio_cancel_scope limit;
    int rc = ctrio_open_memory_channel(&send_, &receive_, sizeof(int), 0, nullptr);
    if (rc < 0)
        return rc;
    ctrio_lock_init(&lock_);
    ctrio_fail_after(&limit, 10.0);
    ctrio_nursery_open(&nursery_);
    rc = produce();
    rc = rc == 0 ? consume() : rc;
    ctrio_cancel(&nursery_.scope);
    rc = ctrio_nursery_close(&nursery_, rc);
    rc = ctrio_cancel_scope_close(&limit, rc);
    ctrio_send_channel_close(send_);
    ctrio_receive_channel_close(receive_);
    return rc < 0 ? rc : sum_;
}

int main_task(void *)
{
    pipeline mine;
    return mine.run();
}

} // namespace

int main()
{
    ctrio_clock *clock = nullptr;
    ctrio_run_options options = {};
    if (ctrio_open_mock_clock(&clock, 0.0) < 0)
        return 1;
    options.clock = clock;
    int sum = ctrio_run(main_task, nullptr, &options);
    ctrio_mock_clock_free(clock);
    std::printf("%d\n", sum);
    return ctrio_exit_status(sum, "program");
}

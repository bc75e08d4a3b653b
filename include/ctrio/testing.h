/* testing.h - time that jumps, and quiet that can be waited for. */
#ifndef CTRIO_TESTING_H
#define CTRIO_TESTING_H
#include <ctrio/run.h>
#ifdef __cplusplus
extern "C" {
#endif
/* A clock that stands still at 0 but for jumps; owned; for one run at a time.
 * `autojump_seconds`: when all tasks have waited that long (0: at once), jumps to the next
 * deadline; INFINITY: never. */
CTRIO_CHECKED int ctrio_open_mock_clock(struct ctrio_clock **clock, double autojump_seconds);
/* Forwards only. */
CTRIO_API void ctrio_mock_clock_jump(struct ctrio_clock *clock, double seconds);
/* After the run; accepts NULL. */
CTRIO_API void ctrio_mock_clock_free(struct ctrio_clock *clock);
/* Returns when every other task has been parked for `cushion` real seconds. */
CTRIO_ASYNC int ctrio_wait_all_tasks_blocked(double cushion);
#ifdef __cplusplus
}
#endif
#endif

"""breakpoint() in the body of a nursery, and again in its children."""

import steady
import trio


async def child(number, task_status=trio.TASK_STATUS_IGNORED):
    here = trio.lowlevel.current_task()
    await trio.sleep(number)
    task_status.started(number)
    await trio.sleep(number)
    if number == 2:
        breakpoint()
    return here.name


async def main():
    async with trio.open_nursery() as nursery:
        value = await nursery.start(child, 1, name="first")
        nursery.start_soon(child, 2, name="second")
        nursery.start_soon(child, 9)
        breakpoint()
        nursery.cancel_scope.deadline = trio.current_time() + 8
        await trio.sleep(0)
    print(value, nursery.cancel_scope.cancelled_caught)


steady.run(main)

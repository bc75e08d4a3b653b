"""What a debugger reads off tasks that wait: their names, states and frames."""

import inspect

import steady
import trio
import trio.testing


async def below(event):
    await event.wait()


async def waits(event):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(below, event, name="grandchild")
        await below(event)


async def sleeps():
    with trio.CancelScope(deadline=trio.current_time() + 50):
        await trio.sleep(100)


def frames(coro):
    while coro is not None:
        frame = getattr(coro, "cr_frame", None)
        if frame is not None and frame.f_globals is globals():
            state = inspect.getcoroutinestate(coro)
            yield frame.f_code.co_name, frame.f_lineno, state, sorted(frame.f_locals)
        coro = getattr(coro, "cr_await", None)


def show(task, depth=0):
    print("  " * depth + task.name, repr(task).split(" at ")[0])
    for frame in frames(task.coro):
        print("  " * depth + "  frame", *frame)
    for frame, line in task.iter_await_frames():
        if frame.f_globals is globals():
            print("  " * depth + "  await", frame.f_code.co_name, line)
    for nursery in task.child_nurseries:
        print("  " * depth + "  nursery", nursery.cancel_scope.deadline)
        for child in sorted(nursery.child_tasks, key=lambda task: task.name):
            show(child, depth + 2)


async def main():
    event = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits, event)
        nursery.start_soon(sleeps, name=("any", "object"))
        await trio.testing.wait_all_tasks_blocked()
        print(event.statistics())
        show(trio.lowlevel.current_root_task().child_nurseries[0].parent_task)
        breakpoint()
        event.set()


steady.run(main)

# cython: language_level=3
"""Async functions whose coroutines are Cython's: compiled by tests/pyext/test_cython.py."""

import ctrio


async def sleeps(log, seconds):
    before = ctrio.current_time()
    await ctrio.sleep(seconds)
    log.append((ctrio.lowlevel.current_task().name, ctrio.current_time() - before))
    return seconds


async def fails(number):
    await ctrio.sleep(number)
    raise ValueError(number)


async def calls(function, *args):
    try:
        return await function(*args)
    except ValueError as error:
        raise KeyError("translated") from error


async def is_cancelled(log):
    try:
        await ctrio.sleep_forever()
    except ctrio.Cancelled as error:
        log.append(str(error))
        with ctrio.CancelScope(shield=True):
            await ctrio.sleep(1)
        log.append("cleaned up")
        raise
    finally:
        log.append("finally")


async def is_started(task_status):
    await ctrio.sleep(1)
    task_status.started("compiled")
    await ctrio.sleep_forever()


async def numbers(count):
    for number in range(count):
        await ctrio.lowlevel.checkpoint()
        yield number


async def uses_all(limiter, sending, receiving):
    async with ctrio.open_nursery() as nursery, limiter, sending:
        nursery.start_soon(sending.send, 5)
        async for number in numbers(3):
            await ctrio.lowlevel.cancel_shielded_checkpoint()
        value = await receiving.receive()
    with ctrio.move_on_after(2) as scope:
        await ctrio.sleep_forever()
    return number, value, scope.cancelled_caught, await ctrio.to_thread.run_sync(len, "abc")

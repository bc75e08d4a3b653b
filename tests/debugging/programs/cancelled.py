"""Stops where a cancellation arrives, and in what cleans up after it."""

import steady
import trio


async def clean_up():
    with trio.CancelScope(shield=True):
        await trio.sleep(1)
        breakpoint()


async def worker():
    try:
        await trio.sleep_forever()
    except trio.Cancelled as error:
        breakpoint()
        print(type(error).__name__)
        await trio.lowlevel.cancel_shielded_checkpoint()
        raise
    finally:
        await clean_up()


async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    try:
        with trio.fail_after(1):
            await worker()
    except trio.TooSlowError:
        print("too slow")


steady.run(main)

"""A task that is three calls deep, in a nursery two deep."""

import steady
import trio


def deepest(depth, label="x"):
    found = depth * 2
    breakpoint()
    return found


async def inner(depth):
    word = "inner's"
    await trio.lowlevel.checkpoint()
    result = deepest(depth)
    return word, result


async def outer(depth):
    word = "outer's"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 5)
        with trio.CancelScope() as scope:
            result = await inner(depth + 1)
        nursery.cancel_scope.cancel()
    return word, result, scope.cancel_called


async def main():
    print(await outer(20))


steady.run(main)

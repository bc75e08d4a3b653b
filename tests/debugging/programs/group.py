"""An exception group out of two nurseries, as post-mortems look at it."""

import steady
import trio


async def look_up(table, key):
    await trio.sleep(1)
    return table[key]


async def wrong(name):
    wanted = name * 2
    try:
        await look_up({}, wanted)
    except KeyError as error:
        error.add_note("asked by " + name) if hasattr(error, "add_note") else None
        raise ValueError(f"no {wanted}") from error


async def late():
    try:
        await trio.sleep(3)
    finally:
        raise OSError("while being cancelled")


async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wrong, "a")
        async with trio.open_nursery() as inner:
            inner.start_soon(late)
            inner.start_soon(wrong, "b")


if __name__ == "__main__":
    steady.run(main)

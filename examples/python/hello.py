"""A kitchen, and a guest who will not wait for ever."""

import trio


async def kitchen(orders, meals):
    async for dish in orders:
        if dish == "pudding":
            await trio.sleep_forever()  # it does not set
        await meals.send(dish)


async def main():
    order, orders = trio.open_memory_channel(0)
    serve, meals = trio.open_memory_channel(0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kitchen, orders, serve)
        for dish in ("soup", "bread"):
            await order.send(dish)
            print("here comes the", await meals.receive())
        with trio.move_on_after(0.1) as patience:
            await order.send("pudding")
            print("here comes the", await meals.receive())
        if patience.cancelled_caught:
            print("no pudding today")
        nursery.cancel_scope.cancel()  # or we would wait for the kitchen here


trio.run(main)

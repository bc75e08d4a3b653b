"""One question a file.

A row file has ROW and `on_trio(trio, n)` with `on_asyncio(aio, n)`, which measure n
operations inside a running loop; or `without_loop(module_name, n)`. The modules come
as arguments, so that every implementation of an interface runs the same lines.
"""

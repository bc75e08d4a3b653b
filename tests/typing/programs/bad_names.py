"""Names that are not there, and classes that may not be inherited from."""

from __future__ import annotations

import ctrio as trio
from ctrio import no_such_name  # error: attr-defined
from ctrio.lowlevel import checkpoints  # error: attr-defined

print(no_such_name, checkpoints)
print(trio.socket.AF_INTE)  # error: attr-defined
print(trio.socket.create_connection)  # error: attr-defined
print(trio.lowlevel.Tsak)  # error: attr-defined
print(trio.Event().is_sett())  # error: attr-defined


class MyLock(trio.Lock):  # error: misc
    pass


class MyNursery(trio.Nursery):  # error: misc
    pass


class MyClock(trio.abc.Clock):
    pass


MyClock()  # error: abstract

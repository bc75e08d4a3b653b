"""What has a serial number as its hash: makers of one each, by name."""

from __future__ import annotations

from collections.abc import Callable

import ctrio
from ctrio.lowlevel import ParkingLot

MAKERS: dict[str, Callable[[], object]] = {
    "Event": ctrio.Event,
    "Lock": ctrio.Lock,
    "StrictFIFOLock": ctrio.StrictFIFOLock,
    "Semaphore": lambda: ctrio.Semaphore(1),
    "Condition": ctrio.Condition,
    "CapacityLimiter": lambda: ctrio.CapacityLimiter(1),
    "ParkingLot": ParkingLot,
    "send channel": lambda: ctrio.open_memory_channel[int](0)[0],
    "receive channel": lambda: ctrio.open_memory_channel[int](0)[1],
    "CancelScope": ctrio.CancelScope,
}

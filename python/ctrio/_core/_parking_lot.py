"""The queue that tasks wait in."""

from .._ctrio import (
    GLOBAL_PARKING_LOT_BREAKER as GLOBAL_PARKING_LOT_BREAKER,
    ParkingLot as ParkingLot,
    add_parking_lot_breaker as add_parking_lot_breaker,
    remove_parking_lot_breaker as remove_parking_lot_breaker,
)
from .._util import TYPE_CHECKING, import_later

if TYPE_CHECKING:
    from .._statistics import ParkingLotStatistics as ParkingLotStatistics
else:
    __getattr__, __dir__ = import_later(
        __name__, {"ParkingLotStatistics": "ctrio._statistics"}
    )

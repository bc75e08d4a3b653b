"""What libraries are built of; programs seldom need it."""

from ._core import (
    Abort as Abort,
    ParkingLot as ParkingLot,
    RunVar as RunVar,
    RunVarToken as RunVarToken,
    Task as Task,
    TrioToken as TrioToken,
    UnboundedQueue as UnboundedQueue,
    add_instrument as add_instrument,
    add_parking_lot_breaker as add_parking_lot_breaker,
    cancel_shielded_checkpoint as cancel_shielded_checkpoint,
    checkpoint as checkpoint,
    checkpoint_if_cancelled as checkpoint_if_cancelled,
    current_clock as current_clock,
    current_root_task as current_root_task,
    current_statistics as current_statistics,
    current_task as current_task,
    current_trio_token as current_trio_token,
    currently_ki_protected as currently_ki_protected,
    disable_ki_protection as disable_ki_protection,
    enable_ki_protection as enable_ki_protection,
    in_trio_run as in_trio_run,
    in_trio_task as in_trio_task,
    notify_closing as notify_closing,
    permanently_detach_coroutine_object as permanently_detach_coroutine_object,
    reattach_detached_coroutine_object as reattach_detached_coroutine_object,
    remove_instrument as remove_instrument,
    remove_parking_lot_breaker as remove_parking_lot_breaker,
    reschedule as reschedule,
    spawn_system_task as spawn_system_task,
    start_guest_run as start_guest_run,
    start_thread_soon as start_thread_soon,
    temporarily_detach_coroutine_object as temporarily_detach_coroutine_object,
    wait_readable as wait_readable,
    wait_task_rescheduled as wait_task_rescheduled,
    wait_writable as wait_writable,
)
from ._socket import encode_hostname as encode_hostname
from ._util import TYPE_CHECKING, import_later as _import_later

if TYPE_CHECKING:
    from ._core import (
        ParkingLotStatistics as ParkingLotStatistics,
        RaiseCancelT as RaiseCancelT,
        RunStatistics as RunStatistics,
        UnboundedQueueStatistics as UnboundedQueueStatistics,
    )
else:
    __getattr__, __dir__ = _import_later(
        __name__,
        {
            "ParkingLotStatistics": "ctrio._statistics",
            "RaiseCancelT": "ctrio._core._traps",
            "RunStatistics": "ctrio._statistics",
            "UnboundedQueueStatistics": "ctrio._statistics",
        },
    )

del TYPE_CHECKING

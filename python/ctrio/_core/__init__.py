"""The core: every name here is public in one of `trio`, `.lowlevel`, `.testing`."""

from .._util import TYPE_CHECKING, import_later as _import_later
from . import _bind as _bind  # gives the C core what it needs of the rest
from ._entry_queue import TrioToken as TrioToken
from ._exceptions import (
    BrokenResourceError as BrokenResourceError,
    BusyResourceError as BusyResourceError,
    Cancelled as Cancelled,
    ClosedResourceError as ClosedResourceError,
    EndOfChannel as EndOfChannel,
    RunFinishedError as RunFinishedError,
    TrioInternalError as TrioInternalError,
    WouldBlock as WouldBlock,
)
from ._ki import (
    currently_ki_protected as currently_ki_protected,
    disable_ki_protection as disable_ki_protection,
    enable_ki_protection as enable_ki_protection,
)
from ._local import RunVar as RunVar, RunVarToken as RunVarToken
from ._mock_clock import MockClock as MockClock
from ._parking_lot import (
    ParkingLot as ParkingLot,
    add_parking_lot_breaker as add_parking_lot_breaker,
    remove_parking_lot_breaker as remove_parking_lot_breaker,
)
from ._run import (
    TASK_STATUS_IGNORED as TASK_STATUS_IGNORED,
    CancelScope as CancelScope,
    Nursery as Nursery,
    Task as Task,
    TaskStatus as TaskStatus,
    add_instrument as add_instrument,
    checkpoint as checkpoint,
    checkpoint_if_cancelled as checkpoint_if_cancelled,
    current_clock as current_clock,
    current_effective_deadline as current_effective_deadline,
    current_root_task as current_root_task,
    current_statistics as current_statistics,
    current_task as current_task,
    current_time as current_time,
    current_trio_token as current_trio_token,
    in_trio_run as in_trio_run,
    in_trio_task as in_trio_task,
    notify_closing as notify_closing,
    open_nursery as open_nursery,
    remove_instrument as remove_instrument,
    reschedule as reschedule,
    run as run,
    spawn_system_task as spawn_system_task,
    start_guest_run as start_guest_run,
    wait_all_tasks_blocked as wait_all_tasks_blocked,
    wait_readable as wait_readable,
    wait_writable as wait_writable,
)
from ._thread_cache import start_thread_soon as start_thread_soon
from ._traps import (
    Abort as Abort,
    cancel_shielded_checkpoint as cancel_shielded_checkpoint,
    permanently_detach_coroutine_object as permanently_detach_coroutine_object,
    reattach_detached_coroutine_object as reattach_detached_coroutine_object,
    temporarily_detach_coroutine_object as temporarily_detach_coroutine_object,
    wait_task_rescheduled as wait_task_rescheduled,
)
from ._unbounded_queue import UnboundedQueue as UnboundedQueue

if TYPE_CHECKING:
    from .._statistics import (
        ParkingLotStatistics as ParkingLotStatistics,
        RunStatistics as RunStatistics,
        UnboundedQueueStatistics as UnboundedQueueStatistics,
    )
    from ._traps import RaiseCancelT as RaiseCancelT
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

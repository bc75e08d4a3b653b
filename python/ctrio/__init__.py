"""Trio's structured concurrency, implemented in C.

`import ctrio as trio`, or run an unchanged Trio program by `python -m ctrio app.py`.
"""

from . import (
    abc as abc,
    from_thread as from_thread,
    lowlevel as lowlevel,
    socket as socket,
    to_thread as to_thread,
)
from ._channel import (
    MemoryReceiveChannel as MemoryReceiveChannel,
    MemorySendChannel as MemorySendChannel,
    as_safe_channel as as_safe_channel,
    open_memory_channel as open_memory_channel,
)
from ._core import (
    TASK_STATUS_IGNORED as TASK_STATUS_IGNORED,
    BrokenResourceError as BrokenResourceError,
    BusyResourceError as BusyResourceError,
    Cancelled as Cancelled,
    CancelScope as CancelScope,
    ClosedResourceError as ClosedResourceError,
    EndOfChannel as EndOfChannel,
    Nursery as Nursery,
    RunFinishedError as RunFinishedError,
    TaskStatus as TaskStatus,
    TrioInternalError as TrioInternalError,
    WouldBlock as WouldBlock,
    current_effective_deadline as current_effective_deadline,
    current_time as current_time,
    open_nursery as open_nursery,
    run as run,
)
from ._deprecate import TrioDeprecationWarning as TrioDeprecationWarning
from ._highlevel_generic import (
    StapledStream as StapledStream,
    aclose_forcefully as aclose_forcefully,
)
from ._highlevel_open_tcp_listeners import (
    open_tcp_listeners as open_tcp_listeners,
    serve_tcp as serve_tcp,
)
from ._highlevel_open_tcp_stream import open_tcp_stream as open_tcp_stream
from ._highlevel_serve_listeners import serve_listeners as serve_listeners
from ._highlevel_socket import (
    SocketListener as SocketListener,
    SocketStream as SocketStream,
)
from ._install import install as install
from ._signals import open_signal_receiver as open_signal_receiver
from ._stackscope import _stackscope_install_glue_ as _stackscope_install_glue_
from ._sync import (
    CapacityLimiter as CapacityLimiter,
    Condition as Condition,
    Event as Event,
    Lock as Lock,
    Semaphore as Semaphore,
    StrictFIFOLock as StrictFIFOLock,
)
from ._timeouts import (
    TooSlowError as TooSlowError,
    fail_after as fail_after,
    fail_at as fail_at,
    move_on_after as move_on_after,
    move_on_at as move_on_at,
    sleep as sleep,
    sleep_forever as sleep_forever,
    sleep_until as sleep_until,
)
from ._util import TYPE_CHECKING, fixup_module_metadata, import_later as _import_later
from ._version import (
    __ctrio_version__ as __ctrio_version__,
    __version__ as __version__,
)

if TYPE_CHECKING:
    from . import testing as testing
    from ._channel import MemoryChannelStatistics as MemoryChannelStatistics
    from ._sync import (
        CapacityLimiterStatistics as CapacityLimiterStatistics,
        ConditionStatistics as ConditionStatistics,
        EventStatistics as EventStatistics,
        LockStatistics as LockStatistics,
    )
else:
    __getattr__, __dir__ = _import_later(
        __name__,
        {
            "CapacityLimiterStatistics": "ctrio._statistics",
            "ConditionStatistics": "ctrio._statistics",
            "EventStatistics": "ctrio._statistics",
            "LockStatistics": "ctrio._statistics",
            "MemoryChannelStatistics": "ctrio._statistics",
        },
    )

fixup_module_metadata("trio", globals())
fixup_module_metadata("trio.abc", vars(abc))
fixup_module_metadata("trio.from_thread", vars(from_thread))
fixup_module_metadata("trio.lowlevel", vars(lowlevel))
fixup_module_metadata("trio.socket", vars(socket))
fixup_module_metadata("trio.to_thread", vars(to_thread))

del TYPE_CHECKING, fixup_module_metadata

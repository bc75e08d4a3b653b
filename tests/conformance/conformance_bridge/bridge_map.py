"""The private names of Trio that its own tests use, and where each comes from.

A name that is not in `MAP` does not exist through the bridge, so nothing leaks in
by accident. Three kinds:

* `PUBLIC`: the same object is in the public API of the implementation;
* `HELPER`: a helper of one of Trio's Python layers (ssl, path, repl, ...): an
  implementation that keeps the layer under Trio's file name has it too;
* `CORE`: a private piece of the core: the implementation's provider supplies it.

The target of a `PUBLIC` entry is one of

* `name` or `submodule.name`: an attribute of the implementation;
* `core:name`: wherever the implementation has it, at the top, in `lowlevel` or in
  `testing`;
* `stdlib:module.name`: a name that tests get by `import *`;
* `bridge:module`: a module of the bridge itself.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

PUBLIC_MODULES = (
    "trio",
    "trio.abc",
    "trio.from_thread",
    "trio.lowlevel",
    "trio.socket",
    "trio.testing",
    "trio.to_thread",
)

PACKAGES = frozenset(
    ["trio", "trio._core", "trio._subprocess_platform", "trio._tools", "trio.testing"]
)

LOADED_WITH_TRIO = (
    "trio._core",
    "trio._core._entry_queue",
    "trio._core._ki",
    "trio._core._mock_clock",
    "trio._core._parking_lot",
    "trio._core._run",
    "trio._core._thread_cache",
    "trio._deprecate",
    "trio._file_io",
    "trio._path",
    "trio._socket",
    "trio._subprocess",
    "trio._util",
)
"""Private modules that tests reach as attributes, after no import but `trio`."""

CORE_NAMES = """
    Abort BrokenResourceError BusyResourceError CancelScope Cancelled
    ClosedResourceError EndOfChannel MockClock Nursery ParkingLot
    ParkingLotStatistics RaiseCancelT RunFinishedError RunStatistics RunVar
    RunVarToken TASK_STATUS_IGNORED Task TaskStatus TrioInternalError TrioToken
    UnboundedQueue UnboundedQueueStatistics WouldBlock add_instrument
    add_parking_lot_breaker cancel_shielded_checkpoint checkpoint
    checkpoint_if_cancelled current_clock current_effective_deadline
    current_root_task current_statistics current_task current_time
    current_trio_token currently_ki_protected disable_ki_protection
    enable_ki_protection in_trio_run in_trio_task notify_closing open_nursery
    permanently_detach_coroutine_object reattach_detached_coroutine_object
    remove_instrument remove_parking_lot_breaker reschedule run spawn_system_task
    start_guest_run start_thread_soon temporarily_detach_coroutine_object
    wait_all_tasks_blocked wait_readable wait_task_rescheduled wait_writable
"""
"""The names of `trio._core` on Linux: all public, each in exactly one module."""


class Kind(Enum):
    """Where a private name comes from."""

    PUBLIC = "public name"
    HELPER = "helper of a Python layer"
    CORE = "private piece of the core"


class Entry(NamedTuple):
    """One private name; the target is empty for what the provider supplies."""

    kind: Kind
    target: str = ""


def _public(names: str, prefix: str = "") -> dict[str, Entry]:
    return {name: Entry(Kind.PUBLIC, prefix + name) for name in names.split()}


def _renamed(**targets: str) -> dict[str, Entry]:
    return {name: Entry(Kind.PUBLIC, target) for name, target in targets.items()}


def _helpers(names: str) -> dict[str, Entry]:
    return {name: Entry(Kind.HELPER) for name in names.split()}


def _core(names: str) -> dict[str, Entry]:
    return {name: Entry(Kind.CORE) for name in names.split()}


_LAYERS: dict[str, dict[str, Entry]] = {
    "trio._abc": _public(
        "AsyncResource Channel Clock HalfCloseableStream HostnameResolver Instrument "
        "Listener ReceiveChannel ReceiveStream SendChannel SendStream SocketFactory "
        "Stream",
        prefix="abc.",
    ),
    "trio._channel": _public(
        "MemoryReceiveChannel MemorySendChannel open_memory_channel"
    ),
    "trio._deprecate": _helpers(
        "DeprecatedAttribute TrioDeprecationWarning deprecate_attributes deprecated "
        "deprecated_alias warn_deprecated"
    ),
    "trio._dtls": _helpers(
        "BadPacket ContentType HandshakeFragment HandshakeType ProtocolVersion Record "
        "decode_client_hello_untrusted encode_handshake_fragment encode_record"
    ),
    "trio._file_io": _helpers("AsyncIOWrapper _FILE_ASYNC_METHODS _FILE_SYNC_ATTRS"),
    "trio._highlevel_generic": _public("StapledStream aclose_forcefully"),
    "trio._highlevel_open_tcp_stream": {
        **_public("open_tcp_stream"),
        **_helpers("close_all format_host_port reorder_for_rfc_6555_section_5_4"),
    },
    "trio._highlevel_open_unix_stream": _helpers("close_on_error"),
    "trio._highlevel_socket": {
        **_public("SocketListener SocketStream"),
        **_renamed(overload="stdlib:typing.overload"),
    },
    "trio._highlevel_ssl_helpers": _public(
        "open_ssl_over_tcp_listeners open_ssl_over_tcp_stream serve_ssl_over_tcp"
    ),
    "trio._path": _helpers(
        "_wrap_method _wrap_method_path _wrap_method_path_iterable _wraps_async"
    ),
    "trio._repl": _helpers("TrioInteractiveConsole main run_repl"),
    # _signal_handler installs one handler for several signals;
    # get_pending_signal_count is how many a receiver has not yet handed out.
    "trio._signals": {
        **_public("open_signal_receiver"),
        **_helpers("_signal_handler get_pending_signal_count"),
    },
    "trio._socket": {
        **_helpers(
            "AddressFormat _GetAddrInfoEntry _NUMERIC_ONLY _SocketType _try_sync"
        ),
        **_renamed(SocketType="socket.SocketType"),
    },
    "trio._ssl": {
        **_public("NeedHandshakeError SSLListener SSLStream"),
        **_helpers("_is_eof"),
    },
    # can_try_pidfd_open and _open_process are replaced by tests.
    "trio._subprocess": _helpers("_open_process can_try_pidfd_open sys"),
    "trio._subprocess_platform": _helpers("wait_child_exiting"),
    "trio._subprocess_platform.waitid": _helpers("sync_wait_reapable"),
    # AsyncContextManagerMixin: a base class of a lock that test_sync.py defines.
    "trio._sync": {
        **_public(
            "CapacityLimiter CapacityLimiterStatistics Condition ConditionStatistics "
            "Event EventStatistics Lock LockStatistics Semaphore StrictFIFOLock"
        ),
        **_renamed(trio="bridge:trio"),
        **_core("AsyncContextManagerMixin"),
    },
    "trio._threads": _renamed(
        active_thread_count="testing.active_thread_count",
        current_default_thread_limiter="to_thread.current_default_thread_limiter",
        from_thread_check_cancelled="from_thread.check_cancelled",
        from_thread_run="from_thread.run",
        from_thread_run_sync="from_thread.run_sync",
        to_thread_run_sync="to_thread.run_sync",
        wait_all_threads_completed="testing.wait_all_threads_completed",
    ),
    "trio._timeouts": _public(
        "TooSlowError fail_after fail_at move_on_after move_on_at sleep sleep_forever "
        "sleep_until"
    ),
    "trio._unix_pipes": _renamed(FdStream="lowlevel.FdStream"),
    "trio._util": _helpers(
        "ConflictDetector MultipleExceptionError NoPublicConstructor "
        "coroutine_or_error final fixup_module_metadata is_main_thread "
        "raise_single_exception_from_group"
    ),
    "trio.testing": _helpers("_Matcher _RaisesGroup"),
    "trio.testing._check_streams": _helpers("_assert_raises"),
    "trio.testing._fake_net": _helpers("FakeNet UDPPacket"),
    "trio.testing._memory_streams": _helpers("_UnboundedByteQueue"),
    "trio.testing._raises_group": _helpers(
        "ExceptionInfo _ExceptionInfo repr_callable"
    ),
}

_CORE_MODULES: dict[str, dict[str, Entry]] = {
    "trio._core": _public(CORE_NAMES, prefix="core:"),
    "trio._core._concat_tb": _core("concat_tb"),
    "trio._core._entry_queue": _public("TrioToken", prefix="lowlevel."),
    "trio._core._ki": _core("WeakKeyIdentityDictionary _IdRef"),
    "trio._core._mock_clock": _public("MockClock", prefix="testing."),
    # GLOBAL_PARKING_LOT_BREAKER: a dictionary, task -> list of parking lots.
    "trio._core._parking_lot": {
        **_public("ParkingLot", prefix="lowlevel."),
        **_core("GLOBAL_PARKING_LOT_BREAKER"),
    },
    # GLOBAL_RUN_CONTEXT: thread-local, .task and .runner, of the latter
    # clock_autojump_threshold, runq, deadlines, system_nursery, is_guest.
    # TheIOManager: a class; tests replace get_events, wait_readable, wait_writable.
    # _r, _ALLOW_DETERMINISTIC_SCHEDULING: the random.Random of the batch order, and
    # whether a batch is sorted before it is used.
    "trio._core._run": {
        **_public("CancelScope Nursery"),
        **_public("Task", prefix="lowlevel."),
        **_helpers("_hypothesis_plugin_setup"),
        **_core(
            "DEADLINE_HEAP_MIN_PRUNE_THRESHOLD GLOBAL_RUN_CONTEXT TheIOManager "
            "_ALLOW_DETERMINISTIC_SCHEDULING _count_context_run_tb_frames _r "
            "copy_context"
        ),
    },
    # IDLE_TIMEOUT, Lock and ThreadCache.start_thread_soon are replaced by tests.
    "trio._core._thread_cache": {
        **_public("start_thread_soon", prefix="lowlevel."),
        **_core("IDLE_TIMEOUT Lock ThreadCache get_os_thread_name_func"),
    },
}

_EMPTY = (
    "trio._core._io_windows",
    "trio._core._windows_cffi",
    "trio._tools",
    "trio._tools.gen_exports",
    "trio._tools.mypy_annotate",
    "trio._tools.sync_requirements",
    "trio._wait_for_object",
    "trio._windows_pipes",
)
"""Modules of other platforms and of Trio's own tooling: they import, and no more."""

MAP: dict[str, dict[str, Entry]] = {
    **_LAYERS,
    **_CORE_MODULES,
    **{module: {} for module in _EMPTY},
}

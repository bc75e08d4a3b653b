#!/usr/bin/env python3
"""An echo server that says and does what the C one does, but for one fault.

broken_echo_server.py FAULT --audit 127.0.0.1 0 IDLE_SECONDS
"""

from __future__ import annotations

import signal
import socket
import sys
import threading

fault = sys.argv[1]
idle = float(sys.argv[-1]) * (0.5 if fault == "early" else 1.0)
served = echoed = 0
lock = threading.Lock()


def echo(connection: socket.socket) -> None:
    global echoed
    connection.settimeout(None if fault == "patient" else idle)
    with connection:
        try:
            while data := connection.recv(1 << 16):
                with lock:
                    echoed += len(data)
                if fault == "other bytes":
                    data = data[::-1]
                connection.sendall(data)
        except OSError:
            pass


def accept(listener: socket.socket) -> None:
    global served
    while True:
        connection, _ = listener.accept()
        served += 1
        threading.Thread(target=echo, args=[connection], daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
threading.Thread(target=accept, args=[listener], daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
signal.sigwait({signal.SIGINT})
left = 1 if fault == "leaks" else 0
print(f"served: connections {served}, bytes {echoed + (fault == 'miscounts')}")
print(f"left over: tasks {left}, descriptors {left}, bytes {left}", flush=True)
said = "interrupted" if fault != "talks" else "interrupted, alas"
print(f"echo_server: {said}", file=sys.stderr, flush=True)
sys.exit(0 if fault == "ends well" else 130)

#!/usr/bin/env python3
"""Cancels operations and reads statistics, with nothing but a socket and JSON.

    jobs.py cancel 12                    operation 12; returns when every process of it is dead
    jobs.py cancel-all 'user_42_*'       all that the pattern matches
    jobs.py stats
"""
import json
import os
import socket
import sys


class Refused(Exception):
    """What the supervisor said no to, in its own words."""


def socket_path():
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    temporary = os.environ.get("TMPDIR") or "/tmp"
    return (os.environ.get("CANCELABLE_SOCKET")
            or (f"{runtime}/cancelable/socket" if runtime else f"{temporary}/cancelable-{os.getuid()}/socket"))


class Supervisor:
    """One connection. Methods, parameters and results: share/doc/protocol.md."""

    def __init__(self):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(socket_path())
        self.lines = self.connection.makefile("r", encoding="utf-8")
        self.requests = 0

    def call(self, method, **params):
        self.requests += 1
        request = {"jsonrpc": "2.0", "id": self.requests, "method": method, "params": params}
        self.connection.sendall(json.dumps(request).encode() + b"\n")
        for line in self.lines:
            answer = json.loads(line)
            if answer.get("id") != self.requests:
                continue
            if "error" in answer:
                raise Refused(answer["error"]["message"])
            return answer["result"]
        raise ConnectionError("the supervisor hung up")


def main(verb=None, what=None):
    if verb == "cancel" and what:
        selector = {"ids": [int(what)]}
    elif verb == "cancel-all" and what:
        selector = {"globs": [what]}
    elif verb != "stats" or what:
        sys.exit(__doc__.strip())
    supervisor = Supervisor()
    if verb == "stats":
        print(json.dumps(supervisor.call("stats.get"), indent=2))
        return
    for operation in supervisor.call("operation.cancel", selector=selector)["operations"]:
        print(operation["id"], operation["name"], operation["status"])


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, Refused) as error:
        sys.exit(f"jobs.py: {error}")

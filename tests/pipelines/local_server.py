"""A web server on loopback that serves parts of files, counts what it sends, and fails on purpose."""

from __future__ import annotations

import json
import multiprocessing
import re
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body):
        server = self.server
        name = self.path.partition("?")[0].rpartition("/")[2]
        server.log.write(json.dumps([self.command, name, self.headers.get("Range")]) + "\n")
        file = server.folder / name
        if "fails" in name or not file.is_file():
            return self._send(500 if "fails" in name else 404, b"")
        if "hangs" in name:
            # Until the server is ended: the client has to give up first.
            threading.Event().wait()
            return self._send(500, b"")
        data = file.read_bytes()
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if part is None:
            return self._send(200, data if body else b"", length=len(data))
        start, stop = int(part[1]), min(int(part[2] or len(data) - 1), len(data) - 1)
        if name.startswith("half_") and stop >= len(data) // 2:
            return self._send(500, b"")
        span = {"Content-Range": f"bytes {start}-{stop}/{len(data)}"}
        return self._send(206, data[start : stop + 1] if body else b"", length=stop + 1 - start, **span)

    def _send(self, code, body, length=None, **headers):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        # A client that gave up is what some tests are about.
        with suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server:
    """A server in a process of its own: libraries that wait for it may hold this one's lock."""

    def __init__(self, url, log):
        self.url, self._log = url, log

    @property
    def asked(self):
        """Requests so far: (method, file name, range)."""
        return [tuple(json.loads(line)) for line in self._log.read_text().splitlines()]


def _serve(folder, log, pipe):
    with log.open("a", buffering=1) as file, ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.folder, server.log = folder, file
        pipe.send(server.server_address[1])
        server.serve_forever()


@contextmanager
def serving(folder):
    """Serve a folder; yields a :class:`Server`."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    log = folder.parent / "asked.jsonl"
    log.touch()
    process = context.Process(target=_serve, args=(folder, log, there), daemon=True)
    process.start()
    try:
        assert here.poll(60)
        yield Server(f"http://127.0.0.1:{here.recv()}", log)
    finally:
        process.kill()
        process.join()

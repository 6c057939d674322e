"""A web server on loopback that serves parts of files, counts what it sends, and fails on purpose."""

from __future__ import annotations

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
        server.asked.append((self.command, name, self.headers.get("Range")))
        file = server.folder / name
        if "fails" in name or not file.is_file():
            return self._send(500 if "fails" in name else 404, b"")
        if "hangs" in name:
            # Until the test is over: the client has to give up first.
            server.over.wait(60)
            return self._send(500, b"")
        data = file.read_bytes()
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if part is None:
            return self._send(200, data if body else b"", length=len(data))
        start, stop = int(part[1]), min(int(part[2] or len(data) - 1), len(data) - 1)
        if name.startswith("half_") and stop >= len(data) // 2:
            return self._send(500, b"")
        server.sent += stop + 1 - start
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


@contextmanager
def serving(folder):
    """Serve a folder; yields the server with ``url``, ``asked`` and ``sent`` (bytes of parts of files)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.folder, server.asked, server.sent, server.over = folder, [], 0, threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""The crowd of callers hears every answer for what it is."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.benchmarks.crowd import crowd


class Handler(BaseHTTPRequestHandler):
    """Answers 200, then 429, then 500, and again."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status = (200, 429, 500)[Handler.asked % 3]
        Handler.asked += 1
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format, *args):
        pass


def test_answers_throttles_and_failures_are_told_apart():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        tally = crowd(f"http://127.0.0.1:{server.server_port}", "any", callers=3, seconds=0.3)
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()

    assert len(tally.times_ms) + tally.refused + len(tally.failed) == Handler.asked
    assert all(time_ms > 0 for time_ms in tally.times_ms)
    assert tally.refused > 0
    assert set(tally.failed) == {"HTTP/1.1 500 Internal Server Error"}

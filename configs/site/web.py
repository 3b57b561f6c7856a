"""One of several web servers on the same port: says which one has answered."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer

WORKER = f"{os.environ['PROCMAN_GROUP']}:{os.environ['PROCMAN_TASK_ID']}"
GENERATION = os.environ["PROCMAN_GENERATION"]


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with a line of text."""

    def do_GET(self) -> None:
        """Say who we are."""
        body = f"Hello from {WORKER}, pid {os.getpid()}, generation {GENERATION}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet: the terminal belongs to procman's own log."""


class Server(TCPServer):
    """Binds a port that its siblings have bound too."""

    allow_reuse_address = True
    allow_reuse_port = True


def main() -> None:
    """Serve until asked to stop."""
    port = int(os.environ["PORT"])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = Server(("127.0.0.1", port), Handler)
    except OSError as error:
        sys.exit(f"{WORKER}: cannot listen on port {port}: {error.strerror} (set PORT to another one)")
    server.serve_forever(poll_interval=3600)


if __name__ == "__main__":
    main()

"""The 3D viewer of a long conversation, served to a browser on this machine in parts.

An hour as one page would be 100 MB, which browsers open slowly. Each part is a page of the viewer of a few minutes
with links to the others. It is made when it is first asked for; the next one is made while it plays.
"""

import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from dualtalk.core import Conversation
from dualtalk.errors import InputError
from dualtalk.head import Head
from dualtalk.webpages.viewer import clock_text, write_viewer

PART_S = 300.0
HOST = "127.0.0.1"
PART_PATH = re.compile(r"/part/(\d{1,4})")


class ViewerParts:
    """The pages of a conversation's parts, each written once.

    Parameters
    ----------
    conversation : Conversation
        With motion.
    head : Head
    folder : path
        Where the pages are written.
    silent : bool
        Whether to leave out the sound.
    notes : sequence of str
        Shown on each page.
    """

    def __init__(
        self,
        conversation: Conversation,
        head: Head,
        folder: Path,
        *,
        silent: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        self.conversation, self.head, self.folder = conversation, head, folder
        self.silent, self.notes = silent, notes
        self.count = max(math.ceil(conversation.duration_s / PART_S), 1)
        self._writer = ThreadPoolExecutor(1)
        self._pages: dict[int, Future[Path]] = {}

    def page(self, number: int) -> Path:
        """The page of part `number`, from 1; starts to write the next one."""
        path = self._start(number).result()
        if number < self.count:
            self._start(number + 1)
        return path

    def close(self) -> None:
        self._writer.shutdown(wait=True, cancel_futures=True)

    def _start(self, number: int) -> Future[Path]:
        if number not in self._pages:
            self._pages[number] = self._writer.submit(self._write, number)
        return self._pages[number]

    def _links(self, number: int) -> list[tuple[str, str, bool]]:
        """Address, start time and whether it is the current one, of each part."""
        numbers = range(1, self.count + 1)
        return [(f"/part/{other}", clock_text((other - 1) * PART_S), other == number) for other in numbers]

    def _write(self, number: int) -> Path:
        path = self.folder / f"part{number}.html"
        start_s = (number - 1) * PART_S
        write_viewer(
            self.conversation.excerpt(start_s, start_s + PART_S),
            self.head,
            path,
            silent=self.silent,
            notes=self.notes,
            parts=self._links(number),
        )
        return path


@contextmanager
def viewer_server(
    conversation: Conversation, head: Head, port: int = 0, *, silent: bool = False, notes: Sequence[str] = ()
) -> Iterator[ThreadingHTTPServer]:
    """Yield a server of the conversation's pages on this machine's loopback; `serve_forever` runs it.

    Raises
    ------
    InputError
        The port is taken.
    """
    with tempfile.TemporaryDirectory() as folder:
        parts = ViewerParts(conversation, head, Path(folder), silent=silent, notes=notes)
        try:
            server = ThreadingHTTPServer((HOST, port), _handler(parts))
        except OSError as error:
            raise InputError(f"cannot serve on port {port}: {error.strerror}; give another --port") from error
        try:
            with server:
                yield server
        finally:
            parts.close()


def _handler(parts: ViewerParts) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # Another page in the same browser could send requests here under a name of its own.
            name = (self.headers.get("Host") or "").rpartition(":")[0]
            found = PART_PATH.fullmatch(self.path)
            if name not in (HOST, "localhost"):
                self.send_error(403)
            elif self.path == "/":
                self.send_response(302)
                self.send_header("Location", "/part/1")
                self.end_headers()
            elif found and 1 <= int(found[1]) <= parts.count:
                content = parts.page(int(found[1])).read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            else:
                self.send_error(404)

        def log_message(self, *_) -> None:
            """Nothing: the terminal shows the address only."""

    return Handler

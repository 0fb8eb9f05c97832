"""A server that answers as the Hugging Face Hub does, for repositories that are folders of this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def local_hub(repositories: dict[str, Path]) -> Iterator[str]:
    """Serve folders by "models/OWNER/NAME" or "datasets/OWNER/NAME", at revision main and v1; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts[0] == "api" and len(parts) > 4:
                self._api(parts[1:])
            elif "resolve" in parts:
                at = parts.index("resolve")
                kind = "datasets" if parts[0] == "datasets" else "models"
                self._file("/".join([kind, *parts[at - 2 : at]]), "/".join(parts[at + 2 :]))
            else:
                self._fail("EntryNotFound")

        def _api(self, parts: list[str]) -> None:
            kind, owner, name, route = parts[:4]
            folder, revision = repositories.get(f"{kind}/{owner}/{name}"), parts[4] if len(parts) > 4 else "main"
            if folder is None:
                return self._fail("RepoNotFound")
            if revision not in ("main", "v1", COMMIT):
                return self._fail("RevisionNotFound")
            names = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file()]
            if route == "tree":
                tree = [
                    {"type": "file", "path": n, "size": (folder / n).stat().st_size, "oid": "0" * 40} for n in names
                ]
                return self._send(json.dumps(tree).encode())
            info = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": [{"rfilename": n} for n in names]}
            return self._send(json.dumps(info).encode())

        def _file(self, repository: str, name: str) -> None:
            folder = repositories.get(repository)
            if folder is None or not (folder / name).is_file():
                return self._fail("EntryNotFound")
            return self._send((folder / name).read_bytes())

        def _fail(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A server that answers as the Hugging Face Hub does, for repositories that are folders of this machine.

It takes uploads, too: a new repository becomes a folder in `uploads`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "token-of-a-test"


@contextmanager
def local_hub(repositories: dict[str, Path], uploads: Path | None = None) -> Iterator[str]:
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

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            parts = self.path.partition("?")[0].strip("/").split("/")
            if uploads is None or self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._fail("GatedRepo", 403)
            if parts == ["api", "repos", "create"]:
                asked = json.loads(body)
                kind = f"{asked.get('type') or 'model'}s"
                folder = uploads / kind / asked["organization"] / asked["name"]
                folder.mkdir(parents=True)
                is_private = asked.get("private") or asked.get("visibility") == "private"  # of clients 1 and 2
                (folder / ".private").write_text(json.dumps(is_private))
                name = f"{asked['organization']}/{asked['name']}"
                url = f"http://{self.headers['Host']}/{'datasets/' if kind == 'datasets' else ''}{name}"
                return self._send(json.dumps({"url": url}).encode())
            if parts == ["api", "validate-yaml"]:
                return self._send(b'{"errors": [], "warnings": []}')
            _, kind, owner, name, route, _ = parts
            if route == "preupload":
                files = [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in json.loads(body)["files"]
                ]
                return self._send(json.dumps({"files": files}).encode())
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    file = uploads / kind / owner / name / line["value"]["path"]
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(base64.b64decode(line["value"]["content"]))
            url = f"https://huggingface.co/{'datasets/' if kind == 'datasets' else ''}{owner}/{name}/commit/{COMMIT}"
            return self._send(json.dumps({"commitUrl": url, "commitOid": COMMIT}).encode())

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

        def _fail(self, code: str, status: int = 404) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command != "HEAD":
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

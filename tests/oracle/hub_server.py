"""A Hugging Face Hub on this machine: the two addresses of it that downloads use, with faults to order."""
import hashlib
import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = (".safetensors", ".bin")  # files that stand on another host, named by their SHA-256


def digest(name, data):
    """ETag: SHA-256 of a large file, git's hash of a small one."""
    if name.endswith(LARGE):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Repository:
    commits: dict                                   # commit -> {file: bytes}
    refs: dict = field(default_factory=dict)        # branch or tag -> commit
    token: str | None = None                        # asked for when set
    gated: bool = False


@dataclass
class Faults:
    """What goes wrong with large files."""
    cut: list = field(default_factory=list)         # the body of the next answers ends after so many bytes
    ignore_range: bool = False
    damage: bool = False                            # another byte in the middle
    busy: int = 0                                   # so many answers are status 503
    hold: threading.Event | None = None             # the body waits for it after its first half


class Hub:
    """`url` is HF_ENDPOINT. `requests` lists (host, method, path, authorization, range) in order."""

    def __init__(self, certificate=None):
        self.repositories, self.faults, self.requests = {}, Faults(), []
        self.files = ThreadingHTTPServer(("127.0.0.1", 0), self.handler("files", self.answer_file))
        self.front = ThreadingHTTPServer(("127.0.0.1", 0), self.handler("hub", self.answer))
        self.url = f"http://127.0.0.1:{self.front.server_port}"
        if certificate:  # (chain, key): the endpoint speaks TLS
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.front.socket = context.wrap_socket(self.front.socket, server_side=True, do_handshake_on_connect=False)
            self.url = f"https://localhost:{self.front.server_port}"
        self.files_url = f"http://localhost:{self.files.server_port}"
        for server in (self.files, self.front):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def close(self):
        for server in (self.files, self.front):
            server.shutdown()
            server.server_close()

    def add(self, name, files, branch="main", **options):
        """Puts a commit with `files` on a branch; returns it."""
        commit = hashlib.sha1(json.dumps({k: digest(k, v) for k, v in files.items()}).encode()).hexdigest()
        repository = self.repositories.setdefault(name, Repository({}, **options))
        repository.commits[commit] = dict(files)
        repository.refs[branch] = commit
        return commit

    def paths(self, method=None):
        return [path for _, verb, path, _, _ in self.requests if method in (None, verb)]

    def handler(self, host, answer):
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.requests.append((host, self.command, self.path, self.headers.get("Authorization"), self.headers.get("Range")))
                answer(self)

            do_HEAD = do_GET

            def log_message(self, *args):
                pass

            def reply(self, status, body=b"", **headers):
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key.replace("_", "-"), str(value))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        return Handler

    def answer(self, request):
        """The endpoint: lists and resolves."""
        path = request.path.split("?")[0]
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
            name, kind, revision = match.groups()
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            name, revision, kind = match[1], match[2], "resolve"
        else:
            return request.reply(404)
        repository = self.repositories.get(name)
        sent = request.headers.get("Authorization")
        if sent not in (None, "Bearer good", "Bearer other"):
            return request.reply(401, X_Error_Message="Invalid credentials in Authorization header")
        if repository is None or (repository.token and sent is None and not repository.gated):
            return request.reply(404 if sent else 401, X_Error_Code="RepoNotFound")
        revision = revision.replace("%2F", "/")
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            return request.reply(404, X_Error_Code="RevisionNotFound")
        files = repository.commits[commit]
        if kind == "revision":
            siblings = [{"rfilename": name} for name in files]
            return request.reply(200, json.dumps({"id": name, "sha": commit, "siblings": siblings}).encode())
        if kind == "tree":
            return request.reply(200, json.dumps([self.tree_entry(name, data) for name, data in files.items()]).encode())
        if repository.gated and sent != f"Bearer {repository.token}":
            return request.reply(403 if sent else 401, X_Error_Code="GatedRepo", X_Repo_Commit=commit)
        return self.resolve(request, commit, match[3], files)

    def tree_entry(self, name, data):
        entry = {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
        if name.endswith(LARGE):
            entry["lfs"] = {"oid": digest(name, data), "size": len(data), "pointerSize": 130}
        else:
            entry["oid"] = digest(name, data)
        return entry

    def resolve(self, request, commit, name, files):
        if name not in files:
            return request.reply(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        data, etag = files[name], f'"{digest(name, files[name])}"'
        if not name.endswith(LARGE):
            body = data if request.command == "GET" else b""
            request.send_response(200)
            for key, value in {"ETag": etag, "X-Repo-Commit": commit, "Content-Length": len(data)}.items():
                request.send_header(key, str(value))
            request.end_headers()
            return request.wfile.write(body)
        request.reply(302, Location=f"{self.files_url}/{digest(name, data)}?signature=secret", X_Linked_Etag=etag,
                      X_Linked_Size=len(data), X_Repo_Commit=commit, ETag='"of the redirect"')

    def answer_file(self, request):
        """The host of large files: parts of them, and the faults."""
        wanted = request.path.strip("/").split("?")[0]
        stored = [data for repository in self.repositories.values() for files in repository.commits.values()
                  for name, data in files.items() if name.endswith(LARGE) and digest(name, data) == wanted]
        if self.faults.busy:
            self.faults.busy -= 1
            return request.reply(503)
        if not stored:
            return request.reply(404)
        data, begin, status = stored[0], 0, 200
        if self.faults.damage:
            data = data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]
        if (match := re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))) and not self.faults.ignore_range:
            begin, status = int(match[1]), 206
            if begin >= len(data):
                return request.reply(416)
        request.send_response(status)
        if status == 206:
            request.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(data) - begin))
        request.end_headers()
        body = data[begin:]
        if self.faults.cut:
            request.wfile.write(body[:self.faults.cut.pop(0)])
            request.close_connection = True
            return
        if self.faults.hold:
            request.wfile.write(body[:len(body) // 2])
            request.wfile.flush()
            self.faults.hold.wait(60)
            body = body[len(body) // 2:]
        request.wfile.write(body)

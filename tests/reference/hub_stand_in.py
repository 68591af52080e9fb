"""A server on this machine that speaks as much of the Hugging Face Hub's protocol as publishing and fetching need.

Repositories hold commits, commits hold files; large files travel by Git LFS as they do there. Everything that was
asked is in ``asked``.
"""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_a_token_of_the_stand_in"


class Hub(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Visit)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.commits = {}  # repository -> [(identifier, {file: content})], oldest first
        self.branches = {}  # repository -> {branch: identifier}
        self.large = {}  # SHA-256 -> content
        self.asked = []

    def files(self, name, revision):
        identifier = self.branches[name].get(revision, revision)
        return identifier, dict(self.commits[name])[identifier]

    def add_commit(self, name, revision, changed):
        files = self.files(name, revision)[1] if revision in self.branches[name] else {}
        identifier = hashlib.sha1(repr((name, len(self.commits[name]))).encode()).hexdigest()
        self.commits[name].append((identifier, files | changed))
        self.branches[name][revision] = identifier
        return identifier


class Visit(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer(self._get)

    def do_HEAD(self):
        self._answer(self._get)

    def do_POST(self):
        self._answer(self._post)

    def do_PUT(self):
        self._answer(self._put)

    def _answer(self, method):
        self.server.asked.append((self.command, self.path))
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            method([unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")])
        except KeyError as error:
            missing = "RevisionNotFound" if "revision" in self.path or "resolve" in self.path else "RepoNotFound"
            self._send(404, {"error": f"{error} not found"}, {"X-Error-Code": missing})

    def _send(self, status, content, headers=None):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in {"Content-Length": len(content), **(headers or {})}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _get(self, parts):
        if parts[:2] == ["api", "models"]:
            name, revision = "/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main"
            if name not in self.server.commits:
                return self._send(404, {"error": "no repository"}, {"X-Error-Code": "RepoNotFound"})
            identifier, files = self.server.files(name, revision)
            if parts[4:5] == ["tree"]:
                sizes = [(path, len(content), hashlib.sha1(content).hexdigest()) for path, content in files.items()]
                return self._send(200, [{"type": "file", "path": p, "size": n, "oid": oid} for p, n, oid in sizes])
            listed = [{"rfilename": path} for path in files]
            return self._send(200, {"id": name, "sha": identifier, "siblings": listed, "private": False, "tags": []})
        if parts[2:3] != ["resolve"]:
            raise KeyError(self.path)
        name, revision, path = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
        identifier, files = self.server.files(name, revision)
        content = files[path]
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": identifier}
        return self._send(200, content, headers)

    def _post(self, parts):
        if parts == ["api", "validate-yaml"]:
            return self._send(200, {"errors": [], "warnings": []})
        if parts[-1] != "batch" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, {"error": "who are you?"})
        if parts == ["api", "repos", "create"]:
            asked = json.loads(self.body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.server.commits.setdefault(name, [])
            self.server.branches.setdefault(name, {})
            return self._send(200, {"url": f"{self.server.url}/{name}", "name": name})
        name = "/".join(parts[2:4]) if parts[0] == "api" else "/".join(parts[:2]).removesuffix(".git")
        if parts[-1] == "batch":
            return self._send(200, {"transfer": "basic", "objects": [self._upload(o) for o in self._json("objects")]})
        if parts[4] == "preupload":
            modes = [
                (f["path"], "lfs" if f["path"].endswith(".safetensors") else "regular") for f in self._json("files")
            ]
            told = [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes]
            return self._send(200, {"files": told})
        if parts[4] == "commit":
            changed = {}
            for line in map(json.loads, self.body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    changed[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    changed[value["path"]] = self.server.large[value["oid"]]
            identifier = self.server.add_commit(name, parts[5], changed)
            answer = {"commitOid": identifier, "commitUrl": f"{self.server.url}/{name}/commit/{identifier}"}
            return self._send(200, answer)
        raise KeyError(self.path)

    def _put(self, parts):
        assert hashlib.sha256(self.body).hexdigest() == parts[1]
        self.server.large[parts[1]] = self.body
        self._send(200, {})

    def _json(self, key):
        return json.loads(self.body)[key]

    def _upload(self, wanted):
        target = {"href": f"{self.server.url}/large/{wanted['oid']}"}
        return {"oid": wanted["oid"], "size": wanted["size"], "actions": {"upload": target}}


@contextmanager
def a_hub():
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    yield hub
    hub.shutdown()
    hub.server_close()

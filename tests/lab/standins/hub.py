"""A stand-in of the model hub, with its gate: who has no good token, or has not accepted the licence, gets no file."""

from __future__ import annotations

import hashlib
import json
import secrets
import string
from collections.abc import Sequence

from .model import model_files
from .server import Reply, Request, Server

REPOSITORY = "nvidia/personaplex-7b-v1"
COMMIT = hashlib.sha1(b"personaplex-7b-v1 stand-in").hexdigest()


class Hub:
    """The hub. Its tokens are made anew each time and have the form of real ones."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.repository, self.commit, self.files = REPOSITORY, COMMIT, model_files()
        self.token = _token()
        "Of a user who has accepted the licence: 200."
        self.token_without_licence = _token()
        "Of a user who has not: 403. Any other token, and none, is a 401."
        self.server = Server(addresses, self._answer)
        self.url = self.server.url
        "What HF_ENDPOINT is set to."

    def close(self) -> None:
        """Stop serving."""
        self.server.close()

    def _answer(self, request: Request) -> Reply:
        if request.method not in ("GET", "HEAD"):
            return Reply(405)
        token = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in (self.token, self.token_without_licence):
            return _refusal(401, "", "Invalid username or password.")
        if request.path == "/api/whoami-v2":
            if not token:
                return _refusal(401, "", "Invalid username or password.")
            name = "lab" if token == self.token else "lab-without-licence"
            return _json({"type": "user", "name": name, "auth": {"accessToken": {"role": "read"}}})
        if request.path in (f"/api/models/{REPOSITORY}", f"/api/models/{REPOSITORY}/revision/main"):
            siblings = [{"rfilename": name} for name in self.files]
            return _json({"id": REPOSITORY, "sha": COMMIT, "gated": "auto", "siblings": siblings})
        if request.path == f"/{REPOSITORY}":
            return Reply(body=b"<!DOCTYPE html>\n<title>the page is public, the files are not</title>\n")
        return self._resolve(request.path, token)

    def _resolve(self, path: str, token: str) -> Reply:
        """`/REPOSITORY/resolve/REVISION/FILE`: the gate stands before every file, and before missing ones too."""
        before, _, after = path.partition("/resolve/")
        revision, _, name = after.partition("/")
        if before != f"/{REPOSITORY}":
            # The hub does not tell strangers which repositories exist.
            return _refusal(404 if token else 401, "RepoNotFound", "Repository not found")
        if token != self.token:
            reason = "and you are not in the authorized list." if token else "Please log in."
            said = f"Access to model {REPOSITORY} is restricted. {reason}"
            return _refusal(403 if token else 401, "GatedRepo", said)
        if revision not in ("main", COMMIT):
            return _refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        file = self.files.get(name)
        if file is None:
            return _refusal(404, "EntryNotFound", "Entry not found")
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": COMMIT}
        if file.large:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.content))}
        return Reply(headers=headers, body=file.content)


def _refusal(status: int, code: str, message: str) -> Reply:
    headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
    return Reply(status, headers, json.dumps({"error": message}).encode())


def _json(content: object) -> Reply:
    return Reply(headers={"Content-Type": "application/json"}, body=json.dumps(content).encode())


def _token() -> str:
    return "hf_" + "".join(secrets.choice(string.ascii_letters) for _ in range(34))

"""A chat model behind the OpenAI protocol, on this machine: POST /v1/chat/completions, GET /v1/models."""

from __future__ import annotations

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LANGCHAIN = {"user": "human", "assistant": "ai", "system": "system", "developer": "system"}
MOST_BYTES = 8 << 20


class _Fault(Exception):
    """A request that cannot be answered, with its status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Server(ThreadingHTTPServer):
    """The chat model, its name, and the lock that lets one question in at a time."""

    def __init__(self, address: tuple[str, int], chat: Any, name: str) -> None:
        super().__init__(address, _Handler)
        self.chat, self.name = chat, name
        self.lock = threading.Lock()
        self.born = int(time.time())


def server(chat: Any, name: str, host: str = "127.0.0.1", port: int = 8000) -> ThreadingHTTPServer:
    """Return a server that answers by a langchain-core chat model; `serve_forever()` starts it, port 0 takes any.

    One question is answered at a time, since the model is one. temperature, max_tokens, seed and stop are handed on;
    `stream` sends the whole answer as one piece.
    """
    return _Server((host, port), chat, name)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _send(self, status: int, row: dict[str, Any]) -> None:
        body = json.dumps(row).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """List the one model."""
        if self.path.rstrip("/") != "/v1/models":
            return self._fail(_Fault(404, f"{self.path}: the paths are /v1/models and /v1/chat/completions"))
        row = {"id": self.server.name, "object": "model", "created": self.server.born, "owned_by": "agentgym"}
        self._send(200, {"object": "list", "data": [row]})

    def do_POST(self) -> None:
        """Answer a conversation."""
        try:
            asked = self._read()
            with self.server.lock:
                answer = self.server.chat.invoke(_messages(asked), **_settings(asked))
        except _Fault as fault:
            return self._fail(fault)
        except ValueError as error:
            return self._fail(_Fault(400, str(error)))
        self._answer(asked, answer)

    def _read(self) -> dict[str, Any]:
        size = int(self.headers.get("Content-Length") or 0)
        if size > MOST_BYTES:
            self.close_connection = True
            raise _Fault(413, f"{size} bytes: the most is {MOST_BYTES}")
        body = self.rfile.read(size)
        if self.path.rstrip("/") != "/v1/chat/completions":
            raise _Fault(404, f"{self.path}: the paths are /v1/models and /v1/chat/completions")
        try:
            row = json.loads(body)
        except ValueError as error:
            raise _Fault(400, f"the body is no JSON: {error}") from None
        if not isinstance(row, dict) or not isinstance(row.get("messages"), list) or not row["messages"]:
            raise _Fault(400, "the body needs `messages`, a list of {role, content}")
        if row.get("model") not in (None, self.server.name):
            raise _Fault(404, f"model {row['model']!r}: this server has {self.server.name!r}")
        return row

    def _fail(self, fault: _Fault) -> None:
        kind = "invalid_request_error"
        self._send(fault.status, {"error": {"message": str(fault), "type": kind, "code": fault.status}})

    def _answer(self, asked: dict[str, Any], answer: Any) -> None:
        used = answer.usage_metadata or {}
        reason = answer.response_metadata.get("finish_reason", "stop")
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": self.server.name}
        if asked.get("stream"):
            piece = {"index": 0, "delta": {"role": "assistant", "content": answer.text}, "finish_reason": None}
            end = {"index": 0, "delta": {}, "finish_reason": reason}
            rows = [head | {"object": "chat.completion.chunk", "choices": [c]} for c in (piece, end)]
            body = "".join(f"data: {json.dumps(r)}\n\n" for r in rows).encode() + b"data: [DONE]\n\n"
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": answer.text}, "finish_reason": reason}
        counts = {
            "prompt_tokens": used.get("input_tokens", 0),
            "completion_tokens": used.get("output_tokens", 0),
            "total_tokens": used.get("total_tokens", 0),
        }
        self._send(200, head | {"object": "chat.completion", "choices": [choice], "usage": counts})


def _messages(asked: dict[str, Any]) -> list[tuple[str, str]]:
    out = []
    for m in asked["messages"]:
        if not isinstance(m, dict) or m.get("role") not in _LANGCHAIN:
            raise _Fault(400, f"message {str(m)[:60]}: needs a role of {', '.join(_LANGCHAIN)}")
        content = m.get("content")
        if isinstance(content, list):  # the protocol's other form: a list of parts
            content = "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
        out.append((_LANGCHAIN[m["role"]], str(content or "")))
    return out


def _settings(asked: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    most = asked.get("max_completion_tokens", asked.get("max_tokens"))
    for key, value, kind in (
        ("temperature", asked.get("temperature"), float),
        ("max_tokens", most, int),
        ("seed", asked.get("seed"), int),
    ):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise _Fault(400, f"{key}={value!r}: needs a number that is not negative")
        out[key] = kind(value)
    if asked.get("stop"):
        out["stop"] = [asked["stop"]] if isinstance(asked["stop"], str) else list(asked["stop"])
    return out

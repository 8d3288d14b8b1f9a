"""A local model behind the OpenAI protocol: /v1/chat/completions in words, /v1/completions in token ids, /v1/models."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .complete import Completions, neutral

_LANGCHAIN = {"user": "human", "assistant": "ai", "system": "system", "developer": "system"}
CHAT = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "seed", "stop", "stream"}
MOST_BYTES = 8 << 20


class _Fault(Exception):
    """A request that cannot be answered, with its status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Server(ThreadingHTTPServer):
    """The chat model, its name, and the lock that lets one question in at a time."""

    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], chat: Any, name: str, completions: Completions | None) -> None:
        super().__init__(address, _Handler)
        self.chat, self.name, self.completions = chat, name, completions
        self.lock = threading.Lock()
        self.born = int(time.time())


def server(
    chat: Any, name: str, host: str = "127.0.0.1", port: int = 8000, completions: Completions | None = None
) -> ThreadingHTTPServer:
    """Return a server that answers by a langchain-core chat model; `serve_forever()` starts it, port 0 takes any.

    One question is answered at a time, since the model is one. temperature, max_tokens, seed and stop are handed on;
    `stream` sends the whole answer as one piece. chat: None for a model without a chat template. completions: answers
    /v1/completions, and takes weights by vLLM's /v1/load_lora_adapter and /v1/unload_lora_adapter.
    """
    return _Server((host, port), chat, name, completions)


@contextmanager
def running(made: ThreadingHTTPServer) -> Iterator[str]:
    """Answer from a thread of this process while the block runs; gives the address that clients take, up to /v1."""
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_address[1]}/v1"
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _send(self, status: int, said: dict[str, Any] | str) -> None:
        body = (said if isinstance(said, str) else json.dumps(said)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(said, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _paths(self) -> list[str]:
        paths = ["/v1/models"] + ["/v1/chat/completions"] * (self.server.chat is not None)
        weights = ["/v1/load_lora_adapter", "/v1/unload_lora_adapter"]
        return paths + ["/v1/completions", *weights] * (self.server.completions is not None)

    def _unknown(self) -> _Fault:
        return _Fault(404, f"{self.path}: the paths are {', '.join(self._paths())}")

    def do_GET(self) -> None:
        """List what answers, by name."""
        if self.path.rstrip("/") != "/v1/models":
            return self._fail(self._unknown())
        with self.server.lock:
            names = [self.server.name] if self.server.completions is None else self.server.completions.names
        card = {"object": "model", "created": self.server.born, "owned_by": "agentgym"}
        self._send(200, {"object": "list", "data": [{"id": name, **card} for name in names]})

    def do_POST(self) -> None:
        """Answer a conversation, continue token ids, or take weights."""
        try:
            asked = self._read()
            path = self.path.rstrip("/").removeprefix("/v1/")
            if path == "chat/completions":
                return self._converse(asked)
            done = self.server.completions
            assert done is not None
            with self.server.lock:
                if path == "completions":
                    head = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time())}
                    return self._send(200, head | done.answer(asked))
                said = done.load(asked) if path == "load_lora_adapter" else done.unload(asked)
        except _Fault as fault:
            return self._fail(fault)
        except KeyError as error:
            return self._fail(_Fault(404, str(error.args[0])))
        except PermissionError as error:
            return self._fail(_Fault(403, str(error)))
        except (ValueError, OSError) as error:
            return self._fail(_Fault(400, str(error)))
        except Exception as error:  # whatever went wrong, as a chat template that knows no such role, has an answer
            return self._fail(_Fault(500, f"{type(error).__name__}: {error}"))
        self._send(200, said)

    def _converse(self, asked: dict[str, Any]) -> None:
        if not isinstance(asked.get("messages"), list) or not asked["messages"]:
            raise _Fault(400, "the body needs `messages`, a list of {role, content}")
        if asked.get("model") not in (None, self.server.name):
            raise _Fault(404, f"model {asked['model']!r}: this server has {self.server.name!r}")
        neutral(asked, CHAT)
        with self.server.lock:
            answer = self.server.chat.invoke(_messages(asked), **_settings(asked))
        self._answer(asked, answer)

    def _read(self) -> dict[str, Any]:
        size = int(self.headers.get("Content-Length") or 0)
        if size > MOST_BYTES:
            self.close_connection = True
            raise _Fault(413, f"{size} bytes: the most is {MOST_BYTES}")
        body = self.rfile.read(size)
        if self.path.rstrip("/") not in self._paths()[1:]:
            raise self._unknown()
        try:
            row = json.loads(body)
        except ValueError as error:
            raise _Fault(400, f"the body is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise _Fault(400, f"the body is a JSON {type(row).__name__}, not an object")
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
        marks = [asked["stop"]] if isinstance(asked["stop"], str) else asked["stop"]
        if not isinstance(marks, list) or not all(isinstance(m, str) and m for m in marks):
            raise _Fault(400, f"stop={asked['stop']!r}: needs a text or a list of texts")
        out["stop"] = marks
    return out

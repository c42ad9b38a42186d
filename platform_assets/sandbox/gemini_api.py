"""Gemini's `generateContent` and model look-up: keys, limits, faults, Google's error body, and a model that reads texts.

The model is no language model: it looks the words of the last message up in the packaged vocabulary, and fills the
response schema that it is given with what it finds. It follows no instruction, those in texts included.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from platform_assets.profiles.vocabulary import packaged_vocabulary
from platform_assets.sandbox.context import Sandbox
from platform_assets.sandbox.faults import Fault, FaultKind, hold
from platform_assets.spelling import split_words

SERVICE = "gemini"

MAX_BODY_BYTES = 20 * 1024 * 1024
_INPUT_TOKEN_LIMIT = 1_048_576
_OUTPUT_TOKEN_LIMIT = 65_536

_CHARS_PER_TOKEN = 4
_KEY_PREFIX = "AIza"
"""Any key of this form is accepted; Google's own begin so."""

_MODEL = re.compile(r"gemini-[\w.-]+")
_STATUS = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}

# `Type` of the API's `Schema`; the client library sends numbers.
_TYPES = {1: "STRING", 2: "NUMBER", 3: "INTEGER", 4: "BOOLEAN", 5: "ARRAY", 6: "OBJECT"}
_FINISH_REASONS = {"STOP": 1, "MAX_TOKENS": 2}
_QUOTE_PROPERTY = re.compile(r"quote|evidence", re.IGNORECASE)

Handler = Callable[[Request], Awaitable[Response]]


class GoogleError(Exception):
    """A refusal in the form that Google's APIs give it.

    Attributes:
        code: HTTP status.
        message: What is wrong.
        details: `google.rpc` messages.
    """

    def __init__(self, code: int, message: str, *details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def response(self) -> Response:
        """The HTTP answer."""
        error = {"code": self.code, "message": self.message, "status": _STATUS[self.code]}
        if self.details:
            error["details"] = list(self.details)
        return JSONResponse({"error": error}, status_code=self.code)


@dataclass(frozen=True)
class Found:
    """A skill that the model found: its usual name, and the words that it stands in."""

    name: str
    quote: str


def routes(sandbox: Sandbox) -> list[Route]:
    """What is served under the API's root."""

    def guarded(handler: Handler, *, route: str) -> Handler:
        async def serve(request: Request) -> Response:
            sandbox.requests[SERVICE, route] += 1
            faults = sandbox.faults[SERVICE]
            fault = faults.draw()
            await faults.delay()
            if fault is not None and fault.kind is FaultKind.TIMEOUT:
                await hold(request)
            if fault is not None and fault.kind is not FaultKind.INVALID:
                return _failure(fault)
            try:
                _require_key(request)
                if request.method == "POST":
                    _require_room(sandbox)
                request.state.is_broken = fault is not None
                return await handler(request)
            except GoogleError as error:
                return error.response()

        return serve

    generate = "/v1beta/models/{model}:generateContent"
    look_up = "/v1beta/models/{model}"
    return [
        Route(generate, guarded(_generate, route=f"POST {generate}"), methods=["POST"]),
        Route(look_up, guarded(_look_up, route=f"GET {look_up}"), methods=["GET"]),
    ]


def _require_key(request: Request) -> None:
    key = request.headers.get("x-goog-api-key") or request.query_params.get("key")
    if not key:
        raise GoogleError(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
            "other form of API consumer identity to call this API.",
        )
    if not key.startswith(_KEY_PREFIX):
        raise GoogleError(
            400,
            "API key not valid. Please pass a valid API key.",
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            },
        )


def _require_room(sandbox: Sandbox) -> None:
    wait_s = sandbox.gemini_limit.take()
    if wait_s is None:
        return
    raise GoogleError(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [
                {
                    "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
                    "quotaId": "GenerateRequestsPerMinutePerProjectPerModel",
                    "quotaValue": str(sandbox.gemini_limit.calls_per_minute),
                }
            ],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{math.ceil(wait_s)}s"},
    )


def _failure(fault: Fault) -> Response:
    if fault.status == 502:
        return HTMLResponse("<html><title>Error 502 (Server Error)!!1</title></html>", status_code=502)
    status, message = {
        500: ("INTERNAL", "An internal error has occurred. Please retry."),
        503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        429: ("Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED"),
    }[fault.status]
    error = {"code": fault.status, "message": message, "status": status}
    return JSONResponse({"error": error}, status_code=fault.status)


def _model_name(request: Request) -> str:
    name = str(request.path_params["model"])
    if not _MODEL.fullmatch(name):
        raise GoogleError(
            404,
            f"models/{name} is not found for API version v1beta, or is not supported for generateContent.",
        )
    return name


async def _look_up(request: Request) -> Response:
    name = _model_name(request)
    return JSONResponse(
        {
            "name": f"models/{name}",
            "version": "001",
            "displayName": name,
            "inputTokenLimit": _INPUT_TOKEN_LIMIT,
            "outputTokenLimit": _OUTPUT_TOKEN_LIMIT,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }
    )


async def _generate(request: Request) -> Response:
    name = _model_name(request)
    body = await request.body()
    if len(body) > MAX_BODY_BYTES:
        raise GoogleError(400, f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes.")
    try:
        question = json.loads(body)
    except (ValueError, RecursionError):
        raise GoogleError(400, "Invalid JSON payload received.") from None
    prompt, text = _read_question(question)
    config = question.get("generationConfig") or {}
    answer = await run_in_threadpool(lambda: _answer(find_skills(text), config))
    if request.state.is_broken:
        answer = answer[: len(answer) // 2]
    finish_reason, limit = "STOP", config.get("maxOutputTokens")
    if isinstance(limit, int) and len(answer) > limit * _CHARS_PER_TOKEN:
        finish_reason, answer = "MAX_TOKENS", answer[: limit * _CHARS_PER_TOKEN]
    prompt_tokens, answer_tokens = (math.ceil(len(part) / _CHARS_PER_TOKEN) for part in (prompt, answer))
    has_numbers = "enum-encoding=int" in request.query_params.get("$alt", "")
    return JSONResponse(
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": answer}], "role": "model"},
                    "finishReason": _FINISH_REASONS[finish_reason] if has_numbers else finish_reason,
                    "index": 0,
                }
            ],
            "usageMetadata": {
                "promptTokenCount": prompt_tokens,
                "candidatesTokenCount": answer_tokens,
                "totalTokenCount": prompt_tokens + answer_tokens,
            },
            "modelVersion": name,
            "responseId": hashlib.sha256(body).hexdigest()[:22],
        }
    )


def _read_question(question: Any) -> tuple[str, str]:
    """Everything that counts as prompt, and the text of the last message."""
    contents = question.get("contents") if isinstance(question, dict) else None
    if not isinstance(contents, list) or not contents:
        raise GoogleError(400, "* GenerateContentRequest.contents: contents is not specified\n")
    texts = [_content_text(content) for content in contents]
    if any(content.get("role", "user") not in ("user", "model") for content in contents):
        raise GoogleError(400, "Please use a valid role: user, model.")
    instruction = question.get("systemInstruction")
    return "\n".join([_content_text(instruction) if instruction else "", *texts]), texts[-1]


def _content_text(content: Any) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
        raise GoogleError(
            400, "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.\n"
        )
    return "".join(str(part.get("text", "")) for part in parts)


def find_skills(text: str) -> list[Found]:
    """The skills of the packaged vocabulary that a text spells, each once, in the order of the text.

    A spelling that is also an everyday word counts when it is written as a name.
    """
    vocabulary = packaged_vocabulary()
    words = split_words(text)
    found: dict[str, Found] = {}
    position = 0
    while position < len(words):
        for end in range(min(position + vocabulary.max_alias_words, len(words)), position, -1):
            own = words[position:end]
            alias = " ".join(word.norm for word in own)
            skill_id = vocabulary.by_alias.get(alias)
            is_name = alias not in vocabulary.ambiguous or own[0].written[0].isupper()
            if skill_id is not None and is_name:
                quote = " ".join(word.written for word in own)
                found.setdefault(skill_id, Found(vocabulary.by_id[skill_id].name, quote))
                position = end - 1
                break
        position += 1
    return list(found.values())


def _answer(found: list[Found], config: Mapping[str, Any]) -> str:
    schema = config.get("responseSchema")
    if config.get("responseMimeType") != "application/json":
        if schema is not None:
            raise GoogleError(400, "Response schema is only supported with the JSON response mime type.")
        return ", ".join(each.name for each in found)
    value = [each.name for each in found] if schema is None else _fill(schema, found, None, "")
    return json.dumps(value, ensure_ascii=False, indent=2)


def _fill(schema: Any, found: list[Found], one: Found | None, name: str) -> Any:
    """A value of the schema: lists hold what was found, strings its name, or its quote where they are called so."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    match _TYPES.get(kind, str(kind).upper()) if isinstance(kind, int) else str(kind).upper():
        case "OBJECT":
            return {
                key: _fill(part, found, one, key) for key, part in (schema.get("properties") or {}).items()
            }
        case "ARRAY":
            return [_fill(schema.get("items"), [each], each, name) for each in found]
        case "STRING":
            if schema.get("enum"):
                return schema["enum"][0]
            shown = [one] if one else found
            return ", ".join(each.quote if _QUOTE_PROPERTY.search(name) else each.name for each in shown)
        case "INTEGER" | "NUMBER":
            return len(found)
        case "BOOLEAN":
            return bool(found)
        case _:
            raise GoogleError(
                400, f"* GenerateContentRequest.generation_config.response_schema: unknown type {kind!r}\n"
            )

"""GitHub's GraphQL endpoint: reading a call, charging its cost, executing it, and GitHub's form of errors."""

from __future__ import annotations

import datetime as dt
import time
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLBoolean,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
    value_from_ast,
)
from graphql.execution.values import get_variable_values
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from platform_assets.sandbox.context import Sandbox
from platform_assets.sandbox.github.cost import QueryCost, QueryProblem, query_cost
from platform_assets.sandbox.github.http import Caller, answer, endpoint
from platform_assets.sandbox.github.limits import Limiter, Window
from platform_assets.sandbox.github.resolvers import Objects, resolve_field
from platform_assets.sandbox.github.store import GithubStore
from platform_assets.sandbox.github.time import format_instant

_ROUTE = "/graphql"


def routes(sandbox: Sandbox) -> list[Route]:
    """The endpoint's route, below GitHub's root."""
    handler = partial(_serve, GithubStore(sandbox.state), sandbox.limiter)
    return [
        Route(
            _ROUTE,
            endpoint(sandbox, route=_ROUTE, resource="graphql", handler=handler),
            methods=["POST"],
        )
    ]


@lru_cache(maxsize=1)
def schema() -> GraphQLSchema:
    """The served part of GitHub's schema."""
    return build_schema(
        Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"),
        assume_valid=True,
    )


@lru_cache(maxsize=256)
def _parsed(query: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
    """A query's document, or what is wrong with it. Clients send the same text with other variables."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return None, (error,)
    return document, tuple(validate(schema(), document))


async def _serve(store: GithubStore, limiter: Limiter, request: Request, caller: Caller) -> Response:
    try:
        call = await request.json()
    except ValueError:
        return answer({"message": "Problems parsing JSON"}, status=400)
    query = call.get("query") if isinstance(call, dict) else None
    if not isinstance(query, str):
        return answer({"errors": [{"message": "A query attribute must be specified and must be a string."}]})
    variables = call.get("variables") or {}
    if not isinstance(variables, dict):
        return answer({"errors": [{"message": "Variables must be an object."}]})
    document, errors = _parsed(query)
    if document is None or errors:
        return answer({"errors": [_error_json(error) for error in errors]})
    operation = get_operation_ast(document, call.get("operationName"))
    if operation is None:
        return answer({"errors": [{"message": "An operation name is required"}]})
    coerced = get_variable_values(schema(), operation.variable_definitions or (), variables)
    if isinstance(coerced, list):
        return answer({"errors": [_error_json(error) for error in coerced]})
    try:
        cost = query_cost(schema(), document, operation, coerced)
    except QueryProblem as problem:
        return answer({"errors": [_problem_json(problem)]})
    window = caller.window
    if cost.points > window.remaining:
        message = f"API rate limit already exceeded for user ID {caller.user_id}."
        return answer({"errors": [{"type": "RATE_LIMITED", "message": message}]})
    if not _is_dry_run(operation, coerced):
        window.used += cost.points
    objects = Objects(
        store,
        rate_limit=_rate_limit(window, cost),
        html_url=f"{request.url.scheme}://{request.url.netloc}",
    )
    began_s = time.perf_counter()
    with store.snapshot():
        result = execute_sync(
            schema(),
            document,
            root_value=objects.root(),
            variable_values=variables,
            operation_name=call.get("operationName"),
            field_resolver=resolve_field,
        )
    limiter.charge_cpu(caller.token, "graphql", time.perf_counter() - began_s)
    return answer(_result_json(result))


def _is_dry_run(operation: OperationDefinitionNode, variables: dict[str, Any]) -> bool:
    """Whether `rateLimit(dryRun: true)` asks for the price only."""
    return any(
        isinstance(node, FieldNode)
        and node.name.value == "rateLimit"
        and any(value_from_ast(each.value, GraphQLBoolean, variables) for each in node.arguments)
        for node in operation.selection_set.selections
    )


def _rate_limit(window: Window, cost: QueryCost) -> dict[str, Any]:
    return {
        "cost": cost.points,
        "limit": window.limit,
        "nodeCount": cost.nodes_count,
        "remaining": window.remaining,
        "resetAt": format_instant(dt.datetime.fromtimestamp(window.resets_at, dt.UTC)),
        "used": window.used,
    }


def _result_json(result: ExecutionResult) -> dict[str, Any]:
    for error in result.errors or ():
        # What GitHub would refuse is a QueryProblem; anything else is a bug here and must not look like an answer.
        if error.original_error is not None and not isinstance(
            error.original_error, QueryProblem | GraphQLError
        ):
            raise error.original_error
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [_error_json(error) for error in result.errors]
    return body


def _error_json(error: GraphQLError) -> dict[str, Any]:
    problem = error.original_error
    body: dict[str, Any] = {}
    if isinstance(problem, QueryProblem) and problem.type:
        body["type"] = problem.type
    if error.path:
        body["path"] = list(error.path)
    if error.locations:
        body["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
    body["message"] = error.message
    return body


def _problem_json(problem: QueryProblem) -> dict[str, Any]:
    located = GraphQLError(
        str(problem), problem.node, path=list(problem.field_path) or None, original_error=problem
    )
    return _error_json(located)

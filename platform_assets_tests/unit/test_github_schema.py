"""What the client asks, and what the local API would accept, is held against GitHub's public schema.

The schema is the npm package @octokit/graphql-schema, too big to be kept here: `.ci/run` fetches it, and whoever wants to run
this by hand sets PLATFORM_TEST_GITHUB_SCHEMA to its `schema.graphql`.
"""

import datetime as dt
import importlib
import os
import pkgutil
from pathlib import Path
from typing import Any

import graphql
import pytest

from platform_assets import clients
from platform_assets.clients import github_queries as queries
from platform_assets.clients.github import QUESTIONS
from platform_assets.clients.github_values import Window
from platform_assets.sandbox.github.cost import query_cost
from platform_assets.sandbox.github.graphql import schema as sandbox_schema

VARIABLE = "PLATFORM_TEST_GITHUB_SCHEMA"
WINDOW = Window(dt.date(2025, 1, 1), dt.date(2025, 12, 31), is_last_year=False)
ASKED: dict[str, dict[str, Any]] = {
    queries.ACCOUNT.noun: {"login": "octocat"},
    queries.KNOWN.noun: queries.known_variables("U_1", WINDOW.start_on),
    queries.COUNT.noun: queries.count_variables("octocat", WINDOW),
    queries.WORK.noun: queries.work_variables("octocat", WINDOW, 25),
    queries.REPOSITORY.noun: queries.repository_variables("octo/hello"),
    queries.SUBJECTS.noun: queries.subject_variables("octo/hello", "U_1"),
    "repositories' READMEs": queries.repository_variables("octo/hello"),
    "READMEs": {**queries.repository_variables("octo/hello"), "oid": "0" * 40},
}
each_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.noun)


@pytest.fixture(scope="module")
def public_schema() -> graphql.GraphQLSchema:
    path = os.environ.get(VARIABLE)
    if path is None:
        assert "CI" not in os.environ, f"{VARIABLE} is not set"
        pytest.skip(f"{VARIABLE} is not set")
    return graphql.build_schema(Path(path).read_text(encoding="utf-8"), assume_valid=True)


def test_no_question_of_the_client_is_left_out() -> None:
    names = [info.name for info in pkgutil.iter_modules(clients.__path__) if info.name.startswith("github")]
    modules = [importlib.import_module(f"{clients.__name__}.{name}") for name in names]
    found = {
        id(value)
        for module in modules
        for value in vars(module).values()
        if isinstance(value, queries.Question)
    }
    assert found == {id(question) for question in QUESTIONS}


@each_question
def test_github_understands_every_question(
    public_schema: graphql.GraphQLSchema, question: queries.Question
) -> None:
    for count in (1, 3):
        document, _ = queries.build_document(question, [ASKED[question.noun]] * count)
        assert graphql.validate(public_schema, graphql.parse(document)) == []


@each_question
def test_the_points_set_aside_are_those_of_githubs_formula(question: queries.Question) -> None:
    for count in (1, question.batch_size):
        asked = [ASKED[question.noun]] * count
        document, variables = queries.build_document(question, asked)
        parsed = graphql.parse(document)
        operation = graphql.get_operation_ast(parsed)
        assert operation is not None
        cost = query_cost(sandbox_schema(), parsed, operation, variables)
        assert cost.requests_count == sum(question.requests(values) for values in asked)
        assert cost.points == queries.points_of(question, asked)


def test_what_github_would_refuse_the_sandbox_refuses_too(public_schema: graphql.GraphQLSchema) -> None:
    differences = [
        difference
        for name, type_ in sandbox_schema().type_map.items()
        if not name.startswith("__")
        for difference in _differences(name, type_, public_schema.type_map.get(name))
    ]
    assert differences == []


def _differences(name: str, ours: Any, theirs: Any) -> list[str]:
    """Where a type of the sandbox has something that GitHub's lacks, or has it of another type."""
    if theirs is None or type(ours) is not type(theirs):
        return [f"{name} is {type(ours).__name__} here, {type(theirs).__name__} at GitHub"]
    if isinstance(ours, graphql.GraphQLEnumType):
        return [f"{name}.{value}" for value in ours.values.keys() - theirs.values.keys()]
    if isinstance(ours, graphql.GraphQLUnionType):
        names = {member.name for member in theirs.types}
        return [f"{name} = {member.name}" for member in ours.types if member.name not in names]
    if not hasattr(ours, "fields"):
        return []
    found = [
        f"{name} is no {interface.name}"
        for interface in getattr(ours, "interfaces", ())
        if interface.name not in {one.name for one in theirs.interfaces}
    ]
    for field, definition in ours.fields.items():
        found += _field_differences(f"{name}.{field}", definition, theirs.fields.get(field))
    if isinstance(ours, graphql.GraphQLInputObjectType):
        missing = {
            field for field, one in theirs.fields.items() if graphql.is_required_input_field(one)
        } - ours.fields.keys()
        found += [f"{name} lacks the required {field}" for field in sorted(missing)]
    return found


def _field_differences(name: str, ours: Any, theirs: Any) -> list[str]:
    if theirs is None:
        return [f"{name} is not at GitHub"]
    found = []
    if str(ours.type) != str(theirs.type):
        found.append(f"{name} is {ours.type} here, {theirs.type} at GitHub")
    if getattr(ours, "default_value", None) != getattr(theirs, "default_value", None):
        found.append(f"{name} has another default")
    arguments, known = getattr(ours, "args", {}), getattr(theirs, "args", {})
    for argument, definition in arguments.items():
        found += _field_differences(f"{name}({argument})", definition, known.get(argument))
    required = {argument for argument, one in known.items() if graphql.is_required_argument(one)}
    found += [f"{name} lacks the required {argument}" for argument in sorted(required - arguments.keys())]
    return found

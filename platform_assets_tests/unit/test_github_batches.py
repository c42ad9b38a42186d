"""Many questions in one document, and a reply to each."""

import datetime as dt
from typing import Any

import graphql
import pytest

from platform_assets.clients import github_queries as queries
from platform_assets.clients import http_errors as errors
from platform_assets.clients.github_batches import batched, parsed, read_replies
from platform_assets.clients.github_transport import Answer
from platform_assets.clients.github_values import Window

WINDOW = Window(dt.date(2025, 1, 1), dt.date(2025, 12, 31), is_last_year=False)


def replies(count: int = 2, **body: Any) -> list[Any]:
    return read_replies(Answer(200, {}, body), count, "read 2 accounts")


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        (queries.ACCOUNT, {"login": "octocat"}),
        (queries.WORK, queries.work_variables("octocat", WINDOW, 25)),
        (queries.REPOSITORY, queries.repository_variables("octo/hello")),
        (queries.SUBJECTS, queries.subject_variables("octo/hello", "U_1")),
    ],
)
def test_values_travel_as_variables_of_their_own_and_never_in_the_text(
    question: queries.Question, asked: dict[str, Any]
) -> None:
    document, variables = queries.build_document(question, [asked, asked, asked])
    definition = graphql.parse(document).definitions[0]
    assert isinstance(definition, graphql.OperationDefinitionNode)
    assert {node.variable.name.value for node in definition.variable_definitions} == variables.keys()
    assert len(variables) == 3 * len(asked)
    assert [node.alias.value for node in definition.selection_set.selections[1:]] == ["p0", "p1", "p2"]  # type: ignore[attr-defined]
    assert "octo" not in document


def test_a_window_is_asked_for_with_its_first_and_last_second() -> None:
    asked = queries.work_variables("octocat", WINDOW, 25)
    assert (asked["from"], asked["to"]) == ("2025-01-01T00:00:00Z", "2025-12-31T23:59:59Z")


def test_not_found_is_a_state_and_not_a_failure() -> None:
    error = {"type": "NOT_FOUND", "path": ["p0"], "message": "Could not resolve to a User"}
    assert replies(data={"p0": None, "p1": {"id": 1}}, errors=[error]) == [None, {"id": 1}]


def test_a_partial_error_fails_only_its_own_question() -> None:
    error = {"type": "FORBIDDEN", "path": ["p0", "contributionsCollection"], "message": "SSO"}
    first, second = replies(data={"p0": None, "p1": {"id": 1}}, errors=[error])
    assert isinstance(first, errors.PermanentError)
    assert second == {"id": 1}


def test_null_without_an_error_is_unknown_and_not_empty() -> None:
    first, _ = replies(data={"p0": None, "p1": {"id": 1}})
    assert isinstance(first, errors.TransientError)


def test_an_error_without_a_path_concerns_all() -> None:
    with pytest.raises(errors.TransientError):
        replies(data=None, errors=[{"message": "Something went wrong"}])


def test_a_limit_stops_everything_even_when_it_names_one_field() -> None:
    with pytest.raises(errors.RateLimited):
        replies(data={"p0": None, "p1": {"id": 1}}, errors=[{"type": "RATE_LIMITED", "path": ["p0"]}])


def test_a_transient_failure_of_the_only_question_is_raised_to_be_repeated() -> None:
    with pytest.raises(errors.TransientError):
        replies(count=1, data={"p0": None}, errors=[{"path": ["p0"], "message": "timeout"}])


def test_an_answer_in_another_shape_fails_its_account_alone() -> None:
    assert isinstance(parsed(queries.parse_account, {"id": "x"}), errors.PermanentError)
    assert parsed(queries.parse_account, None) is None


def test_private_repositories_are_left_out() -> None:
    def entry(name: str, is_private: bool) -> dict[str, Any]:
        days = {"nodes": [{"occurredAt": "2025-03-01T08:00:00Z"}]}
        repository = {"nameWithOwner": name, "isPrivate": is_private}
        return {"repository": repository, "newest": {"totalCount": 3, **days}, "oldest": days}

    listed = [entry("octo/open", False), entry("octo/secret", True)]
    work = queries.parse_work(
        {"contributionsCollection": {"commitContributionsByRepository": listed}}, WINDOW
    )
    day = dt.date(2025, 3, 1)
    assert work == {"octo/open": queries.Tally(3, 0, day, day)}


def test_batches_keep_the_order_and_leave_nothing_out() -> None:
    assert [list(batch) for batch in batched(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert batched([], 2) == []

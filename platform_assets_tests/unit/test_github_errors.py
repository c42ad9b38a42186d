"""Every failure of a remote service is classified once: whether a rerun helps, and when."""

import datetime as dt
import json

import pytest
import requests
import stripe
from github import BadCredentialsException, GithubException, RateLimitExceededException

from platform_assets.clients import http_errors as errors
from platform_assets.errors import PlatformError

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def github(error: Exception) -> errors.ServiceError:
    return errors.classify_github_error(error, action="read 3 accounts", now=NOW)


def graphql(error: dict[str, object], **headers: str) -> errors.ServiceError:
    return errors.classify_graphql_error(error, headers=headers, action="read 3 accounts", now=NOW)


def gateway(error: Exception) -> errors.ServiceError:
    return errors.classify_stripe_error(error, action="list charges", now=NOW)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422, 451])
def test_github_answers_that_blame_the_call_are_permanent(status: int) -> None:
    error = github(GithubException(status, {"message": "No"}, {}))
    assert (type(error), error.status, error.kind) == (errors.PermanentError, status, errors.Kind.PERMANENT)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_github_answers_that_blame_the_server_are_transient(status: int) -> None:
    error = github(GithubException(status, {"message": "Oh"}, {"retry-after": "7"}))
    assert isinstance(error, errors.TransientError)
    assert error.wait_s(NOW) == 7


def test_a_spent_limit_is_lifted_just_after_the_stated_reset() -> None:
    reset = int(NOW.timestamp()) + 600
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
    error = github(RateLimitExceededException(403, {"message": "API rate limit exceeded"}, headers))
    assert isinstance(error, errors.RateLimited)
    assert error.wait_s(NOW) == 601


def test_a_secondary_limit_names_its_wait_or_means_a_minute() -> None:
    message = {"message": "You have exceeded a secondary rate limit. Please wait."}
    stated = github(GithubException(403, message, {"Retry-After": "30", "x-ratelimit-remaining": "4000"}))
    unstated = github(GithubException(429, message, {"x-ratelimit-remaining": "4000"}))
    assert [error.kind for error in (stated, unstated)] == [errors.Kind.RATE_LIMITED] * 2
    assert [error.wait_s(NOW) for error in (stated, unstated)] == [30, 60]


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError(),
        requests.ReadTimeout(),
        requests.exceptions.ChunkedEncodingError(),
        json.JSONDecodeError("x", "{", 1),
    ],
)
def test_lost_connections_and_broken_bodies_are_transient(error: Exception) -> None:
    assert isinstance(github(error), errors.TransientError)


def test_a_bad_certificate_is_permanent() -> None:
    assert isinstance(github(requests.exceptions.SSLError()), errors.PermanentError)


@pytest.mark.parametrize("code", ["RATE_LIMITED", "RATE_LIMIT"])
def test_both_spellings_of_the_graphql_limit_are_known(code: str) -> None:
    error = graphql({"type": code, "message": "API rate limit exceeded"}, **{"retry-after": "9"})
    assert isinstance(error, errors.RateLimited)
    assert error.wait_s(NOW) == 9


def test_graphql_errors_say_whether_a_smaller_query_or_a_rerun_helps() -> None:
    assert isinstance(graphql({"type": "RESOURCE_LIMITS_EXCEEDED"}), errors.QueryTooLargeError)
    assert isinstance(graphql({"type": "MAX_NODE_LIMIT_EXCEEDED"}), errors.QueryTooLargeError)
    assert isinstance(graphql({"message": "Something went wrong while executing"}), errors.TransientError)
    assert type(graphql({"type": "FORBIDDEN"})) is errors.PermanentError
    assert type(graphql({"extensions": {"code": "undefinedField"}})) is errors.PermanentError


def test_stripe_errors_are_classified() -> None:
    # The library left these constructors without types.
    unreachable = stripe.APIConnectionError("no", should_retry=True)  # type: ignore[no-untyped-call]
    untrusted = stripe.APIConnectionError("no", should_retry=False)  # type: ignore[no-untyped-call]
    unknown = stripe.InvalidRequestError("no", param="x", http_status=400)  # type: ignore[no-untyped-call]
    assert isinstance(gateway(unreachable), errors.TransientError)
    assert type(gateway(untrusted)) is errors.PermanentError
    assert type(gateway(unknown)) is errors.PermanentError
    assert isinstance(gateway(stripe.APIError("oops", http_status=500)), errors.TransientError)
    limited = gateway(stripe.RateLimitError("slow down", http_status=429, headers={"Retry-After": "4"}))
    assert isinstance(limited, errors.RateLimited)
    assert limited.wait_s(NOW) == 4
    assert gateway(stripe.RateLimitError("slow down", http_status=429)).wait_s(NOW) == 60


def test_messages_say_what_was_tried_what_came_back_and_whether_a_rerun_helps() -> None:
    text = str(github(GithubException(502, {"message": "Bad gateway"}, {})))
    assert text == "GitHub: could not read 3 accounts: HTTP 502: Bad gateway. A rerun may help."
    assert isinstance(github(requests.Timeout()), PlatformError)


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_abcdefghijklmnop",
        "github_pat_11AAA_bbb",
        "sk_live_abc123",
        "rk_test_abc***123",
        "Bearer abcdefgh12",
        "pi_1_secret_abc",
    ],
)
def test_no_message_holds_a_secret(secret: str) -> None:
    assert secret not in str(github(GithubException(400, {"message": f"bad {secret} here"}, {})))
    assert secret not in str(gateway(stripe.PermissionError(f"bad {secret} here", http_status=403)))
    assert secret not in str(gateway(stripe.AuthenticationError(f"bad {secret} here", http_status=401)))
    assert secret not in str(github(BadCredentialsException(401, {"message": secret}, {})))


def test_an_error_page_is_quoted_in_one_short_line() -> None:
    text = str(github(GithubException(502, {"data": "<html>\n" + "x" * 5000}, {})))
    assert len(text) < 500
    assert "\n" not in text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5), ("Mon, 23 Nov 2026 12:01:00 GMT", 60), ("99999999999999", 366 * 86_400)],
)
def test_retry_after_may_be_seconds_or_a_date(value: str, seconds: int) -> None:
    assert errors.retry_after({"Retry-After": value}, now=NOW) == NOW + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5"])
def test_an_unreadable_retry_after_is_none(value: str) -> None:
    assert errors.retry_after({"retry-after": value}, now=NOW) is None

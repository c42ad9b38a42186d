"""Reading READMEs over HTTP: from the local GitHub, and from servers that answer oddly."""

import pytest
from sandbox_server import change_behaviour, request_counts
from scripted_http import Reply, serve
from small_world import WORLD, github_client

from platform_assets.clients.github_readmes import MAX_BYTES, NAMES, REPOSITORIES_PER_PART
from platform_assets.clients.http_errors import PermanentError, RateLimited

NAMES_OF_WORLD = [repository.name_with_owner for repository in WORLD.github_repositories]


def read(client, *repositories, **known):
    oids = dict.fromkeys(repositories) | known
    return {each.repository: each for part in client.read_readmes(oids) for each in part}


def scripted(files):
    """Answers for `owner/name` → (file name, byteSize, isBinary, text), as GitHub would."""

    def answer(call):
        question = call.json()
        variables = question["variables"]
        data = {"rateLimit": {"cost": 1, "limit": 5000, "remaining": 4999, "resetAt": "2026-11-01T00:00:00Z"}}
        for position in range(sum(name.startswith("owner_") for name in variables)):
            repository = f"{variables[f'owner_{position}']}/{variables[f'name_{position}']}"
            name, size, is_binary, text = files[repository]
            if f"oid_{position}" in variables:
                data[f"p{position}"] = {"object": {"text": text, "isTruncated": False}}
            else:
                blob = {"oid": "a" * 40, "byteSize": size, "isBinary": is_binary}
                data[f"p{position}"] = {
                    f"readme{i}": blob if name == each else None for i, each in enumerate(NAMES)
                }
        return Reply(200, {"data": data})

    return answer


def test_readmes_are_read_with_path_size_and_hash(endpoints):
    with github_client(endpoints.github_url) as github:
        found = read(github, *NAMES_OF_WORLD[:40])

    assert list(found) == NAMES_OF_WORLD[:40]
    assert {each.state for each in found.values()} == {"read", "none"}
    texts = [each for each in found.values() if each.state == "read"]
    assert {each.path for each in texts} > {"README.md"}
    assert all(len(each.text.encode()) == each.bytes_count and len(each.oid) == 40 for each in texts)
    assert all(each.text is None and each.oid is None for each in found.values() if each.state == "none")


def test_an_unchanged_readme_is_not_sent_again_and_all_of_it_costs_few_points(endpoints):
    with github_client(endpoints.github_url) as github:
        first = read(github, *NAMES_OF_WORLD[:40])
        before = github.budget
        again = read(github, **{name: each.oid for name, each in first.items()})
        after = github.budget

    assert {each.state for each in again.values()} == {"unchanged", "none"}
    assert after.calls_count - before.calls_count == 2
    assert after.cost_points - before.cost_points == 2


def test_a_repository_that_is_not_there_has_none_and_hurts_no_other(endpoints):
    with github_client(endpoints.github_url) as github:
        found = read(github, "nobody/nothing", *NAMES_OF_WORLD[:5], "odd owner/$name")

    assert found["nobody/nothing"].state == found["odd owner/$name"].state == "none"
    assert {found[name].state for name in NAMES_OF_WORLD[:5]} <= {"read", "none"}


def test_what_is_too_large_or_binary_is_not_asked_for():
    asked = []
    files = {
        "a/large": ("README.md", MAX_BYTES + 1, False, "x"),
        "a/binary": ("README", 100, True, None),
        "a/undecodable": ("README.txt", 100, None, None),
        "a/megabyte": ("README.rst", MAX_BYTES, False, "Rust 🦀 и Go " * 100_000),
    }
    answer = scripted(files)

    def noting(call):
        asked.append(call.json())
        return answer(call)

    with serve(noting) as url, github_client(url) as github:
        found = read(github, *files)

    assert {name: each.state for name, each in found.items()} == {
        "a/large": "too_large",
        "a/binary": "binary",
        "a/undecodable": "binary",
        "a/megabyte": "read",
    }
    assert found["a/megabyte"].text == files["a/megabyte"][3]
    [texts] = [each["variables"] for each in asked if "oid_0" in each["variables"]]
    assert {value for name, value in texts.items() if name.startswith("name")} == {"undecodable", "megabyte"}


FILE = {"oid": "a", "byteSize": 5, "isBinary": False}


@pytest.mark.parametrize(
    "answer",
    [
        {"readme0": FILE | {"byteSize": "many"}},
        {"readme0": FILE, "object": {"text": 5, "isTruncated": False}},
        {"readme0": {"oid": "a"}},
    ],
)
def test_an_answer_of_another_shape_fails_that_repository_alone(answer):
    whole = dict.fromkeys(f"readme{i}" for i in range(len(NAMES))) | answer
    with serve(lambda _: Reply(200, {"data": {"p0": whole}})) as url, github_client(url) as github:
        found = read(github, "a/b")

    assert found["a/b"].state == "failed"
    assert "not in the documented shape" in found["a/b"].failure


def test_a_limit_between_parts_keeps_the_parts_that_were_read(endpoints):
    many = (NAMES_OF_WORLD * (1 + 2 * REPOSITORIES_PER_PART // len(NAMES_OF_WORLD)))[
        : 2 * REPOSITORIES_PER_PART
    ]
    repositories = {
        f"{name}{'' if i < len(NAMES_OF_WORLD) else f'-{i}'}": None for i, name in enumerate(many)
    }
    github = github_client(endpoints.github_url)
    parts = github.read_readmes(repositories)

    first = next(parts)
    change_behaviour(endpoints, github_limit=1)

    assert len(first) == REPOSITORIES_PER_PART
    with pytest.raises(RateLimited):
        next(parts)


def test_a_refused_token_is_told_and_shown_nowhere():
    refusal = serve(lambda _: Reply(401, {"message": "Bad credentials"}))
    with refusal as url, github_client(url) as github, pytest.raises(PermanentError) as caught:
        read(github, "a/b")

    assert "sandbox-token" not in str(caught.value)


def test_a_server_that_fails_now_and_then_is_asked_again(endpoints):
    change_behaviour(endpoints, github={"error_rate": 0.3})
    with github_client(endpoints.github_url) as github:
        found = read(github, *NAMES_OF_WORLD[:30])

    assert "failed" not in {each.state for each in found.values()}
    assert request_counts(endpoints, "github")["total"] > 2

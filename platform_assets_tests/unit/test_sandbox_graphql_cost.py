import pytest
from graphql import build_schema, get_operation_ast, parse

from platform_assets.sandbox.github.cost import QueryProblem, query_cost
from platform_assets.sandbox.github.graphql import schema


def cost(text, variables=None, of=None):
    document = parse(text)
    return query_cost(of or schema(), document, get_operation_ast(document), variables or {})


# The types of the examples in GitHub's documentation of its limits.
DOCUMENTED = build_schema("""
type Query { viewer: User! }
type User {
  repositories(first: Int, last: Int): Repositories!
  followers(first: Int, last: Int): Users!
}
type Users { edges: [UserEdge] }
type UserEdge { node: User login: String }
type Repositories { edges: [RepositoryEdge] }
type RepositoryEdge { node: Repository }
type Repository {
  name: String
  issues(first: Int, last: Int): Issues!
  pullRequests(first: Int, last: Int): PullRequests!
}
type Issues { totalCount: Int edges: [IssueEdge] }
type IssueEdge { node: Issue }
type Issue {
  title: String
  comments(first: Int, last: Int): Comments!
  labels(first: Int, last: Int): Comments!
}
type PullRequests { edges: [PullRequestEdge] }
type PullRequestEdge { node: PullRequest }
type PullRequest { title: String comments(first: Int, last: Int): Comments! }
type Comments { edges: [CommentEdge] }
type CommentEdge { node: Comment }
type Comment { id: ID bodyHTML: String }
""")


def test_points_are_those_of_the_example_in_githubs_documentation():
    measured = cost(
        """query { viewer { repositories(first: 100) { edges { node {
             issues(first: 50) { edges { node { labels(first: 60) { edges { node { id } } } } } } } } } } }""",
        of=DOCUMENTED,
    )

    assert measured.requests_count == 1 + 100 + 100 * 50
    assert measured.points == 51


def test_nodes_are_those_of_the_example_in_githubs_documentation():
    measured = cost(
        """query { viewer {
             repositories(first: 50) { edges { repository: node { name
               pullRequests(first: 20) { edges { pullRequest: node { title
                 comments(first: 10) { edges { comment: node { bodyHTML } } } } } }
               issues(first: 20) { totalCount edges { issue: node { title
                 comments(first: 10) { edges { comment: node { bodyHTML } } } } } } } } }
             followers(first: 10) { edges { follower: node { __typename } } } } }""",
        of=DOCUMENTED,
    )

    assert measured.nodes_count == 22_060


def test_a_query_costs_at_least_one_point():
    assert cost('{ user(login: "a") { name } }').points == 1


def test_aliases_and_fragments_are_charged_each_time():
    measured = cost(
        """query($size: Int!) { a: user(login: "a") { ...F } b: user(login: "b") { ...F } }
           fragment F on User { repositories(first: $size) { nodes { ... on Repository {
             languages(first: 10) { nodes { name } } } } } }""",
        {"size": 100},
    )

    assert measured.requests_count == 2 * (1 + 100)
    assert measured.nodes_count == 2 * (100 + 100 * 10)


def test_counting_a_connection_needs_no_page_size():
    assert cost('{ user(login: "a") { followers { totalCount } } }').requests_count == 1


@pytest.mark.parametrize(
    ("size", "kind"),
    [
        ("", "MISSING_PAGINATION_BOUNDARIES"),
        ("(first: 101)", "EXCESSIVE_PAGINATION"),
        ("(last: -1)", "EXCESSIVE_PAGINATION"),
    ],
)
def test_a_connection_that_is_read_needs_a_page_size_up_to_100(size, kind):
    with pytest.raises(QueryProblem) as problem:
        cost(f'{{ me: user(login: "a") {{ repositories{size} {{ nodes {{ name }} }} }} }}')

    assert problem.value.type == kind
    assert problem.value.field_path == ("me", "repositories")


def test_a_query_for_more_than_half_a_million_nodes_is_refused():
    with pytest.raises(QueryProblem, match="up to 1,020,100 possible nodes") as problem:
        cost("""{ user(login: "a") { repositories(first: 100) { nodes { languages(first: 100) { nodes { id } }
                  owner { ... on User { repositories(first: 100) { nodes { languages(first: 100) { nodes { id } }
                  } } } } } } } }""")

    assert problem.value.type == "MAX_NODE_LIMIT_EXCEEDED"

"""What a GraphQL query costs by GitHub's published rules, and which queries it refuses for their size.

https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLType,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    get_named_type,
    value_from_ast,
)

NODE_LIMIT = 500_000
PAGE_LIMIT = 100
_REQUESTS_PER_POINT = 100


class QueryProblem(Exception):  # noqa: N818  (GitHub calls it an error of a query, not of a program)
    """GitHub refuses a query or a field of it; `type` is its name for the reason, where it has one.

    `field_path` and `node` say where, when it is known before execution.
    """

    def __init__(
        self,
        message: str,
        *,
        type: str | None = None,  # noqa: A002  (GitHub's name)
        field_path: tuple[str, ...] = (),
        node: FieldNode | None = None,
    ) -> None:
        super().__init__(message)
        self.type = type
        self.field_path = field_path
        self.node = node


@dataclass
class QueryCost:
    """The size of a query.

    Attributes:
        requests_count: Requests needed to fill every connection once: its parents' number, summed.
        nodes_count: Nodes that it may return at most.
    """

    requests_count: int = 0
    nodes_count: int = 0

    @property
    def points(self) -> int:
        """Points of the hourly limit: a hundredth of the requests, rounded, and at least 1."""
        return max(1, round(self.requests_count / _REQUESTS_PER_POINT))


def query_cost(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
) -> QueryCost:
    """Measure a valid query before it is executed.

    Args:
        schema: The schema that the query is valid for.
        document: The parsed query, for its fragments.
        operation: The operation that will be executed.
        variables: The variables' coerced values.

    Raises:
        QueryProblem: A connection is read without a page size or with one above 100, or the query may return more
            than 500,000 nodes.
    """
    assert schema.query_type is not None
    walk = _Walk(
        schema=schema,
        fragments={
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        },
        variables=variables,
        cost=QueryCost(),
    )
    walk.selection(operation.selection_set, schema.query_type, parents_count=1, path=())
    if walk.cost.nodes_count > NODE_LIMIT:
        raise QueryProblem(
            f"This query requests up to {walk.cost.nodes_count:,} possible nodes which exceeds the maximum limit of "
            f"{NODE_LIMIT:,}.",
            type="MAX_NODE_LIMIT_EXCEEDED",
        )
    return walk.cost


@dataclass
class _Walk:
    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    cost: QueryCost

    def selection(
        self,
        selection_set: SelectionSetNode,
        parent: GraphQLCompositeType,
        *,
        parents_count: int,
        path: tuple[str, ...],
    ) -> None:
        for owner, node in self.fields(selection_set, parent):
            if node.selection_set is None or not isinstance(owner, GraphQLObjectType | GraphQLInterfaceType):
                continue
            definition = owner.fields.get(node.name.value)
            if definition is None:  # `__schema` and `__type` cost nothing
                continue
            here = (*path, node.alias.value if node.alias else node.name.value)
            self.selection(
                node.selection_set,
                _composite(definition.type),
                parents_count=parents_count * self.children_count(node, definition, parents_count, here),
                path=here,
            )

    def fields(
        self, selection_set: SelectionSetNode, parent: GraphQLCompositeType
    ) -> Iterator[tuple[GraphQLCompositeType, FieldNode]]:
        """The fields of a selection and of the fragments in it, each with the type that it is read from."""
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                yield parent, node
            elif isinstance(node, InlineFragmentNode):
                yield from self.fields(node.selection_set, self.fragment_type(node, parent))
            elif isinstance(node, FragmentSpreadNode):
                fragment = self.fragments[node.name.value]
                yield from self.fields(fragment.selection_set, self.fragment_type(fragment, parent))

    def fragment_type(
        self, fragment: InlineFragmentNode | FragmentDefinitionNode, parent: GraphQLCompositeType
    ) -> GraphQLCompositeType:
        condition = fragment.type_condition
        return _composite(self.schema.type_map[condition.name.value]) if condition else parent

    def children_count(
        self, node: FieldNode, definition: GraphQLField, parents_count: int, path: tuple[str, ...]
    ) -> int:
        """How many objects a field gives for each parent; a connection's requests and nodes are added up."""
        if "maxRepositories" in definition.args:
            # No connection, but a list whose members are parents of connections. GitHub's formula does not speak of
            # it; the cautious reading counts it with the most that it may hold.
            return int(self.argument(node, "maxRepositories", definition.args["maxRepositories"]))
        if "first" not in definition.args:
            ids = self.argument(node, "ids", definition.args["ids"]) if "ids" in definition.args else None
            return len(ids) if ids else 1
        self.cost.requests_count += parents_count
        sizes = {name: self.argument(node, name, definition.args[name]) for name in ("first", "last")}
        given = {name: size for name, size in sizes.items() if size is not None}
        connection = node.name.value
        if not given:
            if self.reads_nodes(node, definition):
                raise QueryProblem(
                    f"You must provide a `first` or `last` value to properly paginate the `{connection}` connection.",
                    type="MISSING_PAGINATION_BOUNDARIES",
                    field_path=path,
                    node=node,
                )
            return 1
        for name, size in given.items():
            if not 0 <= size <= PAGE_LIMIT:
                raise QueryProblem(
                    f"Requesting {size} records on the `{connection}` connection exceeds the `{name}` limit of "
                    f"{PAGE_LIMIT} records.",
                    type="EXCESSIVE_PAGINATION",
                    field_path=path,
                    node=node,
                )
        page_size: int = min(given.values())
        self.cost.nodes_count += parents_count * page_size
        return page_size

    def argument(self, node: FieldNode, name: str, definition: GraphQLArgument) -> Any:
        for argument in node.arguments:
            if argument.name.value == name:
                return value_from_ast(argument.value, definition.type, dict(self.variables))
        return None if definition.default_value is Undefined else definition.default_value

    def reads_nodes(self, node: FieldNode, definition: GraphQLField) -> bool:
        assert node.selection_set is not None
        return any(
            field.name.value in ("nodes", "edges")
            for _, field in self.fields(node.selection_set, _composite(definition.type))
        )


def _composite(type_: GraphQLType) -> GraphQLCompositeType:
    """The objects that a type, a list of it or a non-null one consists of; a valid query selects from no other."""
    named = get_named_type(type_)
    assert isinstance(named, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType)
    return named

"""`platform-assets explain`: why a match or a skill is as it is."""

from __future__ import annotations

import click

from platform_assets.settings import load_settings


@click.group()
def explain() -> None:
    """Say why something derived is as it is."""


@explain.command("match")
@click.option("--project", "project_id", required=True, help="Id of the project, open or not.")
@click.option("--developer", "developer_id", required=True, help="Id of the developer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def explain_match_command(project_id: str, developer_id: str, as_json: bool) -> None:
    """Why a developer stands where they stand in a project's list, or why not.

    Shows each term of the score with what it was made of, every filter that refuses the pair, and the place in the list
    or the distance to it. Any pair can be asked for. Exits with 2 when there is no such project or developer.
    """
    from rich.console import Console

    from platform_assets.matching import explain
    from platform_assets.matching.tuning import current_weights
    from platform_assets.resources import open_database

    settings = load_settings()
    with open_database(settings) as database:
        explanation = explain.explain_match(
            database,
            project_id,
            developer_id,
            as_of=settings.as_of_day,
            weights=current_weights(database, settings.as_of_day),
        )
    if as_json:
        click.echo(explain.as_json(explanation))
    else:
        explain.render(explanation, Console())


@explain.command("skill")
@click.option("--developer", required=True, help="Id of the developer in the marketplace.")
@click.option("--skill", required=True, help="Name of the skill in any known spelling, such as Go or golang.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def explain_skill_command(developer: str, skill: str, as_json: bool) -> None:
    """How sure it is that a developer has a skill, and why.

    Shows each piece of evidence with its discounts and what it counts, and the parts of the log-odds, which add up to
    the confidence. Example: platform-assets explain skill --developer dev_00001 --skill golang
    """
    from platform_assets.commands.explain_skill import explain_skill

    explain_skill(load_settings(), developer=developer, skill=skill, as_json=as_json)

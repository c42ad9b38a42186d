"""`platform-assets notifications`: who was told of what. The work is in `notification_work.py`."""

from __future__ import annotations

import click

from platform_assets.settings import load_settings

STATES = ("pending", "sent", "diverted", "failed")


@click.group()
def notifications() -> None:
    """Messages about alerts: what went where, and what did not.

    Channels and routes stand in the file that PLATFORM_NOTIFICATIONS names (docs/notifications.md). Without one the sandbox
    tells a local webhook.
    """


@notifications.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only messages in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Most messages.")
@click.option(
    "--received", is_flag=True, help="What the sandbox's webhook has received, instead of what was sent."
)
def list_messages(state: str | None, limit: int, received: bool) -> None:
    """List the latest messages, and how each channel stands."""
    from platform_assets.commands import notification_work

    if received:
        notification_work.list_received(load_settings(), limit=limit)
    else:
        notification_work.list_messages(load_settings(), state=state, limit=limit)


@notifications.command("show")
@click.argument("delivery_id", type=click.IntRange(min=1), metavar="ID")
def show(delivery_id: int) -> None:
    """Show one message: what it says, the events in it, and what its channel answered."""
    from platform_assets.commands.notification_work import show_message

    show_message(load_settings(), delivery_id)


@notifications.command("retry")
@click.argument("delivery_ids", nargs=-1, type=click.IntRange(min=1), metavar="[ID]...")
@click.option("--failed", is_flag=True, help="All that no channel took.")
def retry(delivery_ids: tuple[int, ...], failed: bool) -> None:
    """Send failed messages again, once their channel has been mended, and let channels that rest be tried at once."""
    from platform_assets.commands.notification_work import retry_messages

    if bool(delivery_ids) == failed:
        raise click.UsageError(
            "Name messages, as `notifications list --state failed` does, or give --failed."
        )
    retry_messages(load_settings(), delivery_ids)


@notifications.command("test")
@click.argument("channel")
def test(channel: str) -> None:
    """Send a test message through a channel and say what came back. Exits with 2 when it was not taken."""
    from platform_assets.commands.notification_work import test_channel

    test_channel(load_settings(), channel)

"""The command ``foretier notify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from configs.command import ConfigFile, JsonFile, console, read_settings, reported, write_json
from serving.changes_cli import FromRun, ToRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from configs.settings import Environment, Webhook
    from serving.webhook import Receiver
    from serving.webhook_events import Delivery

Again = Annotated[bool, typer.Option("--again", help="Also send what was delivered before, under the same ids.")]


@reported
def notify(
    config: ConfigFile = None,
    before: FromRun = None,
    after: ToRun = None,
    again: Again = False,  # noqa: FBT002 (a flag)
    json_file: JsonFile = None,
) -> None:
    """Send who changed between two scoring runs to the webhook of the settings: signed, retried, each event once."""
    import time
    from datetime import UTC, datetime

    from configs.settings import Environment
    from configs.webhook_address import webhook_host
    from serving.changes import compare
    from serving.store import Store, Wanted
    from serving.webhook import Time
    from serving.webhook_events import deliver, events
    from serving.webhook_store import DeliveryStore

    settings, environment = read_settings(config), Environment.read()
    to = _receiver(settings.webhook, environment)
    clock, wanted = Time(lambda: datetime.now(UTC), time.sleep), Wanted(settings.webhook.kinds)
    screen = console(json_file)
    with Store(environment.store_url) as store, DeliveryStore(environment.store_url) as deliveries:
        found = compare(store, settings.scoring.risk_bands, before, after)
        sent = events(store, found, wanted, language=settings.language)
        with screen.status(f"Sending to {webhook_host(to.url)}"):
            told = [_told(one) for one in deliver(sent, deliveries, to, clock, again=again)]
    screen.print(_summary(told, webhook_host(to.url)), highlight=False)
    if json_file is not None:
        runs = {"from": found.before.run_id, "to": found.after.run_id}
        write_json(json_file, {"receiver": webhook_host(to.url), **runs, "events": told})


def _receiver(webhook: Webhook, environment: Environment) -> Receiver:
    from configs.errors import SettingsError
    from serving.webhook import Receiver, secret_keys

    if webhook.url is None:
        raise SettingsError("webhook.url is not set: give the address that is to be told of changes, such as https://HOST/PATH")
    keys = secret_keys(environment.webhook_secret)
    return Receiver(webhook.url, keys, webhook.timeout_seconds, webhook.attempts)


def _told(one: Delivery) -> dict[str, Any]:
    """Give what ``--json`` says of an event; its customers are the receiver's alone."""
    return {
        "id": one.event.identifier,
        "page": one.event.page,
        "pages": one.event.pages,
        "customers": one.event.customers,
        "already_delivered": one.already,
        "attempts": one.attempts,
        "status": one.status,
    }


def _summary(told: Iterable[dict[str, Any]], host: str) -> str:
    told = list(told)
    if not told:
        return "Nobody changed: nothing to send."
    sent = [one for one in told if not one["already_delivered"]]
    before = len(told) - len(sent)
    if not sent:
        return f"All {before:,} events were delivered to {host} before: nothing to send."
    said = f"{len(sent):,} of {len(told):,} events with {sum(one['customers'] for one in sent):,} customers sent to {host}"
    return f"{said}; {before:,} were delivered before." if before else f"{said}."

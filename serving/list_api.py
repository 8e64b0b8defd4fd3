"""The handlers of lists and campaigns; see :mod:`serving.app`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from starlette.responses import Response, StreamingResponse

from configs.errors import NotFoundError, SettingsError
from configs.language import Language
from serving import routes
from serving.campaigns import campaign_list, campaign_rows, save_campaign, wire_campaign
from serving.exports import Table, csv_chunks, xlsx_bytes
from serving.guard import Asked, Handler
from serving.list_query import MAX_SHEET_ROWS, PAGED, WHOLE, ListQuery, language_of, list_query
from serving.list_table import list_table
from serving.lists import CHURN_RISK, ContactList, churn_risk_page, contact_list, list_rows, wire_page
from serving.live import Live
from serving.openapi_parts import CSV_TYPE, XLSX_TYPE
from serving.refusal import JSON_TYPE, PLAIN_HEADERS, Fault, Refusal, json_bytes
from serving.routes import Route
from serving.schemas import against_rule, campaign_request
from serving.store import Campaign, ScoringRun

LANGUAGE = ("language",)


class ListApi:
    """One method per route, all answering from what ``live()`` gives at the time of the request."""

    def __init__(self, live: Callable[[], Live]) -> None:
        self._current = live

    @property
    def _live(self) -> Live:
        return self._current()

    def handlers(self) -> dict[Route, Handler]:
        """Give the handler of every route."""
        return {
            routes.CHURN_RISK: self.churn_risk,
            routes.CHURN_RISK_CSV: self.churn_risk_csv,
            routes.CHURN_RISK_XLSX: self.churn_risk_xlsx,
            routes.CAMPAIGNS: self.campaigns,
            routes.SAVE_CAMPAIGN: self.save_campaign,
            routes.CAMPAIGN_CSV: self.campaign_csv,
            routes.CAMPAIGN_XLSX: self.campaign_xlsx,
        }

    async def churn_risk(self, asked: Asked) -> Response:
        """One page of the marketers' list."""
        settings, store, run = self._live.settings(), self._live.store(), self._live.run()
        query = list_query(asked.query(PAGED), settings.lists)

        def page() -> bytes:
            how: dict[str, Any] = {
                "limit": query.limit, "cursor": query.cursor, "contact_day": query.contact_day, "language": query.language,
            }  # fmt: skip
            try:
                found = churn_risk_page(store, settings, query.plan, run=run, **how)
            except NotFoundError:  # as it is, or because two runs were published since and this one is gone
                found = churn_risk_page(store, settings, query.plan, **how)
            return json_bytes(wire_page(found))

        with _query_faults(query, run):
            return _json(await self._live.read_list(page))

    async def churn_risk_csv(self, asked: Asked) -> Response:
        """The whole list as CSV, streamed."""
        of, table = await self._table(asked, said=False)
        return await self._csv(table, _name(CHURN_RISK, of.run.terms.as_of))

    async def churn_risk_xlsx(self, asked: Asked) -> Response:
        """The list as a workbook, at most ``MAX_SHEET_ROWS`` rows."""
        of, table = await self._table(asked, said=True)
        if of.expected.contacts > MAX_SHEET_ROWS:
            number = of.expected.contacts
            message = f"must be {MAX_SHEET_ROWS} or less for a workbook, and the list has {number} customers; or ask for .csv"
            raise against_rule("too_many_rows", [Fault("query.capacity", message)])
        return await self._xlsx(table, _name(CHURN_RISK, of.run.terms.as_of))

    async def campaigns(self, asked: Asked) -> Response:
        """All campaigns."""
        asked.query()
        found = await self._live.read_list(self._live.store().campaigns)
        return _json(json_bytes({"campaigns": [wire_campaign(one) for one in found]}))

    async def save_campaign(self, asked: Asked) -> Response:
        """Save a list as a campaign."""
        asked.query()
        settings, store, run = self._live.settings(), self._live.store(), self._live.run()
        request = campaign_request(asked.body)
        if any(campaign.name == request.name for campaign in await self._live.read_list(store.campaigns)):
            raise against_rule("name_taken", [Fault("name", "is that of a campaign that there is already; give another one")])

        def save() -> bytes:
            of = contact_list(store, settings, request.plan(settings.lists), run=run, contact_day=request.day)
            if not of.expected.contacts:
                raise against_rule("empty_list", [Fault("body", "asks for a list that nobody is on; plan.left_out says why")])
            return json_bytes(wire_campaign(save_campaign(store, of, request.name, at=datetime.now(UTC))))

        try:
            return _json(await self._live.read_list(save), status=201)
        except NotFoundError as error:
            raise Refusal(400, "invalid_request", str(error), [Fault("tiers", str(error))]) from None
        except SettingsError as error:  # saved by somebody else in between
            raise against_rule("name_taken", [Fault("name", str(error))]) from None

    async def campaign_csv(self, asked: Asked) -> Response:
        """The customers to contact of a campaign as CSV."""
        campaign, table = await self._campaign_table(asked, said=False)
        return await self._csv(table, _name(f"campaign-{campaign.campaign_id}", campaign.contact_day))

    async def campaign_xlsx(self, asked: Asked) -> Response:
        """The customers to contact of a campaign as a workbook."""
        campaign, table = await self._campaign_table(asked, said=True)
        if campaign.contacts > MAX_SHEET_ROWS:
            message = f"has {campaign.contacts} customers, and a workbook holds {MAX_SHEET_ROWS}; ask for .csv"
            raise against_rule("too_many_rows", [Fault("path", message)])
        return await self._xlsx(table, _name(f"campaign-{campaign.campaign_id}", campaign.contact_day))

    async def _table(self, asked: Asked, *, said: bool) -> tuple[ContactList, Table]:
        settings, store, run = self._live.settings(), self._live.store(), self._live.run()
        query = list_query(asked.query(WHOLE), settings.lists)
        language = query.language or settings.language
        with _query_faults(query, run):
            of = await self._live.read_list(
                lambda: contact_list(store, settings, query.plan, run=run, contact_day=query.contact_day)
            )
        return of, list_table(of, list_rows(store, settings, of, language), language, said=said)

    async def _campaign_table(self, asked: Asked, *, said: bool) -> tuple[Campaign, Table]:
        language: Language = language_of(asked.query(LANGUAGE)) or self._live.settings().language
        settings, store, name = self._live.settings(), self._live.store(), asked.parameters["campaign"]
        try:
            campaign = await self._live.read_list(lambda: store.campaign(name))
        except NotFoundError as error:
            raise Refusal(404, "campaign_not_found", str(error), [Fault("path", str(error))]) from None
        try:
            of = await self._live.read_list(lambda: campaign_list(store, settings, campaign))
        except NotFoundError as error:
            raise Refusal(404, "run_not_found", str(error), [Fault("path", str(error))]) from None
        return campaign, list_table(of, campaign_rows(store, settings, campaign, language), language, said=said)

    async def _csv(self, table: Table, name: str) -> Response:
        chunks = csv_chunks(table)
        first = await self._live.read_list(lambda: next(chunks))

        async def stream() -> AsyncIterator[bytes]:
            chunk: bytes | None = first
            while chunk is not None:
                yield chunk
                chunk = await self._live.read_list(lambda: next(chunks, None))

        return StreamingResponse(stream(), media_type=CSV_TYPE, headers=_download(f"{name}.csv"))

    async def _xlsx(self, table: Table, name: str) -> Response:
        body = await self._live.read_list(lambda: xlsx_bytes(table))
        return Response(body, media_type=XLSX_TYPE, headers=_download(f"{name}.xlsx"))


@contextmanager
def _query_faults(query: ListQuery, run: ScoringRun) -> Iterator[None]:
    """Name the parameter that the list refused: a tier that ``run`` has not, or a cursor whose run is gone."""
    try:
        yield
    except NotFoundError as error:
        if any(tier not in run.tier_names for tier in query.plan.tiers):
            raise Refusal(400, "invalid_request", str(error), [Fault("query.tier", str(error))]) from None
        raise Refusal(404, "run_not_found", str(error), [Fault("query.cursor", str(error))]) from None


def _name(what: str, day: date) -> str:
    return f"{what}-{day.isoformat()}"


def _download(name: str) -> dict[str, str]:
    return {**PLAIN_HEADERS, "content-disposition": f'attachment; filename="{name}"'}


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type=JSON_TYPE, headers=PLAIN_HEADERS)

"""What is asked: lookups of the customers of the run in turn, and histories of which no two are alike.

No answer can be kept from one request to the next: every POST has another id and other orders.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count, cycle
from urllib.parse import quote
from urllib.request import urlopen

from load_client import Request

HISTORIES = 1_999
AMOUNTS = 10_007
MOST_ORDERS = 11
DAYS = 400
PAGE = 1_000

LOOKUP = "GET /v1/customers/{id}"
PREDICT = "POST /v1/predictions, 1 customer"
PREDICT_TEN = "POST /v1/predictions, 10 customers"
MLFLOW = "MLflow: POST /invocations, 1 row"
ECHO = "bare BentoML: POST /echo of an id"


@dataclass(frozen=True)
class Served:
    """What a service has published: the ids of its customers, and the first day that it did not observe."""

    ids: tuple[str, ...]
    as_of: date


def served_at(port: int) -> Served:
    """Read the ids of the published run that a list may hold, page by page."""
    ids: list[str] = []
    cursor, as_of = "", ""
    while cursor is not None:
        query = f"include_gone=true&limit={PAGE}" + (f"&cursor={quote(cursor, safe='')}" if cursor else "")
        with urlopen(f"http://127.0.0.1:{port}/v1/lists/churn-risk?{query}", timeout=60) as answer:
            page = json.load(answer)
        ids += [row["customer_id"] for row in page["customers"]]
        cursor, as_of = page["next_cursor"], page["as_of"]
    random.Random(7).shuffle(ids)
    return Served(tuple(ids), date.fromisoformat(as_of))


def get(path: str) -> bytes:
    """Give the bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n\r\n".encode()


def post(path: str, body: str) -> bytes:
    """Give the bytes of a POST of JSON."""
    raw = body.encode()
    headers = f"host: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n"
    return f"POST {path} HTTP/1.1\r\n{headers}\r\n".encode() + raw


def lookups(ids: Sequence[str]) -> Iterator[Request]:
    """All customers in turn, for ever."""
    return cycle([Request(LOOKUP, get(f"/v1/customers/{quote(one, safe='')}"), one) for one in ids])


def predictions(as_of: date, customers: int = 1, kind: str = PREDICT) -> Iterator[Request]:
    """Histories of 1 to 12 orders, for ever, of no customer twice."""
    bodies = histories(as_of)
    while True:
        body = ",".join(next(bodies) for _ in range(customers))
        yield Request(kind, post("/v1/predictions", f'{{"customers":[{body}]}}'))


def histories(as_of: date, seed: int = 7, orders: tuple[int, int] = (0, MOST_ORDERS)) -> Iterator[str]:
    """Customers with their orders as JSON, none like another: the first amount and the rest come round at different times."""
    draw = random.Random(seed)
    days = [(as_of - timedelta(days=back)).isoformat() for back in range(1, DAYS)]
    rest = ["".join(f",{_order(draw, days)}" for _ in range(draw.randint(*orders))) for _ in range(HISTORIES)]
    first = draw.choices(days, k=HISTORIES)
    for number in count():
        amount, turn = 5.0 + (number % AMOUNTS) / 100, number % HISTORIES
        order = f'{{"ordered_at":"{first[turn]}","amount":{amount},"items":1}}'
        yield f'{{"customer_id":"new-{seed}-{number}","orders":[{order}{rest[turn]}]}}'


def _order(draw: random.Random, days: Sequence[str]) -> str:
    amount, items = draw.randint(500, 20_000) / 100, draw.randint(1, 5)
    return f'{{"ordered_at":"{draw.choice(days)}","amount":{amount},"items":{items}}}'


def model_rows(columns: Sequence[str]) -> Iterator[Request]:
    """Rows of the booster's inputs for MLflow, none like another."""
    draw, names = random.Random(7), json.dumps(list(columns))
    rows = [",".join(f"{draw.uniform(0, 400):.2f}" for _ in columns[1:]) for _ in range(HISTORIES)]
    for number in count():
        row = f"{(number % AMOUNTS) / 100},{rows[number % HISTORIES]}"
        yield Request(MLFLOW, post("/invocations", f'{{"dataframe_split":{{"columns":{names},"data":[[{row}]]}}}}'))


def echoes(ids: Sequence[str]) -> Iterator[Request]:
    """The least that an echo can be asked: an id."""
    return cycle([Request(ECHO, post("/echo", json.dumps({"payload": {"customer_id": one}}))) for one in ids])


def mixed(served: Served, post_share: float) -> Iterator[Request]:
    """Lookups and predictions, evenly mixed."""
    gets, posts, due = lookups(served.ids), predictions(served.as_of), 0.0
    while True:
        due += post_share
        if due >= 1.0:
            due -= 1.0
            yield next(posts)
        else:
            yield next(gets)

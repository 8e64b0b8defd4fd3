"""The page for people at ``/docs``: the OpenAPI description as plain HTML: no script, no font, no foreign address.

The page is well-formed XML too, so that its nesting can be proved.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from html import escape
from typing import Any

DOCS_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}

_STYLE = """
:root { color-scheme: light dark; --text: #1d2733; --page: #fff; --quiet: #5b6875; --line: #dde3e8; --mark: #124e78; }
:root { --link: #0b5fa5; --code: #f2f5f7; }
@media (prefers-color-scheme: dark) {
  :root { --text: #dfe6ec; --page: #14191f; --quiet: #9aa7b4; --line: #36414c; --link: #8cc4ff; --code: #1f2730; }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
body { color: var(--text); background: var(--page); }
a { color: var(--link); }
h1 { margin-bottom: 0; line-height: 1.2; } h2 { margin: 3rem 0 .5rem; }
h3 { margin: 2.5rem 0 .4rem; font-size: 1.05rem; } p { margin: .4rem 0; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
code { background: var(--code); padding: .05em .3em; border-radius: .3em; }
h3 code, li code { background: none; padding: 0; }
.method { display: inline-block; min-width: 3.2em; padding: 0 .4em; border-radius: .3em; text-align: center; font-weight: 600; }
.method { background: var(--mark); color: #fff; font-size: .85rem; }
.type { display: block; color: var(--quiet); font-size: .9rem; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-top: 1px solid var(--line); }
th { width: 13rem; font-weight: normal; } .answers th { width: 3.5rem; }
summary { cursor: pointer; color: var(--link); } ul { list-style: none; padding: 0; } li { margin: .3rem 0; }
@media (max-width: 40rem) {
  th, .answers th { display: block; width: auto; padding-bottom: 0; } td { display: block; border: 0; padding-top: 0; }
}
"""


def docs_page(document: dict[str, Any]) -> str:
    """Render an OpenAPI document."""
    return _page(json.dumps(document))


@lru_cache(maxsize=8)
def _page(text: str) -> str:
    document = json.loads(text)
    info, schemas = document["info"], document["components"]["schemas"]
    operations = [
        (path, method, operation) for path, methods in document["paths"].items() for method, operation in methods.items()
    ]
    contents = "".join(
        f'<li>{_method(method)} <a href="#{escape(operation["operationId"])}"><code>{escape(path)}</code></a></li>'
        for path, method, operation in operations
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} API</h1><p>Version {escape(info['version'])} · "
        '<a href="/openapi.json">openapi.json</a></p>'
        f"<p>{_words(info['description'])}</p><ul>{contents}</ul>{_security(document)}<h2>Operations</h2>"
        f"{''.join(_operation(*one) for one in operations)}<h2>Shapes</h2>"
        f"{''.join(_shape(name, schema) for name, schema in sorted(schemas.items()))}</body></html>"
    )


def _security(document: dict[str, Any]) -> str:
    schemes = document["components"]["securitySchemes"]
    return "<h2>Access</h2>" + "".join(
        f"<p><code>Authorization: {escape(scheme['scheme'].capitalize())} foretier_...</code></p>"
        f"<p>{_words(scheme['description'])}</p>"
        for scheme in schemes.values()
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = _table("", [(f"<code>{escape(p['name'])}</code>", _described(p)) for p in operation.get("parameters", ())])
    answers = _table(
        "answers", [(f"<code>{escape(status)}</code>", _answer(answer)) for status, answer in operation["responses"].items()]
    )
    body = f"<p>Body: {_contents(operation['requestBody'])}</p>" if "requestBody" in operation else ""
    return (
        f'<h3 id="{escape(operation["operationId"])}">{_method(method)} <code>{escape(path)}</code></h3>'
        f"<p>{_words(operation['summary'])}.</p>{_paragraph(operation.get('description', ''))}"
        f"{'' if operation['security'] else '<p>Needs no API key.</p>'}{body}{parameters}"
        f"<details><summary>Answers</summary>{answers}</details>"
    )


def _method(method: str) -> str:
    return f'<span class="method">{escape(method.upper())}</span>'


def _shape(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [
        (f"<code>{escape(key)}</code>", _described({"schema": value, **value}, "" if key in required else ", optional"))
        for key, value in schema.get("properties", {}).items()
    ]
    return (
        f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>{_paragraph(schema.get("description", ""))}{_table("", rows)}'
    )


def _described(one: dict[str, Any], more: str = "") -> str:
    return f'{_words(one.get("description", ""))}<span class="type">{_type(one["schema"])}{more}</span>'


def _answer(answer: dict[str, Any]) -> str:
    headers = "".join(f", <code>{escape(name)}</code>" for name in answer.get("headers", ()))
    links = "".join(
        f'<span class="type">{_words(link["description"])}: '
        f'<a href="#{escape(link["operationId"])}">{escape(link["operationId"])}</a></span>'
        for link in answer.get("links", {}).values()
    )
    return f'{_words(answer["description"])}<span class="type">{_contents(answer) or "no body"}{headers}</span>{links}'


def _contents(holder: dict[str, Any]) -> str:
    return " ".join(
        f"<code>{escape(media)}</code> {_type(content['schema'])}" for media, content in holder.get("content", {}).items()
    )


def _table(kind: str, rows: list[tuple[str, str]]) -> str:
    cells = "".join(f'<tr><th scope="row">{name}</th><td>{said}</td></tr>' for name, said in rows)
    return f'<table class="{kind}">{cells}</table>' if rows else ""


def _paragraph(text: str) -> str:
    return f"<p>{_words(text)}</p>" if text else ""


def _words(text: str) -> str:
    """Text, in which ``code`` is marked."""
    return re.sub("``([^`]+)``", r"<code>\1</code>", escape(text))


def _type(schema: dict[str, Any]) -> str:
    """A type in a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return "one of " * ("enum" in schema) + ", ".join(_value(one) for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    name = str(schema.get("contentMediaType") or schema.get("format") or schema.get("type", "anything"))
    return escape(" ".join([name.replace("null", "nothing (null)"), *_bounds(schema)]))


def _value(one: Any) -> str:
    return f"<code>{escape(str(one))}</code>"


def _bounds(schema: dict[str, Any]) -> list[str]:
    words = {"minimum": "from", "maximum": "to", "maxLength": "of at most", "default": "default"}
    unit = {"maxLength": " characters"}
    known = [key for key in words if schema.get(key) is not None]
    return [f"{words[key]} {schema[key]:,.15g}{unit.get(key, '')}" for key in known if isinstance(schema[key], int | float)]

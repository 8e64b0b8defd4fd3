"""The page for people at ``/docs``: the OpenAPI description as plain HTML: no script, no font, no foreign address."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from typing import Any

DOCS_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #1d2733; background: #fff; }
h1 { margin-bottom: 0; } h2 { margin: 2.5rem 0 .5rem; font-size: 1.1rem; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
.method { display: inline-block; min-width: 3.2em; padding: 0 .4em; border-radius: .3em; text-align: center; }
.method { background: #124e78; color: #fff; }
table { border-collapse: collapse; width: 100%; }
td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-top: 1px solid #dde3e8; }
td:first-child { white-space: nowrap; }
summary { cursor: pointer; }
@media (prefers-color-scheme: dark) {
  body { color: #dfe6ec; background: #14191f; }
  td { border-color: #36414c; }
  a { color: #8cc4ff; }
}
"""


def docs_page(document: dict[str, Any]) -> str:
    """Render an OpenAPI document."""
    return _page(json.dumps(document))


@cache
def _page(text: str) -> str:
    document = json.loads(text)
    info, schemas = document["info"], document["components"]["schemas"]
    operations = "".join(
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    models = "".join(_schema(name, schema) for name, schema in sorted(schemas.items()))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} API</h1><p>Version {escape(info['version'])} · "
        '<a href="/openapi.json">openapi.json</a></p>'
        f"<p>{escape(info['description'])}</p>{operations}<h2>Shapes</h2>{models}</body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['description'])} {_type(p['schema'])}</td></tr>"
        for p in operation.get("parameters", ())
    )
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])} {_body(answer)}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    body = f"<p>Body: {_body(operation['requestBody'])}</p>" if "requestBody" in operation else ""
    return (
        f'<h2 id="{escape(operation["operationId"])}"><span class="method">{escape(method.upper())}</span> '
        f"<code>{escape(path)}</code></h2>"
        f"<p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}</p>{body}"
        f"{f'<table>{parameters}</table>' if parameters else ''}"
        f"<details><summary>Answers</summary><table>{answers}</table></details>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(key)}</code></td><td>{_type(value)}{'' if key in required else ', optional'} "
        f"{escape(value.get('description', ''))}</td></tr>"
        for key, value in schema.get("properties", {}).items()
    )
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"<p>{escape(schema.get('description', ''))}</p><table>{rows}</table></details>"
    )


def _body(answer: dict[str, Any]) -> str:
    return " ".join(
        f"<code>{escape(media)}</code> {_type(content['schema'])}" for media, content in answer.get("content", {}).items()
    )


def _type(schema: dict[str, Any]) -> str:
    """A type in a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(f"<code>{escape(str(choice))}</code>" for choice in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    bounds = [
        f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to"), ("default", "default")) if key in schema
    ]
    return escape(" ".join([schema.get("format", schema.get("type", "anything")), *bounds]))

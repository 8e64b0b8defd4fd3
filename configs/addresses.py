"""Addresses of databases as they may be shown: in error lines, logs and bundles."""

from __future__ import annotations

import re

from sqlalchemy.engine import URL, make_url

_SECRET = re.compile("pass|pwd|secret|token|odbc_connect", re.IGNORECASE)


def without_password(address: str | URL) -> str:
    """Give an address with its password masked, and without the options that hold one.

    >>> without_password("postgresql://me:open@host/shop?sslmode=require&password=sesame")
    'postgresql://me:***@host/shop?sslmode=require'
    """
    url = make_url(address)
    secrets = [name for name in url.query if _SECRET.search(name)]
    return url.difference_update_query(secrets).render_as_string(hide_password=True)

"""Text from customers in spreadsheets: kept exact, and never a formula, a number or a date.

**XLSX** cells are text cells, and stay as they are: nothing of this is needed there.

**CSV** has no cell types. A spreadsheet takes ``=1+1`` for a formula, turns ``00123`` into 123, ``1-2`` into a date and
twenty digits into 1.23E+19. So :func:`guarded` puts one apostrophe, the spreadsheets' own mark for text, where it is
needed and nowhere else: before a text that would be taken for something else, and after a comma, semicolon, tab or line
break inside a text where a formula could begin if the file is split at another separator than the comma.
:func:`unguarded` takes the same apostrophes away again: no id is lost or confused with another. ``="00123"`` is not
used: it is a formula, and whoever reads the file with a program gets it instead of the id.

**CSV for programs** (what a CRM imports) holds texts exactly, for an apostrophe would make another id of an id. There
:func:`live` tells what must not be written, and :func:`disarmed` marks texts that are no ids.
"""

from __future__ import annotations

import re

_TRIGGERS = "=+\\-@＝＋－＠﹦﹢﹣﹫⁼₌⁺₊⁻₋−"  # noqa: RUF001 - these look alike on purpose
# What a spreadsheet may skip on its way to the first letter that counts: blanks, controls, invisible marks and quotes.
_SKIPPED = r"""[\s\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"']*"""
_SEPARATORS = ",;|\t\r\n\v\f\x85\u2028\u2029"

_INNER_DANGER = re.compile(rf"(?<=[{_SEPARATORS}])(?={_SKIPPED}[{_TRIGGERS}]|')")
_INNER_GUARD = re.compile(rf"(?<=[{_SEPARATORS}])'")
_LIVE_HEAD = re.compile(rf"{_SKIPPED}[{_TRIGGERS}]")
_LIVE_PART = re.compile(rf"(?<=[{_SEPARATORS}])(?={_SKIPPED}[{_TRIGGERS}])")
# A telephone number or a signed number: at worst a spreadsheet adds it up. No function, name or link can be made of these.
_DIALLED = re.compile(r"[+\-]?[0-9 ().\-/]*")

_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,10}")  # from twelve digits on a spreadsheet shows an exponent
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Begins with a letter that is no wide variant of another, ends with no blank.
_WORDS = re.compile(r"[^\W\d_\uff00-\uffef](.*\S)?", re.DOTALL)
_LIKE_A_DATE = re.compile(r"[^\W\d_]{3,}\.?[\s\-/.,']*\d{1,4}([\s\-/.,']+\d{1,4})?")  # "MAR1", "sept. 5", "Mai 2011"
# What Excel takes for a boolean in the languages of Europe.
_BOOLEANS = frozenset(
    re.findall(
        r"\w+",
        "true false wahr falsch vrai faux verdadero falso vero waar onwaar verdadeiro sant falskt sand falsk sann usann"
        " tosi epätosi prawda fałsz pravda nepravda igaz hamis истина ложь doğru yanlış adevărat fals",  # noqa: RUF001
    )
)


def guarded(text: str, *, numbers: bool = False) -> str:
    """Give the text as a CSV cell that no spreadsheet takes for a formula, number, date or boolean.

    Whole numbers that a spreadsheet shows as they are stay, unless ``numbers`` asks to mark them too: where some ids of
    a column have leading zeros, all numbers of it are to be texts.

    >>> guarded("12347"), guarded("CUST-000123"), guarded("00123"), guarded("=1+1")
    ('12347', 'CUST-000123', "'00123", "'=1+1")
    """
    inside = _INNER_DANGER.sub("'", text)
    return inside if _reads_as_itself(text, numbers=numbers) else "'" + inside


def unguarded(cell: str) -> str:
    """Take away what :func:`guarded` put in: ``unguarded(guarded(text)) == text`` for every text.

    >>> unguarded("'00123")
    '00123'
    """
    return _INNER_GUARD.sub("", cell.removeprefix("'"))


def live(text: str) -> bool:
    """Tell whether a spreadsheet could run the text, or a part of it behind a separator, as a formula.

    Numbers and telephone numbers with a sign are not live: they hold digits and the marks of numbers alone.

    >>> live("=1+1"), live("a;@SUM(A1)"), live("+86 138 0013 8000"), live("00123")
    (True, True, False, False)
    """
    return not _DIALLED.fullmatch(text) and bool(_LIVE_HEAD.match(text) or _LIVE_PART.search(text))


def disarmed(text: str) -> str:
    """Give the text with an apostrophe wherever it is :func:`live`, and as it is otherwise.

    >>> disarmed("=1+1"), disarmed("1-2")
    ("'=1+1", '1-2')
    """
    if not live(text):
        return text
    parts = _LIVE_PART.sub("'", text)
    return "'" + parts if _LIVE_HEAD.match(text) else parts


def _reads_as_itself(text: str, *, numbers: bool) -> bool:
    if _WHOLE_NUMBER.fullmatch(text):
        return not numbers
    if not text or _UUID.fullmatch(text):
        return True
    if not _WORDS.fullmatch(text):
        return False
    return not _LIKE_A_DATE.fullmatch(text) and text.lower() not in _BOOLEANS

"""The examples in the docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import configs
import features
import models
import serving
import training

MODULES = [
    f"{room.__name__}.{module.name}"
    for room in (configs, features, models, training, serving)
    for module in pkgutil.iter_modules(room.__path__)
    # The one module that needs BentoML, which warns when it is imported, has no examples.
    if f"{room.__name__}.{module.name}" != "serving.service"
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    assert sum(bool(example.examples) for name in MODULES for example in finder.find(importlib.import_module(name))) > 10

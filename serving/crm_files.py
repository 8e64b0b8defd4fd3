"""Stub until merged."""

from configs.errors import SettingsError


def crm_target(name):
    raise SettingsError("no such target")


def crm_table(target, of, rows): ...

"""What is said of a buy-till-you-die fit: which model was used, whether it converged, or what serves instead and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from configs.language import Language
from models.btyd import Btyd, FitRecord


@dataclass(frozen=True, slots=True)
class RecordWords:
    """Texts in which ``{...}`` is filled in; ``purchases`` and ``order_values`` by method."""

    purchases: Mapping[str, str]
    order_values: Mapping[str, str]
    both: str
    one_customer: str
    customers: str
    unfitted: str
    fitted: str
    converged: str
    not_converged: str
    penalizer: str
    at_bound: str
    bounds: str
    left: str
    reasons: str


EN = RecordWords(
    purchases={
        "bg_nbd": "BG/NBD",
        "mbg_nbd": "MBG/NBD (customers can drop out after the first purchase too)",
        "nbd": "NBD (nobody seems to drop out)",
        "pooled": "one purchase rate for everybody, (purchases + 1/2) / (days observed + half a year)",
    },
    order_values={
        "gamma_gamma": "Gamma-Gamma",
        "anchored": "Gamma-Gamma with its mean held at the observed one",
        "pooled": "one order value for everybody, the mean of the known ones, weighing as much as two purchases",
    },
    both="Purchases: {}. Order values: {}.",
    one_customer="{:,} customer",
    customers="{:,} customers",
    unfitted="not fitted, {reasons}; instead {method} ({customers})",
    fitted="{method}, {state} (gradient {gradient:.0e}, {customers}{penalty}{bounds}){left}",
    converged="converged",
    not_converged="NOT converged",
    penalizer=", penalizer {:g}",
    at_bound=", {}",
    bounds=" and ",
    left="; left before: {}",
    reasons="; ",
)

ZH = RecordWords(
    purchases={
        "bg_nbd": "BG/NBD",
        "mbg_nbd": "MBG/NBD（客户在首次购买后也可能流失）",
        "nbd": "NBD（看来没有人流失）",
        "pooled": "所有人使用同一购买频率，（购买次数 + 1/2）/（观察天数 + 半年）",
    },
    order_values={
        "gamma_gamma": "Gamma-Gamma",
        "anchored": "均值固定为观察值的 Gamma-Gamma",
        "pooled": "所有人使用同一每单金额，即已知金额的均值，其权重相当于两次购买",
    },
    both="购买次数：{}。每单金额：{}。",
    one_customer="{:,} 位客户",
    customers="{:,} 位客户",
    unfitted="未拟合，{reasons}；改为{method}（{customers}）",
    fitted="{method}，{state}（梯度 {gradient:.0e}，{customers}{penalty}{bounds}）{left}",
    converged="已收敛",
    not_converged="未收敛",
    penalizer="，惩罚系数 {:g}",
    at_bound="，{}",
    bounds="、",
    left="；此前放弃：{}",
    reasons="；",
)

_WORDS: dict[Language, RecordWords] = {"en": EN, "zh": ZH}
_REASONS_ZH = (
    (r"fewer than (\S+) customers with a repeat purchase", r"有复购的客户少于 \1 位"),
    (r"fewer than (\S+) customers with paid repeat purchases", r"有付费复购的客户少于 \1 位"),
    (r"not converged \(gradient (\S+)\)", r"未收敛（梯度 \1）"),
    (r"the population mean does not exist \(q = (\S+)\)", r"总体均值不存在（q = \1）"),
    (r"the population mean is (\S+) times the observed one", r"总体均值是观察值的 \1 倍"),
    (r"(\w+) at its lowest", r"\1 触及下限"),
    (r"(\w+) at its highest", r"\1 触及上限"),
    (r", penalizer (\S+): ", r"，惩罚系数 \1："),
    (r"gamma_gamma: ", "Gamma-Gamma："),
    (r"\bmbg_nbd\b", "MBG/NBD"),
    (r"\bbg_nbd\b", "BG/NBD"),
)
"""Records of fits keep their reasons in English, as ``models.btyd_fit`` writes them."""


def btyd_sentence(btyd: Btyd, language: Language = "en") -> str:
    """Two sentences for a report: how purchases and order values were fitted, with the certificate of each.

    The certificate is the gradient norm (see ``FitRecord``): near 0 where the search ended at an optimum. Where a
    better model was left, its reason is told.

    >>> fitted = FitRecord(True, -9582.4, 2e-9, 0.0, 2357, 1500)
    >>> too_few = ("fewer than 5 customers with paid repeat purchases",)
    >>> unfitted = FitRecord(False, 0.0, 0.0, 0.0, 3, 0, tried=too_few)
    >>> print(btyd_sentence(Btyd("bg_nbd", 0.2, 30.0, 0.8, 2.4, "pooled", 1.0, 3.0, 40.0, fitted, unfitted)))
    Purchases: BG/NBD, converged (gradient 2e-09, 2,357 customers). \
Order values: not fitted, fewer than 5 customers with paid repeat purchases; instead one order value for everybody, \
the mean of the known ones, weighing as much as two purchases (3 customers).
    """
    words = _WORDS[language]
    purchases, values = words.purchases[btyd.method], words.order_values[btyd.value_method]
    return words.both.format(
        _said(purchases, btyd.purchases_fit, words, fitted=btyd.method != "pooled"),
        _said(values, btyd.value_fit, words, fitted=btyd.value_method != "pooled"),
    )


def _said(method: str, record: FitRecord, words: RecordWords, *, fitted: bool) -> str:
    customers = (words.one_customer if record.customers == 1 else words.customers).format(record.customers)
    tried = words.reasons.join(_reason(one, words) for one in record.tried)
    if not fitted:
        return words.unfitted.format(reasons=tried, method=method, customers=customers)
    at_bound = words.bounds.join(_reason(one, words) for one in record.at_bound)
    return words.fitted.format(
        method=method, state=words.converged if record.converged else words.not_converged,
        gradient=record.gradient_norm, customers=customers,
        penalty=words.penalizer.format(record.penalizer) if record.penalizer else "",
        bounds=words.at_bound.format(at_bound) if record.at_bound else "", left=words.left.format(tried) if record.tried else "",
    )  # fmt: skip


def _reason(text: str, words: RecordWords) -> str:
    if words is EN:
        return text
    for english, chinese in _REASONS_ZH:
        text = re.sub(english, chinese, text)
    return text

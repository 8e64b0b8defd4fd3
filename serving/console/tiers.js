// The tiers of today, and where customers moved from past spend.

import { ask } from "./api.js";
import { h, show } from "./dom.js";
import { day, money, percent, whole, word } from "./words.js";

export async function tiersPage(_, current) {
  const view = await ask("/v1/tiers");
  if (!current()) return;
  show(
    h("h1", { tabindex: -1 }, word("tiers")),
    terms(view),
    h("div", { class: "cards" }, view.tiers.map((tier, place) => card(tier, place, view))),
    h("h2", {}, word("movement")),
    h("p", { class: "quiet" }, word("movementHint")),
    h("div", { class: "scroll" }, matrix(view)),
  );
}

/** What holds for all numbers of a page. */
export function terms(view) {
  const said = { day: day(view.as_of), days: whole(view.horizon_days), end: day(view.horizon_end), currency: view.currency };
  const scored = view.scored_at
    ? `${word("scored", { count: whole(view.customers), day: day(view.scored_at), version: view.model_version })}${view.grade ? `, ${word("grade", view)}` : ""}`
    : null;
  return h("p", { class: "quiet" }, word("asOf", said), scored ? h("br") : null, scored);
}

function card(tier, place, view) {
  const total = view.tiers.reduce((sum, one) => sum + one.predicted_value, 0);
  const share = total > 0 ? tier.predicted_value / total : 0;
  return h(
    "section",
    { class: `card tier-${Math.min(place, 3)}`, "aria-label": tier.tier },
    h("h2", {}, tier.tier),
    h("p", { class: "big" }, whole(tier.customers), " ", h("small", {}, word("customers"))),
    h("div", { class: "bar", "aria-hidden": "true" }, h("span", { style: { width: `${(100 * share).toFixed(1)}%` } })),
    h("p", { class: "quiet" }, word("shareOfValue", { share: percent(share) })),
    h(
      "dl",
      {},
      pair(word("predictedValue"), money(tier.predicted_value, view.currency)),
      pair(word("meanRisk"), tier.mean_churn_risk === null ? "–" : percent(tier.mean_churn_risk)),
      pair(word("valueAtRisk"), money(tier.value_at_risk, view.currency)),
    ),
  );
}

export const pair = (label, value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));

function matrix(view) {
  const names = view.tiers.map((tier) => tier.tier);
  const all = [...new Set([...names, ...view.movement.map((cell) => cell.past_spend_tier)])];
  const count = (past, tier) => view.movement.find((cell) => cell.past_spend_tier === past && cell.tier === tier)?.customers ?? 0;
  const most = Math.max(1, ...view.movement.map((cell) => cell.customers));
  return h(
    "table",
    { class: "matrix" },
    h("caption", { class: "hidden" }, word("movement")),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, `${word("pastTier")} ↓ · ${word("predictedValue")} →`), names.map((name) => h("th", { scope: "col" }, name)))),
    h(
      "tbody",
      {},
      all.map((past, row) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, past),
          names.map((tier, column) => {
            const kind = row === column ? "same" : column < row ? "up" : "down";
            const number = count(past, tier);
            const strength = number ? 0.12 + 0.3 * Math.sqrt(number / most) : 0;
            return h("td", { class: kind, style: { "--strength": strength.toFixed(2) }, title: word(kind) }, number ? whole(number) : "·", h("span", { class: "hidden" }, ` ${word(kind)}`));
          }),
        ),
      ),
    ),
  );
}

// One customer: value with its interval, risk, drivers as bars, order history as a strip.

import { ask, customerPage, customerPath, Refused } from "./api.js";
import { complaint, exact, field, h, show } from "./dom.js";
import { coded, day, money, percent, spoken, tenths, whole, word } from "./words.js";
import { riskBar } from "./list.js";
import { pair, terms } from "./tiers.js";

const SHOWN_DRIVERS = 6;
const [WIDTH, HEIGHT] = [640, 120];

export async function customerPageOf(id, current) {
  const found = h("div", {});
  show(h("h1", { tabindex: -1 }, word("customer")), search(id), found);
  if (!id) {
    await ask("/v1/tiers"); // whoever may not look customers up is told so at once
    return;
  }
  try {
    const one = await ask(customerPath(id), { language: spoken() });
    if (!current()) return;
    found.append(...details(one));
    found.append(await history(one).catch(complaint));
  } catch (error) {
    if (error instanceof Refused && [401, 403].includes(error.status)) throw error;
    found.replaceChildren(complaint(error));
  }
}

function search(id) {
  const input = h("input", { name: "customer_id", autocomplete: "off", autocapitalize: "off", spellcheck: "false", value: id ?? "", maxlength: 2000 });
  const go = (event) => {
    event.preventDefault();
    if (input.value) location.hash = customerPage(input.value).slice(1);
  };
  return h("form", { class: "row panel", role: "search", onsubmit: go }, field(word("customerId"), input, word("idHint")), h("button", { type: "submit", class: "main" }, word("find")));
}

function details(one) {
  const tile = (label, big, ...small) => h("section", { class: "card" }, h("h2", {}, label), h("p", { class: "big" }, big), small);
  const note = (...text) => h("p", { class: "quiet" }, text);
  const since = one.tier_since ? ` ${word("sinceDay", { day: day(one.tier_since) })}` : "";
  return [
    h("h2", { class: "who" }, exact(one.customer_id)),
    terms(one),
    h(
      "div",
      { class: "cards thirds" },
      tile(word("predictedValue"), money(one.predicted_value, one.currency), interval(one), orders(one)),
      tile(word("churnRisk"), percent(one.churn_risk), riskBar(one.churn_risk), note(coded("stages", one.lifecycle_stage), " · ", coded("segments", one.rfm_segment))),
      tile(word("tier"), one.tier, note(word(one.movement), since ? word("comma") : "", since, one.uncertain ? ` · ${word("uncertain")}` : "")),
      tile(word("nextOrder"), one.next_order ? day(one.next_order) : "–", note(one.next_order ? word("nextOrderHint") : word("noNextOrder"))),
      tile(word("valueAtRisk"), money(one.value_at_risk, one.currency), note(word("atRiskHint"))),
      tile(word("ifActive"), money(one.value_if_active, one.currency), note(word("ifActiveHint"))),
    ),
    h(
      "div",
      { class: "halves" },
      drivers(one, "value", word("whyValue", { value: money(one.predicted_value, one.currency) }), money(one.average.predicted_value, one.currency)),
      drivers(one, "churn", word("whyRisk", { risk: percent(one.churn_risk) }), percent(one.average.churn_risk)),
    ),
    h("dl", { class: "facts" }, pair(word("pastTier"), one.past_spend_tier), pair(word("stage"), coded("stages", one.lifecycle_stage)), pair(word("segment"), coded("segments", one.rfm_segment)), pair(word("abc"), one.abc_class)),
  ];
}

function orders(one) {
  if (one.expected_orders === null) return null;
  return h("p", { class: "quiet" }, `${word("orders")} ${tenths(one.expected_orders)}, ${word("ofEach", { value: money(one.expected_order_value, one.currency) })}`);
}

function interval(one) {
  if (one.value_interval === null) return null;
  const { low, high, level } = one.value_interval;
  const end = Math.max(high, one.predicted_value, 1e-9) * 1.05;
  const at = (value) => `${((100 * value) / end).toFixed(2)}%`;
  const drawn = h("span", { class: "interval", "aria-hidden": "true" }, h("span", { class: "reach", style: { left: at(low), width: at(high - low) } }), h("span", { class: "point", style: { left: at(one.predicted_value) } }));
  return [drawn, h("p", { class: "quiet" }, word("interval", { low: money(low, one.currency), high: money(high, one.currency), level: percent(level) }))];
}

function drivers(one, what, title, start) {
  const all = one.drivers[what];
  const largest = Math.max(1e-12, ...all.map((driver) => Math.abs(driver.effect)));
  const said = (effect) => (what === "value" ? money(effect, one.currency) : word("points", { count: tenths(100 * effect) }));
  const signed = (effect) => `${effect > 0 ? "+" : ""}${said(effect)}`;
  const rest = all.slice(SHOWN_DRIVERS);
  const bar = (driver) => {
    const good = driver.effect > 0 === (what === "value");
    const side = driver.effect > 0 ? "right" : "left";
    return h(
      "li",
      {},
      h("span", { class: `driver ${side} ${good ? "good" : "bad"}`, "aria-hidden": "true" }, h("span", { style: { width: `${((50 * Math.abs(driver.effect)) / largest).toFixed(1)}%` } })),
      h("span", { class: "effect" }, signed(driver.effect)),
      h("span", { class: "text" }, driver.text),
    );
  };
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, title),
    h("p", { class: "quiet" }, word("from", { start })),
    h("ul", { class: "drivers" }, all.slice(0, SHOWN_DRIVERS).map(bar), rest.length ? h("li", {}, h("span", {}), h("span", { class: "effect" }, signed(rest.reduce((sum, driver) => sum + driver.effect, 0))), h("span", { class: "text" }, word("rest", { count: rest.length }))) : null),
  );
}

async function history(one) {
  const told = await ask(`${customerPath(one.customer_id)}/orders`);
  const heading = h("h2", {}, word("history"));
  if (!told.orders.length) return h("section", { class: "panel" }, heading, h("p", { class: "quiet" }, word("noHistory")));
  return h(
    "section",
    { class: "panel" },
    heading,
    h("p", { class: "quiet" }, word("historyHint", { count: told.orders.length })),
    strip(told),
    h("details", {}, h("summary", {}, `${word("day")}, ${word("amount")}`), h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, word("day")), h("th", { scope: "col" }, word("amount")))), h("tbody", {}, told.orders.map((order) => h("tr", {}, h("th", { scope: "row" }, day(order.day)), h("td", {}, money(order.amount, told.currency))))))),
  );
}

function strip(told) {
  const time = (text) => Date.parse(`${text}T00:00:00Z`);
  const [first, last] = [time(told.orders[0].day), time(told.as_of)];
  const most = Math.max(1e-9, ...told.orders.map((order) => Math.abs(order.amount)));
  const x = (text) => 8 + ((WIDTH - 16) * (time(text) - first)) / Math.max(last - first, 1);
  const base = HEIGHT - 22;
  return h(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "strip", role: "img", "aria-label": word("historyHint", { count: told.orders.length }) },
    h("line", { x1: 0, x2: WIDTH, y1: base, y2: base, class: "axis" }),
    told.orders.map((order) => {
      const height = Math.max(2, ((base - 8) * Math.abs(order.amount)) / most);
      return h("rect", { x: (x(order.day) - 3).toFixed(1), y: (base - height).toFixed(1), width: 6, height: height.toFixed(1), rx: 2, class: order.amount < 0 ? "refund" : "order" }, h("title", {}, `${day(order.day)}: ${money(order.amount, told.currency)}`));
    }),
    h("text", { x: 0, y: HEIGHT - 5 }, day(told.orders[0].day)),
    h("text", { x: WIDTH, y: HEIGHT - 5, "text-anchor": "end" }, day(told.as_of)),
  );
}

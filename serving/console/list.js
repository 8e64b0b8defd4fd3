// Whom to contact: a plan, what to expect of it, the customers, and campaigns.

import { ask, customerPage, download, Refused } from "./api.js";
import { complaint, exact, field, h, refusalWords, say, show } from "./dom.js";
import { coded, day, money, percent, spoken, tenths, whole, word } from "./words.js";
import { terms } from "./tiers.js";

const PAGE = 50;
const LEFT_OUT = ["gone", "below_min_value", "not_worth_the_budget", "contact_cap", "held_out", "suppressed"];
const WAIT = 250;
let entered = {}; // what was typed stays while other pages are looked at

export async function listPage(_, current) {
  const view = await ask("/v1/tiers");
  if (!current()) return;
  const form = planForm(view);
  const outlook = h("div", { class: "cards plan", id: "plan" });
  const rows = h("div", { id: "rows" });
  const campaigns = h("div", { id: "campaigns" });
  let asked = 0;

  async function refresh() {
    const turn = ++asked;
    outlook.setAttribute("aria-busy", "true");
    try {
      const page = await ask("/v1/lists/churn-risk", { ...form.plan(), limit: PAGE, language: spoken() });
      if (turn !== asked) return;
      form.bound(page);
      outlook.replaceChildren(...expectations(page));
      rows.replaceChildren(...customers(page, form.plan));
      say(`${word("contacts")}: ${whole(page.plan.contacts)}. ${word("saved")}: ${money(page.plan.value_saved, page.currency)}.`);
    } catch (error) {
      if (turn !== asked) return;
      outlook.replaceChildren();
      rows.replaceChildren(complaint(error));
    } finally {
      if (turn === asked) outlook.removeAttribute("aria-busy");
    }
  }

  let timer;
  form.node.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(refresh, WAIT);
  });
  show(
    h("h1", { tabindex: -1 }, word("whom")),
    terms(view),
    form.node,
    outlook,
    h("div", { class: "row" }, fileButton("csv", form.plan), fileButton("xlsx", form.plan)),
    saveForm(view, form.plan, campaigns),
    rows,
    h("h2", {}, word("campaigns")),
    campaigns,
  );
  await Promise.all([refresh(), listCampaigns(campaigns)]);
}

function planForm(view) {
  const number = (name, attributes) => h("input", { type: "number", name, inputmode: "decimal", autocomplete: "off", ...attributes });
  const tier = h("select", { name: "tier" }, h("option", { value: "" }, word("allTiers")), view.tiers.map((one) => h("option", { value: one.tier }, one.tier)));
  const capacity = number("capacity", { min: 1, step: 1, value: 500 });
  const slider = h("input", { type: "range", name: "capacity_slider", min: 1, max: Math.max(view.customers, 1), step: 1, value: 500, "aria-label": word("capacity") });
  slider.addEventListener("input", () => (capacity.value = slider.value));
  capacity.addEventListener("input", () => (slider.value = capacity.value));
  const risk = h("input", { type: "range", name: "min_risk", min: 0, max: 0.95, step: 0.05, value: 0 });
  const riskSaid = h("span", {}, percent(0));
  risk.addEventListener("input", () => {
    riskSaid.textContent = percent(Number(risk.value));
    risk.setAttribute("aria-valuetext", riskSaid.textContent);
  });
  const fields = {
    min_value: number("min_value", { min: 0, step: "any", placeholder: "0" }),
    budget_per_contact: number("budget_per_contact", { min: 0, step: "any", placeholder: "0" }),
    save_rate: number("save_rate", { min: 1, max: 100, step: "any" }),
    holdout: number("holdout", { min: 0, max: 50, step: "any" }),
    include_gone: h("input", { type: "checkbox", name: "include_gone" }),
  };
  const node = h(
    "form",
    { class: "panel", "aria-label": word("filters"), onsubmit: (event) => event.preventDefault() },
    h("div", { class: "field wide" }, h("label", { class: "field" }, h("span", {}, word("capacity")), capacity), slider, h("small", { class: "quiet" }, word("capacityHint"))),
    field(word("tier"), tier),
    field([word("minRisk"), " ", riskSaid], risk),
    field(word("minValue", view), fields.min_value),
    field(word("budget", view), fields.budget_per_contact),
    field(`${word("saveRate")}, %`, fields.save_rate, word("saveRateHint")),
    field(`${word("holdout")}, %`, fields.holdout, word("holdoutHint")),
    h("label", { class: "check" }, fields.include_gone, " ", word("includeGone")),
  );
  const inputs = () => [...node.querySelectorAll("input, select")];
  for (const input of inputs().filter((one) => Object.hasOwn(entered, one.name))) {
    if (input.type === "checkbox") input.checked = entered[input.name];
    else input.value = entered[input.name];
  }
  riskSaid.textContent = percent(Number(risk.value));
  node.addEventListener("input", () => {
    entered = Object.fromEntries(inputs().map((one) => [one.name, one.type === "checkbox" ? one.checked : one.value]));
  });
  const share = (input) => (input.value === "" ? null : Number(input.value) / 100);
  const plan = () => ({
    tier: tier.value,
    min_risk: Number(risk.value) || null,
    capacity: capacity.value === "" ? null : Math.max(1, Math.round(Number(capacity.value))),
    min_value: fields.min_value.value,
    budget_per_contact: fields.budget_per_contact.value,
    save_rate: share(fields.save_rate),
    holdout: share(fields.holdout),
    include_gone: fields.include_gone.checked || null,
  });
  const bound = (page) => {
    for (const name of ["save_rate", "holdout"]) if (fields[name].value === "") fields[name].placeholder = tenths(100 * page.plan[name]);
  };
  return { node, plan, bound };
}

function expectations(page) {
  const { plan, currency } = page;
  const tile = (label, big, small) => h("section", { class: "card" }, h("h2", {}, label), h("p", { class: "big" }, big), small ? h("p", { class: "quiet" }, small) : null);
  const left = LEFT_OUT.filter((name) => plan.left_out[name]).map((name) => word(name, { count: whole(plan.left_out[name]) }));
  return [
    tile(word("contacts"), whole(plan.contacts), plan.held_out ? word("heldOut", { count: whole(plan.held_out) }) : null),
    tile(word("saved"), money(plan.value_saved, currency), word("savedCustomers", { count: tenths(plan.customers_saved) })),
    tile(word("inVain"), tenths(plan.in_vain), word("inVainHow", { stay: tenths(plan.would_stay), leave: tenths(plan.leave_all_the_same) })),
    tile(word("net"), money(plan.net_value, currency), `${word("cost")} ${money(plan.cost, currency)}`),
    h("section", { class: "card" }, h("h2", {}, word("leftOut")), h("p", { class: "quiet" }, left.length ? left.join(" · ") : word("nobodyLeftOut"))),
  ];
}

function customers(page, plan) {
  if (!page.customers.length) return [h("p", {}, word("nobody"))];
  const body = h("tbody", {}, page.customers.map((row) => line(row, page.currency)));
  const heads = ["rank", "customer", "tier", "churnRisk", "valueAtRisk", "predictedValue", "reasons", "action"];
  const table = h(
    "table",
    { class: "list" },
    h("caption", { class: "hidden" }, word("whom")),
    h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, word(name))))),
    body,
  );
  const shown = h("p", { class: "quiet" });
  const more = h("button", { type: "button" }, word("more"));
  let cursor = page.next_cursor;
  const count = () => {
    shown.textContent = word("shown", { shown: whole(body.rows.length), total: whole(page.total) });
    more.hidden = cursor === null;
  };
  more.addEventListener("click", async () => {
    more.disabled = true;
    try {
      const next = await ask("/v1/lists/churn-risk", { ...plan(), limit: PAGE, language: spoken(), cursor });
      body.append(...next.customers.map((row) => line(row, page.currency)));
      cursor = next.next_cursor;
      count();
    } catch (error) {
      table.after(complaint(error));
    }
    more.disabled = false;
  });
  count();
  return [table, h("div", { class: "row" }, more, shown)];
}

export function line(row, currency) {
  const cell = (name, ...children) => h("td", { "data-label": word(name) }, ...children);
  return h(
    "tr",
    {},
    cell("rank", whole(row.rank)),
    h("th", { scope: "row", "data-label": word("customer") }, h("a", { href: customerPage(row.customer_id) }, exact(row.customer_id))),
    cell("tier", row.tier),
    cell("churnRisk", riskBar(row.churn_risk), ` ${percent(row.churn_risk)} `, h("small", { class: "quiet" }, coded("bands", row.risk_band))),
    cell("valueAtRisk", money(row.value_at_risk, currency)),
    cell("predictedValue", money(row.predicted_value, currency)),
    cell("reasons", h("ul", {}, row.reasons.map((text) => h("li", {}, text)))),
    cell("action", h("bdi", {}, row.action), " ", h("small", { class: "quiet" }, coded("channels", row.channel))),
  );
}

export const riskBar = (share) => h("span", { class: "bar risk", "aria-hidden": "true" }, h("span", { style: { width: `${(100 * share).toFixed(1)}%` } }));

function fileButton(kind, plan, path = `/v1/lists/churn-risk.${kind}`, label = word(kind)) {
  const button = h("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      say(word("downloaded", { name: await download(path, { ...plan(), language: spoken() }) }));
    } catch (error) {
      button.after(complaint(error));
    }
    button.disabled = false;
  });
  return button;
}

function saveForm(view, plan, campaigns) {
  const name = h("input", { name: "name", required: true, maxlength: 64, autocomplete: "off" });
  const from = h("input", { type: "date", name: "contact_day", required: true, value: view.as_of });
  const told = h("p", { role: "status" });
  async function save(event) {
    event.preventDefault();
    const { tier, ...asked } = plan();
    const body = { name: name.value, contact_day: from.value, ...numbers(asked) };
    if (tier) body.tiers = [tier];
    try {
      const saved = await ask("/v1/campaigns", {}, body);
      told.className = "done";
      told.textContent = word("campaignSaved", { name: saved.name, contacts: whole(saved.contacts), heldOut: whole(saved.held_out) });
      await listCampaigns(campaigns);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      told.className = "fault";
      told.textContent = refusalWords(error);
    }
  }
  return h(
    "details",
    { class: "panel" },
    h("summary", {}, word("saveCampaign")),
    h("form", { class: "row", onsubmit: save }, field(word("name"), name), field(word("contactDay"), from), h("button", { type: "submit", class: "main" }, word("save"))),
    told,
  );
}

/** The body of a request has numbers where the form has texts. */
function numbers(asked) {
  const given = Object.entries(asked).filter(([, value]) => value !== null && value !== "");
  return Object.fromEntries(given.map(([name, value]) => [name, typeof value === "string" ? Number(value) : value]));
}

async function listCampaigns(place) {
  try {
    const { campaigns } = await ask("/v1/campaigns");
    place.replaceChildren(campaigns.length ? h("ul", { class: "campaigns" }, campaigns.map(campaign)) : h("p", { class: "quiet" }, word("noCampaigns")));
  } catch (error) {
    place.replaceChildren(complaint(error));
  }
}

function campaign(one) {
  const path = `/v1/campaigns/${encodeURIComponent(one.name)}/contacts`;
  const nothing = () => ({});
  return h(
    "li",
    {},
    h("strong", {}, one.name),
    h("span", { class: "quiet" }, ` ${day(one.contact_day)} · ${word("contacts")} ${whole(one.contacts)} · ${word("heldOut", { count: whole(one.held_out) })} `),
    fileButton("csv", nothing, `${path}.csv`, word("contactsCsv")),
    fileButton("xlsx", nothing, `${path}.xlsx`, word("contactsXlsx")),
  );
}

// The champion: its grade, its tiers, and whether what it said came.

import { ask } from "./api.js";
import { h, show } from "./dom.js";
import { money, percent, whole, word } from "./words.js";

const [SIZE, EDGE] = [320, 34];

export async function modelPage(_, current) {
  const model = await ask("/v1/model");
  if (!current()) return;
  const letter = model.grade ?? "–";
  show(
    h("h1", { tabindex: -1 }, word("model")),
    h("p", { class: "quiet" }, word("modelIs", { version: model.model_version, days: whole(model.horizon_days), currency: model.currency })),
    h("div", { class: "grade-row panel" }, h("p", { class: `grade grade-${letter}` }, letter), h("p", {}, word(model.grade ? `grade${letter}` : "notGraded"))),
    h("h2", {}, word("tiers")),
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, word("tier")), h("th", { scope: "col" }, word("from_value")))),
      h("tbody", {}, model.tiers.map((tier) => h("tr", {}, h("th", { scope: "row" }, tier.tier), h("td", {}, tier.from_value === null ? word("theRest") : money(tier.from_value, model.currency))))),
    ),
    h("h2", {}, word("calibration")),
    ...calibration(model),
  );
}

function calibration(model) {
  if (!model.calibration) return [h("p", { class: "quiet" }, word("noCalibration"))];
  const said = { value: (number) => money(number, model.currency), risk: percent };
  return [
    h("p", { class: "quiet" }, word("calibrationHint")),
    h("div", { class: "halves" }, chart(word("calibrationValue"), model.calibration.value, said.value, Math.sqrt), chart(word("calibrationRisk"), model.calibration.risk, said.risk, (share) => share)),
  ];
}

/** Points of what was said and what came, on scales that show small values too; the diagonal is where both are the same. */
function chart(title, deciles, said, scaled) {
  const most = Math.max(1e-9, ...deciles.flatMap((one) => [one.predicted, one.realised]));
  const at = (value) => scaled(Math.max(value, 0) / most) * (SIZE - 2 * EDGE);
  const x = (value) => (EDGE + at(value)).toFixed(1);
  const y = (value) => (SIZE - EDGE - at(value)).toFixed(1);
  return h(
    "section",
    { class: "panel" },
    h("h3", {}, title),
    h(
      "svg",
      { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "chart", role: "img", "aria-label": `${title}: ${word("calibrationHint")}` },
      h("line", { x1: EDGE, y1: SIZE - EDGE, x2: SIZE - EDGE, y2: EDGE, class: "diagonal" }),
      h("line", { x1: EDGE, y1: SIZE - EDGE, x2: SIZE - EDGE, y2: SIZE - EDGE, class: "axis" }),
      h("line", { x1: EDGE, y1: EDGE, x2: EDGE, y2: SIZE - EDGE, class: "axis" }),
      deciles.map((one) => h("circle", { cx: x(one.predicted), cy: y(one.realised), r: 5, class: "dot" }, h("title", {}, `${word("said")} ${said(one.predicted)}, ${word("came")} ${said(one.realised)}`))),
      h("text", { x: SIZE - EDGE, y: SIZE - EDGE + 18, "text-anchor": "end" }, `${word("said")} → ${said(most)}`),
      h("text", { x: EDGE, y: EDGE - 10 }, `${word("came")} ↑ ${said(most)}`),
    ),
    h(
      "details",
      {},
      h("summary", {}, `${word("said")}, ${word("came")}`),
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, [word("tenth"), word("said"), word("came")].map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, deciles.map((one, place) => h("tr", {}, h("th", { scope: "row" }, place + 1), h("td", {}, said(one.predicted)), h("td", {}, said(one.realised))))),
      ),
    ),
  );
}

"""How the backtest report looks: on a desk, on a phone, in the dark and on paper. No font, picture or script from elsewhere."""

from __future__ import annotations

from configs.language import Language

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --sheet: #ffffff; --ink: #1c2733; --soft: #55626f; --hair: #dfe4ea; --stripe: #eef4fb;
  --served: #1f5fa8; --rule: #c96f12; --other: #7d8a98; --perfect: #9aa5b1; --band: #cfe6d6;
  --happened: #2a8f78; --shade: rgba(28, 39, 51, .22);
  --good: #1d7a46; --fair: #9a6a00; --poor: #b3372b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12171d; --sheet: #1a2129; --ink: #e6ebf0; --soft: #a3b0bd; --hair: #323d49; --stripe: #202d3b;
    --served: #6fb0ff; --rule: #f2a552; --other: #93a1af; --perfect: #76838f; --band: #24503a;
    --happened: #55c2a8; --shade: rgba(0, 0, 0, .7);
    --good: #5fce8f; --fair: #e6bb55; --poor: #ff8a7a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%; text-size-adjust: 100%;
}
main { max-width: 1120px; margin: 0 auto; padding: 2.2rem 1.2rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; text-wrap: balance; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 .35rem; letter-spacing: -.005em; text-wrap: balance; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .45rem 0; max-width: 84ch; }
.about, .note, caption, figcaption { color: var(--soft); }
.note, figcaption { font-size: .92rem; }
section {
  background: var(--sheet); border: 1px solid var(--hair); border-radius: 10px; padding: 1.4rem 1.5rem 1.3rem; margin: 1.1rem 0 0;
}
.skip { position: absolute; left: -999rem; }
.skip:focus { position: static; }
nav { margin: .9rem 0 0; font-size: .95rem; }
nav a { display: inline-block; margin: 0 1rem .2rem 0; }
a { color: var(--served); }
:focus-visible { outline: 3px solid var(--served); outline-offset: 2px; border-radius: 3px; }
.verdict { display: grid; grid-template-columns: auto 1fr; gap: .4rem 1.5rem; align-items: start; }
.verdict ul, .findings { margin: .6rem 0 0; padding-left: 1.15rem; }
.verdict li, .findings li { margin: .35rem 0; max-width: 78ch; }
.grade {
  width: 6.2rem; text-align: center; border: 3px solid currentColor; border-radius: 14px; padding: .3rem .2rem .5rem;
}
.grade b { display: block; font-size: 3.9rem; line-height: 1.1; }
.grade span { display: block; font-size: .85rem; color: var(--soft); line-height: 1.25; }
.good { color: var(--good); } .fair { color: var(--fair); } .poor { color: var(--poor); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .8rem; margin: 1.2rem 0 0; padding: 0; }
.tiles div { border: 1px solid var(--hair); border-radius: 8px; padding: .7rem .9rem; }
.tiles dt { font-size: .9rem; color: var(--soft); line-height: 1.35; }
.tiles dd { margin: .1rem 0 0; font-size: 1.75rem; font-weight: 650; line-height: 1.25; }
.tiles dd + dd { font-size: .9rem; font-weight: 400; color: var(--soft); line-height: 1.4; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 0 1.1rem; }
.pair > section, .split > * { min-width: 0; }
.split { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 0 2rem; }
.split th, .split td, .pair th, .pair td { padding: .34rem .32rem; }
.whole { white-space: nowrap; }
.split th.name, .pair th.name { min-width: 4.5rem; }
figure { margin: .9rem 0 .4rem; max-width: 560px; }
svg { display: block; width: 100%; height: auto; overflow: visible; font-size: 12.5px; }
svg text { fill: var(--ink); }
svg .tick { fill: var(--soft); }
svg .strong { font-weight: 650; }
svg .small { font-size: .92em; }
svg .halo { paint-order: stroke; stroke: var(--sheet); stroke-width: 4px; stroke-linejoin: round; }
.fill.served { fill: var(--served); } .fill.rule { fill: var(--rule); } .fill.other { fill: var(--other); }
.fill.perfect { fill: var(--perfect); } .fill.happened { fill: var(--happened); } .band { fill: var(--band); }
.line { fill: none; stroke-linejoin: round; stroke-width: 1.8; }
.line.served { stroke: var(--served); stroke-width: 2.8; } .line.rule { stroke: var(--rule); stroke-width: 2.2; }
.line.other { stroke: var(--other); } .line.perfect { stroke: var(--perfect); stroke-dasharray: 6 4; }
.line.chance { stroke: var(--perfect); stroke-width: 1.3; stroke-dasharray: 1.5 3.5; }
.grid { stroke: var(--hair); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1; }
.whisker { stroke-width: 13; opacity: .35; }
.whisker.served { stroke: var(--served); } .whisker.rule { stroke: var(--rule); }
.whisker.other, .whisker.perfect { stroke: var(--other); }
.scrolls {
  overflow-x: auto; margin: .8rem 0 .3rem;
  background:
    linear-gradient(to left, var(--sheet) 30%, transparent) right / 2.5rem 100% no-repeat local,
    linear-gradient(to left, var(--shade), transparent) right / .8rem 100% no-repeat scroll;
}
table { border-collapse: collapse; font-size: .92rem; min-width: 100%; }
caption { text-align: left; padding: 0 0 .35rem; font-size: .92rem; }
caption span { position: sticky; left: 0; display: block; max-width: calc(100vw - 3.6rem); }
th, td { padding: .34rem .6rem; border-bottom: 1px solid var(--hair); vertical-align: top; unicode-bidi: isolate; }
thead th { border-bottom: 2px solid var(--hair); font-weight: 600; color: var(--soft); line-height: 1.3; vertical-align: bottom; }
th.name, .words { text-align: left; font-weight: 500; overflow-wrap: break-word; min-width: 7.5rem; max-width: 18rem; }
th.name { position: sticky; left: 0; background: var(--sheet); }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
td small, th small { display: block; color: var(--soft); font-size: .85em; font-weight: 400; }
.marked th, .marked td { background: var(--stripe); font-weight: 650; }
#candidates td { padding-left: .35rem; padding-right: .35rem; }
td.same { background: var(--stripe); }
details { margin: .7rem 0 0; }
summary { cursor: pointer; color: var(--served); font-weight: 550; width: fit-content; padding: .15rem 0; }
footer { color: var(--soft); font-size: .9rem; margin: 1.6rem 0 0; }
@media (max-width: 600px) {
  main { padding: 1.2rem .5rem 2.5rem; }
  header { padding: 0 .3rem; }
  section { padding: 1.05rem .85rem 1rem; border-radius: 8px; }
  h1 { font-size: 1.5rem; }
  .verdict { grid-template-columns: 1fr; }
  svg.chart { font-size: 15.5px; }
  svg.ranges { font-size: 14px; }
  figure { margin-left: -.4rem; margin-right: -.4rem; }
  .scrolls { margin-left: -.3rem; margin-right: -.3rem; }
  th, td { padding: .34rem .45rem; }
  th.name { min-width: 5.5rem; max-width: 8.5rem; }
}
@media print {
  :root {
    --page: #fff; --sheet: #fff; --ink: #000; --soft: #444; --hair: #ccc; --stripe: #eee; --served: #1f5fa8; --rule: #c96f12;
    --other: #6b7885; --perfect: #8d99a5; --band: #d9ebdf; --happened: #2a8f78; --good: #1d7a46; --fair: #9a6a00; --poor: #b3372b;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  nav, .skip { display: none; }
  section { border: 0; border-top: 1px solid var(--hair); border-radius: 0; padding: .8rem 0 .2rem; }
  section, figure, tr { break-inside: avoid; }
  section.long { break-inside: auto; }
  .scrolls { overflow: visible; background: none; }
  details::details-content { content-visibility: visible; height: auto; }
  .pair { grid-template-columns: 1fr 1fr; }
  .split { display: block; }
  .split figure { max-width: 11cm; }
}
"""

_LATIN = 'font: 16px/1.55 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;'
_CHINESE = (
    'font: 16px/1.7 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", '
    '"Noto Sans SC", SimHei, Arial, sans-serif;'
)
# Between letters of Chinese a line may break anywhere: headings of narrow columns would.
_HEADINGS = "thead th { word-break: keep-all; }\n"


def style(language: Language) -> str:
    """The style sheet; Chinese names fonts that have its letters in the forms of the mainland."""
    return STYLE.replace(_LATIN, _CHINESE) + _HEADINGS if language == "zh" else STYLE

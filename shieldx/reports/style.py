"""The style of the page in light mode, in dark mode and in print."""

from __future__ import annotations

_DAY = """
  --page: #ffffff; --panel: #f6f8fa; --ink: #1f2328; --muted: #59636e; --line: #d1d9e0;
  --right: #0969da; --wrong: #bc4c00; --shade: #ffffff;
  --good: #1a7f37; --fair: #9a6700; --bad: #cf222e;
"""
_NIGHT = """
  --page: #0d1117; --panel: #151b23; --ink: #f0f6fc; --muted: #9198a1; --line: #3d444d;
  --right: #4493f8; --wrong: #f0883e; --shade: #0d1117;
  --good: #3fb950; --fair: #d29922; --bad: #f85149;
"""

STYLE = (
    ":root { color-scheme: light dark;"
    + _DAY
    + "}\n@media screen and (prefers-color-scheme: dark) { :root {"
    + _NIGHT
    + "} }"
    + """
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
  Helvetica, Arial, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { font-size: 26px; line-height: 1.25; margin: 4px 0 16px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 12px; }
h3 { font-size: 15px; margin: 16px 0 8px; }
p { margin: 0 0 8px; }
section { margin-top: 32px; padding-top: 20px; border-top: 1px solid var(--line); }
.kind, .muted, caption, dt, figcaption { color: var(--muted); }
.kind { margin: 0; font-size: 13px; }
.verdict { display: flex; flex-wrap: wrap; gap: 20px 32px; align-items: center; padding: 20px;
  background: var(--panel); border: 1px solid var(--line); border-left: 6px solid var(--tone); border-radius: 8px; }
.verdict > div { flex: 1 1 300px; min-width: 0; }
.decision { font-size: 21px; font-weight: 650; color: var(--tone); margin: 0; }
.good { --tone: var(--good); } .fair { --tone: var(--fair); } .bad { --tone: var(--bad); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); gap: 24px 40px; }
.columns > * { min-width: 0; } .columns + p { margin-top: 12px; }
.wide { overflow-x: auto; } .wide + .wide { margin-top: 28px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 6px; overflow-wrap: anywhere; }
th, td { padding: 5px 16px 5px 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: middle; }
th { font-weight: 600; }
thead th { color: var(--muted); font-weight: 500; font-size: 13px; }
tbody th { font-weight: 400; overflow-wrap: anywhere; min-width: 110px; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
tr > :last-child { padding-right: 0; }
.matrix td { text-align: center; border: 2px solid var(--page); border-radius: 4px; padding: 14px 8px; }
.matrix tbody th, .matrix thead td { border: 0; padding: 5px 12px 5px 0; }
.matrix thead th { text-align: center; }
.matrix .count { display: block; font-size: 22px; font-weight: 600; }
.matrix .right { background: color-mix(in srgb, var(--right) var(--strength), var(--shade)); }
.matrix .wrong { background: color-mix(in srgb, var(--wrong) var(--strength), var(--shade)); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0; }
dd { margin: 0; overflow-wrap: anywhere; }
ol { margin: 0; padding-left: 24px; }
li { margin-bottom: 12px; overflow-wrap: anywhere; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.samples code { display: inline-block; background: var(--panel); border: 1px solid var(--line); border-radius: 4px;
  padding: 0 6px; margin: 4px 6px 0 0; max-width: 100%; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 14px; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 0; } figcaption { margin-top: 4px; }
svg { display: block; max-width: 100%; height: auto; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--muted); }
.bar { width: 180px; max-width: none; }
.track { fill: var(--line); } .whisker { stroke: var(--right); stroke-width: 2; }
.mark { fill: var(--right); } .target { stroke: var(--wrong); stroke-width: 1.5; stroke-dasharray: 3 2; }
.negatives .whisker { stroke: var(--wrong); } .negatives .mark { fill: var(--wrong); }
.negatives .target { stroke: var(--muted); }
.filled { fill: var(--tone, var(--right)); } .tick { stroke: var(--ink); stroke-width: 1.5; }
.grid { stroke: var(--line); } .chance { stroke: var(--muted); stroke-dasharray: 5 4; }
.curve { fill: none; stroke: var(--right); stroke-width: 2.5; stroke-linejoin: round; }
.goal { fill: var(--good); fill-opacity: .12; stroke: var(--good); stroke-opacity: .5; }
.point { fill: var(--right); stroke: var(--page); stroke-width: 2; }
svg .strong { fill: var(--ink); font-weight: 600; }
details { margin-top: 8px; } summary { cursor: pointer; color: var(--muted); }
footer { margin-top: 32px; color: var(--muted); font-size: 13px; }
@media print {
  body { font-size: 11px; } main { max-width: none; padding: 0; }
  thead th, code, pre, .kind { font-size: 10px; } h1 { font-size: 20px; } h2 { font-size: 15px; }
  section { margin-top: 16px; padding-top: 10px; } th, td { padding-top: 3px; padding-bottom: 3px; }
  .columns { grid-template-columns: 1fr 1fr; } .wide { overflow: visible; }
  h2, h3, caption, thead { break-after: avoid; }
  section, figure, tr, li, .verdict { break-inside: avoid; }
  .long { break-inside: auto; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  details { display: none; }
}
"""
)

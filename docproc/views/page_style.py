"""The style of the status page: one column on a phone, two on a desktop, light and dark as the reader's system is."""

STYLE = """
:root { color-scheme: light dark;
  --ground: #ffffff; --panel: #f6f8fa; --line: #d1d9e0; --text: #1f2328; --quiet: #59636e;
  --open: #0969da; --good: #1a7f37; --bad: #cf222e; --warn: #9a6700; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #0d1117; --panel: #161b22; --line: #30363d; --text: #e6edf3; --quiet: #9da7b3;
  --open: #4493f8; --good: #3fb950; --bad: #ff7b72; --warn: #d29922; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--ground); color: var(--text);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1 { margin: 0; font-size: 1.4rem; }
h2 { margin: 0 0 .6rem; font-size: 1.05rem; }
p { margin: .2rem 0; }
.name, code, li, header p { overflow-wrap: anywhere; }
time { white-space: nowrap; }
.quiet, caption, figure div, summary { color: var(--quiet); font-size: .85rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(6.6rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.numbers div, section { border: 1px solid var(--line); border-radius: 8px; background: var(--panel);
  padding: .7rem .8rem; }
.numbers dt { color: var(--quiet); font-size: .8rem; }
.numbers dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
main { display: grid; grid-template-columns: minmax(0, 1fr); gap: .8rem; }
.alerts { border-color: var(--bad); border-width: 2px; margin-bottom: .8rem; }
table { width: 100%; border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .22rem .5rem .22rem 0; text-align: left; vertical-align: top; font-weight: 400; }
thead th { color: var(--quiet); border-bottom: 1px solid var(--line); }
td:last-child, thead th:last-child { padding-right: 0; }
.number { text-align: right; white-space: nowrap; }
.states th[scope=row] { white-space: nowrap; }
.states td:last-child { width: 38%; vertical-align: middle; }
.bar { display: block; width: 100%; height: .8rem; }
.columns { display: block; width: 100%; height: 8rem; border-bottom: 1px solid var(--line);
  border-top: 1px dashed var(--line); }
figure { margin: 0 0 .5rem; }
.ends { display: flex; justify-content: space-between; }
.open, .spent { fill: var(--open); }
.complete { fill: var(--good); }
.failed { fill: var(--bad); }
.unknown { fill: none; stroke: var(--warn); stroke-dasharray: 3 3; vector-effect: non-scaling-stroke; }
ul { list-style: none; margin: 0; padding: 0; }
li { padding: .45rem 0; border-top: 1px solid var(--line); }
li:first-child { border-top: 0; padding-top: 0; }
code { font: .85rem ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.told { display: grid; grid-template-columns: 3rem minmax(0, 1fr); }
.key { color: var(--quiet); font-size: .85rem; }
.bad { color: var(--bad); font-weight: 600; }
footer { margin-top: 1rem; }
@media (max-width: 30rem) { body { padding: .6rem; font-size: 14px; } table { font-size: .78rem; }
  th, td { padding-right: .4rem; } .states td:last-child { width: 26%; } .states thead th { white-space: nowrap; } }
@media (max-width: 22rem) { .numbers div, section { padding: .5rem; } table { font-size: .7rem; } }
@media (min-width: 56rem) { main { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .wide { grid-column: 1 / -1; } }
"""

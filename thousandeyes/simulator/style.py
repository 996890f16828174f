"""The page's looks."""

STYLE = """
:root {
  --ink: #1c2430; --quiet: #66707f; --line: #e1e5ea; --ground: #f6f7f9; --card: #fff;
  --accent: #1668b8; --good: #19703a; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e8ee; --quiet: #97a1b0; --line: #2c333d; --ground: #12161b; --card: #1a2027;
    --accent: #62aef5; --good: #6fcf8e; --bad: #ff8a80;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 68rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { margin: 0; font-size: 1.7rem; letter-spacing: -.015em; }
h2 { margin: 0; font-size: .85rem; font-weight: 600; color: var(--quiet); }
h2.above { margin: 2rem 0 .6rem; }
p { margin: 0; }
.lead { margin-top: .35rem; max-width: 44rem; color: var(--quiet); }
.cards { display: grid; gap: 1rem; margin-top: 1.6rem; grid-template-columns: 1fr 1fr 1.5fr; }
.card, .scroll { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.card { padding: 1rem 1.1rem; min-width: 0; }
.figure { margin-top: .3rem; }
.figure strong { font-size: 1.7rem; font-variant-numeric: tabular-nums; }
.bar { height: 6px; margin: .5rem 0; border-radius: 3px; background: var(--line); }
.bar span { display: block; height: 100%; border-radius: 3px; background: var(--accent); }
.note, .quiet { color: var(--quiet); }
.note { font-size: .85rem; }
.good { color: var(--good); }
.bad { color: var(--bad); }
pre, code, .id { font: .85rem/1.7 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { margin: .5rem 0 0; overflow-x: auto; user-select: all; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .45rem 1.1rem; text-align: left; white-space: nowrap; }
th { font-size: .8rem; font-weight: 600; color: var(--quiet); }
td { border-top: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
@media (max-width: 52rem) { .cards { grid-template-columns: 1fr; } }
"""

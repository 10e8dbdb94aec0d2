/** The look of the page: light and dark, on paper, and for eyes that tell few colours apart (Okabe and Ito’s palette). */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --faint: #5b6470; --rule: #d8dce1; --paper: #fff; --panel: #f5f6f8;
  --bad: #b3261e; --notable: #8a5a00; --good: #1a6e3c;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #a5548a; --s4: #8f7400; --s5: #3a9bd4; --s6: #5b6470; --s7: #7a4a1e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --faint: #a3adb8; --rule: #3a414a; --paper: #14171a;
  --panel: #1d2125; --bad: #ff8a80; --notable: #f5c04e; --good: #74d39a;
  --s0: #56b4e9; --s1: #ff9a4d; --s2: #35c79b; --s3: #e39cc8; --s4: #e0c64a; --s5: #9ad0f5; --s6: #a3adb8; --s7: #cf9e70; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--rule) }
p { margin: .5rem 0; max-width: 52rem; overflow-wrap: anywhere }
.sub, caption, figcaption, .tick, summary { color: var(--faint) }
nav ul { list-style: none; padding: 0; margin: 1rem 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem }
a { color: inherit }
.findings { list-style: none; padding: 0; margin: 1rem 0; max-width: 56rem }
.findings > li { border-left: 4px solid var(--rule); background: var(--panel); margin: .5rem 0; padding: .5rem .75rem; overflow-wrap: anywhere }
.findings > li.bad { border-color: var(--bad) } .findings > li.notable { border-color: var(--notable) } .findings > li.good { border-color: var(--good) }
.weight { font-weight: 600; margin-right: .25rem }
.bad > .weight { color: var(--bad) } .notable > .weight { color: var(--notable) } .good > .weight { color: var(--good) }
.findings ul { margin: .25rem 0 0; padding-left: 1.25rem }
.scroll { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; min-width: 30rem }
caption { text-align: left; padding: .25rem 0 .5rem; font-weight: 600 }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--rule) }
.w { overflow-wrap: anywhere; min-width: 12rem }
thead th { font-weight: 600; white-space: nowrap } tbody th { font-weight: 400; white-space: nowrap }
td { max-width: 26rem; min-width: 3rem } .n { text-align: right } .n, .t { white-space: nowrap }
figure { margin: 1.5rem 0 } figcaption { font-weight: 600 }
figure svg { width: 100%; height: auto; display: block }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1.25rem; padding: 0; margin: .25rem 0; font-size: .875rem }
.legend .key { display: inline-block; width: 24px; height: 10px; margin-right: .4rem }
.tick { font-size: 12px; fill: var(--faint) } .grid { stroke: var(--rule); stroke-width: 1 } .axis { stroke: var(--faint); stroke-width: 1 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round } .bar { stroke: none } .dot { stroke: none }
${styles()}
.trouble.line { stroke: var(--bad); stroke-width: 3 } .trouble.bar, .trouble.dot { fill: var(--bad) }
.mark { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3 } .mark-number { fill: var(--ink) }
.mark-text { fill: var(--paper); font-size: 11px; font-weight: 600 }
.span { fill: var(--s1); fill-opacity: .28 } .gap { fill: var(--bad); fill-opacity: .55 } .hit { fill: transparent }
.hit:hover { fill: var(--ink); fill-opacity: .08 }
details { font-size: .875rem } summary { cursor: pointer; width: max-content }
pre { background: var(--panel); padding: .6rem .75rem; overflow-x: auto; font-size: .8125rem; margin: .25rem 0 1rem }
footer { margin-top: 3rem; color: var(--faint); font-size: .875rem }
@media print { body { max-width: none; padding: 0; font-size: 11px } nav, details { display: none } h2 { break-after: avoid }
  figure, tr, .findings > li { break-inside: avoid } .scroll { overflow: visible } td { max-width: none }
  :root { color-scheme: light; --ink: #000; --paper: #fff; --panel: #fff } pre { white-space: pre-wrap; overflow-wrap: anywhere } }
`

function styles(): string {
  const dashes = ['none', '7 3', '2 3', '10 3 2 3', '4 2', '12 4', '1 3', '6 2 1 2']
  return dashes
    .map(
      (dash, at) =>
        `.s${at}.line { stroke: var(--s${at}); stroke-dasharray: ${dash} } .s${at}.bar, .s${at}.dot { fill: var(--s${at}) }`,
    )
    .join('\n')
}

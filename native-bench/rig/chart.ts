/**
 * The chart for the README: CPU per request of the gateway and its peers as bars, one group for each kind of work. Plain
 * SVG without scripts; readable on light and dark pages, with names beside the bars so that colour is never
 * the only sign.
 */
import type { PointSummary, Summary } from './summary.ts'

const WIDTH = 760
const LEFT = 210
const RIGHT = 150
const BAR = 16
const GAP = 4
const GROUP_GAP = 30

const SHOWN: readonly (readonly [work: string, point: string, title: string])[] = [
  ['pass-through', '0.1 KB, saturation', 'Pass-through, 0.1 KB, saturated'],
  ['pass-through', '1 KB, 10k/s', 'Pass-through, 1 KB, 10,000 requests a second'],
  ['split', 'saturation', '90/10 split, sticky by user, saturated'],
  ['shadow', 'saturation', 'Split, 100 % shadow and decision log, saturated'],
]

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 } .note { fill: #59636e }
  .gateway { fill: #0969da } .peer { fill: #8c959f } .whisker { stroke: #1f2328; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 } .gateway { fill: #4493f8 } .peer { fill: #656c76 }
    .whisker { stroke: #e6edf3 }
  }`

export function chart(points: readonly Summary[]): string {
  const lines: string[] = []
  let y = 24
  for (const [work, point, title] of SHOWN) {
    const summary = points.find(
      (one): one is PointSummary => one.kind === 'paired' && one.work === work && one.point === point,
    )
    if (summary === undefined) continue
    lines.push(`<text class="title" x="0" y="${y}">${escaped(title)}</text>`)
    y += 10
    const parts = Object.entries(summary.parts).filter(([, { cpu }]) => cpu.median > 0)
    const longest = Math.max(...parts.map(([, { cpu }]) => cpu.high))
    for (const [name, { cpu }] of parts) {
      const at = (value: number): number => LEFT + (value / longest) * (WIDTH - LEFT - RIGHT)
      const middle = y + BAR / 2
      const end = Math.max(at(cpu.median), at(cpu.high)) + 6
      lines.push(
        `<text x="${LEFT - 8}" y="${middle + 4}" text-anchor="end">${escaped(name)}</text>`,
        `<rect class="${name.includes('gateway') ? 'gateway' : 'peer'}" x="${LEFT}" y="${y}" width="${(at(cpu.median) - LEFT).toFixed(1)}" height="${BAR}" rx="2"/>`,
        `<path class="whisker" d="M${at(cpu.low).toFixed(1)} ${middle}H${at(cpu.high).toFixed(1)}"/>`,
        `<text x="${end.toFixed(1)}" y="${middle + 4}">${cpu.median.toFixed(1)} µs</text>`,
      )
      y += BAR + GAP
    }
    y += GROUP_GAP
  }
  lines.push(
    `<text class="note" x="0" y="${y}">CPU time of all threads per request, one core; median and 95 % interval over paired blocks. Shorter is better.</text>`,
  )
  const height = y + 12
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="CPU time per request of the gateway and other proxies">
<style>${STYLE}
</style>
${lines.join('\n')}
</svg>
`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

/**
 * Charts as SVG within the page: no script, no network, no style attribute. Series differ by dash and legend as well
 * as by colour; each slot tells its numbers when pointed at, and a table behind the chart has all of them.
 */
import type { Chart, Series, TimeAxis } from '../document.ts'
import { minute } from '../words.ts'
import { escaped } from './escape.ts'
import { type Scale, scaleOf, timeTicks } from './scale.ts'

const WIDTH = 960
const HEIGHT = 240
const LEFT = 104
const RIGHT = 40
const TOP = 26
const BOTTOM = 30
const INNER = WIDTH - LEFT - RIGHT
const FLOOR = HEIGHT - BOTTOM

/** So many have a colour and a dash of their own. */
const STYLES = 8

export function chartHtml(chart: Chart, id: string): string {
  const { title, description, series } = chart
  const scale = scaleOf(...extent(chart))
  const parts = [
    ...spans(chart.axis),
    ...grid(scale, chart),
    ...(chart.form === 'stack'
      ? bars(chart, scale)
      : series.flatMap((one, at) => line(one, at, chart, scale))),
    ...marks(chart.axis),
    ...hits(chart),
  ]
  return `<figure>
<figcaption>${escaped(title)}</figcaption>
${legend(chart)}
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="${id}-title ${id}-text">
<title id="${id}-title">${escaped(title)}</title>
<desc id="${id}-text">${escaped(`${description}. The table below has its numbers.`)}</desc>
${parts.join('\n')}
</svg>
${numbers(chart)}
</figure>`
}

function extent({ form, series, axis }: Chart): [least: number, most: number] {
  const values =
    form === 'stack'
      ? axis.slots.map((_, slot) => series.reduce((sum, { values }) => sum + (values[slot] ?? 0), 0))
      : series.flatMap(({ values }) => values.filter((value): value is number => value !== null))
  return [Math.min(0, ...values), Math.max(0, ...values)]
}

export function styleOf({ isTrouble = false }: Series, at: number): string {
  return isTrouble ? 'trouble' : `s${at % STYLES}`
}

function legend({ series, axis }: Chart): string {
  const keys = series.map((one, at) => key(`<path class="line ${styleOf(one, at)}" d="M0 5H24"/>`, one.name))
  const areas = [
    ['span', 'a breaker was not closed', axis.spans.some(({ isGap }) => !isGap)],
    ['gap', 'records were lost', axis.spans.some(({ isGap }) => isGap)],
  ] as const
  for (const [style, words, isShown] of areas) {
    if (isShown) keys.push(key(`<rect class="${style}" x="7" y="0" width="10" height="10"/>`, words))
  }
  if (axis.marks.length > 0) keys.push(key('<path class="mark" d="M12 0V10"/>', 'a change, by its number'))
  return `<ul class="legend">${keys.join('')}</ul>`
}

function key(drawing: string, words: string): string {
  return `<li><svg class="key" viewBox="0 0 24 10" aria-hidden="true">${drawing}</svg>${escaped(words)}</li>`
}

function spans(axis: TimeAxis): string[] {
  return axis.spans.map(({ from, to, label, isGap }) => {
    const [left, right] = [xOf(from, axis), xOf(to, axis)]
    const width = Math.max(1.5, right - left)
    return `<rect class="${isGap ? 'gap' : 'span'}" x="${fixed(left)}" y="${TOP}" width="${fixed(width)}" height="${FLOOR - TOP}"><title>${escaped(label)}</title></rect>`
  })
}

function grid(scale: Scale, { axis, write }: Chart): string[] {
  const across = scale.ticks.map((tick) => {
    const y = fixed(yOf(tick, scale))
    return `<path class="${tick === 0 ? 'axis' : 'grid'}" d="M${LEFT} ${y}H${WIDTH - RIGHT}"/><text class="tick" x="${LEFT - 8}" y="${y}" text-anchor="end" dominant-baseline="middle">${escaped(write(tick).replace('.00 ', ' '))}</text>`
  })
  const down = timeTicks(axis).map(({ at, label }) => {
    const x = fixed(xOf(at, axis))
    return `<path class="axis" d="M${x} ${FLOOR}v5"/><text class="tick" x="${x}" y="${HEIGHT - 8}" text-anchor="middle">${escaped(label)}</text>`
  })
  return [...across, ...down]
}

function bars({ series, axis }: Chart, scale: Scale): string[] {
  const paths = series.map(() => '')
  for (const [slot, start] of axis.slots.entries()) {
    const left = xOf(Math.max(start, axis.from), axis)
    const right = xOf(Math.min(start + axis.slotMs, axis.to), axis)
    const gap = Math.min(1, (right - left) / 5)
    let sum = 0
    for (const [at, { values }] of series.entries()) {
      const value = values[slot] ?? 0
      if (value === 0) continue
      const [low, high] = [yOf(sum, scale), yOf(sum + value, scale)]
      paths[at] += `M${fixed(left)} ${fixed(low)}V${fixed(high)}H${fixed(right - gap)}V${fixed(low)}Z`
      sum += value
    }
  }
  return series.map((one, at) => `<path class="bar ${styleOf(one, at)}" d="${paths[at]}"/>`)
}

/** Through the middles of the slots; broken where there is nothing, a dot where only one slot has something. */
function line(series: Series, at: number, { axis }: Chart, scale: Scale): string[] {
  const style = styleOf(series, at)
  let path = ''
  const dots: string[] = []
  for (const [slot, value] of series.values.entries()) {
    if (value === null) continue
    const [x, y] = [fixed(middleOf(slot, axis)), fixed(yOf(value, scale))]
    const [before, after] = [series.values[slot - 1] ?? null, series.values[slot + 1] ?? null]
    if (before === null && after === null)
      dots.push(`<circle class="dot ${style}" cx="${x}" cy="${y}" r="2.5"/>`)
    path += `${before === null ? 'M' : 'L'}${x} ${y}`
  }
  return [`<path class="line ${style}" d="${path}"/>`, ...dots]
}

function marks(axis: TimeAxis): string[] {
  return axis.marks.map(({ at, label, words }) => {
    const x = fixed(xOf(at, axis))
    return `<path class="mark" d="M${x} ${TOP}V${FLOOR}"/><circle class="mark-number" cx="${x}" cy="${TOP - 12}" r="9"><title>${escaped(words)}</title></circle><text class="mark-text" x="${x}" y="${TOP - 12}" text-anchor="middle" dominant-baseline="central">${escaped(label)}</text>`
  })
}

function hits({ series, axis, write }: Chart): string[] {
  return axis.slots.map((start, slot) => {
    const left = xOf(Math.max(start, axis.from), axis)
    const right = xOf(Math.min(start + axis.slotMs, axis.to), axis)
    const told = series.flatMap(({ name, values }) => {
      const value = values[slot] ?? null
      return value === null ? [] : [`${name}: ${write(value)}`]
    })
    const text = escaped([minute(new Date(start).toISOString()), ...told].join(' · '))
    return `<rect class="hit" x="${fixed(left)}" y="${TOP}" width="${fixed(right - left)}" height="${FLOOR - TOP}"><title>${text}</title></rect>`
  })
}

function numbers({ title, series, axis, write }: Chart): string {
  const head = series.map(({ name }) => `<th scope="col" class="n">${escaped(name)}</th>`).join('')
  const rows = axis.slots.map((start, slot) => {
    const cells = series.map(({ values }) => {
      const value = values[slot] ?? null
      return `<td class="n">${value === null ? '–' : escaped(write(value))}</td>`
    })
    return `<tr><th scope="row">${minute(new Date(start).toISOString())}</th>${cells.join('')}</tr>`
  })
  return `<details><summary>The numbers of this chart</summary><div class="scroll" role="region" tabindex="0" aria-label="${escaped(title)}"><table><thead><tr><th scope="col">from (UTC)</th>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div></details>`
}

function xOf(at: number, { from, to }: TimeAxis): number {
  return LEFT + ((at - from) / (to - from)) * INNER
}

function middleOf(slot: number, axis: TimeAxis): number {
  const start = axis.slots[slot]!
  return (xOf(Math.max(start, axis.from), axis) + xOf(Math.min(start + axis.slotMs, axis.to), axis)) / 2
}

function yOf(value: number, { from, to }: Scale): number {
  return FLOOR - ((value - from) / (to - from)) * (FLOOR - TOP)
}

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10)
}

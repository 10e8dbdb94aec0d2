/** What all charts of a report have below them: slots, and what happened meanwhile. */
import type { Span, TimeAxis } from './document.ts'
import type { Report } from './report.ts'

/** More would be a curtain. */
const SPANS_MAX = 200

export function timeAxisOf({ range, traffic, changes, actions, completeness }: Report): TimeAxis {
  const slots = traffic.slots.map((slot) => Date.parse(slot))
  const from = Math.max(Date.parse(range.from), slots[0] ?? 0)
  const to = Math.min(Date.parse(range.to), (slots.at(-1) ?? Infinity) + traffic.slotMs)
  const within = (span: Span): Span => ({
    ...span,
    from: Math.max(from, span.from),
    to: Math.min(to, span.to),
  })
  const breakers = actions.breakers.flatMap(({ version, spells }) =>
    spells.map((spell) => ({
      from: spell.from === null ? from : Date.parse(spell.from),
      to: spell.to === null ? to : Date.parse(spell.to),
      label: `breaker of ${version} not closed`,
      isGap: false,
    })),
  )
  const gaps = completeness.gaps.map(({ since, until, records }) => ({
    from: Date.parse(since),
    to: Date.parse(until),
    label: `${records} records lost`,
    isGap: true,
  }))
  return {
    from,
    to,
    slotMs: traffic.slotMs,
    slots,
    marks: changes.map(({ at, number, words }) => ({ at: Date.parse(at), label: String(number), words })),
    spans: [...breakers, ...gaps].slice(0, SPANS_MAX).map(within),
  }
}

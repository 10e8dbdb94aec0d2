/** The order of a report: the answer, how it came about, what was done, what it was worth, what is missing, and the proof. */
import { type Section, words } from './document.ts'
import type { Report } from './report.ts'
import { actionsSection, changesSection } from './sections-changes.ts'
import { evidenceSection, logSection } from './sections-log.ts'
import { glanceSection, outcomeSection, trafficSection } from './sections-traffic.ts'
import { timeAxisOf } from './time-axis.ts'
import { minute } from './words.ts'

export function titleOf({ model, range }: Report): string {
  return `Model ${model}, ${minute(range.from)} to ${minute(range.to)} UTC`
}

export function subtitleOf({ askedAt }: Report): string {
  return `Times are UTC; the end of the range is not included. The log was asked on ${minute(askedAt)}.`
}

/** `elsewhere`: what a report without requests can say of the model's other times; null: nothing. */
export function sectionsOf(report: Report, elsewhere: string | null): Section[] {
  const axis = timeAxisOf(report)
  const isEmpty = report.glance.requests === 0
  const others = [changesSection(report), actionsSection(report)]
  const ending = [logSection(report), evidenceSection(report)]
  if (isEmpty) return [emptySection(elsewhere), ...others, ...ending]
  const outcomes = outcomeSection(report, axis)
  return [
    glanceSection(report),
    trafficSection(report, axis),
    ...others,
    ...(outcomes === null ? [] : [outcomes]),
    ...ending,
  ]
}

function emptySection(elsewhere: string | null): Section {
  const blocks = [
    words('The log has no request to this model in this range.'),
    ...(elsewhere === null ? [] : [words(elsewhere)]),
  ]
  return { id: 'glance', title: 'At a glance', blocks }
}

/** The answer at a glance, traffic and latency over time, and outcomes. */
import {
  type Block,
  type Chart,
  column,
  figure,
  type Section,
  type TimeAxis,
  table,
  words,
} from './document.ts'
import { named } from './findings.ts'
import type { OutcomeSummary, Report } from './report.ts'
import { amount, count, counted, estimated, lasted, milliseconds, percent, ranged } from './words.ts'

export function glanceSection({ glance, outcomes }: Report): Section {
  const { requests, answered, degraded, failed, callersDoing, kept, questions } = glance
  const of = (part: number) => `${count(part)} (${percent(part / requests)})`
  const who = glance.answeredBy.map((one) => `${one.version} ${percent(one.share)}`)
  const lines = [
    `${counted(requests, 'request')}: ${of(answered)} answered by the version that was meant to, ${of(degraded)} by a declared consequence in its place, ${of(failed)} failed, ${of(callersDoing)} ended by the caller’s own doing.`,
    ...(who.length === 0 ? [] : [`Answered by ${who.join(', ')}.`]),
    ...outcomes.filter(({ isMoney }) => isMoney).map(moneyLine),
    ...(kept > 0 ? [`${count(kept)} of the answers had been given before (cache or idempotency key).`] : []),
    ...(questions > 0
      ? [
          `${counted(questions, 'question')} about the model itself (metadata, readiness) are not counted here.`,
        ]
      : []),
  ]
  return {
    id: 'glance',
    title: 'At a glance',
    blocks: [...lines.map(words), { kind: 'points', points: glance.findings }],
  }
}

function moneyLine({ name, unit, versions }: OutcomeSummary): string {
  const told = versions.map(({ version, total }) => `${named(version)} ${amount(total, unit)}`)
  const total = versions.reduce((sum, one) => sum + one.total, 0)
  return `Known ${name}: ${amount(total, unit)} (${told.join(', ')}).`
}

export function trafficSection(report: Report, axis: TimeAxis): Section {
  const { traffic } = report
  return {
    id: 'traffic',
    title: 'Traffic and latency over time',
    blocks: [
      words(
        `Each slot is ${lasted(traffic.slotMs)}. Trouble: the caller got an error, or a declared consequence in place of the version that was meant. Durations are of answers, in bins 2.2 % wide.`,
      ),
      ...trafficCharts(report, axis),
      ...versionTable(report),
      ...endingTable(report),
      ...shadowBlocks(report, axis),
      ...table(
        'Answers that were passed on as they came',
        [column('ended'), figure('answers')],
        traffic.streams.map(({ fate, answers }) => [fate, count(answers)]),
      ),
    ],
  }
}

function trafficCharts({ traffic, glance }: Report, axis: TimeAxis): Chart[] {
  const { versions, endings } = traffic
  const answered = versions.filter(({ answers }) => answers > 0)
  const others = traffic.slots.map((_, slot) => {
    const all = endings.reduce((sum, { overTime }) => sum + overTime[slot]!, 0)
    return all - versions.reduce((sum, { overTime }) => sum + overTime.answers[slot]!, 0)
  })
  const meant = versions.filter((one) => one.meant > 0)
  const line = (title: string, description: string) =>
    ({ kind: 'chart', form: 'line', title, description, axis }) as const
  return [
    {
      kind: 'chart',
      form: 'stack',
      title: 'Requests',
      description: `${count(glance.requests)} requests by the version that answered`,
      axis,
      series: [
        ...answered.map(({ version, overTime }) => ({ name: version, values: overTime.answers })),
        ...(others.some((one) => one > 0)
          ? [{ name: 'by no version', values: others, isTrouble: true }]
          : []),
      ],
      write: count,
    },
    {
      ...line('Trouble', 'Share of what was meant for each version that ended in an error or a stand-in'),
      series: meant.map(({ version, overTime }) => ({
        name: version,
        values: overTime.meant.map((all, slot) => (all === 0 ? null : overTime.troubled[slot]! / all)),
      })),
      write: percent,
    },
    ...(['p50', 'p99'] as const).map((quantile) => ({
      ...line(`Duration, ${quantile}`, `${quantile} of the durations of each version’s answers`),
      series: answered.map(({ version, overTime }) => ({ name: version, values: overTime[`${quantile}Ms`] })),
      write: milliseconds,
    })),
  ]
}

function versionTable({ traffic }: Report): Block[] {
  return table(
    'Versions',
    [
      ...[column('version'), figure('answers'), figure('share'), figure('meant'), figure('trouble')],
      ...[figure('95 % range'), figure('p50'), figure('p95'), figure('p99')],
    ],
    traffic.versions.map(({ version, answers, share, meant, troubleRate, durationMs }) => [
      ...[version, count(answers), percent(share), count(meant)],
      troubleRate === null ? '–' : percent(troubleRate.value),
      troubleRate === null ? '–' : ranged(troubleRate.low!, troubleRate.high!, percent),
      ...(durationMs === null
        ? ['–', '–', '–']
        : [durationMs.p50, durationMs.p95, durationMs.p99].map(milliseconds)),
    ]),
  )
}

function endingTable({ traffic, glance }: Report): Block[] {
  return table(
    'How requests ended',
    [column('ending'), figure('requests'), figure('share'), column('meaning')],
    traffic.endings.map(({ outcome, requests, meaning }) => [
      ...[outcome, count(requests), percent(requests / glance.requests), meaning],
    ]),
  )
}

function shadowBlocks({ traffic }: Report, axis: TimeAxis): Block[] {
  const { shadows } = traffic
  if (shadows.length === 0) return []
  return [
    {
      kind: 'chart',
      form: 'line',
      title: 'Shadows’ agreement',
      description: 'Share of the compared copies whose answer agreed with the one that was served',
      axis,
      series: shadows.map(({ version, overTime }) => ({
        name: version,
        values: overTime.compared.map((all, slot) => (all === 0 ? null : overTime.agree[slot]! / all)),
      })),
      write: percent,
    },
    ...table(
      'Shadows',
      [
        ...[column('version'), figure('copies'), figure('answered'), figure('compared'), figure('agree')],
        figure('p99'),
      ],
      shadows.map(({ version, copies, answered, agree, differ, agreement, durationMs }) => [
        ...[version, count(copies), count(answered), count(agree + differ), estimated(agreement, percent)],
        durationMs === null ? '–' : milliseconds(durationMs.p99),
      ]),
    ),
  ]
}

/** Null where no outcome is known. */
export function outcomeSection({ outcomes }: Report, axis: TimeAxis): Section | null {
  if (outcomes.length === 0) return null
  return {
    id: 'outcomes',
    title: 'What became of the decisions',
    blocks: [
      words(
        'Outcomes told later, joined to the decisions of this range by request id; of several of a name for one decision the last counts. A mean’s range supposes that the decisions whose outcome is known are like the others.',
      ),
      ...outcomes.flatMap((outcome) => outcomeBlocks(outcome, axis)),
    ],
  }
}

function outcomeBlocks({ name, unit, isMoney, versions }: OutcomeSummary, axis: TimeAxis): Block[] {
  const write = (value: number) => amount(value, unit)
  const title = unit === '' ? name : `${name}, ${unit}`
  const chart: Chart = {
    kind: 'chart',
    form: 'line',
    title: `${title}, added up`,
    description: `Running total of ${name} by the version that answered`,
    axis,
    series: versions.map(({ version, totalOverTime }) => {
      let total = 0
      const values = totalOverTime.map((one) => {
        total += one
        return total
      })
      return { name: named(version), values }
    }),
    write,
  }
  const columns = [column('version'), figure('total'), figure('mean'), figure('known'), figure('of answers')]
  const rows = versions.map(({ version, total, mean, withOutcome, decisions }) => [
    ...[named(version), write(total), estimated(mean, write), count(withOutcome)],
    decisions === 0 ? '–' : percent(withOutcome / decisions),
  ])
  return [...(isMoney ? [chart] : []), ...table(title, columns, rows)]
}

/** What was changed and by whom, what followed, and what the gateway did by itself. */
import { type Block, column, figure, moment, type Section, table, words } from './document.ts'
import type { Change, Comparison, Pair, Report, Spell } from './report.ts'
import {
  amount,
  count,
  counted,
  estimated,
  lasted,
  milliseconds,
  minute,
  percent,
  shortHash,
} from './words.ts'

export function changesSection({ changes, approvals, changesNotCompared }: Report): Section {
  const rows = changes.map(({ number, at, sequence, words: what, approvalWords }) => [
    ...[String(number), minute(at), place(sequence), what, approvalWords],
  ])
  return {
    id: 'changes',
    title: 'What changed, and who approved it',
    blocks: [
      ...(changes.length === 0
        ? [words('Nothing on record: no other configuration came into force, no rollout took a step.')]
        : []),
      ...table(
        'Changes',
        [figure('no'), moment('when'), figure('record'), column('what'), column('approval')],
        rows,
      ),
      ...table(
        'Approvals on record',
        [
          moment('when'),
          figure('record'),
          column('change'),
          column('by'),
          column('verdict'),
          column('words'),
          column('configuration'),
        ],
        approvals.map(({ at, sequence, change, by, isApproved, words: said, result }) => [
          ...[
            minute(at),
            place(sequence),
            change,
            by,
            isApproved ? 'approved' : 'rejected',
            said,
            shortHash(result),
          ],
        ]),
      ),
      words(
        'The log holds the hash of each configuration, not its text. That something followed a change does not prove that the change was its cause.',
      ),
      ...changes.flatMap(comparisonBlocks),
      ...(changesNotCompared > 0
        ? [
            words(
              `${counted(changesNotCompared, 'later change')} of the range are not compared: ask for a shorter range.`,
            ),
          ]
        : []),
    ],
  }
}

const COMPARED = [column('version'), column('what'), figure('before'), figure('after'), column('verdict')]
const BESIDE = [column('version'), column('what'), figure('the other'), figure('this one'), column('verdict')]

function comparisonBlocks({ number, comparison }: Change): Block[] {
  if (comparison === null) return []
  const { before, after, versions, beside } = comparison
  const spans = `${minute(before.from)} to ${minute(before.to)} (${counted(before.requests, 'request')}) against ${minute(after.from)} to ${minute(after.to)} (${counted(after.requests, 'request')})`
  const own =
    before.requests === 0
      ? []
      : versions.flatMap(({ version, share, ...difference }) => [
          [version, 'share', ...pairCells(share, percent)],
          ...differenceRows(version, difference),
        ])
  const other = beside.flatMap(({ version, against, ...difference }) =>
    differenceRows(`${version} beside ${against}`, difference),
  )
  return [
    ...table(`Before and after change ${number}: ${spans}`, COMPARED, own),
    ...table(`Beside each other after change ${number}`, BESIDE, other),
  ]
}

type Difference = Omit<Comparison['beside'][number], 'version' | 'against'>

function differenceRows(name: string, { troubleRate, p99Ms, outcomes }: Difference): string[][] {
  return [
    [name, 'trouble', ...pairCells(troubleRate, percent)],
    [name, 'p99', ...pairCells(p99Ms, milliseconds)],
    ...outcomes.map((outcome) => [
      ...[name, `mean ${outcome.name}`, ...pairCells(outcome, (value) => amount(value, outcome.unit))],
    ]),
  ]
}

const VERDICTS: Readonly<Record<Pair['verdict'], string>> = {
  higher: 'higher',
  lower: 'lower',
  'no-clear-difference': 'no clear difference',
  'too-few-to-tell': 'too few to tell',
  'one-sided': '–',
}

function pairCells(pair: Pair, write: (value: number) => string): string[] {
  return [estimated(pair.before, write), estimated(pair.after, write), VERDICTS[pair.verdict]]
}

export function actionsSection(report: Report): Section {
  const { breakers, endpoints, consequences, lanesReplaced, pressureMax } = report.actions
  const isQuiet = breakers.length + endpoints.length + consequences.length === 0
  const sentences = [
    ...(isQuiet
      ? ['No breaker opened, no endpoint was passed over, no declared consequence was needed.']
      : []),
    ...(lanesReplaced > 0
      ? [`${counted(lanesReplaced, 'lane')} of the gateway had to be replaced after an error.`]
      : []),
    ...(pressureMax > 0 ? [`The gateway was short of time or memory, up to level ${pressureMax} of 3.`] : []),
  ]
  return {
    id: 'actions',
    title: 'What the gateway did by itself',
    blocks: [
      ...sentences.map(words),
      ...spellTables(report),
      ...consequenceBlocks(report),
      ...timelineBlocks(report),
    ],
  }
}

const SPELL = [
  ...[moment('from'), moment('to'), figure('lasted'), figure('record')],
  ...[column('cause'), column('ended')],
]

function spellTables({ actions }: Report): Block[] {
  return [
    ...table(
      'Breakers',
      [column('version'), ...SPELL],
      actions.breakers.flatMap(({ version, spells }) => spellRows([version], spells)),
    ),
    ...table(
      'Endpoints passed over',
      [column('version'), column('endpoint'), ...SPELL],
      actions.endpoints.flatMap(({ version, endpoint, spells }) => spellRows([version, endpoint], spells)),
    ),
  ]
}

function consequenceBlocks({ actions }: Report): Block[] {
  const { consequences, touched } = actions
  if (consequences.length === 0) return []
  return [
    ...table(
      'Declared consequences',
      [
        ...[column('because of'), column('consequence'), figure('requests'), figure('callers')],
        figure('sticky keys'),
      ],
      consequences.map(({ because, consequence, requests, callers, keys }) => [
        ...[because || '(other)', consequence, count(requests), count(callers), count(keys)],
      ]),
    ),
    words(
      `Together they touched ${counted(touched.requests, 'request')} of ${counted(touched.callers, 'caller')} (distinct addresses) with ${counted(touched.keys, 'sticky key')}. “fail”: the error was passed on.`,
    ),
  ]
}

function timelineBlocks({ timeline, timelineLeftOut }: Report): Block[] {
  const left = `${counted(timelineLeftOut, 'more event')} of kinds that repeat are left out here.`
  return [
    ...table(
      'Everything in order',
      [moment('when'), figure('record'), column('kind'), column('what')],
      timeline.map(({ at, sequence, kind, words: what, change }) => [
        ...[minute(at), place(sequence), kind, change === null ? what : `${what} (change ${change})`],
      ]),
    ),
    ...(timelineLeftOut > 0 ? [words(left)] : []),
  ]
}

/** Of one breaker or endpoint; a week of flapping is told by its beginning. */
const SPELLS_MAX = 20

function spellRows(lead: readonly string[], spells: readonly Spell[]): string[][] {
  const rows = spells.slice(0, SPELLS_MAX).map(({ from, to, cause, ended, sequence, reopened }) => {
    const lasting = from === null || to === null ? '–' : lasted(Date.parse(to) - Date.parse(from))
    const again =
      reopened === 0 ? '' : ` (opened anew ${reopened === 1 ? 'once' : `${count(reopened)} times`})`
    const begun = from === null ? 'before the range' : minute(from)
    return [
      ...lead,
      begun,
      to === null ? '–' : minute(to),
      lasting,
      place(sequence),
      cause,
      `${ended}${again}`,
    ]
  })
  const more = spells.length - SPELLS_MAX
  if (more <= 0) return rows
  return [...rows, [...lead, `and ${count(more)} more`, '', '', '', '', '']]
}

/** Where a record stands; a dash for one that had no place yet. */
export function place(sequence: number | null): string {
  return sequence === null ? '–' : String(sequence)
}

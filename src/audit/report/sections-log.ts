/** What the log itself lacks, and why the rest can be believed. */
import { type Block, column, figure, moment, type Section, table, words } from './document.ts'
import type { Completeness, Evidence, Report } from './report.ts'
import { place } from './sections-changes.ts'
import { count, minute } from './words.ts'

const ENDS = {
  stop: 'stopped in order',
  none: 'no stop record: it was killed or died',
  open: 'no end on record: it may be running',
}

export function logSection({ completeness }: Report): Section {
  return {
    id: 'log',
    title: 'What the log itself lacks',
    blocks: [
      ...completeness.meaning.map(words),
      ...lossTables(completeness),
      ...table(
        'Runs of the gateway',
        [moment('from'), moment('to'), column('end'), column('cause')],
        completeness.runs.map(({ from, to, end, cause }) => [
          ...[minute(from), to === null ? '–' : minute(to), ENDS[end], cause],
        ]),
      ),
    ],
  }
}

function lossTables({ gaps, recoveries, prunes }: Completeness): Block[] {
  return [
    ...table(
      'Gaps',
      [moment('since'), moment('until'), figure('record'), figure('records lost'), column('cause')],
      gaps.map(({ since, until, sequence, records, cause }) => [
        ...[minute(since), minute(until), place(sequence), count(records), cause],
      ]),
    ),
    ...table(
      'Recoveries',
      [
        ...[moment('when'), figure('record'), figure('replayed'), figure('missing'), figure('digests lost')],
        figure('damaged bytes'),
      ],
      recoveries.map(({ at, sequence, replayed, missing, digestsLost, tornBytes }) => [
        ...[minute(at), place(sequence), ...[replayed, missing, digestsLost, tornBytes].map(count)],
      ]),
    ),
    ...table(
      'Deleted because their time was over',
      [
        ...[moment('when'), figure('record'), column('by'), figure('records'), figure('up to record')],
        column('cause'),
      ],
      prunes.map(({ at, sequence, by, records, through, cause }) => [
        ...[minute(at), place(sequence), by, count(records), String(through), cause],
      ]),
    ),
  ]
}

export function evidenceSection({ evidence, askedAt }: Report): Section {
  return {
    id: 'evidence',
    title: 'Evidence',
    blocks: [
      ...evidenceTable(evidence, askedAt),
      ...coveredWords(evidence).map(words),
      { kind: 'code', caption: 'To check it', lines: evidence.commands },
      ...evidence.proofs.map(({ sequence, lines }) => ({
        kind: 'code' as const,
        caption: `Proof that record ${sequence} is in the log`,
        isWide: true,
        lines,
      })),
    ],
  }
}

function evidenceTable({ origin, checkpoint, sequences }: Evidence, askedAt: string): Block[] {
  const rows: string[][] = [
    ['log', origin || '(not named)'],
    ['asked', `${minute(askedAt)} UTC`],
  ]
  if (sequences !== null) {
    const { first, last, records } = sequences
    rows.push(['records used', `${count(records)}, between sequences ${first} and ${last}`])
  }
  if (checkpoint !== null) {
    const { size, root, at, signedBy } = checkpoint
    rows.push(['checkpoint', `${count(size)} records, ${minute(at)} UTC`])
    rows.push(['root of the tree', root])
    rows.push(...signedBy.map((key) => ['signed by', key]))
  }
  return table('What this report rests on', [column('what'), column('')], rows)
}

function coveredWords({ checkpoint, problem, sequences, isCovered }: Evidence): string[] {
  if (checkpoint === null)
    return [
      `${problem[0]?.toUpperCase() ?? ''}${problem.slice(1)}. Until there is one, these numbers are only as good as the files.`,
    ]
  if (sequences === null) return []
  const covered = isCovered
    ? 'The checkpoint covers every record used here: whoever keeps its root can tell if one of them is changed later.'
    : 'Not every record used here is under this checkpoint yet: ask again in a second, while a gateway writes the log.'
  return [`${covered} Keep this report, or the three lines of the checkpoint, outside of this machine.`]
}

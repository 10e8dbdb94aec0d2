/** A log's two verdicts, and a proof's one, in words; and the first as data. */
import type { Completeness } from '../../audit/verify/completeness.ts'
import type { LogVerdict } from '../../audit/verify/log-verdict.ts'
import type { ProofVerdict } from '../../audit/verify/verify-proof.ts'

/** For JSON: maps as objects of pairs. */
export function verdictData(verdict: LogVerdict): unknown {
  return { ...verdict, types: Object.fromEntries(verdict.types) }
}

export function tellVerdict(verdict: LogVerdict): string {
  const { records, first, last, segments, checkpoint, unsigned, origin } = verdict
  const lines = [
    `log           ${origin ?? 'of no name'}`,
    `records       ${records}${records === 0 ? '' : ` (${first} to ${last})`} in ${count(segments, 'segment')}`,
    `checkpoint    ${checkpoint === null ? 'none' : `${checkpoint.size} records, root ${checkpoint.root}`}`,
    ...(checkpoint?.signedBy ?? []).map(
      (key) =>
        `signed by     ${key}${checkpoint?.isPinned ? '' : ' (the log’s own word; --key FILE holds it against yours)'}`,
    ),
    ...(unsigned > 0 ? [`not signed    ${count(unsigned, 'record')} behind the checkpoint`] : []),
    ...(verdict.tailBytes > 0
      ? [`at the end    ${verdict.tailBytes} bytes that are no whole record yet`]
      : []),
    '',
    ...tellIntegrity(verdict),
    ...tellWitness(verdict),
    '',
    ...tellCompleteness(verdict.completeness),
  ]
  return `${lines.join('\n')}\n`
}

function tellIntegrity({ isWhole, badPlaces, problems }: LogVerdict): string[] {
  if (isWhole) return ['integrity     WHOLE: every record is the one that was written, where it was written']
  const places = problems.map(({ file, at, sequence, problem }) => {
    const where = sequence === null ? file : `${file}, record ${sequence}, byte ${at}`
    return `  ${where}: ${problem}`
  })
  const more = badPlaces > problems.length ? [`  … and ${badPlaces - problems.length} more`] : []
  return [`integrity     BROKEN in ${count(badPlaces, 'place')}; the first:`, ...places, ...more]
}

function tellWitness({ witness }: LogVerdict): string[] {
  if (witness === null) return []
  const { agreed, passedOver, contradictions } = witness
  const over =
    passedOver === 0
      ? ''
      : `, ${passedOver} could not be compared (pruned, out of range, or of an earlier epoch)`
  return [
    `witness       ${contradictions.length === 0 ? 'AGREES' : 'CONTRADICTS'}: ${agreed} agree${over}`,
    ...contradictions.map((words) => `  ${words}`),
  ]
}

function tellCompleteness(found: Completeness): string[] {
  const verdict = found.isComplete
    ? 'COMPLETE: nothing is missing that the log does not account for'
    : `MISSING ${count(found.undeclared, 'record')} that nothing accounts for`
  const told: readonly (readonly [boolean, string])[] = [
    [found.gaps > 0, `${count(found.lost, 'record')} lost, told by ${count(found.gaps, 'gap record')}`],
    [found.missing > 0, `${count(found.missing, 'record')} missing after crashes, told by recoveries`],
    [found.tornBytes > 0, `${found.tornBytes} damaged bytes kept under torn/`],
    [
      found.unknownCrash > 0,
      `${count(found.unknownCrash, 'request')} under way when a process died: outcome unknown`,
    ],
    [found.repeated > 0, `${count(found.repeated, 'record')} there twice, or out of their lane’s order`],
    [found.crashes > 0, `${count(found.crashes, 'run')} of ${found.runs} did not end in order`],
    [found.isOpen, 'the last run has no end on record: it goes on, or died'],
    [found.prunedThrough > 0, `records before ${found.prunedThrough} were deleted, as a prune record tells`],
    [
      found.epochs.length > 0,
      `earlier logs were set aside after damage: epochs/${found.epochs.join(', epochs/')}`,
    ],
  ]
  const holes = found.holes.map(
    ({ start, lane, from, to }) =>
      `  lane ${lane} of run ${start}: its records ${from} to ${to} are not in the log`,
  )
  return [
    `completeness  ${verdict}`,
    ...holes,
    ...told.flatMap(([isSo, words]) => (isSo ? [`  ${words}`] : [])),
  ]
}

export function tellProof(verdict: ProofVerdict): string {
  const { isProven, problem, origin, sequence, size, leaf, signedBy, record } = verdict
  if (!isProven) return `NOT PROVEN: ${problem}\n`
  return [
    `PROVEN: record ${sequence} of ${origin} is in its tree of ${size} records`,
    `leaf       ${leaf}`,
    ...signedBy.map((key) => `signed by  ${key}`),
    ...(record === null ? [] : ['', JSON.stringify(record, null, 2)]),
    '',
  ].join('\n')
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

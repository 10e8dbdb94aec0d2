/**
 * `npm run train`: trains every version from the packages' data, scores the held-out rows with what was
 * written, and leaves models, replay files and the table in models/README.md. The same data gives the
 * same bytes: `npm run train -- --check` trains, writes nothing, and exits 1 when a file would change.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { DIGITS_HELD_OUT, readDigits } from './digits-data.ts'
import { type Answers, answersOf } from './evaluate.ts'
import { FLIGHTS_HELD_OUT, flightSamples, readFlights } from './flights-data.ts'
import { binaryMetrics, classMetrics } from './metrics.ts'
import { LATE_THRESHOLD, type TrainedVersion, trainDigits, trainFlights } from './recipes.ts'
import { digitReplay, flightReplay, type ReplayFile } from './replay-files.ts'
import { insertTable, tableOf, type VersionReport } from './report.ts'
import { type Samples, sliceOf } from './samples.ts'

const MODELS = 'models'

interface Result {
  readonly files: readonly ReplayFile[]
  readonly reports: readonly VersionReport[]
  readonly note: string
}

async function buildFlights(): Promise<Result> {
  const flights = readFlights()
  const cut = flights.length - FLIGHTS_HELD_OUT
  const samples = flightSamples(flights)
  const heldOut = sliceOf(samples, cut, samples.rows)
  const metricsOf = ({ chances, labels }: Answers) => binaryMetrics(chances, labels, heldOut.labels)
  const versions = trainFlights(sliceOf(samples, 0, cut))
  const lateShare = mean(heldOut.labels)
  return {
    files: [...versions.map(fileOf), ...flightReplay(flights.slice(cut))],
    reports: [
      ...(await Promise.all(
        versions.map(async (trained) =>
          reportOf(trained, metricsOf(await answersOf(trained.bytes, heldOut))),
        ),
      )),
      await reportRules(heldOut, metricsOf),
    ],
    note:
      `Flights: trained on ${cut.toLocaleString('en')} rows up to ${flights[cut - 1]!.departed}, measured on the ` +
      `${FLIGHTS_HELD_OUT.toLocaleString('en')} after it, of which ${(100 * lateShare).toFixed(1)} % were late. ` +
      `Labels are 1 from a probability of ${LATE_THRESHOLD}. Always answering the training share of ` +
      `${(100 * mean(samples.labels.subarray(0, cut))).toFixed(1)} % has a log loss of ` +
      `${constantLoss(mean(samples.labels.subarray(0, cut)), lateShare).toFixed(4)} and an AUC of 0.5.`,
  }
}

async function buildDigits(): Promise<Result> {
  const samples = readDigits()
  const cut = samples.rows - DIGITS_HELD_OUT
  const heldOut = sliceOf(samples, cut, samples.rows)
  const versions = trainDigits(sliceOf(samples, 0, cut))
  const reports = versions.map(async (trained) => {
    const { chances, labels } = await answersOf(trained.bytes, heldOut)
    return reportOf(trained, classMetrics(chances, labels, heldOut.labels))
  })
  return {
    files: [...versions.map(fileOf), ...digitReplay(heldOut)],
    reports: await Promise.all(reports),
    note:
      `Digits: trained on ${cut.toLocaleString('en')} images, measured on ` +
      `${DIGITS_HELD_OUT.toLocaleString('en')} others.`,
  }
}

function fileOf({ family, version, bytes }: TrainedVersion): ReplayFile {
  return { path: `${family}/${version}.onnx`, bytes }
}

function reportOf(trained: TrainedVersion, metrics: VersionReport['metrics']): VersionReport {
  const { kind, work, bytes } = trained
  return { file: fileOf(trained).path, kind, work, sizeBytes: bytes.length, metrics }
}

/** The hand-written version is measured like the trained ones. */
async function reportRules(
  heldOut: Samples,
  metricsOf: (answers: Answers) => VersionReport['metrics'],
): Promise<VersionReport> {
  const file = join(MODELS, 'flights/rules.js')
  const { score } = await import(pathToFileURL(file).href)
  const { probability, label } = score({ features: { data: heldOut.features } })
  const metrics = metricsOf({ chances: probability.data, labels: Array.from(label.data, Number) })
  const sizeBytes = readFileSync(file).length
  return {
    file: 'flights/rules.js',
    kind: 'hand-written rules',
    work: 'a few comparisons',
    sizeBytes,
    metrics,
  }
}

function mean(values: Uint8Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function constantLoss(said: number, share: number): number {
  return -(share * Math.log(said) + (1 - share) * Math.log(1 - said))
}

/** Paths, below models/, of files that differ from what is there; they are written unless `isCheck`. */
function settle(files: readonly ReplayFile[], isCheck: boolean): string[] {
  const changed = files.filter(({ path, bytes }) => {
    const target = join(MODELS, path)
    return !existsSync(target) || !readFileSync(target).equals(bytes)
  })
  for (const { path, bytes } of isCheck ? [] : changed) {
    mkdirSync(dirname(join(MODELS, path)), { recursive: true })
    writeFileSync(join(MODELS, path), bytes)
  }
  return changed.map(({ path }) => path)
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  const startedAt = performance.now()
  const results: Result[] = []
  for (const [name, build] of [['flights', buildFlights] as const, ['digits', buildDigits] as const]) {
    console.log(`training ${name} …`)
    results.push(await build())
  }
  const table = tableOf(
    results.flatMap(({ reports }) => reports),
    results.map(({ note }) => `- ${note}`),
  )
  const readme = insertTable(readFileSync(join(MODELS, 'README.md'), 'utf8'), table)
  const files = [
    ...results.flatMap((result) => result.files),
    { path: 'README.md', bytes: Buffer.from(readme) },
  ]
  const changed = settle(files, values.check)
  console.log(`\n${table}\n`)
  const verb = values.check ? 'would change' : 'written'
  const outcome = changed.length === 0 ? 'every file is as before' : `${verb}: ${changed.join(', ')}`
  console.log(`${outcome} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`)
  if (values.check && changed.length > 0) process.exitCode = 1
}

await main()

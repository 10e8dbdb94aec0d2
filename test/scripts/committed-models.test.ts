/** The files under models/ as committed: they load, reach what their table says, and really differ. */
import { readFileSync, statSync } from 'node:fs'
import t from 'tap'
import { DIGITS_HELD_OUT, readDigits } from '../../scripts/train/digits-data.ts'
import { type Answers, answersOf } from '../../scripts/train/evaluate.ts'
import { FLIGHT_FEATURES, FLIGHTS_HELD_OUT, readFlights } from '../../scripts/train/flights-data.ts'
import { binaryMetrics, classMetrics } from '../../scripts/train/metrics.ts'
import { LATE_THRESHOLD } from '../../scripts/train/recipes.ts'
import { digitReplay, flightReplay } from '../../scripts/train/replay-files.ts'
import type { Samples } from '../../scripts/train/samples.ts'
import { loadConfig } from '../../src/control/config/load.ts'
import type { LocalVersion, Model } from '../../src/domain/routes.ts'
import { runtimeOf } from '../../src/workers/runtimes/index.ts'

const SIZE_MAX = 300 * 1024
const FLIGHT_VERSIONS = ['linear', 'forest', 'forest-2']
const DIGIT_VERSIONS = ['softmax', 'forest']

/** Read as a stranger would, from the description in models/README.md alone. */
function replayedFlights(): { samples: Samples; departed: string[]; ids: string[] } {
  const [header, ...lines] = readFileSync('models/flights/replay.csv', 'utf8').trim().split('\n')
  const columns = header!.split(',')
  const rows = lines.map((line) => line.split(','))
  const first = columns.indexOf(FLIGHT_FEATURES[0])
  const ids = rows.map((cells) => cells[columns.indexOf('id')]!)
  const features = rows.flatMap((cells) => cells.slice(first, first + FLIGHT_FEATURES.length).map(Number))
  const samples = {
    rows: rows.length,
    columns: FLIGHT_FEATURES.length,
    features: Float32Array.from(features),
    labels: Uint8Array.from(rows, (cells) => Number(cells[columns.indexOf('late')])),
  }
  return { samples, ids, departed: ids.map((id) => id.slice(0, 16)) }
}

function replayedDigits(): Samples {
  const layout = JSON.parse(readFileSync('models/digits/replay.json', 'utf8'))
  const records = readFileSync('models/digits/replay.bin')
  const { rows, recordBytes } = layout
  const [pixels, label] = layout.fields
  const columns = pixels.shape[0] * pixels.shape[1]
  const features = new Float32Array(rows * columns)
  const labels = new Uint8Array(rows)
  for (let row = 0; row < rows; row += 1) {
    const start = row * recordBytes
    features.set(records.subarray(start + pixels.offset, start + pixels.offset + columns), row * columns)
    labels[row] = records[start + label.offset]!
  }
  return { rows, columns, features, labels }
}

/** A row of the table in models/README.md: column → cell. */
function documented(file: string): Map<string, string> {
  const rows = readFileSync('models/README.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  const row = rows.find((cells) => cells[1] === `\`${file}\``)!
  return new Map(rows[0]!.map((name, index) => [name, row[index]!]))
}

async function measure(file: string, samples: Samples): Promise<Answers & { bytes: Buffer }> {
  const bytes = readFileSync(`models/${file}`)
  return { bytes, ...(await answersOf(bytes, samples)) }
}

/** Scoring all rows in one call, without loading: best of five in ms, the least disturbed one. */
async function costOf(file: string, { rows, columns, features }: Samples): Promise<number> {
  const model = await runtimeOf('onnx').load(`models/${file}`)
  const { name } = model.signature.inputs![0]!
  const input = { name, datatype: 'FP32', shape: [rows, columns], data: features } as const
  const times: number[] = []
  for (let round = 0; round < 5; round += 1) {
    const startedAt = performance.now()
    await model.run([input], null)
    times.push(performance.now() - startedAt)
  }
  await model.release()
  return Math.min(...times)
}

const disagreeing = (a: readonly number[], b: readonly number[]) => {
  return a.filter((label, row) => label !== b[row]).length / a.length
}

t.test('flights: what was committed reaches what the table says, on the committed rows', async (t) => {
  const { samples } = replayedFlights()
  for (const version of FLIGHT_VERSIONS) {
    const { bytes, chances, labels } = await measure(`flights/${version}.onnx`, samples)
    const found = binaryMetrics(chances, labels, samples.labels)
    const said = documented(`flights/${version}.onnx`)
    for (const [name, value] of [
      ['AUC', found.auc],
      ['log loss', found.logLoss],
      ['recall', found.recall],
    ] as const) {
      t.ok(Math.abs(value - Number(said.get(name))) < 1e-3, `${version}: ${name} ${value}`)
    }
    t.ok(chances.every((chance) => chance > 0 && chance < 1))
    t.same(
      labels,
      Array.from(chances, (chance) => (chance >= Math.fround(LATE_THRESHOLD) ? 1 : 0)),
    )
    t.ok(found.auc > 0.6, 'better than guessing')
    t.ok(bytes.length < SIZE_MAX)
  }
})

t.test('digits: what was committed reaches what the table says, on the committed rows', async (t) => {
  const samples = replayedDigits()
  for (const version of DIGIT_VERSIONS) {
    const { bytes, chances, labels } = await measure(`digits/${version}.onnx`, samples)
    const found = classMetrics(chances, labels, samples.labels)
    const said = documented(`digits/${version}.onnx`)
    for (const [name, value] of [
      ['accuracy', found.accuracy],
      ['log loss', found.logLoss],
    ] as const) {
      t.ok(Math.abs(value - Number(said.get(name))) < 1e-3, `${version}: ${name} ${value}`)
    }
    for (let row = 0; row < samples.rows; row += 1) {
      const own = [...chances.subarray(row * 10, row * 10 + 10)]
      if (own.indexOf(Math.max(...own)) !== labels[row])
        t.fail(`row ${row}: label is not the likeliest digit`)
    }
    t.ok(bytes.length < SIZE_MAX)
  }
})

t.test('versions of a model disagree on rows, and differ in cost', async (t) => {
  const flights = replayedFlights().samples
  const [linear, forest, next] = await Promise.all(
    FLIGHT_VERSIONS.map((version) => measure(`flights/${version}.onnx`, flights)),
  )
  t.ok(disagreeing(linear!.labels, forest!.labels) > 0.03)
  t.ok(disagreeing(forest!.labels, next!.labels) > 0.03)
  const digits = replayedDigits()
  const [softmax, trees] = await Promise.all(
    DIGIT_VERSIONS.map((version) => measure(`digits/${version}.onnx`, digits)),
  )
  t.ok(disagreeing(softmax!.labels, trees!.labels) > 0.03)

  const [cheap, dear] = [
    await costOf('flights/linear.onnx', flights),
    await costOf('flights/forest-2.onnx', flights),
  ]
  t.ok(dear > 3 * cheap, `flights: ${cheap.toFixed(1)} ms and ${dear.toFixed(1)} ms`)
})

t.test('replayed rows are the held-out ones, byte for byte, and none was trained on', async (t) => {
  const flights = readFlights()
  const [csv] = flightReplay(flights.slice(-FLIGHTS_HELD_OUT))
  t.ok(readFileSync('models/flights/replay.csv').equals(csv!.bytes))
  const { departed, ids } = replayedFlights()
  const lastTrained = flights.at(-FLIGHTS_HELD_OUT - 1)!
  t.ok(departed.every((time) => time >= lastTrained.departed))
  t.equal(new Set([...ids, ...flights.map(({ id }) => id)]).size, flights.length, 'ids are unique')

  const digits = readDigits()
  const images = Array.from({ length: digits.rows }, (_, row) =>
    Buffer.from(digits.features.slice(row * digits.columns, (row + 1) * digits.columns).buffer).toString(
      'base64',
    ),
  )
  const trained = new Set(images.slice(0, -DIGITS_HELD_OUT))
  t.notOk(
    images.slice(-DIGITS_HELD_OUT).some((image) => trained.has(image)),
    'no image is in both parts',
  )
  const cut = digits.rows - DIGITS_HELD_OUT
  const [records] = digitReplay({
    rows: DIGITS_HELD_OUT,
    columns: digits.columns,
    features: digits.features.subarray(cut * digits.columns),
    labels: digits.labels.subarray(cut),
  })
  t.ok(readFileSync('models/digits/replay.bin').equals(records!.bytes))
})

t.test('gateway.toml and the model server are valid and switch everything on', async (t) => {
  const [gateway, server] = ['gateway.toml', 'config/model-server.toml'].map((file) => {
    const result = loadConfig(file, { generation: 1, cores: 2 })
    if (!result.ok) throw new Error(`${file}: ${JSON.stringify(result.problems)}`)
    t.same(result.warnings, [], file)
    return result.snapshot
  })
  const { flights, digits } = Object.fromEntries(gateway!.models) as { flights: Model; digits: Model }
  t.match(flights.route, {
    primary: 'linear',
    own: new Map([['canary', { version: 'forest', percent: 20 }]]),
    shadows: [{}],
  })
  t.match(digits.route, {
    experiment: { arms: [{ percent: 50 }, { percent: 50 }] },
    rules: [{}],
    pinAllowed: true,
  })
  t.ok(flights.compare.length > 0 && flights.output.length > 0 && flights.breaker.enforce)
  t.ok(Object.values(flights.onFailure).every(([first]) => first?.do !== 'fail'))

  const remote = flights.versions.get('forest')!
  t.equal(remote.kind === 'remote' && remote.endpoints[0]?.port, server!.server.listen.port)
  t.ok(remote.kind === 'remote' && server!.models.has(remote.rename.model ?? ''))
  t.not(gateway!.server.dataDir, server!.server.dataDir)
})

t.test(
  'all versions of a model are interchangeable: same tensors in and out, rows can be joined',
  async (t) => {
    const result = loadConfig('gateway.toml', { generation: 1, cores: 2 })
    if (!result.ok) throw new Error('gateway.toml is not valid')
    for (const [name, width] of [
      ['flights', 7],
      ['digits', 196],
    ] as const) {
      const locals = [...result.snapshot.models.get(name)!.versions.values()].filter(
        (version): version is LocalVersion => version.kind === 'local',
      )
      const loaded = await Promise.all(locals.map(({ runtime, file }) => runtimeOf(runtime).load(file)))
      for (const model of loaded) {
        t.same(model.signature, loaded[0]!.signature)
        t.ok(model.batchable)
        const input = model.signature.inputs![0]!
        const data = new Float32Array(2 * width)
        const answers = await model.run(
          [{ name: input.name, datatype: 'FP32', shape: [2, width], data }],
          null,
        )
        t.same(
          answers.map(({ shape }) => shape[0]),
          [2, 2],
        )
        await model.release()
      }
    }
  },
)

t.test('the fixed reply for an overload has the shape of a real one', async (t) => {
  const reply = JSON.parse(readFileSync('models/flights/usual.json', 'utf8'))
  t.match(reply.outputs, [
    { name: 'probability', datatype: 'FP32', shape: [1, 1] },
    { name: 'label', datatype: 'INT64', shape: [1], data: [0] },
  ])
  const flights = readFlights().slice(0, -FLIGHTS_HELD_OUT)
  const share = flights.filter(({ isLate }) => isLate).length / flights.length
  t.ok(Math.abs(reply.outputs[0].data[0] - share) < 0.005, `${share} of the training rows were late`)
  t.ok(statSync('models/LICENSES.md').size > 1000)
})

/** The trainers, on data small enough to know the right answer, and the ONNX files they write. */
import fc from 'fast-check'
import t from 'tap'
import { type BoostedTrees, trainBoostedTrees } from '../../scripts/train/boosted-trees.ts'
import { readDigits } from '../../scripts/train/digits-data.ts'
import { answersOf } from '../../scripts/train/evaluate.ts'
import { binFeatures } from '../../scripts/train/feature-bins.ts'
import { flightSamples, readFlights } from '../../scripts/train/flights-data.ts'
import { trainLinearModel } from '../../scripts/train/linear-model.ts'
import { areaUnderCurve, binaryMetrics, classMetrics } from '../../scripts/train/metrics.ts'
import { writeBoostedTrees } from '../../scripts/train/onnx/models.ts'
import { decodeModel } from '../../scripts/train/onnx/schema.ts'
import { trainDigits, trainFlights } from '../../scripts/train/recipes.ts'
import { insertTable, tableOf } from '../../scripts/train/report.ts'
import { type Samples, sliceOf, toProbabilities } from '../../scripts/train/samples.ts'
import { rowNumbers, SeededChance, shuffle } from '../../scripts/train/seeded-chance.ts'

const TREES = {
  rounds: 20,
  depthMax: 3,
  learningRate: 0.3,
  l2: 1,
  curvatureMin: 0.5,
  rowShare: 1,
  featureShare: 1,
  seed: 9,
}
const LINEAR = { epochs: 30, batchRows: 20, learningRate: 0.1, l2: 0, seed: 9 }
const NAMING = { name: 'test', doc: '', input: 'features', threshold: 0.5, properties: {} }

/** Rows of two features in [0, 1); `classOf` says what they are. */
function square(rows: number, classOf: (x: number, y: number) => number): Samples {
  const chance = new SeededChance(1)
  const features = Float32Array.from({ length: rows * 2 }, () => chance.next())
  const labels = Uint8Array.from(rowNumbers(rows), (row) =>
    classOf(features[2 * row]!, features[2 * row + 1]!),
  )
  return { rows, columns: 2, features, labels }
}

t.test('the same seed draws the same numbers, spread evenly', async (t) => {
  const first = Array.from(
    { length: 10_000 },
    (
      (chance) => () =>
        chance.next()
    )(new SeededChance(5)),
  )
  const again = Array.from(
    { length: 10_000 },
    (
      (chance) => () =>
        chance.next()
    )(new SeededChance(5)),
  )
  t.same(first, again)
  t.ok(first.every((value) => value >= 0 && value < 1))
  const mean = first.reduce((sum, value) => sum + value, 0) / first.length
  t.ok(Math.abs(mean - 0.5) < 0.015, `mean ${mean}`)
  t.not(new SeededChance(6).next(), first[0])
  const order = rowNumbers(100)
  shuffle(order, new SeededChance(5))
  t.notSame(order, rowNumbers(100))
  t.same(order.slice().sort(), rowNumbers(100))
})

t.test('a bin holds exactly the values at or below its edge and above the one before', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 300 }), (values) => {
      const features = Float32Array.from(values, (value) => value + 0)
      const samples = { rows: features.length, columns: 1, features, labels: new Uint8Array(features.length) }
      const [bins] = binFeatures(samples)
      const { edges, ofRow } = bins!
      return features.every((value, row) => {
        const bin = ofRow[row]!
        return (bin === edges.length || value <= edges[bin]!) && (bin === 0 || value > edges[bin - 1]!)
      })
    }),
  )
  t.pass('for every list of values')
})

t.test('the area under the curve is the share of pairs in the right order', async (t) => {
  const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.boolean()), {
    minLength: 2,
    maxLength: 60,
  })
  fc.assert(
    fc.property(rows, (pairs) => {
      const yes = pairs.filter(([, truth]) => truth).map(([chance]) => chance)
      const no = pairs.filter(([, truth]) => !truth).map(([chance]) => chance)
      fc.pre(yes.length > 0 && no.length > 0)
      const won = yes.flatMap((a) => no.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)))
      const expected = won.reduce<number>((sum, value) => sum + value, 0) / won.length
      const found = areaUnderCurve(
        pairs.map(([chance]) => chance),
        pairs.map(([, truth]) => (truth ? 1 : 0)),
      )
      return Math.abs(found - expected) < 1e-12
    }),
  )
  t.pass('for every list of pairs')
})

t.test('metrics of four rows, by hand', async (t) => {
  const found = binaryMetrics([0.9, 0.6, 0.2, 0.4], [1, 1, 0, 0], [1, 0, 0, 1])
  t.match(found, { accuracy: 0.5, auc: 0.75, precision: 0.5, recall: 0.5 })
  const loss = -(Math.log(0.9) + Math.log(0.4) + Math.log(0.8) + Math.log(0.4)) / 4
  t.ok(Math.abs(found.logLoss - loss) < 1e-12)
  const classes = classMetrics([0.5, 0.3, 0.2, 0.1, 0.1, 0.8], [0, 2], [1, 2])
  t.equal(classes.accuracy, 0.5)
  t.ok(Math.abs(classes.logLoss + (Math.log(0.3) + Math.log(0.8)) / 2) < 1e-12)
})

t.test('a linear model finds a straight border and its weights apply to raw features', async (t) => {
  const samples = square(600, (x, y) => (x > y ? 1 : 0))
  const { weights, bias } = trainLinearModel(samples, { ...LINEAR, classes: 2 })
  const right = Array.from(rowNumbers(600)).filter((row) => {
    const score =
      samples.features[2 * row]! * weights[0]! + samples.features[2 * row + 1]! * weights[1]! + bias[0]!
    return score > 0 === (samples.labels[row] === 1)
  })
  t.ok(right.length > 585, `${right.length} of 600`)
})

t.test('trees find a border that no straight line is, where a linear model must fail', async (t) => {
  const samples = square(600, (x, y) => (x > 0.5 !== y > 0.5 ? 1 : 0))
  const forest = trainBoostedTrees(samples, { ...TREES, classes: 2 })
  const linear = trainLinearModel(samples, { ...LINEAR, classes: 2 })
  t.ok(rightShare(forest, samples) > 0.95, `${rightShare(forest, samples)}`)
  t.ok(Math.abs(linear.weights[0]!) < 1 && Math.abs(linear.weights[1]!) < 1)
})

t.test('ONNX Runtime gives what walking the trees by hand gives, for two classes and for more', async (t) => {
  for (const classes of [2, 3]) {
    const samples = square(400, (x, y) => Math.floor(x * y * 4) % classes)
    const forest = trainBoostedTrees(samples, { ...TREES, classes })
    const { chances, labels } = await answersOf(writeBoostedTrees(forest, NAMING), samples)
    const expected = byHand(forest, samples)
    const worst = Math.max(...chances.map((chance, index) => Math.abs(chance - expected[index]!)))
    t.ok(chances.length === expected.length && worst < 1e-5, `${classes} classes, worst ${worst}`)
    t.same(labels.slice(0, 50), labelsOf(expected, forest.scores).slice(0, 50))
  }
})

t.test('the same rows give the same bytes, other rows give others, and each model loads', async (t) => {
  const flights = sliceOf(flightSamples(readFlights()), 0, 1500)
  const digits = sliceOf(readDigits(), 0, 300)
  const train = () => [...trainFlights(flights, 0.05), ...trainDigits(digits, 0.05)]
  const first = train()
  const again = train()
  for (const [index, { family, version, bytes }] of first.entries()) {
    t.ok(Buffer.from(bytes).equals(again[index]!.bytes), `${family}/${version}`)
    const answers = await answersOf(bytes, family === 'flights' ? flights : digits)
    t.equal(answers.labels.length, family === 'flights' ? flights.rows : digits.rows)
    t.match(decodeModel(bytes), { ir_version: 8, producer_name: 'modelgate', graph: { name: family } })
  }
  const [other] = trainFlights(sliceOf(flights, 100, 1500), 0.05)
  t.notOk(Buffer.from(first[0]!.bytes).equals(other!.bytes))
})

t.test('the table is put between its marks, again and again, and nowhere else', async (t) => {
  const metrics = { accuracy: 0.5, logLoss: 0.25 }
  const table = tableOf([{ file: 'a.onnx', kind: 'k', work: 'w', sizeBytes: 2048, metrics }], ['- note'])
  t.match(table, '| `a.onnx` | k | w | 2 | 0.5000 | 0.2500 |')
  const readme =
    'before\n<!-- written by npm run train: start -->\nold\n<!-- written by npm run train: end -->\nafter\n'
  const once = insertTable(readme, table)
  t.equal(insertTable(once, table), once)
  t.match(once, /^before\n[\s\S]*\nafter\n$/)
  t.notMatch(once, 'old')
  t.throws(() => insertTable('no marks', table), /lacks the marks/)
})

/** Chances by walking every tree with raw features: no bins, no ONNX. */
function byHand({ base, scores, trees }: BoostedTrees, { rows, columns, features }: Samples): Float64Array {
  const all = new Float64Array(rows * scores)
  for (let row = 0; row < rows; row += 1) {
    const sums = Float64Array.from(base)
    for (const { score, nodes } of trees) {
      let at = nodes[0]!
      while (at.feature !== -1) {
        at = nodes[features[row * columns + at.feature]! <= at.threshold ? at.left : at.right]!
      }
      sums[score]! += at.weight
    }
    toProbabilities(sums)
    all.set(sums, row * scores)
  }
  return all
}

function labelsOf(chances: Float64Array, scores: number): number[] {
  return Array.from({ length: chances.length / scores }, (_, row) => {
    const own = [...chances.subarray(row * scores, (row + 1) * scores)]
    return scores === 1 ? Number(own[0]! >= 0.5) : own.indexOf(Math.max(...own))
  })
}

function rightShare(forest: BoostedTrees, samples: Samples): number {
  const said = labelsOf(byHand(forest, samples), forest.scores)
  return said.filter((label, row) => label === samples.labels[row]).length / samples.rows
}

/** Intervals, against values that others published or that can be worked out by hand. */
import t, { type Test } from 'tap'
import {
  type Counted,
  type Interval,
  meanDifference,
  meanInterval,
  quantileRanks,
  shareDifference,
  wilson,
} from '../../src/analysis/interval.ts'

const near = (t: Test, found: Interval, [from, to]: readonly [number, number], words: string) =>
  t.ok(
    Math.abs(found.from - from) < 5e-5 && Math.abs(found.to - to) < 5e-5,
    `${words}: ${found.from}, ${found.to}`,
  )

// Newcombe, Statistics in Medicine 17 (1998), 857–872, method 3.
t.test('a share has Wilson’s interval', (t) => {
  near(t, wilson(81, 263), [0.2553, 0.3662], '81 of 263')
  near(t, wilson(15, 148), [0.0624, 0.1605], '15 of 148')
  near(t, wilson(0, 20), [0, 0.1611], '0 of 20')
  near(t, wilson(1, 29), [0.0061, 0.1718], '1 of 29')
  t.strictSame(wilson(0, 0), { from: 0, to: 1 }, 'of nothing everything is possible')
  t.end()
})

// The same author, same volume, 873–890, method 10; there the first minus the second.
t.test('a difference of shares has Newcombe’s interval', (t) => {
  const of = (hits: number, trials: number): Counted => ({ hits, trials })
  near(t, shareDifference(of(48, 80), of(56, 70)), [0.0524, 0.3339], '56/70 − 48/80')
  near(t, shareDifference(of(3, 10), of(9, 10)), [0.1705, 0.809], '9/10 − 3/10')
  near(t, shareDifference(of(0, 29), of(5, 56)), [-0.0381, 0.1926], '5/56 − 0/29')
  near(t, shareDifference(of(0, 10), of(10, 10)), [0.6075, 1], '10/10 − 0/10')
  t.strictSame(shareDifference(of(0, 0), of(5, 10)), { from: -1, to: 1 }, 'of nothing nothing is known')
  t.end()
})

t.test('means have the normal interval, and two of them need not vary alike', (t) => {
  // 1 … 5: mean 3, standard error √(2.5 / 5).
  const one = { n: 5, sum: 15, sumOfSquares: 55 }
  near(t, meanInterval(one), [3 - 1.38591, 3 + 1.38591], '1 to 5')
  // 2 and 4: mean 3, variance 2, so √(2.5 / 5 + 2 / 2) = 1.224745.
  const other = { n: 2, sum: 6, sumOfSquares: 20 }
  near(t, meanDifference(one, other), [-2.40046, 2.40046], '2, 4 − 1 to 5')
  const alone = { n: 1, sum: 7, sumOfSquares: 49 }
  t.strictSame(meanInterval(alone), { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY })
  t.end()
})

t.test('a high quantile of few has no upper bound among them', (t) => {
  t.ok(quantileRanks(0.99, 100).to > 100)
  t.ok(quantileRanks(0.99, 1000).to < 1000)
  t.ok(quantileRanks(0.99, 1000).from > 980)
  t.end()
})

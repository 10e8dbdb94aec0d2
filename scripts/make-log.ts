/**
 * `npm run make-log -- --data DIR --records N` writes a log as days of traffic would have left it, to try reports,
 * queries and checks on: the same for the same `--seed`. `--models` takes names, or how many.
 */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { segmentsOf } from '../src/audit/paths.ts'
import { writeMadeLog } from './make-log/write-log.ts'

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    records: { type: 'string', default: '1000000' },
    days: { type: 'string', default: '7' },
    lanes: { type: 'string', default: '2' },
    models: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
  },
})

const whole = (name: 'records' | 'days' | 'lanes' | 'seed', least: number): number => {
  const value = Number(values[name])
  if (Number.isSafeInteger(value) && value >= least) return value
  console.error(`make-log: --${name} should be a whole number from ${least} on, not '${values[name]}'`)
  process.exit(2)
}

const { data, models } = values
if (data === undefined || existsSync(segmentsOf(data))) {
  console.error('make-log: --data DIR names where the log is to be made; there must be none yet')
  process.exit(2)
}
const records = whole('records', 10)
const begun = performance.now()
writeMadeLog(data, {
  records,
  days: whole('days', 1),
  lanes: whole('lanes', 1),
  seed: whole('seed', 0),
  models: /^\d+$/.test(models) ? Number(models) : models.split(','),
  onProgress(done, of) {
    if (process.stderr.isTTY)
      process.stderr.write(`\r${Math.floor((100 * done) / of)} %  ${done} of ${of} records`)
  },
})
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
console.log(`${records} records in ${((performance.now() - begun) / 1000).toFixed(1)} s: ${data}`)

/** What a user may ask of the demo, read from its command line: checked, paths absolute, defaults filled in. */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot } from '../package-version.ts'

export const REQUESTS = 6000
const REQUESTS_MAX = 1_000_000
export const PER_SECOND = 150
const PER_SECOND_MAX = 2000

export interface DemoOptions {
  readonly serve: boolean
  readonly requests: number
  readonly perSecond: number
  /** Absolute paths. */
  readonly configFile: string
  readonly modelServerFile: string
  readonly json: boolean
}

/** A string says what is wrong with the command line. */
export function parseDemo(args: readonly string[]): DemoOptions | { readonly help: true } | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        serve: { type: 'boolean', default: false },
        requests: { type: 'string', default: String(REQUESTS) },
        rate: { type: 'string', default: String(PER_SECOND) },
        config: { type: 'string' },
        'model-server': { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return { help: true }
    if (values.serve && values.json) return '--serve has no report to print as --json'
    const configFile =
      values.config === undefined ? join(packageRoot(), 'gateway.toml') : resolve(values.config)
    const beside = join(configFile, '..', 'config', 'model-server.toml')
    return {
      serve: values.serve,
      requests: whole('--requests', values.requests, REQUESTS_MAX),
      perSecond: whole('--rate', values.rate, PER_SECOND_MAX),
      configFile,
      modelServerFile: values['model-server'] === undefined ? beside : resolve(values['model-server']),
      json: values.json,
    }
  } catch (error) {
    return (error as Error).message
  }
}

function whole(option: string, text: string, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (value < 1 || value > most)
    throw new Error(`${option} is a whole number from 1 to ${most}, not '${text}'`)
  return value
}

/** `modelgate serve --config FILE`, but for its lanes, which record nothing. For measurements only. */
import { availableParallelism } from 'node:os'
import { untilStopped } from '../../src/cli/serve.ts'
import { startGateway } from '../../src/compose.ts'
import { loadConfig } from '../../src/control/config/load.ts'
import { entryBeside } from '../../src/kernel/entry.ts'

const configFile = process.argv[2] ?? ''
const loaded = loadConfig(configFile, { generation: 1, cores: availableParallelism() })
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
const log = (line: string) => console.error(line)
const laneEntry = entryBeside(import.meta.url, './lane-without-records')
const start = await startGateway({ snapshot: loaded.snapshot, version: 'bench', configFile, log, laneEntry })
if (!start.ok) throw new Error(start.problem)
const { inferencePort, adminPort } = start.gateway
console.log(`serving on http://127.0.0.1:${inferencePort}, admin on port ${adminPort}`)
process.exitCode = await untilStopped(start.gateway, log)

/**
 * One campaign, in a process of its own: plays it, prints what it saw, and tells its supervisor every second what it
 * is at, so that a case that never ends is known by name.
 */
import { CAMPAIGNS } from './campaigns.ts'
import { BEAT_MS, type Beat, type Run } from './supervise.ts'

const { name, cases, seed, minutes } = JSON.parse(process.argv[2]!) as Run
const startedAt = performance.now()
const underWay = new Set<string>()
const tell = (isOver: boolean): void => {
  const beat: Beat = { underWay: [...underWay], isOver }
  process.send?.(beat)
}
const beating = setInterval(() => tell(false), BEAT_MS)
// Its supervisor has gone: so must it.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))

const report = await CAMPAIGNS.get(name)!.run({
  cases,
  seed,
  underWay,
  print: (line) => console.log(line),
  isOver: () => performance.now() - startedAt > minutes * 60_000,
})
const seconds = (performance.now() - startedAt) / 1_000
for (const [title, counts] of Object.entries(report.tables)) {
  console.log(`\n${title}`)
  for (const [what, count] of [...counts].sort((left, right) => right[1] - left[1])) {
    console.log(`${String(count).padStart(10)}  ${what}`)
  }
}
console.log(
  `\n${report.done} cases from seed ${seed} in ${seconds.toFixed(1)} s on Node ${process.versions.node}`,
)
for (const finding of report.findings) console.log(`\n${finding}`)
console.log(`${report.findings.length} findings`)
process.exitCode = report.findings.length === 0 ? 0 : 1
clearInterval(beating)
tell(true)
process.removeAllListeners('disconnect')
process.disconnect?.()

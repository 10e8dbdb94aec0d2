/**
 * A lane that records nothing: what recording costs is found by holding the gateway against it. Answers leave at the end
 * of the turn, as they do where records are written.
 */
import { Recorder } from '../../src/record/recorder.ts'

let waiting: (() => void)[] = []

function releaseAll(): void {
  const released = waiting
  waiting = []
  for (const release of released) release()
}

Recorder.prototype.decision = (_exchange, release) => {
  if (waiting.length === 0) setImmediate(releaseAll)
  waiting.push(() => release(true, '', false))
}
Recorder.prototype.note = () => -1
Recorder.prototype.shadow = () => {}
Recorder.prototype.stream = () => {}

await import('../../src/lane.ts')

/** The capture thread as the gateway runs it: bodies from a lane to the log, and an end that loses none. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { Capturer } from '../../../src/audit/capture/capturer.ts'
import { Captures } from '../../../src/audit/capture/captures.ts'
import { openBodies } from '../../../src/audit/capture/open-bodies.ts'
import { SubjectKeys } from '../../../src/audit/capture/subject-keys.ts'
import { systemDisk } from '../../../src/audit/disk.ts'
import { openAudit } from '../../../src/audit/open-audit.ts'
import { readLog } from '../../../src/audit/read.ts'
import type { CaptureRecord } from '../../../src/audit/records/capture-record.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { eventually } from '../../support/eventually.ts'
import { newFolder } from '../new-folder.ts'

const SETTINGS = { share: 1, redact: [], subject: [], bytesMax: 1024 }
const idOf = (number: number) => `019aaf00-0000-7000-8000-${String(number).padStart(12, '0')}`

async function capturesIn(dataDir: string): Promise<CaptureRecord[]> {
  const found: CaptureRecord[] = []
  for await (const record of readLog(dataDir)) if (record.type === 'capture') found.push(record.note)
  return found
}

t.test(
  'what lanes handed over is in the log when it closes, and a forgotten key is asked for again',
  async (t) => {
    const dataDir = newFolder()
    const opened = await openAudit({ dataDir, lanes: 1, clock: systemClock })
    if ('kind' in opened) throw new Error(opened.message)
    const { audit } = opened
    const lines: string[] = []
    const captures = new Captures({
      journal: audit.captureParts,
      digestKey: randomBytes(32),
      seats: 2,
      log: (line) => lines.push(line),
    })
    const capturers = [0, 1].map((seat) => new Capturer(captures.partsOf(seat)))
    const offer = (number: number) =>
      capturers[number % 2]!.offer(
        {
          id: idOf(number),
          at: systemClock.wall(),
          model: 'm',
          subject: 'alice',
          request: { bytes: Buffer.from(`body ${number}`), json: -1 },
          answer: null,
        },
        SETTINGS,
      )
    offer(0)
    await eventually(() => captures.count('kept') === 1)
    const [first] = await eventually(async () => {
      const found = await capturesIn(dataDir)
      return found.length === 1 && found
    })
    t.equal(new SubjectKeys(dataDir, systemDisk).destroy(first!.subject), 1)
    captures.forget(first!.subject)
    for (let number = 1; number < 200; number += 1) offer(number)
    await captures.close()
    await audit.close()
    const found = await capturesIn(dataDir)
    t.equal(found.length, 200)
    const states = found.map((capture) => openBodies(dataDir, [capture])[0]!)
    t.equal(states[0]!.state, 'erased')
    t.ok(states.slice(1).every(({ state }) => state === 'shown'))
    t.equal(states.find((_, index) => found[index]!.id === idOf(150))?.body?.toString(), 'body 150')
    t.strictSame(lines, [])
  },
)

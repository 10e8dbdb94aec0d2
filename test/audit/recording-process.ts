/**
 * A process that records: opens the log, starts lane threads that write decisions as fast as they can, and prints
 * an id only after its release said that it is written. Killed by tests at any moment.
 *
 * Arguments: data directory, lanes, records a turn, records in all (0: until killed).
 */
import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type JournalParts, LaneJournal } from '../../src/audit/lane-journal.ts'
import { openAudit } from '../../src/audit/open-audit.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { sampleDecision, sampleInputs } from './samples.ts'

interface Work {
  readonly parts: JournalParts
  readonly perTurn: number
  readonly total: number
}

/** Straight to the descriptor: what was printed must have left the process before it dies. */
function print(line: string): void {
  let rest = Buffer.from(`${line}\n`)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      // A full pipe whose reader is busy; a line must not be given up half-written.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

function runLane({ parts, perTurn, total }: Work): void {
  const journal = new LaneJournal(parts, systemClock)
  let done = 0
  const turn = (): void => {
    const isAvailable = journal.available()
    for (let index = 0; index < perTurn; index += 1) {
      const record = sampleDecision()
      if (!isAvailable) continue
      journal.decision(record, sampleInputs, (written) => {
        if (written) print(record.id)
        else print(`refused ${record.id}`)
      })
    }
    if (!isAvailable) print('unavailable')
    done += perTurn
    if (total === 0 || done < total) setTimeout(turn, isAvailable ? 0 : 100)
    else {
      journal.close()
      parentPort!.postMessage('done')
    }
  }
  turn()
}

async function runProcess([dataDir = '', lanes = '1', perTurn = '8', total = '0']: string[]): Promise<void> {
  const opened = await openAudit({ dataDir, lanes: Number(lanes), clock: systemClock })
  if ('kind' in opened) {
    print(`problem ${opened.message}`)
    process.exitCode = 3
    return
  }
  const { audit, recovery } = opened
  audit.onFatal((problem) => {
    print(`fatal ${problem}`)
    process.exit(1)
  })
  print(`ready ${JSON.stringify(recovery)}`)
  const entry = fileURLToPath(import.meta.url)
  const workers = Array.from({ length: Number(lanes) }, (_, lane) => {
    const work: Work = { parts: audit.laneParts(lane), perTurn: Number(perTurn), total: Number(total) }
    return new Promise((resolve) => new Worker(entry, { workerData: work }).once('message', resolve))
  })
  await Promise.all(workers)
  await audit.close()
  print(`closed ${JSON.stringify(audit.counts())}`)
}

if (isMainThread) await runProcess(process.argv.slice(2))
else runLane(workerData as Work)

/**
 * What keeps the log besides writing decisions: the thread that seals captured bodies, where a model has any, and the
 * inbox of other processes. Both run beside the lanes and end after them, before the log closes.
 */
import { join } from 'node:path'
import { Captures } from '../audit/capture/captures.ts'
import { openDigestKey } from '../audit/digests.ts'
import { stateConfiguredHold } from '../audit/hold.ts'
import type { InboxNote } from '../audit/inbox/inbox-note.ts'
import { InboxReader } from '../audit/inbox/inbox-reader.ts'
import type { AuditWriter } from '../audit/open-audit.ts'
import { KEY_FILE } from '../audit/paths.ts'
import { CAPTURE_FATES } from '../audit/records/capture-record.ts'
import type { Snapshot } from '../domain/routes.ts'
import { systemClock } from '../kernel/clock.ts'
import { seatsOf } from '../kernel/lane-seats.ts'
import type { LaneStart } from '../lane-messages.ts'
import type { Metric } from '../observe/metric-table.ts'

export class LogKeeping {
  readonly #captures: Captures | null
  readonly #inbox: InboxReader
  readonly #stateHold: () => void

  /** The data directory is the gateway's own by now. Throws the system's error when its keys cannot be read. */
  constructor(
    { server, models, audit: settings }: Snapshot,
    audit: AuditWriter,
    log: (line: string) => void,
  ) {
    const { dataDir, lanes } = server
    const isCapturing = [...models.values()].some(({ capture }) => capture !== null)
    const digestKey = openDigestKey(join(dataDir, KEY_FILE))
    this.#captures = isCapturing
      ? new Captures({ journal: audit.captureParts, digestKey, seats: seatsOf(lanes), log })
      : null
    this.#inbox = new InboxReader({
      dataDir,
      log,
      record: audit.recordIfAble.bind(audit),
      onNote: (note) => this.#act(note),
    })
    this.#stateHold = () => {
      try {
        stateConfiguredHold(dataDir, settings.isHeld, systemClock.wall())
      } catch (error) {
        log(`commands cannot be told of audit.hold: ${(error as Error).message}`)
      }
    }
  }

  /** For the lane at this seat. */
  partsOf(seat: number): LaneStart['capture'] {
    return this.#captures?.partsOf(seat) ?? null
  }

  get metrics(): readonly Metric[] {
    const captures = this.#captures
    if (captures === null) return []
    return [
      {
        name: 'modelgate_captures_total',
        type: 'counter',
        labels: ['fate'],
        help: 'Bodies kept, and not kept for which reason (no-room: requests).',
        samples: () => CAPTURE_FATES.map((fate) => ({ labels: [fate], value: captures.count(fate) })),
      },
    ]
  }

  start(): void {
    this.#stateHold()
    this.#inbox.start()
  }

  /** After all lanes ended. */
  async stop(): Promise<void> {
    await this.#captures?.close()
    this.#inbox.stop()
  }

  #act({ type, note }: InboxNote): void {
    if (type === 'erase') this.#captures?.forget(note.subject)
  }
}

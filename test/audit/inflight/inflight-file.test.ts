/** What a lane notes of requests under way, as a reader finds it after the lane's sudden end at any moment. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import {
  CELL_BYTES,
  type Cell,
  PAGE_BYTES,
  type RequestUnderWay,
  readCell,
} from '../../../src/audit/inflight/cell.ts'
import { InflightFile, NO_SLOT } from '../../../src/audit/inflight/inflight-file.ts'
import { inflightPath } from '../../../src/audit/paths.ts'
import { RequestIds } from '../../../src/kernel/request-id.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { FaultyDisk } from '../faulty-disk.ts'
import { newFolder } from '../new-folder.ts'

const HASH = '5f'.repeat(32)
const ids = new RequestIds()

function sampleRequest(more: Partial<RequestUnderWay> = {}): RequestUnderWay {
  return {
    id: ids.next(1_790_000_000_000),
    receivedAt: 1_790_000_000_000,
    afterMs: 0.25,
    generation: 1,
    configHash: HASH,
    model: 'fraud',
    version: 'v2',
    role: 'canary',
    ...more,
  }
}

function openFile({ slotsMax = 64, dataDir = newFolder() } = {}) {
  const disk = new FaultyDisk()
  const clock = new ManualClock()
  const place = { dataDir, lane: 1, start: 7 }
  const path = inflightPath(dataDir, place.lane, place.start)
  return { disk, clock, path, dataDir, file: new InflightFile(place, clock, { slotsMax, disk }) }
}

/** Of one request that is alone in its turn. */
function note(file: InflightFile, request = sampleRequest()): number {
  const slot = file.begin(request, 0)
  file.write()
  return slot
}

function cellsIn(path: string): (Cell | 'empty' | 'bad')[] {
  const bytes = readFileSync(path)
  const cells: (Cell | 'empty' | 'bad')[] = []
  for (let at = 0; at < bytes.length; at += CELL_BYTES) cells.push(readCell(bytes, at))
  return cells
}

function found(path: string) {
  const requests = []
  let through = 0
  for (const cell of cellsIn(path)) {
    if (cell === 'bad') throw new Error('a cell is damaged')
    if (cell === 'empty') continue
    if (cell.kind === 'request') requests.push(cell.request)
    if (cell.kind === 'progress') through = cell.through
  }
  return { requests, ids: requests.map(({ id }) => id), through }
}

t.test('a request stands in the file when it was written, with one write', async (t) => {
  const { file, disk, path } = openFile()
  note(file)
  const before = disk.writes
  const request = sampleRequest()
  t.not(note(file, request), NO_SLOT)
  t.equal(disk.writes, before + 1)
  t.strictSame(found(path).requests[1], { ...request, configHash: '' })
  const cells = cellsIn(path).filter((cell) => typeof cell === 'object')
  t.match(cells[0], { kind: 'file', version: 1, lane: 1, start: 7 })
  t.ok(cells.some((cell) => cell.kind === 'generation' && cell.generation === 1 && cell.configHash === HASH))
})

t.test('names of any kind fit, and no character is cut in two', async (t) => {
  const { file, path } = openFile()
  const longest = sampleRequest({ model: 'm'.repeat(64), version: 'v'.repeat(64) })
  note(file, longest)
  note(file, sampleRequest({ model: '語'.repeat(64), version: '😀'.repeat(64) }))
  const [ascii, other] = found(path).requests
  t.match(ascii, { model: longest.model, version: longest.version })
  t.match(other, { model: '語'.repeat(31), version: '😀'.repeat(15) })
})

t.test('whoever has a record leaves no trace after a tidy, and frees its place before', async (t) => {
  const { file, disk, path } = openFile()
  const first = note(file)
  file.decided(first, 1)
  file.end(first, true)
  const writes = disk.writes
  const second = sampleRequest()
  t.equal(note(file, second), first, 'the place that became free last is taken first')
  t.equal(disk.writes, writes + 1, 'so nothing else has to be cleared')
  const others = [1, 2, 3].map(() => note(file))
  for (const [index, slot] of others.entries()) {
    file.decided(slot, 2 + index)
    file.end(slot, true)
  }
  t.equal(found(path).ids.length, 4, 'nothing is written for an end')
  file.tidy(4, true)
  t.strictSame(found(path), { ...found(path), ids: [second.id], through: 4 })
})

t.test('how far the file was tidied never passes a record whose fate is not known', async (t) => {
  const { file, path } = openFile()
  const slots = [1, 2, 3].map(() => note(file))
  for (const [index, slot] of slots.entries()) file.decided(slot, 11 + index)
  file.end(slots[0]!, true)
  file.end(slots[2]!, true)
  file.tidy(20, true)
  t.equal(found(path).through, 11, 'the one with 12 is still noted')
  t.equal(found(path).ids.length, 1)
  file.end(slots[1]!, true)
  file.tidy(20, true)
  t.match(found(path), { through: 20, ids: [] })
})

t.test('whose record could not be written stays noted until the log tells of the loss', async (t) => {
  const { file, path } = openFile()
  const request = sampleRequest()
  const slot = note(file, request)
  file.decided(slot, 5)
  file.end(slot, false)
  file.tidy(6, false)
  t.match(found(path), { ids: [request.id], through: 4 })
  file.tidy(7, true)
  t.match(found(path), { ids: [], through: 7 })
})

t.test('an end in order removes the file, unless somebody in it has no record', async (t) => {
  const { file, path, dataDir } = openFile()
  const slot = note(file)
  file.decided(slot, 1)
  file.end(slot, true)
  file.close(1, true)
  t.notOk(existsSync(path))
  const other = openFile({ dataDir })
  const request = sampleRequest()
  note(other.file, request)
  other.file.close(1, true)
  t.strictSame(found(path).ids, [request.id])
  const successor = openFile({ dataDir })
  const another = note(successor.file, sampleRequest())
  t.strictSame(found(path).ids.length, 2, 'whoever has the seat next writes behind it')
  successor.file.decided(another, 2)
  successor.file.end(another, true)
  successor.file.close(2, true)
  t.strictSame(found(path).ids, [request.id], 'and leaves it to whoever opens the log')
})

t.test('where nothing is noted nothing is left', async (t) => {
  const { file, path } = openFile()
  file.tidy(3, true)
  file.close(3, true)
  t.notOk(existsSync(path))
})

t.test('a disk that takes nothing refuses nobody, is asked once a second, and is forgiven', async (t) => {
  const { file, disk, clock, path } = openFile()
  note(file)
  disk.room = 0
  const first = sampleRequest()
  note(file, first)
  t.equal(file.trouble, 'ENOSPC')
  const writes = disk.writes
  t.equal(note(file), NO_SLOT)
  t.equal(disk.writes, writes)
  t.equal(file.unnoted, 2)
  disk.room = Infinity
  clock.advance(1000)
  const request = sampleRequest()
  t.not(note(file, request), NO_SLOT)
  t.equal(file.trouble, '')
  t.strictSame(found(path).ids.slice(1), [first.id, request.id], 'whoever is under way still is noted late')
})

t.test('a file that cannot be made refuses nobody either, and is made when it can be', async (t) => {
  const { file, disk, clock, path } = openFile()
  disk.room = 0
  t.equal(note(file), NO_SLOT)
  t.match(file, { trouble: 'ENOSPC', unnoted: 1 })
  disk.room = Infinity
  clock.advance(1000)
  const request = sampleRequest()
  note(file, request)
  t.strictSame(found(path).ids, [request.id])
})

t.test('a write that stops in the middle leaves a place that is used again', async (t) => {
  const { file, disk, clock, path } = openFile()
  note(file)
  disk.room = 40
  const cut = note(file)
  disk.room = Infinity
  t.equal(cellsIn(path).filter((cell) => cell === 'bad').length, 1)
  file.decided(cut, 1)
  file.end(cut, true)
  file.tidy(1, true)
  t.equal(found(path).ids.length, 1, 'a tidy clears it')
  clock.advance(1000)
  t.equal(note(file), cut)
  t.equal(found(path).ids.length, 2)
})

t.test('no more are noted at the same time than it was told', async (t) => {
  const { file } = openFile({ slotsMax: 16 })
  const slots = Array.from({ length: 17 }, () => note(file))
  t.equal(slots.filter((slot) => slot === NO_SLOT).length, 1)
  t.equal(file.unnoted, 1)
  file.decided(slots[3]!, 1)
  file.end(slots[3]!, true)
  t.equal(note(file), slots[3])
})

t.test('a damaged cell is told from an empty one, and hides no other', async (t) => {
  const { file, path } = openFile()
  const requests = [1, 2, 3].map(() => sampleRequest())
  for (const request of requests) note(file, request)
  const bytes = readFileSync(path)
  bytes[PAGE_BYTES + CELL_BYTES + 30]! ^= 1
  writeFileSync(path, bytes)
  const cells = cellsIn(path).slice(16)
  t.equal(cells.filter((cell) => cell === 'bad').length, 1)
  t.strictSame(
    cells.flatMap((cell) => (typeof cell === 'object' && cell.kind === 'request' ? [cell.request.id] : [])),
    [requests[0]!.id, requests[2]!.id],
  )
})

t.test('requests of one turn share a write where their cells lie near each other', async (t) => {
  const { file, disk, path } = openFile({ slotsMax: 4096 })
  const slots = Array.from({ length: 2000 }, () => file.begin(sampleRequest(), 0))
  t.equal(found(path).ids.length, 0, 'nothing is written before it is asked for')
  file.write()
  t.equal(found(path).ids.length, 2000)
  for (const [index, slot] of slots.entries()) {
    file.decided(slot, index + 1)
    if (index % 2 === 0) file.end(slot, true)
  }
  const kept = found(path).ids.filter((_, index) => index % 2 === 1)
  const later = [sampleRequest(), sampleRequest(), sampleRequest()]
  for (const request of later) file.begin(request, 2000)
  const before = disk.writes
  file.write()
  t.equal(disk.writes, before + 1, 'three that lie together')
  const noted = new Set(found(path).ids)
  t.ok([...kept, ...later.map(({ id }) => id)].every((id) => noted.has(id)))
  file.tidy(2000, true)
  t.strictSame(new Set(found(path).ids), new Set([...kept, ...later.map(({ id }) => id)]))
})

t.test('places that are taken and left while the disk takes nothing are remembered once', async (t) => {
  const { file, disk, clock, path } = openFile({ slotsMax: 4 })
  const kept = sampleRequest()
  note(file, kept)
  disk.room = 0
  for (let turn = 1; turn <= 50; turn += 1) {
    const slot = note(file)
    file.decided(slot, turn)
    file.end(slot, true)
    clock.advance(1000)
  }
  disk.room = Infinity
  const writes = disk.writes
  const request = sampleRequest()
  note(file, request)
  t.ok(disk.writes - writes <= 4, `${disk.writes - writes} writes for one place`)
  file.tidy(50, true)
  t.strictSame(found(path).ids, [kept.id, request.id])
})

/** Steps that a lane may take, by numbers that choose among whoever is under way. */
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('begin' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('write' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('decide' as const), which: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat(), ok: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tidy' as const), told: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('trouble' as const), room: fc.nat(600) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('room' as const) }) },
)

t.test('whatever a lane does, after its death every request without a record is found', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const { file, disk, clock, path } = openFile()
      /** Noted and not decided; decided and not ended; the sequence of each record that may be in the log. */
      const open = new Map<number, string>()
      const decided = new Map<number, string>()
      const inLog = new Map<string, number>()
      /** Not written yet, so not asked yet. */
      const begun = new Map<number, string>()
      const missed = new Map<number, string>()
      let sequence = 0
      for (const { kind, ...how } of steps) {
        const pick = (from: Map<number, string>) => [...from][('which' in how ? how.which : 0) % from.size]!
        if (kind === 'begin') {
          const request = sampleRequest()
          const slot = file.begin(request, sequence)
          if (slot !== NO_SLOT) begun.set(slot, request.id)
        } else if (kind === 'write') {
          file.write()
          // What the disk did not take is asked all the same, and is known to be missing.
          const isNoted = file.trouble === ''
          for (const [slot, id] of begun) (isNoted ? open : missed).set(slot, id)
          begun.clear()
        } else if (kind === 'decide' && open.size > 0) {
          const [slot, id] = pick(open)
          sequence += 1
          file.decided(slot, sequence)
          inLog.set(id, sequence)
          open.delete(slot)
          decided.set(slot, id)
        } else if (kind === 'end' && decided.size > 0) {
          const [slot] = pick(decided)
          file.end(slot, 'ok' in how && how.ok)
          decided.delete(slot)
        } else if (kind === 'tidy') file.tidy(sequence, 'told' in how && how.told)
        else if (kind === 'trouble') disk.room = 'room' in how ? how.room : 0
        else if (kind === 'room') {
          disk.room = Infinity
          clock.advance(1000)
        }
      }
      if (!existsSync(path)) return open.size === 0
      const cells = cellsIn(path).flatMap((cell) => (typeof cell === 'object' ? [cell] : []))
      const noted = new Set(cells.flatMap((cell) => (cell.kind === 'request' ? [cell.request.id] : [])))
      const through = cells.flatMap((cell) => (cell.kind === 'progress' ? [cell.through] : []))[0] ?? 0
      const isComplete = [...open.values()].every((id) => noted.has(id))
      // Whoever reads the log from its end looks no further than this.
      const isNear = [...noted].every((id) => (inLog.get(id) ?? Number.POSITIVE_INFINITY) > through)
      return isComplete && isNear
    }),
    { numRuns: 300 },
  )
})

/** Notes of other processes: what is taken, what is refused, and what happens when either cannot be done. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import t from 'tap'
import { ASKED_MAX, checkNote, NOTE_BYTES_MAX, WAITING_MAX } from '../../../src/audit/inbox/inbox-note.ts'
import { InboxReader, NOTES_A_LOOK, REFUSED_MAX } from '../../../src/audit/inbox/inbox-reader.ts'
import { leaveAccess, leaveNote, whoAsks } from '../../../src/audit/inbox.ts'
import { inboxOf } from '../../../src/audit/paths.ts'
import { accessRecorder } from '../../../src/audit/record-access.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { newFolder } from '../new-folder.ts'

interface Recorded {
  readonly type: string
  readonly note: { readonly at: number; readonly inbox?: string }
}

/** `able`: how many records can be written; all when not given. */
function openReader(dataDir: string, able = Number.POSITIVE_INFINITY) {
  const recorded: Recorded[] = []
  const lines: string[] = []
  const seen: string[] = []
  const reader = new InboxReader({
    dataDir,
    record(type, note) {
      if (recorded.length >= able) return false
      recorded.push({ type, note: note as Recorded['note'] })
      return true
    },
    onNote: ({ type }) => seen.push(type),
    log: (line) => lines.push(line),
  })
  return { reader, recorded, lines, seen }
}

const waiting = (dataDir: string) => readdirSync(inboxOf(dataDir)).filter((name) => name !== 'refused')
const someId = (number: number) => `019aaf00-0000-7000-8000-${String(number).padStart(12, '0')}`

function put(dataDir: string, name: string, text: string): void {
  mkdirSync(inboxOf(dataDir), { recursive: true })
  writeFileSync(join(inboxOf(dataDir), name), text)
}

t.test('notes are recorded in the order they were left, under their names, and then removed', async (t) => {
  const dataDir = newFolder()
  const clock = new ManualClock()
  t.equal(leaveNote(dataDir, 'hold', { at: 1, by: 'a', isOn: true, words: 'matter 7' }), null)
  t.equal(leaveNote(dataDir, 'note', { at: 2, by: 'a', words: 'grüße' }), null)
  t.equal(leaveAccess(dataDir, { action: 'explain', asked: 'x', records: 3 }, clock), null)
  t.equal(leaveNote(dataDir, 'hold', { at: 3, by: 'a', isOn: false, words: '' }), null)
  const [name] = waiting(dataDir)
  t.equal(statSync(join(inboxOf(dataDir), name!)).mode & 0o777, 0o600)
  t.equal(statSync(inboxOf(dataDir)).mode & 0o777, 0o700)
  const { reader, recorded, lines, seen } = openReader(dataDir)
  t.equal(reader.look(), false, 'nothing more waits')
  t.strictSame(
    recorded.map(({ type }) => type),
    ['hold', 'note', 'access', 'hold'],
  )
  t.match(recorded[1]!.note, { at: 2, by: 'a', words: 'grüße' })
  t.match(recorded[2]!.note, { at: clock.wall(), by: whoAsks(), action: 'explain', asked: 'x', records: 3 })
  t.equal(`${recorded[0]!.note.inbox}.json`, name)
  t.strictSame(seen, ['hold', 'note', 'access', 'hold'])
  t.strictSame(waiting(dataDir), [])
  t.strictSame(lines, [])
})

t.test('what cannot be recorded now waits, and a trouble is told once', async (t) => {
  const dataDir = newFolder()
  for (let index = 0; index < 3; index += 1) leaveNote(dataDir, 'note', { at: index, by: '', words: 'w' })
  const { reader, recorded } = openReader(dataDir, 1)
  t.equal(reader.look(), false)
  t.equal(recorded.length, 1)
  t.equal(waiting(dataDir).length, 2)
  const later = openReader(dataDir)
  later.reader.stop()
  t.strictSame(
    later.recorded.map(({ note }) => note.at),
    [1, 2],
  )
})

t.test('a look takes a bounded number, a stop takes all that may wait, and no more may', async (t) => {
  const dataDir = newFolder()
  const note = JSON.stringify({ type: 'note', note: { at: 1, by: 'b', words: 'w' } })
  for (let index = 0; index < WAITING_MAX; index += 1) put(dataDir, `${someId(index)}.json`, note)
  t.match(leaveNote(dataDir, 'note', { at: 1, by: 'b', words: 'w' }), /holds 1000 notes/)
  const { reader, recorded } = openReader(dataDir)
  t.equal(reader.look(), true)
  t.equal(recorded.length, NOTES_A_LOOK)
  reader.stop()
  t.equal(recorded.length, WAITING_MAX)
  t.strictSame(waiting(dataDir), [])
})

t.test('what is not a note is moved aside and told; it delays nothing', async (t) => {
  const dataDir = newFolder()
  const good = { at: 1, by: 'b', words: 'w' }
  put(dataDir, `${someId(1)}.json`, '{')
  put(dataDir, `${someId(2)}.json`, JSON.stringify({ type: 'stop', note: { at: 1 } }))
  put(dataDir, `${someId(3)}.json`, JSON.stringify({ type: 'note', note: { ...good, '\u001b[2J\n': 1 } }))
  put(dataDir, `${someId(4)}.json`, JSON.stringify({ type: 'note', note: good, inbox: 'x' }))
  put(dataDir, `${someId(5)}.json`, ' '.repeat(NOTE_BYTES_MAX + 1))
  put(dataDir, 'passwd.json', '{}')
  mkdirSync(join(inboxOf(dataDir), `${someId(6)}.json`))
  symlinkSync('/dev/zero', join(inboxOf(dataDir), `${someId(7)}.json`))
  const fifo = spawnSync('mkfifo', [join(inboxOf(dataDir), `${someId(8)}.json`)])
  t.equal(fifo.status, 0)
  leaveNote(dataDir, 'note', good)
  const { reader, recorded, lines } = openReader(dataDir)
  t.equal(reader.look(), false)
  t.equal(recorded.length, 1)
  t.strictSame(waiting(dataDir), [])
  t.equal(readdirSync(join(inboxOf(dataDir), 'refused')).length, 9)
  t.equal(lines.length, 9)
  for (const line of lines) t.match(line, /^inbox: "[\x20-\x7e]+$/, 'one line, nothing that moves a cursor')
  t.match(lines.join('\n'), 'it is not JSON')
  t.match(lines.join('\n'), 'longer than 32768 bytes')
  t.match(lines.join('\n'), 'not a plain file')
})

t.test('what is refused is kept up to a limit', async (t) => {
  const dataDir = newFolder()
  const refused = join(inboxOf(dataDir), 'refused')
  mkdirSync(refused, { recursive: true })
  for (let index = 0; index < REFUSED_MAX; index += 1) writeFileSync(join(refused, String(index)), '')
  put(dataDir, 'stray', '')
  const { reader, lines } = openReader(dataDir)
  reader.look()
  t.equal(readdirSync(refused).length, REFUSED_MAX)
  t.match(lines[0], 'deleted, because inbox/refused is full')
})

t.test(
  'a note that cannot be removed is recorded once, and told once',
  { skip: process.getuid?.() === 0 && 'root may remove everything' },
  async (t) => {
    const dataDir = newFolder()
    leaveNote(dataDir, 'note', { at: 1, by: '', words: 'w' })
    chmodSync(inboxOf(dataDir), 0o500)
    const { reader, recorded, lines } = openReader(dataDir)
    for (let looks = 0; looks < 3; looks += 1) t.equal(reader.look(), false)
    t.equal(recorded.length, 1)
    t.equal(lines.length, 1)
    chmodSync(inboxOf(dataDir), 0o700)
    reader.look()
    t.equal(recorded.length, 1)
    t.strictSame(waiting(dataDir), [])
  },
)

t.test('a folder that is a file is told once, and leaving there says why', async (t) => {
  const dataDir = newFolder()
  writeFileSync(inboxOf(dataDir), '')
  const { reader, lines } = openReader(dataDir)
  for (let looks = 0; looks < 3; looks += 1) t.equal(reader.look(), false)
  t.equal(lines.length, 1)
  t.match(leaveAccess(dataDir, { action: 'a', asked: '', records: 0 }), /could not be put on record: /)
})

t.test('drafts of commands that died are removed at the start, and never taken', async (t) => {
  const dataDir = newFolder()
  put(dataDir, `${someId(1)}.json.draft`, '{"type":')
  const { reader, recorded, lines } = openReader(dataDir)
  reader.look()
  t.equal(waiting(dataDir).length, 1)
  reader.start()
  reader.stop()
  t.strictSame(waiting(dataDir), [])
  t.strictSame([recorded, lines], [[], []])
})

t.test('long questions are cut, wrong notes are refused where they are left', async (t) => {
  const dataDir = newFolder()
  t.equal(leaveAccess(dataDir, { action: 'audit query', asked: '☃'.repeat(9000), records: 1 }), null)
  const [name] = waiting(dataDir)
  const { note } = JSON.parse(readFileSync(join(inboxOf(dataDir), name!), 'utf8'))
  t.equal(note.asked.length, ASKED_MAX)
  t.match(leaveNote(dataDir, 'note', { at: Number.NaN, by: '', words: 'w' }), /^note\.at: /)
  t.match(leaveNote(dataDir, 'erase', { at: 1, by: '', subject: 'alice', keys: 1 }), /^note\.subject: /)
  t.equal(waiting(dataDir).length, 1)
})

t.test('the longest note of any characters fits in a file', async (t) => {
  const dataDir = newFolder()
  for (const character of ['\u0000', '\ud800', '☃', '"']) {
    t.equal(leaveNote(dataDir, 'note', { at: 1, by: 'b', words: character.repeat(4000) }), null)
  }
  const { reader, recorded, lines } = openReader(dataDir)
  reader.look()
  t.equal(recorded.length, 4, lines.join())
})

t.test('whatever JSON a file holds, it is a note or words about it', async () => {
  const note = fc.record({ type: fc.constantFrom('access', 'note', 'erase', 'hold'), note: fc.jsonValue() })
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), note), (value) => typeof checkNote(value) !== 'undefined'),
    { numRuns: 300 },
  )
})

t.test('an access that cannot be recorded now waits in the inbox', async (t) => {
  const dataDir = newFolder()
  const clock = new ManualClock()
  let isAble = true
  const notes: object[] = []
  const recordIfAble = (_type: string, note: object) => isAble && notes.push(note) > 0
  const record = accessRecorder({ recordIfAble }, dataDir, clock)
  const access = { action: 'GET /x', asked: 'y', records: 1 }
  record(access, '10.0.0.9')
  t.strictSame(notes, [{ ...access, at: clock.wall(), by: 'admin API', host: '10.0.0.9' }])
  t.notOk(existsSync(inboxOf(dataDir)))
  isAble = false
  record(access, '10.0.0.9')
  t.equal(waiting(dataDir).length, 1)
})

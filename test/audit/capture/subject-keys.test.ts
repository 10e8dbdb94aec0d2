/** Keys of subjects: made once, found again, destroyed on the disk, and beside another process. */
import { randomBytes } from 'node:crypto'
import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { keyIdOf, seal, unseal } from '../../../src/audit/capture/seal.ts'
import {
  REMEMBERED_MAX,
  SLOT_BYTES,
  SubjectKeys,
  subjectNamed,
  subjectOfDay,
} from '../../../src/audit/capture/subject-keys.ts'
import { Digester } from '../../../src/audit/digests.ts'
import { systemDisk } from '../../../src/audit/disk.ts'
import { subjectKeysOf } from '../../../src/audit/paths.ts'
import { FaultyDisk } from '../faulty-disk.ts'
import { newFolder } from '../new-folder.ts'

const ID = '019aaf00-0000-7000-8000-000000000001'
const OTHER = '019aaf00-0000-7000-8000-000000000002'
const DAY_MS = 24 * 60 * 60_000
const digester = new Digester(randomBytes(32))
const alice = subjectNamed(digester, 'alice')

function allBytes(dataDir: string): Buffer {
  const folder = subjectKeysOf(dataDir)
  return Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))))
}

t.test('what was sealed opens with its key, for its request and side only', async (t) => {
  const key = randomBytes(32)
  for (const text of ['', '{"a":1}', 'x'.repeat(100_000)]) {
    const sealed = seal(Buffer.from(text), key, ID, 'request')
    t.equal(unseal(sealed, key, ID, 'request').toString(), text)
    t.throws(() => unseal(sealed, key, OTHER, 'request'))
    t.throws(() => unseal(sealed, key, ID, 'answer'))
    t.throws(() => unseal(sealed, randomBytes(32), ID, 'request'))
    for (const at of [0, 12, sealed.length - 1]) {
      const bent = Buffer.from(sealed)
      bent[at]! ^= 1
      t.throws(() => unseal(bent, key, ID, 'request'))
    }
    t.throws(() => unseal(sealed.subarray(0, 20), key, ID, 'request'))
  }
})

t.test('a subject keeps its key, over restarts too, and no two share one', async (t) => {
  const dataDir = newFolder()
  const keys = new SubjectKeys(dataDir, systemDisk)
  const key = keys.keyFor(alice, 1)
  t.same(keys.keyFor(alice, 2), key)
  keys.sync()
  t.same(new SubjectKeys(dataDir, systemDisk).keyFor(alice, 3), key)
  t.same(new SubjectKeys(dataDir, systemDisk).find(alice.digest, keyIdOf(key)), key)
  t.notSame(keys.keyFor(subjectNamed(digester, 'bob'), 1), key)
  t.notSame(keys.keyFor(subjectOfDay(digester, 0), 1), keys.keyFor(subjectOfDay(digester, DAY_MS), 1))
  t.not(alice.digest, digester.hexOf(Buffer.from('alice')), 'not the digest of a sticky key')
  for (const name of readdirSync(subjectKeysOf(dataDir)))
    t.equal(statSync(join(subjectKeysOf(dataDir), name)).mode & 0o777, 0o600)
})

t.test('a destroyed key is nowhere on the disk, and who comes back gets a new one', async (t) => {
  const dataDir = newFolder()
  const gateway = new SubjectKeys(dataDir, systemDisk)
  const neighbours = Array.from({ length: 2000 }, (_, index) => subjectNamed(digester, `user ${index}`))
  for (const subject of neighbours) gateway.keyFor(subject, 1)
  const key = Buffer.from(gateway.keyFor(alice, 1))
  const kept = neighbours.map((subject) => Buffer.from(gateway.keyFor(subject, 1)))
  t.ok(allBytes(dataDir).includes(key))
  const command = new SubjectKeys(dataDir, systemDisk)
  t.equal(command.destroy(alice.digest), 1)
  t.notOk(allBytes(dataDir).includes(key))
  t.notOk(allBytes(dataDir).includes(Buffer.from(alice.digest, 'hex')))
  t.equal(command.find(alice.digest, keyIdOf(key)), null)
  t.equal(command.destroy(alice.digest), 0)
  t.same(gateway.keyFor(alice, 2), key, 'remembered until it is told')
  gateway.forget(alice.digest)
  const second = gateway.keyFor(alice, 3)
  t.notSame(second, key)
  t.equal(command.find(alice.digest, keyIdOf(key)), null, 'the new key is not taken for the old')
  const again = new SubjectKeys(dataDir, systemDisk)
  t.ok(neighbours.every((subject, index) => again.keyFor(subject, 1).equals(kept[index]!)))
})

t.test('keys of days go with their time, those of subjects stay', async (t) => {
  const dataDir = newFolder()
  const keys = new SubjectKeys(dataDir, systemDisk)
  const days = [0, 1, 2].map((day) =>
    Buffer.from(keys.keyFor(subjectOfDay(digester, day * DAY_MS), day * DAY_MS)),
  )
  const own = Buffer.from(keys.keyFor(alice, 0))
  t.equal(keys.destroyDays(2 * DAY_MS + 1), 2)
  const left = allBytes(dataDir)
  t.strictSame(
    days.map((key) => left.includes(key)),
    [false, false, true],
  )
  t.ok(left.includes(own))
})

t.test(
  'what a crash left of a slot is written over, and a damaged slot can still be destroyed',
  async (t) => {
    const dataDir = newFolder()
    const keys = new SubjectKeys(dataDir, systemDisk)
    keys.keyFor(alice, 1)
    const path = join(subjectKeysOf(dataDir), alice.digest.slice(0, 2))
    appendFileSync(path, Buffer.alloc(10, 7))
    const neighbour = { digest: `${alice.digest.slice(0, 2)}${'00'.repeat(15)}`, isDay: false }
    const key = keys.keyFor(neighbour, 1)
    t.equal(statSync(path).size, 2 * SLOT_BYTES)
    const bytes = readFileSync(path)
    bytes[20]! ^= 1
    writeFileSync(path, bytes)
    keys.forget(alice.digest)
    t.notSame(keys.keyFor(alice, 1), undefined)
    t.equal(
      new SubjectKeys(dataDir, systemDisk).destroy(alice.digest),
      2,
      'the damaged one and its successor',
    )
    t.same(new SubjectKeys(dataDir, systemDisk).keyFor(neighbour, 1), key)
    truncateSync(path, 0)
  },
)

t.test('memory of keys is bounded', async (t) => {
  const disk = new FaultyDisk()
  const keys = new SubjectKeys(newFolder(), disk)
  const subjects = Array.from({ length: 300 }, (_, index) => subjectNamed(digester, String(index)))
  for (const subject of subjects) keys.keyFor(subject, 1)
  const before = disk.opened.length
  for (const subject of subjects) keys.keyFor(subject, 1)
  t.equal(disk.opened.length, before, 'remembered')
  t.ok(REMEMBERED_MAX <= 10_000)
})

t.test('a disk that fails makes no key, and keys are synced once', async (t) => {
  const disk = new FaultyDisk()
  const keys = new SubjectKeys(newFolder(), disk)
  disk.room = 10
  t.throws(() => keys.keyFor(alice, 1), { code: 'ENOSPC' })
  disk.room = Number.POSITIVE_INFINITY
  keys.keyFor(alice, 1)
  keys.sync()
  t.equal(disk.syncs, 1)
  keys.sync()
  t.equal(disk.syncs, 1)
  disk.failsSync = true
  t.throws(
    () => keys.destroy(alice.digest),
    { code: 'EIO' },
    'destroying is not done before it is on the disk',
  )
})

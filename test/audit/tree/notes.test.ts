/** Signed notes, verifier keys and checkpoints: what is signed is believed, anything less is refused with a reason. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  checkpointText,
  openCheckpoint,
  parseCheckpointText,
  signCheckpoint,
} from '../../../src/audit/tree/checkpoint.ts'
import {
  formatVerifierKey,
  keyOfSeed,
  noteSigner,
  parseNote,
  parseVerifierKey,
  parseVerifierKeys,
  SIGNATURES_MAX,
  signatureLine,
  signNote,
  textOf,
  type VerifierKey,
  verifyNote,
} from '../../../src/audit/tree/note.ts'

const signer = (name: string, seed = 1) => noteSigner(name, keyOfSeed(Buffer.alloc(32, seed)))

const namesOf = (keys: readonly VerifierKey[] | string) =>
  typeof keys === 'string' ? keys : keys.map(formatVerifierKey)

/** The examples of c2sp.org/signed-note: signed by other programs than this one. */
const FOREIGN_KEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
const FOREIGN_NOTE = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`

t.test('a note that another program signed is verified', (t) => {
  const key = parseVerifierKey(FOREIGN_KEY)
  const note = parseNote(FOREIGN_NOTE)
  if (typeof key === 'string' || typeof note === 'string') throw new Error(`${key} ${note}`)
  t.equal(formatVerifierKey(key), FOREIGN_KEY)
  t.equal(note.text, 'This is an example message.\n')
  t.same(verifyNote(note, [key]), [key])
  t.match(verifyNote({ ...note, text: 'This is another message.\n' }, [key]), /does not fit the text/)
  t.end()
})

t.test('what is signed comes back, and names who signed', (t) => {
  const names = fc.stringMatching(/^[a-z0-9./-]{1,40}$/)
  const texts = fc
    .string({ unit: 'grapheme', maxLength: 200 })
    .filter((text) => !/[\p{Cc}\p{Cs}]/u.test(text))
  const seeds = fc.integer({ min: 0, max: 255 })
  fc.assert(
    fc.property(names, texts, fc.uniqueArray(seeds, { minLength: 1, maxLength: 16 }), (name, text, list) => {
      const signers = list.map((seed) => signer(name, seed))
      const signed = signNote(`${text}\n`, signers)
      const note = parseNote(signed)
      if (typeof note === 'string') throw new Error(note)
      const keys = signers.map(({ key }) => key)
      t.equal(note.text, `${text}\n`)
      t.same(namesOf(verifyNote(note, keys)), namesOf(keys))
      t.same(namesOf(verifyNote(note, keys.slice(0, 1))), namesOf(keys.slice(0, 1)), 'others are passed over')
      t.type(verifyNote(note, [signer(`${name}/other`).key]), 'string')
    }),
    { numRuns: 60 },
  )
  t.end()
})

t.test('no byte of a signed note can change', (t) => {
  const { key, privateKey } = signer('example.org/log')
  const signed = Buffer.from(signNote('one\n\ntwo\n', [{ key, privateKey }]))
  for (let at = 0; at < signed.length; at += 1) {
    for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
      const changed = Buffer.from(signed)
      changed[at] = changed[at]! ^ bit
      const text = textOf(changed)
      const note = text === undefined ? 'no UTF-8' : parseNote(text)
      const verdict = typeof note === 'string' ? note : verifyNote(note, [key])
      if (typeof verdict !== 'string') t.fail(`bit ${bit} of byte ${at} changed unseen`)
    }
  }
  t.type(parseNote(signed.toString().slice(0, -1)), 'string', 'a cut end is refused')
  t.end()
})

t.test('what is no note is refused with a reason', (t) => {
  const line = signatureLine({ name: 'a', id: '00000000', bytes: randomBytes(64) })
  t.match(parseNote('text\n'), /empty line/)
  t.match(parseNote('text\n\n'), /no signature/)
  t.match(parseNote(`text\n\n${line.slice(0, -1)}`), /newline/)
  t.match(parseNote(`text\n\n${line}${line}`), /stands there twice/)
  t.match(parseNote(`text\n\n${line.replace('—', '-')}`), /no signature/)
  t.match(parseNote(`text\n\n${line.replace('— a', '— a+b')}`), /no signature/)
  t.match(parseNote(`text\n\n${line.replace('— a', '—  a')}`), /no signature/)
  t.match(parseNote(`text\n\n${line.replace('— a', '— a\u00a0b')}`), /no signature/)
  t.match(parseNote(`te\rxt\n\n${line}`), /control/)
  t.match(parseNote(`te\ud800xt\n\n${line}`), /UTF-8/)
  const lines = (count: number) =>
    Array.from({ length: count }, () =>
      signatureLine({ name: 'a', id: '00000000', bytes: randomBytes(64) }),
    ).join('')
  t.match(parseNote(`text\n\n${lines(SIGNATURES_MAX + 1)}`), /at most/)
  t.type(parseNote(`text\n\n${lines(SIGNATURES_MAX)}`), 'object')
  t.match(parseNote('x'.repeat(2 ** 21)), /characters/)
  t.end()
})

t.test('a verifier key that was altered, cut or is of another kind is refused', (t) => {
  const text = formatVerifierKey(signer('example.org/log').key)
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at) ^ 1
    const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1)
    t.type(parseVerifierKey(changed), 'string', `character ${at}`)
    t.type(parseVerifierKey(text.slice(0, at)), 'string')
  }
  t.match(parseVerifierKey(text.replace(/\+A/, '+B')), /type|id/)
  t.match(parseVerifierKeys(`# keys\n\n${text}\nnonsense\n`), /line 4/)
  t.match(parseVerifierKeys('# none\n'), /no verifier key/)
  t.equal((parseVerifierKeys(`${text}\n${text}\n`) as unknown[]).length, 2)
  t.throws(() => signer('with space'), /cannot name a key/)
  t.end()
})

t.test('a signer made of a key pair of node:crypto has the same verifier key', (t) => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const { key } = noteSigner('example.org/log', privateKey)
  const parsed = parseVerifierKey(formatVerifierKey(key))
  const note = parseNote(signNote('text\n', [{ key, privateKey }]))
  if (typeof parsed === 'string' || typeof note === 'string') throw new Error('not parsed')
  t.equal((verifyNote(note, [parsed]) as unknown[]).length, 1)
  t.end()
})

t.test('a checkpoint comes back, and only with a signature of its own origin', (t) => {
  const own = signer('example.org/log')
  const witness = signer('witness.example', 2)
  const checkpoint = { origin: 'example.org/log', size: 20_852_163, root: randomBytes(32) }
  const note = signCheckpoint(checkpoint, [own, witness])
  t.match(openCheckpoint(note, [own.key]), { ...checkpoint, signedBy: [{ id: own.key.id }] })
  t.match(openCheckpoint(note, [own.key, witness.key]), { signedBy: [own.key, witness.key] })
  t.match(openCheckpoint(note, [witness.key]), /no key of that name signed/)
  t.match(openCheckpoint(note, [signer('example.org/log', 3).key]), /not signed by a key that is trusted/)
  t.end()
})

t.test('what is no checkpoint is refused', (t) => {
  const root = Buffer.alloc(32, 7).toString('base64')
  const refused: readonly (readonly [string, RegExp])[] = [
    ['log\n5\n', /three lines/],
    [`log\n5\n${root}`, /newline/],
    [`\n5\n${root}\n`, /empty/],
    [`log\n05\n${root}\n`, /no size/],
    [`log\n-5\n${root}\n`, /no size/],
    [`log\n9007199254740992\n${root}\n`, /no size/],
    [`log\n5\n${root.replace('=', '')}\n`, /32 bytes/],
    [`log\n5\n${Buffer.alloc(31).toString('base64')}\n`, /32 bytes/],
    [`log\n5\n${root}\nextension\n\n`, /empty/],
  ]
  for (const [text, why] of refused) t.match(parseCheckpointText(text), why, JSON.stringify(text))
  const checkpoint = { origin: 'log', size: 0, root: Buffer.alloc(32, 7) }
  t.same(parseCheckpointText(checkpointText(checkpoint)), checkpoint)
  t.match(parseCheckpointText(`log\n5\n${root}\nextension\n`), { size: 5 }, 'extension lines are allowed')
  t.end()
})

/**
 * What is written about the configuration agrees with what is checked: every example is valid, the JSON
 * schema and the table of keys are the ones the grammar gives, and files are read as promised.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { readmeText, schemaText } from '../../../scripts/write-schema.ts'
import { keyRows } from '../../../src/control/config/document.ts'
import { CONFIG_BYTES_MAX, loadConfig } from '../../../src/control/config/load.ts'
import { NOT_YET } from '../../../src/control/config/not-yet.ts'

const CONFIG = resolve('config')
const options = { generation: 3, cores: 2 }
const examples = readdirSync(CONFIG).filter((file) => file.endsWith('.toml'))

t.test('every example is valid, without a warning', async (t) => {
  t.ok(examples.length >= 11)
  for (const file of examples) {
    const result = loadConfig(join(CONFIG, file), options)
    t.same(result.ok ? result.warnings : result.problems, [], file)
  }
})

t.test('every example names the schema, explains itself and is in the table', async (t) => {
  const readme = readFileSync(join(CONFIG, 'README.md'), 'utf8')
  // The other side of the top-level gateway.toml; explained there.
  for (const file of examples.filter((name) => name !== 'model-server.toml')) {
    const lines = readFileSync(join(CONFIG, file), 'utf8').split('\n')
    t.equal(lines[0], '#:schema ./gateway.schema.json', file)
    t.ok(lines.filter((line) => line.includes('#')).length >= lines.length / 4, `${file} is annotated`)
    t.ok(readme.includes(`(${file})`), `${file} is listed`)
  }
})

t.test('every key that does something is shown in an example', async (t) => {
  const shown = examples.map((file) => readFileSync(join(CONFIG, file), 'utf8')).join('\n')
  const later = NOT_YET.map((row) => row.path[row.path.length - 1])
  const words = keyRows()
    .map((row) => row.key)
    .filter((key) => !/tls|retry|governance|health|upstream|capture|audit|rename\b.*\]/.test(key))
    .map((key) => key.split('.').pop()!.replace('[]', ''))
    .filter((word) => word !== 'NAME' && !later.includes(word))
  for (const word of new Set(words)) t.match(shown, new RegExp(`\\b${word}\\b`), word)
})

t.test('the JSON schema and the table of keys are up to date (npm run schema)', async (t) => {
  t.equal(readFileSync(join(CONFIG, 'gateway.schema.json'), 'utf8'), schemaText())
  const readme = readFileSync(join(CONFIG, 'README.md'), 'utf8')
  t.equal(readme, readmeText(readme))
  t.throws(() => readmeText('no marks'), /marks/)
})

t.test('every key has a description, in the schema and in the table', async (t) => {
  for (const row of keyRows()) t.ok(row.meaning.length > 5 && row.type !== '', row.key)
  const schema = JSON.parse(schemaText())
  t.match(schema.properties.server.properties.listen, {
    type: 'string',
    default: '127.0.0.1:8080',
    description: /Expected: "HOST:PORT"/,
  })
  t.equal(
    schema.properties.models.additionalProperties.additionalProperties,
    false,
    'editors refuse unknown keys, too',
  )
})

t.test('paths are relative to the configuration, and files are read within limits', async (t) => {
  const directory = t.testdir({ replies: { 'a.txt': 'sorry', 'b.bin': 'x' } })
  const file = join(directory, 'gateway.toml')
  const write = (reply: string): void =>
    writeFileSync(
      file,
      `[models.m.versions.v1]\nendpoints = ["http://h"]\n[models.m.on_failure]\nerror = ["reply:${reply}"]\n`,
    )
  const refusal = (): string => {
    const result = loadConfig(file, options)
    return result.ok ? 'valid' : `${result.problems[0]?.line}: ${result.problems[0]?.message}`
  }
  write('replies/a.txt')
  const result = loadConfig(file, options)
  t.match(result, { ok: true, snapshot: { generation: 3, server: { dataDir: join(directory, 'data') } } })
  const step = result.ok ? result.snapshot.models.get('m')?.onFailure.error[0] : undefined
  t.match(step, { contentType: 'text/plain; charset=utf-8', body: Buffer.from('sorry') })
  write('replies')
  t.equal(refusal(), '4: cannot read replies: it is not a file')
  write('none')
  t.equal(refusal(), '4: cannot read none: no such file')
  writeFileSync(join(directory, 'large.bin'), Buffer.alloc(1024 * 1024 + 1))
  write('large.bin')
  t.equal(refusal(), '4: cannot read large.bin: it is larger than 1MiB')
  symlinkSync('replies/b.bin', join(directory, 'link.bin'))
  write('link.bin')
  t.equal(refusal(), 'valid')
})

t.test(
  'a configuration that is no text is refused with a place, one that is not there without text',
  async (t) => {
    const directory = t.testdir({})
    const file = join(directory, 'gateway.toml')
    t.match(loadConfig(file, options), { ok: false, text: null, problems: [{ message: /no such file/ }] })
    mkdirSync(file)
    t.match(loadConfig(file, options), { ok: false, text: null, problems: [{ message: /not a file/ }] })
    rmSync(file, { recursive: true })
    writeFileSync(
      file,
      Buffer.concat([Buffer.from('[server]\nlisten = "'), Buffer.from([0xff, 0xfe]), Buffer.from('"\n')]),
    )
    t.match(loadConfig(file, options), {
      ok: false,
      text: String,
      problems: [{ line: 2, column: 11, message: /UTF-8/ }],
    })
    writeFileSync(file, Buffer.alloc(CONFIG_BYTES_MAX + 1, 0x20))
    t.match(loadConfig(file, options), {
      ok: false,
      text: null,
      problems: [{ message: /larger than 16MiB/ }],
    })
    writeFileSync(file, '\uFEFF[server]\nlanes = 0\n[models.m.versions.v1]\nendpoints = ["http://h"]\n')
    t.match(loadConfig(file, options), {
      ok: false,
      problems: [{ line: 2, column: 9, path: 'server.lanes' }],
    })
  },
)

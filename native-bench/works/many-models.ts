/** Ten thousand models, and a thousand rules (as many as four models may have), beside one model. */
import { gateway, gatewayAgainst, peerFile } from '../rig/parts.ts'
import type { PairedWork } from '../rig/work.ts'

const MODELS = 10_000
/** As many as one model may have. */
const RULES_PER_MODEL = 250
const MODELS_WITH_RULES = 4

/** The model of `gateway-pass.toml` under as many names. */
function configurationOfMany(): string {
  const text = peerFile('gateway-pass.toml')
  const at = text.indexOf('[models.bench]')
  const names = Array.from({ length: MODELS }, (_, index) => `m${String(index).padStart(5, '0')}`)
  return (
    text.slice(0, at) +
    names.map((name) => text.slice(at).replaceAll('models.bench', `models.${name}`)).join('\n')
  )
}

/** None of the rules is for anybody who asks here: all of a model's are looked at. */
function configurationOfRules(): string {
  const text = peerFile('gateway-pass.toml')
  const at = text.indexOf('[models.bench]')
  const rule = (index: number): string =>
    `  { when = { header = "x-user-id", equals = "nobody-${index}" }, version = "v2" },\n`
  const rules = Array.from({ length: RULES_PER_MODEL }, (_, index) => rule(index)).join('')
  const models = Array.from({ length: MODELS_WITH_RULES }, (_, index) =>
    `${text.slice(at)}
[models.bench.versions.v2]
endpoints = ["http://127.0.0.1:{{SECOND}}"]

[models.bench.route]
primary = "v1"
rules = [
${rules}]
`.replaceAll('models.bench', `models.m0000${index}`),
  )
  return text.slice(0, at) + models.join('\n')
}

const ONE = 'path=/models/bench/score'
const MANY = `path=/models/m{model}/score models=${MODELS}`

export const manyModels: PairedWork = {
  kind: 'paired',
  name: 'many-models',
  title: '10,000 models, 1,000 rules',
  parts: [
    gateway('one model', 'gateway-pass.toml', ONE),
    gateway('10,000 models', configurationOfMany, MANY),
    gateway('1,000 rules', configurationOfRules, `path=/models/m{model}/score models=${MODELS_WITH_RULES}`),
    gatewayAgainst('10,000 models', configurationOfMany, MANY),
  ],
  points: [
    { name: 'saturation', words: 'rate=0 body=100 answer=100' },
    { name: '5k/s', words: 'rate=5000 body=100 answer=100' },
  ],
  pairs: [
    { held: '10,000 models', against: 'one model' },
    { held: '1,000 rules', against: 'one model' },
    { held: '10,000 models', against: '10,000 models (against)' },
  ],
}

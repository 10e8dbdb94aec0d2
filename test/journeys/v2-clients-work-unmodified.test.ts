/**
 * Triton's own client for Python, as it is published, against models that the gateway scores itself and against a model
 * server behind it. Needs a Python with `tritonclient[http]`; PYTHON names it where it is not `python3`.
 */
import { execFile, execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { identityModel, linearModel } from '../support/onnx-writer.ts'
import { startTestGateway } from '../support/start-gateway.ts'

const PYTHON = process.env.PYTHON ?? 'python3'
const CLIENT = resolve(import.meta.dirname, '../../../test/support/v2-client.py')
const TYPES = ['FP64', 'INT64', 'INT32', 'BOOL', 'FP16', 'BYTES']
const FILES = { 'linear.onnx': linearModel([[2], [10]]), 'same.onnx': identityModel(TYPES) }

const PATIENT = 'timeouts = { connect = "20s", first_byte = "20s", idle = "20s", total = "20s" }'
const local = (name: string, file: string) => `
[models.${name}]
${PATIENT}
route = { primary = "v1", pin = true }
[models.${name}.versions.v1]
runtime = "onnx"
file = "${file}"
`
const remote = (name: string, url: string) => `
[models.${name}]
${PATIENT}
route = { primary = "v1", pin = true }
[models.${name}.versions.v1]
endpoints = ["${url}"]
rename = { model = "far-${name}", version = "v1" }
`

const skip = hasClient()
  ? false
  : `NOT RUN: ${PYTHON} has no tritonclient[http] (pip install 'tritonclient[http]')`

t.test('a V2 client of another project', { skip }, async (t) => {
  const server = await startTestGateway(t, {
    files: FILES,
    toml: [
      local('linear', 'linear.onnx'),
      local('same', 'same.onnx'),
      local('far-linear', 'linear.onnx'),
      local('far-same', 'same.onnx'),
    ].join(''),
  })
  const url = `http://127.0.0.1:${server.port}`
  const gateway = await startTestGateway(t, { toml: remote('linear', url) + remote('same', url) })
  t.test('against models scored here', async (t) => judge(t, await told(server.port), 'onnx'))
  t.test('against a model server behind the gateway, which knows other names', async (t) => {
    judge(t, await told(gateway.port), 'onnx')
  })
})

async function told(port: number): Promise<Record<string, unknown>> {
  const { stdout } = await promisify(execFile)(PYTHON, [CLIENT, `127.0.0.1:${port}`], { timeout: 60_000 })
  return JSON.parse(stdout) as Record<string, unknown>
}

function judge(t: Test, said: Record<string, unknown>, platform: string): void {
  t.match(said.server, [
    true,
    true,
    { name: 'modelgate', version: String, extensions: ['binary_tensor_data'] },
  ])
  t.match(said.model, [
    true,
    true,
    {
      name: 'linear',
      platform: new RegExp(platform),
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
    },
  ])
  t.equal(said['not there'], false)
  const answer = [[[22], [46]], 'r-1', 'linear', 'v1']
  t.same(said.infer, {
    'False False': answer,
    'False True': answer,
    'True False': answer,
    'True True': answer,
  })
  t.equal(said.version, 'v1')
  t.same(said['all outputs'], [[12]])
  t.same(said.query, [[22]])
  const values = {
    FP64: [1.5, -2.25],
    // JSON.parse rounds what Python wrote exactly.
    INT64: [2 ** 53, -(2 ** 63)],
    INT32: [-1, 7],
    BOOL: [true, false],
    FP16: [0.5, -1.5],
    BYTES: ['Zürich', 'x'.repeat(300)],
  }
  t.same(said.types, { True: values, False: values })
  t.match(said.errors, [
    /^404 no model 'nobody'/,
    /^400 .*shape/i,
    /^404 .*no version 'v9'/,
    // Asked for by POST without a length, which the edge refuses before it looks any further.
    /^411 a POST, PUT or PATCH must have a Content-Length/,
  ])
}

function hasClient(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import tritonclient.http'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Laws every wire dialect obeys, run over the registry. */
import t from 'tap'
import { FAULTS, type FaultCode, fault, isFault } from '../../src/domain/fault.ts'
import { PROTOCOLS } from '../../src/protocols/index.ts'
import { makeHead, makeRemoteVersion } from '../support/make-model.ts'

/** For each dialect: requests it must recognize, each naming model `fraud`. */
const OWN: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'open-inference': [
    ['POST', '/v2/models/fraud/infer'],
    ['POST', '/v2/models/fraud/versions/v2/infer'],
    ['GET', '/v2/models/fraud'],
    ['GET', '/v2/models/fraud/versions/v2'],
    ['GET', '/v2/models/fraud/ready'],
  ],
  raw: [
    ['GET', '/models/fraud'],
    ['POST', '/models/fraud/score/now?x=1&y'],
    ['DELETE', '/models/fraud/'],
  ],
}

const headOf = (method: string, target: string) => {
  const [path = '', query = ''] = target.split('?')
  return makeHead({ method, target, path, query })
}

for (const protocol of PROTOCOLS) {
  t.test(`${protocol.name} recognizes its own paths and nobody else does`, async (t) => {
    for (const [method, target] of OWN[protocol.name] ?? []) {
      const match = protocol.recognize(headOf(method, target))
      t.notOk(match === undefined || isFault(match), `${method} ${target}`)
      if (match !== undefined && !isFault(match) && match.scope === 'model') t.equal(match.model, 'fraud')
      for (const other of PROTOCOLS) {
        if (other !== protocol)
          t.equal(other.recognize(headOf(method, target)), undefined, `${other.name}: ${target}`)
      }
    }
    t.ok((OWN[protocol.name] ?? []).length > 0, 'the corpus has paths of this dialect')
  })

  t.test(`${protocol.name} explains every fault in a body that is JSON and holds the message`, async (t) => {
    for (const code of Object.keys(FAULTS) as FaultCode[]) {
      const { contentType, body } = protocol.explain(fault(code, 'exact words', 'inner detail'))
      t.match(contentType, /^application\/(problem\+)?json$/)
      const text = Buffer.from(body).toString()
      t.match(JSON.stringify(JSON.parse(text)), /exact words/, code)
      t.notMatch(text, /inner detail/, 'what stays inside is not told')
    }
  })

  t.test(
    `${protocol.name} sends the body on untouched, and method and path of the same request`,
    async (t) => {
      for (const [method, target] of OWN[protocol.name] ?? []) {
        const match = protocol.recognize(headOf(method, target))
        if (match === undefined || isFault(match) || match.scope !== 'model') continue
        const body = Buffer.from([0, 1, 2, 255])
        const request = protocol.prepare(
          { method, model: 'fraud', operation: match.operation, rest: match.rest, headers: ['a', 'b'], body },
          makeRemoteVersion(1),
        )
        t.equal(request.body, body, 'the same bytes, not a copy')
        t.equal(request.method, method)
        t.same(request.headers, ['a', 'b'])
        t.match(request.target, /^\//)
      }
    },
  )

  t.test(`${protocol.name} reads scalars of an answer, and undefined where there is nothing`, async (t) => {
    const body = Buffer.from('{"a":[1,"x",true,null,{}]}')
    const at = (token: string) => ['a', token]
    const answer = { status: 200, headers: ['content-type', 'application/json'], body }
    const values = protocol.readAnswer(answer, [at('0'), at('1'), at('2'), at('3'), at('4'), at('5')])
    t.same(values, [1, 'x', true, null, null, undefined])
    t.same(protocol.readAnswer({ ...answer, body: Buffer.from('<html>') }, [at('0')]), [undefined])
  })
}

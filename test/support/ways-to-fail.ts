/** Every way in which a remote version can fail a request, as a script of its endpoint and what comes of it. */
import { answering, plainAnswer, type Script } from './scripted-upstream.ts'

export interface Failure {
  readonly name: string
  /** Null: nobody listens. */
  readonly script: Script | null
  readonly code: string
  readonly status: number
  readonly of: 'error' | 'timeout' | 'invalid_output'
  readonly words: RegExp
}

export const outputs = (data: string) =>
  plainAnswer(
    200,
    `{"model_name":"m","outputs":[{"name":"score","datatype":"FP32","shape":[1],"data":[${data}]}]}`,
    ['content-type: application/json'],
  )

const afterRequest =
  (then: (connection: Parameters<Script>[0]) => Promise<void> | void): Script =>
  async (connection) => {
    for (;;) {
      await connection.request()
      await then(connection)
    }
  }

const HEAD_OF_100 = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n'

export const FAILURES: readonly Failure[] = [
  {
    name: 'refused',
    script: null,
    code: 'connect-refused',
    status: 502,
    of: 'error',
    words: /refused the connection/,
  },
  {
    name: 'reset',
    script: afterRequest((connection) => connection.reset()),
    code: 'closed-before-answer',
    status: 502,
    of: 'error',
    words: /closed the connection before answering/,
  },
  {
    name: 'truncated',
    script: afterRequest((connection) => {
      connection.send(`${HEAD_OF_100}{"outputs":`)
      connection.finish()
    }),
    code: 'truncated-answer',
    status: 502,
    of: 'error',
    words: /in the middle of its answer/,
  },
  {
    name: 'malformed',
    script: answering('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}'),
    code: 'malformed-answer',
    status: 502,
    of: 'error',
    words: /breaks HTTP\/1\.1: Content-Length more than once/,
  },
  {
    name: 'silent',
    script: afterRequest(() => {}),
    code: 'first-byte-timeout',
    status: 504,
    of: 'timeout',
    words: /did not begin to answer within 60 ms/,
  },
  {
    name: 'pausing',
    script: afterRequest((connection) => connection.send(`${HEAD_OF_100}{"outputs":`)),
    code: 'idle-timeout',
    status: 504,
    of: 'timeout',
    words: /paused its answer for more than 80 ms/,
  },
  {
    name: 'trickling',
    script: afterRequest(async (connection) => {
      connection.send(HEAD_OF_100)
      await connection.drip('x'.repeat(100), 20)
    }),
    code: 'total-timeout',
    status: 504,
    of: 'timeout',
    words: /did not complete its answer within 250 ms/,
  },
  {
    name: 'too-high',
    script: answering(outputs('1.5')),
    code: 'invalid-output',
    status: 502,
    of: 'invalid_output',
    words: /invalid 'score': above the maximum 1/,
  },
  {
    name: 'too-low',
    script: answering(outputs('-0.01')),
    code: 'invalid-output',
    status: 502,
    of: 'invalid_output',
    words: /invalid 'score': below the minimum 0/,
  },
  {
    name: 'nan',
    script: answering(outputs('NaN')),
    code: 'invalid-output',
    status: 502,
    of: 'invalid_output',
    words: /invalid 'score': nothing readable at \/outputs\/0\/data\/0/,
  },
  {
    name: 'words',
    script: answering(outputs('"high"')),
    code: 'invalid-output',
    status: 502,
    of: 'invalid_output',
    words: /invalid 'score': not a finite number/,
  },
  {
    name: 'missing',
    script: answering(plainAnswer(200, '{"outputs":[]}')),
    code: 'invalid-output',
    status: 502,
    of: 'invalid_output',
    words: /nothing readable/,
  },
  {
    name: 'no-json',
    script: answering(plainAnswer(200, '<html>fine</html>', ['content-type: text/html'])),
    code: 'invalid-output',
    status: 502,
    of: 'invalid_output',
    words: /nothing readable/,
  },
]

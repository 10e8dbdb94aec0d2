/** Any HTTP API behind `/models/{m}/…`: the gateway routes and records it and reads nothing of it. */
import { SCORING } from '../patience.ts'
import type { Protocol } from '../protocol.ts'
import { UNSEEN } from '../unseen.ts'
import { explain } from './explain.ts'
import { identify } from './identify.ts'
import { prepare } from './prepare.ts'
import { readAnswer, readExact } from './read-answer.ts'
import { recognize } from './recognize.ts'

export const raw: Protocol = {
  name: 'raw',
  patience: SCORING,
  readyPath: null,
  servesLocally: false,
  readsAnswers: false,
  answersWhole: false,
  modelIn: null,
  renameAnswer: null,
  namesVersions: false,
  answerFields: null,
  isRepeatable: (method) => method === 'GET' || method === 'HEAD' || method === 'OPTIONS',
  recognize,
  identify,
  prepare,
  explain,
  readAnswer,
  readExact,
  ...UNSEEN,
}

/** KServe’s V1 protocol, which is TensorFlow Serving’s without versions: kserve.github.io, “V1 Protocol”. */
import { SCORING } from '../patience.ts'
import type { Protocol } from '../protocol.ts'
import { UNSEEN } from '../unseen.ts'
import { explain } from './explain.ts'
import { identify } from './identify.ts'
import { prepare } from './prepare.ts'
import { readAnswer, readExact } from './read-answer.ts'
import { recognize } from './recognize.ts'
import { renameAnswer } from './rename-answer.ts'

export const kserveV1: Protocol = {
  name: 'kserve-v1',
  readyPath: null,
  servesLocally: false,
  readsAnswers: false,
  answersWhole: true,
  modelIn: null,
  renameAnswer,
  namesVersions: false,
  answerFields: null,
  patience: SCORING,
  isRepeatable: () => true,
  recognize,
  identify,
  prepare,
  explain,
  readAnswer,
  readExact,
  ...UNSEEN,
}

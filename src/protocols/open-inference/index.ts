/** Open Inference Protocol, REST (“V2”): github.com/kserve/open-inference-protocol, with Triton’s binary tensor extension. */
import { SCORING } from '../patience.ts'
import type { Protocol } from '../protocol.ts'
import { UNSEEN } from '../unseen.ts'
import { explain } from './explain.ts'
import { identify } from './identify.ts'
import { prepare } from './prepare.ts'
import { readAnswer, readExact } from './read-answer.ts'
import { recognize } from './recognize.ts'
import { renameAnswer } from './rename-answer.ts'

export const openInference: Protocol = {
  name: 'open-inference',
  patience: SCORING,
  readyPath: '/v2/health/ready',
  servesLocally: true,
  readsAnswers: false,
  answersWhole: true,
  modelIn: null,
  renameAnswer,
  namesVersions: true,
  answerFields: ['model_name', 'model_version', 'id', 'parameters', 'outputs'],
  isRepeatable: () => true,
  recognize,
  identify,
  prepare,
  explain,
  readAnswer,
  readExact,
  ...UNSEEN,
}

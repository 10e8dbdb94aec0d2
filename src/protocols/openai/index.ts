/** The OpenAI API, as far as it keeps no state: chat, completions, embeddings, models. */
import { GENERATING } from '../patience.ts'
import type { Protocol } from '../protocol.ts'
import { endOf } from './end-of.ts'
import { breakOff, explain } from './explain.ts'
import { identify, modelIn } from './identify.ts'
import { prepare } from './prepare.ts'
import { readAnswer, readExact } from './read-answer.ts'
import { recognize } from './recognize.ts'
import { renameAnswer } from './rename-answer.ts'
import { summarize } from './summarize.ts'
import { tap } from './tap.ts'

export const openai: Protocol = {
  name: 'openai',
  readyPath: null,
  servesLocally: false,
  readsAnswers: true,
  answersWhole: true,
  modelIn,
  renameAnswer,
  namesVersions: false,
  answerFields: [
    'id',
    'object',
    'created',
    'model',
    'choices',
    'data',
    'usage',
    'system_fingerprint',
    'service_tier',
  ],
  patience: GENERATING,
  isRepeatable: () => true,
  recognize,
  identify,
  prepare,
  explain,
  readAnswer,
  readExact,
  tap,
  summarize,
  endOf,
  breakOff,
}

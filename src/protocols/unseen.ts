/** For dialects whose answers are passed on unseen: nothing is followed, told or added. */
import type { AnswerSummary } from '../domain/outcome.ts'
import type { AnswerTap, Protocol } from './protocol.ts'

const NO_WORDS = new Uint8Array(0)

export const UNSEEN: Pick<Protocol, 'tap' | 'summarize' | 'breakOff'> = {
  tap: (): AnswerTap | null => null,
  summarize: (): AnswerSummary | null => null,
  breakOff: () => NO_WORDS,
}

/** For dialects whose answers are passed on unseen: nothing is followed, told or added. */
import type { AnswerSummary } from '../domain/outcome.ts'
import type { AnswerTap, Protocol, StreamEnd } from './protocol.ts'

const NO_WORDS = new Uint8Array(0)

export const UNSEEN: Pick<Protocol, 'tap' | 'summarize' | 'endOf' | 'breakOff'> = {
  tap: (): AnswerTap | null => null,
  summarize: (): AnswerSummary | null => null,
  endOf: (): StreamEnd | null => null,
  breakOff: () => NO_WORDS,
}

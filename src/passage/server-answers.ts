/**
 * Questions about the gateway itself: is it alive, may it get traffic, what is it, what does it serve. They reach
 * no model and decide nothing, so they leave no decision record; an orchestrator asks them all day.
 */
import type { Snapshot } from '../domain/routes.ts'
import type { Match } from '../protocols/protocol.ts'
import { endStory, type Opening } from './settle.ts'

type Question = Extract<Match, { scope: 'server' }>

const METADATA = {
  name: 'modelgate',
  extensions: ['binary_tensor_data'],
}

export function answerServer(question: Question, opening: Opening): void {
  const { lane, client, id, routes } = opening
  endStory(opening)
  lane.observer.serverQuestion()
  const ready = !lane.work.draining && lane.recorder.available(routes.audit.strictest)
  const status = question.ask === 'ready' && !ready ? 503 : 200
  const body = Buffer.from(JSON.stringify(bodyOf(question, ready, opening)))
  const headers = [
    'content-type',
    'application/json',
    'modelgate-request-id',
    id,
    'modelgate-config',
    String(routes.generation),
  ]
  client.reply({ status, headers, body, close: lane.work.draining })
}

function bodyOf(question: Question, ready: boolean, { lane, routes }: Opening): object {
  switch (question.ask) {
    case 'live':
      return { live: true }
    case 'ready':
      return { ready }
    case 'metadata':
      return { ...METADATA, version: lane.version }
    case 'models':
      return {
        object: 'list',
        data: namesOf(routes, 'openai').map(cardOf),
        models: namesOf(routes, 'kserve-v1'),
      }
    case 'model':
      return cardOf(question.model)
  }
}

/** One list for two dialects that share its path: each kind of client finds the models that it can speak to. */
function namesOf(routes: Snapshot, protocol: string): readonly string[] {
  return [...routes.models.values()].flatMap((model) => (model.protocol === protocol ? [model.name] : []))
}

/** `created` is asked for by the API's clients and known to nobody here. */
function cardOf(model: string): object {
  return { id: model, object: 'model', created: 0, owned_by: 'modelgate' }
}

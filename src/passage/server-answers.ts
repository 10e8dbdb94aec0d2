/**
 * Questions about the gateway itself: is it alive, may it get traffic, what is it. They reach no model
 * and decide nothing, so they leave no decision record; an orchestrator asks them all day.
 */
import type { Match } from '../protocols/protocol.ts'
import type { Opening } from './settle.ts'

const METADATA = {
  name: 'modelgate',
  extensions: ['binary_tensor_data'],
}

export function answerServer(ask: Extract<Match, { scope: 'server' }>['ask'], opening: Opening): void {
  const { lane, client, id, routes } = opening
  lane.work.count -= 1
  lane.observer.serverQuestion()
  const ready = !lane.work.draining && lane.recorder.available()
  const status = ask === 'ready' && !ready ? 503 : 200
  const body = Buffer.from(JSON.stringify(bodyOf(ask, ready, lane.version)))
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

function bodyOf(ask: 'live' | 'ready' | 'metadata', ready: boolean, version: string): object {
  switch (ask) {
    case 'live':
      return { live: true }
    case 'ready':
      return { ready }
    case 'metadata':
      return { ...METADATA, version }
  }
}

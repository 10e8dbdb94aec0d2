/** Names the configuration takes from the lists of dialects, balancers and runtimes, so that a new one needs no line here. */
import { BALANCERS } from '../../forward/balance/index.ts'
import { PROTOCOLS } from '../../protocols/index.ts'
import { RUNTIMES } from '../../workers/runtimes/index.ts'

export const PROTOCOL_NAMES = PROTOCOLS.map(({ name }) => name) as [string, ...string[]]
export const BALANCER_NAMES = BALANCERS.map(({ name }) => name) as [string, ...string[]]
export const RUNTIME_NAMES = RUNTIMES.map(({ name }) => name) as [string, ...string[]]

export function protocolOf(name: string): (typeof PROTOCOLS)[number] | undefined {
  return PROTOCOLS.find((protocol) => protocol.name === name)
}

/** What stands where a model's timeouts say nothing. */
export function patienceOf(name: string): (typeof PROTOCOLS)[number]['patience'] {
  return (protocolOf(name) ?? PROTOCOLS[0]!).patience
}

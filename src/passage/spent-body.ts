/**
 * Gives the memory of a request's body back, at the end of its story, where nobody can still be reading it: one
 * attempt at one endpoint, answered whole, on a connection it had to itself (one that was not yet written out
 * is closed with the answer), and no shadows. Everywhere else it is left to the garbage collector.
 */
import type { Exchange } from '../domain/exchange.ts'
import { giveBlockBack } from '../kernel/recycled-memory.ts'

export function giveBodyBack(exchange: Exchange): void {
  if (isSpent(exchange)) giveBlockBack(exchange.requestBody)
}

function isSpent({ model, plan, attempts, fault }: Exchange): boolean {
  if (model === null || plan === null || fault !== null || attempts.length !== 1) return false
  if (plan.shadows.some(({ fate }) => fate === 'planned')) return false
  const { version: name, result } = attempts[0]!
  const version = model.versions.get(name)
  if (result.fault !== null || version?.kind !== 'remote') return false
  return version.endpoints.every(({ pipeline }) => pipeline === 1)
}

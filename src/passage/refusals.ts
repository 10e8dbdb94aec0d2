/** What the gateway says for itself, whatever was asked. */
import { type Fault, fault } from '../domain/fault.ts'

const SOON: readonly string[] = ['retry-after', '1']

export const AUDIT_UNAVAILABLE: Fault = fault(
  'audit-unavailable',
  'decision records cannot be written at present, so no answer may be given',
  '',
  SOON,
)

export const DRAINING: Fault = fault('draining', 'the gateway is shutting down; try another one', '', SOON)

/** A bug kept the caller from its answer. */
export const INTERNAL: Fault = fault(
  'internal',
  'the gateway failed on this request; its operator has been told',
)

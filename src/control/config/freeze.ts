/**
 * Freezes data for good, maps included: a snapshot is shared by every request of its generation, so a
 * write to it is a bug that must fail where it happens. Bytes cannot be frozen; nobody writes to them.
 */
const MUTATORS = ['set', 'delete', 'clear'] as const

function refuseWrite(): never {
  throw new TypeError('a snapshot is immutable')
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value))
    return value
  if (value instanceof Map) {
    for (const inner of value.values()) deepFreeze(inner)
    // Own properties of a Map are not copied by structured clone, so threads still receive plain maps.
    for (const name of MUTATORS) Object.defineProperty(value, name, { value: refuseWrite })
  } else {
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return Object.freeze(value)
}

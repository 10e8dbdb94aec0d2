/**
 * What a source of a key (`header:x-user-id`, `body:/user`, `client`) gives for a request. Sticky keys and the
 * identity of callers have the same sources; a body is scanned once for all places that any of them names.
 */
import { type Head, headerOf } from '../domain/head.ts'
import type { KeySource, Model } from '../domain/routes.ts'
import { type JsonPath, parsePointer } from '../kernel/json-scan.ts'

export interface BodyPlaces {
  readonly pointers: readonly string[]
  /** The same, split. */
  readonly paths: readonly JsonPath[]
}

/** What was found at `bodyPlacesOf(model).paths`, in the same order. */
export interface BodyValues {
  readonly places: BodyPlaces
  readonly found: readonly (string | undefined)[]
}

/** Every place of a body that some source of the model names. Collected once for a model, not once a request. */
export function bodyPlacesOf(model: Model): BodyPlaces {
  let places = PLACES.get(model)
  if (places === undefined) {
    const pointers = new Set(sourcesOf(model).flatMap((one) => (one.from === 'body' ? [one.pointer] : [])))
    places = { pointers: [...pointers], paths: [...pointers].map(parsePointer) }
    PLACES.set(model, places)
  }
  return places
}

const PLACES = new WeakMap<Model, BodyPlaces>()

function sourcesOf({ key, rates, idempotency, cache, capture }: Model): readonly KeySource[] {
  const kept = [...(idempotency?.by ?? []), ...(cache?.by ?? []), ...(capture?.subject ?? [])]
  return [...key, ...rates.flatMap(({ by }) => by), ...kept]
}

/** Undefined where the request has none; never for `client`. `random` is nobody's value. */
export function valueFrom(source: KeySource, head: Head, { places, found }: BodyValues): string | undefined {
  switch (source.from) {
    case 'header':
      return headerOf(head.headers, source.name)
    case 'body':
      return found[places.pointers.indexOf(source.pointer)]
    case 'client':
      return head.clientAddress
    case 'random':
      return undefined
  }
}

/** As it is configured. */
export function nameOf(source: KeySource): string {
  switch (source.from) {
    case 'header':
      return `header:${source.name}`
    case 'body':
      return `body:${source.pointer}`
    default:
      return source.from
  }
}

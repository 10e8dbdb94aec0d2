/** The objects of a report by their paths, each with its fields, in the order in which they come. */

/** Objects that come again and again, told once; by their fields. */
const RECURRING = new Map([
  ['value low high n', 'estimate'],
  ['before after verdict', 'pair'],
  ['p50 p95 p99', 'percentiles'],
  ['from to cause ended sequence reopened', 'spell'],
])

export function objectsOf(report: object): Map<string, Set<string>> {
  const objects = new Map<string, Set<string>>()
  visit(report, '', objects)
  return objects
}

function visit(value: unknown, path: string, objects: Map<string, Set<string>>): void {
  if (Array.isArray(value)) {
    for (const one of value) visit(one, `${path}[]`, objects)
    return
  }
  if (typeof value !== 'object' || value === null) return
  const names = Object.keys(value)
  const at = RECURRING.get(names.join(' ')) ?? path
  const fields = objects.get(at) ?? new Set()
  objects.set(at, fields)
  for (const name of names) {
    fields.add(name)
    visit((value as Record<string, unknown>)[name], at === '' ? name : `${at}.${name}`, objects)
  }
}

/** Fields of a record as the log's tables give them: whatever a later version wrote there, a report goes on. */
type Details = Readonly<Record<string, unknown>>

export function textOf(details: Details, name: string): string {
  const value = details[name]
  return typeof value === 'string' ? value : value === undefined || value === null ? '' : String(value)
}

export function numberOf(details: Details, name: string): number {
  const value = Number(details[name])
  return Number.isFinite(value) ? value : 0
}

export function listOf(details: Details, name: string): readonly Details[] {
  const value = details[name]
  return Array.isArray(value) ? value.filter((one) => typeof one === 'object' && one !== null) : []
}

export function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

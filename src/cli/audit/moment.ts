/**
 * Moments as people type them on a command line: `2026-11-09`, `2026-11-09T14:30`, `2026-11-09 14:30:05.250+01:00`,
 * `-7d`, `now`. What names no zone is UTC: the zone of the machine never changes an answer.
 */
const UNITS = new Map([
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 7 * 86_400_000],
])

export const MOMENT_FORMS =
  '2026-11-09, 2026-11-09T14:30 (UTC unless it ends in Z or an offset), -7d (also s, m, h, w), now'

/** Unix ms; one line saying what was expected. `now`: Unix ms. */
export function momentOf(text: string, now: number): number | string {
  if (text === 'now') return now
  const relative = /^-(\d{1,6})([smhdw])$/.exec(text)
  if (relative !== null) return now - Number(relative[1]) * UNITS.get(relative[2]!)!
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?$/i.exec(text)
  const refusal = `'${text}' is no moment; expected one like ${MOMENT_FORMS}`
  if (match === null) return refusal
  const [, day = '', time = '00:00', seconds = ':00', zone = 'Z'] = match
  const ms = Date.parse(`${day}T${time}${seconds}${zone.toUpperCase()}`)
  return Number.isNaN(ms) || !isCalendarDay(day) ? refusal : ms
}

/** 30 February would be read as 2 March. */
function isCalendarDay(day: string): boolean {
  const midnight = Date.parse(`${day}T00:00:00Z`)
  return !Number.isNaN(midnight) && new Date(midnight).toISOString().startsWith(day)
}

/**
 * `--from -7d` reads like another option to the parser of arguments; joined by `=` it does not. `names`: the options
 * whose value may begin with a dash and a digit.
 */
export function withJoinedMoments(args: readonly string[], names: readonly string[]): string[] {
  const joined: string[] = []
  for (let at = 0; at < args.length; at += 1) {
    const [argument, next] = [args[at]!, args[at + 1]]
    if (names.includes(argument) && next !== undefined && /^-\d/.test(next)) {
      joined.push(`${argument}=${next}`)
      at += 1
    } else joined.push(argument)
  }
  return joined
}

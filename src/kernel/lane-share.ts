/**
 * One lane's part of a number that holds for the whole process: rounded down, so that the sum over lanes
 * keeps to it, but at least one, so that no lane is shut out.
 */
export function laneShare(total: number, lanes: number): number {
  return Math.max(1, Math.floor(total / lanes))
}

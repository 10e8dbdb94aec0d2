/**
 * Places in what lanes share: two for each lane, because a lane that is replaced still ends its requests while its
 * successor begins. A lane's threads take them in turn, and only the thread in a seat writes what is that seat's.
 */
export function seatsOf(lanes: number): number {
  return 2 * lanes
}

export function laneOf(seat: number, lanes: number): number {
  return seat % lanes
}

/** The first thread of each lane has its number for a seat. */
export function nextSeat(seat: number, lanes: number): number {
  return seat < lanes ? seat + lanes : seat - lanes
}

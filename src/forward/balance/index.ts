/** The ways of spreading requests over endpoints; the first is what an unsaid `balance` means. Adding one is a file and a line here. */
import type { Balancer } from './balancer.ts'
import { leastLoaded } from './least-loaded.ts'
import { ringHash } from './ring-hash.ts'
import { roundRobin } from './round-robin.ts'

export const BALANCERS: readonly Balancer[] = [leastLoaded, roundRobin, ringHash]

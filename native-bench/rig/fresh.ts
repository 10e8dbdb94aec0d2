/** Measures works of fresh starts: every part once in each block, in random order. */
import { estimate, shuffled } from './statistics.ts'
import type { FreshSummary } from './summary.ts'
import type { FreshWork, Stage } from './work.ts'

export async function measureFresh(
  work: FreshWork,
  stage: Stage,
  { blocks: wanted, say }: { readonly blocks: number; say(what: string): void },
): Promise<FreshSummary> {
  const blocks = Math.min(wanted, work.blocksMax)
  const seen = new Map<string, number[]>()
  for (let block = 0; block < blocks; block += 1) {
    for (const part of shuffled(work.parts)) {
      say(`${work.name}: block ${block + 1}, ${part.name}`)
      const value = await work.measure(part, stage)
      if (value !== undefined) seen.set(part.name, [...(seen.get(part.name) ?? []), value])
    }
  }
  const names = work.parts.map(({ name }) => name).filter((name) => seen.has(name))
  // Where nothing was seen (a page of memory is the least that can be) there is nothing to divide by.
  const isSomething = (name: string): boolean => (seen.get(name) ?? []).every((value) => value > 0)
  const known = work.pairs.filter(({ held, against }) => seen.has(held) && seen.has(against))
  const pairs = known.filter(({ against }) => isSomething(against))
  return {
    kind: 'fresh',
    work: work.name,
    point: 'fresh',
    unit: work.unit,
    blocks,
    values: Object.fromEntries(names.map((name) => [name, estimate(seen.get(name)!)])),
    pairs: pairs.map(({ held, against }) => ({
      held,
      against,
      value: estimate(seen.get(held)!.map((value, index) => value / seen.get(against)![index]!)),
    })),
  }
}

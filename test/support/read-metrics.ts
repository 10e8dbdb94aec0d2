/** Values on a gateway's /metrics page, by name and labels. */
import type { TestGateway } from './start-gateway.ts'

export class Metrics {
  readonly #values = new Map<string, number>()

  constructor(page: string) {
    for (const line of page.split('\n')) {
      const parts = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line)
      if (parts !== null) this.#values.set(keyOf(parts[1]!, labelsOf(parts[2] ?? '')), Number(parts[3]))
    }
  }

  /** 0 when there is no such series. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.#values.get(keyOf(name, labels)) ?? 0
  }

  /** The sum over all series of that name with at least these labels. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}=${value}`)
    let total = 0
    for (const [key, value] of this.#values) {
      const [found, ...pairs] = key.split('\n')
      if (found === name && wanted.every((pair) => pairs.includes(pair))) total += value
    }
    return total
  }

  get series(): readonly string[] {
    return [...this.#values.keys()]
  }
}

export async function metricsOf(gateway: Pick<TestGateway, 'admin'>): Promise<Metrics> {
  return new Metrics((await gateway.admin('/metrics')).text)
}

function labelsOf(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
  )
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${value}`)
  return [name, ...pairs.sort()].join('\n')
}

/**
 * What every program should tell about itself: its version, processor time, memory, and start. Over all
 * threads of the process, as the operating system counts them.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Metric } from './metric-table.ts'

export function processMetrics(version: string, clock: Clock): readonly Metric[] {
  const startedAt = clock.wall() / 1000 - process.uptime()
  return [
    {
      name: 'modelgate_build_info',
      type: 'gauge',
      labels: ['version', 'node'],
      help: 'Always 1; the labels are the versions of the gateway and of Node.js.',
      samples: () => [{ labels: [version, process.versions.node], value: 1 }],
    },
    {
      name: 'modelgate_process_cpu_seconds_total',
      type: 'counter',
      labels: ['mode'],
      help: 'Processor time of the whole process.',
      samples: () => {
        const { user, system } = process.cpuUsage()
        return [
          { labels: ['user'], value: user / 1e6 },
          { labels: ['system'], value: system / 1e6 },
        ]
      },
    },
    {
      name: 'modelgate_process_resident_memory_bytes',
      type: 'gauge',
      labels: [],
      help: 'Memory of the whole process that is in RAM.',
      samples: () => [{ labels: [], value: process.memoryUsage.rss() }],
    },
    {
      name: 'modelgate_process_start_time_seconds',
      type: 'gauge',
      labels: [],
      help: 'Unix time of the start.',
      samples: () => [{ labels: [], value: startedAt }],
    },
  ]
}

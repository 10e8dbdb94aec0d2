/**
 * The one door of each package and of each `node:` module: the folder that may import it and why only
 * that one. A package that is not here cannot be used, so adding one is a decision somebody reads.
 */
import type { Door } from './tidy-imports.ts'

const EVERYWHERE = ['']

/** Folders without `src/`. */
export const DOORS: readonly Door[] = [
  {
    package: 'uWebSockets.js',
    folders: ['accept/'],
    why: 'its lifetime rules are obeyed in accept/ and nowhere else',
  },
  {
    package: 'uWebSockets.js-next',
    folders: ['accept/load-uws.ts'],
    why: 'load-uws.ts chooses the build; all others use what it returns',
  },
  {
    package: 'piscina',
    folders: ['workers/'],
    why: 'the pool’s limits and its crashes are handled in workers/',
  },
  {
    package: 'onnxruntime-node',
    folders: ['workers/runtimes/'],
    why: 'a runtime is one file behind one contract, imported when a model needs it (288 MB on disk)',
  },
  {
    package: 'prom-client',
    folders: ['observe/'],
    why: 'metrics are typed arrays read at scrape; a cached child costs 0.4 µs a request',
  },
  {
    package: 'hdr-histogram-js',
    folders: ['observe/'],
    why: 'its encoding needs a correction that observe/ makes once',
  },
  {
    package: 'zod',
    folders: ['control/'],
    why: 'it checks configuration and the admin API, never a request',
  },
  { package: 'smol-toml', folders: ['control/config/'], why: 'the configuration is read in one place' },
  {
    package: 'toml-eslint-parser',
    folders: ['control/config/'],
    why: 'the configuration is read in one place',
  },
  {
    package: 'lru-cache',
    folders: ['callers/', 'audit/sealed/'],
    why: 'answers are kept in one way, callers/kept-answers.ts, and indexes of the log in another; both bounded by bytes',
  },
  { package: 'xxhash-wasm', folders: ['kernel/'], why: 'one hash decides assignment: kernel/hash64.ts' },
  {
    package: '@duckdb/node-api',
    folders: ['audit/index/'],
    why: 'native code: a command loads it to answer a question, a gateway never does',
  },
  {
    package: 'hyparquet-writer',
    folders: ['audit/index/'],
    why: 'the index of the log is written in one place',
  },
  {
    package: 'msgpackr',
    folders: ['record/', 'audit/'],
    why: 'record/ packs what audit/ unpacks; both sides of one format',
  },

  // port-probe.ts opens and closes a listener, to find out before the lanes do whether the port is free.
  {
    package: 'node:net',
    folders: ['forward/', 'control/port-probe.ts'],
    why: 'connections to endpoints have one owner',
  },
  // probe.ts asks endpoints whether they are well, on connections of its own, by the same TLS settings.
  {
    package: 'node:tls',
    folders: ['forward/', 'control/probes/probe.ts'],
    why: 'connections to endpoints have one owner',
  },
  { package: 'node:https', folders: ['control/probes/probe.ts'], why: 'the data plane has its own client' },
  {
    package: 'node:dns',
    folders: ['forward/', 'control/'],
    why: 'endpoints are resolved where they are reached',
  },
  {
    package: 'node:http',
    // client-response.ts takes the names of status codes from it and nothing else.
    folders: ['control/', 'cli/', 'accept/client-response.ts'],
    why: 'it costs four times what the data plane’s own server and client do',
  },
  {
    package: 'node:worker_threads',
    folders: ['accept/load-uws.ts', 'audit/', 'compose.ts', 'lane', 'entrance', 'workers/', 'control/'],
    why: 'threads are started where parts are composed, and ended in their own way (see terminate below)',
  },
  { package: 'node:module', folders: ['accept/load-uws.ts'], why: 'code is imported, not required' },
  { package: 'node:child_process', folders: ['cli/'], why: 'a gateway starts no programs' },
  {
    package: 'node:fs',
    folders: ['audit/', 'cli/', 'compose.ts', 'control/', 'workers/'],
    why: 'no request waits for a disk: files belong to the log, the configuration and the models',
  },
  {
    package: 'node:os',
    folders: [
      'control/',
      'cli/',
      'compose.ts',
      'audit/inbox.ts',
      'audit/index/log-source.ts',
      'audit/keeper/keeper-thread.ts',
    ],
    why: 'the machine is asked once, at start; the inbox asks it who leaves a note, a question where scratch files go, the keeper how to step back',
  },
  {
    package: 'node:path',
    folders: ['audit/', 'cli/', 'compose.ts', 'control/', 'workers/'],
    why: 'paths belong to those who touch files',
  },
  { package: 'node:url', folders: EVERYWHERE, why: '' },
  { package: 'node:buffer', folders: EVERYWHERE, why: '' },
  { package: 'node:crypto', folders: EVERYWHERE, why: '' },
  { package: 'node:zlib', folders: ['observe/', 'audit/'], why: 'nothing is compressed on a request’s way' },
  { package: 'node:events', folders: EVERYWHERE, why: '' },
  {
    package: 'node:v8',
    folders: ['observe/pressure-gauge.ts', 'cli/audit/small-heap.ts'],
    why: 'one part reads how full the heap is, ten times a second, and one asks for a small one',
  },
  {
    package: 'node:timers',
    folders: ['cli/', 'lane.ts', 'entrance.ts', 'lifecycle.ts', 'audit/'],
    why: 'timers are in the table of banned calls',
  },
  { package: 'node:util', folders: ['cli/'], why: 'it parses and colours what people type and see' },
  { package: 'node:readline', folders: ['cli/'], why: 'only commands talk to a terminal' },
  {
    package: 'node:stream',
    folders: ['cli/', 'control/', 'audit/'],
    why: 'the data plane moves bytes by hand',
  },
]

/**
 * The grammar of gateway.toml as one zod schema of strict tables: no key is ever silently ignored. Keys
 * that a later version implements are part of it, so that they are checked and named; not-yet.ts refuses
 * their use. Text in, units out: durations leave as ms, sizes as bytes, addresses taken apart.
 */
import type { z } from 'zod'
import { parseListen, parseTrusted } from './address.ts'
import * as leaf from './leaf.ts'
import { rates } from './schema-callers.ts'
import { capture } from './schema-capture.ts'
import { modelSchema } from './schema-model.ts'
import { name, pemFile } from './schema-words.ts'
import { parseFilePath } from './words.ts'

const listenAddress = (description: string) =>
  leaf.parsed(parseListen, {
    what: 'an address',
    expected: '"HOST:PORT", such as "127.0.0.1:8080" or "[::1]:8080"',
    description,
  })

const server = leaf.table(
  {
    listen: listenAddress('Where inference is served. Port 0 takes a free one.').prefault('127.0.0.1:8080'),
    admin: listenAddress('Where the admin API and metrics are served; loopback only.').prefault(
      '127.0.0.1:9090',
    ),
    lanes: leaf
      .auto(256, 'Data-plane threads. "auto": one less than there are cores, at least 1.')
      .prefault('auto'),
    data_dir: leaf
      .parsed(parseFilePath, {
        what: 'a path',
        expected: 'the path of a directory',
        description: 'Where records are written, relative to this file.',
      })
      .prefault('data'),
    grace: leaf.duration('0s', '1h', 'How long a stop waits for requests under way.').prefault('10s'),
    drain_delay: leaf
      .duration('0s', '1h', 'How long a stop serves callers as before while readiness says no already.')
      .prefault('0s'),
    share_port: leaf
      .flag('Let another gateway of the same user listen there, too: for a restart that refuses nobody.')
      .prefault(false),
    limits: leaf
      .table(
        {
          body: leaf.size('1B', '1GiB', 'Largest request body; more is 413.').prefault('16MiB'),
          headers: leaf.size('1KiB', '256KiB', 'Largest header block; more is 431.').prefault('16KiB'),
          connections: leaf.whole(1, 1_000_000, 'Open client connections, over all lanes.').prefault(20_000),
          memory: leaf
            .size(
              '1MiB',
              '1024GiB',
              'Bodies under way and answers held, over all lanes; what finds no room is 503.',
            )
            .meta({ defaultText: 'half of what the machine or its container leaves, at most 512MiB a lane' })
            .optional(),
          chunked_requests: leaf
            .choice(['refuse', 'accept'], 'Request bodies without Content-Length: answer 411, or read them.')
            .prefault('refuse'),
          rate: rates('What each caller may ask of all models together.'),
        },
        'What a client may ask of the gateway.',
      )
      .prefault({}),
    tls: leaf
      .table(
        {
          cert: pemFile(
            'PEM of the certificate, then of those between it and its root. Changed files are taken while running.',
          ),
          key: pemFile('PEM of its private key, without a passphrase.'),
          client_ca: pemFile(
            'PEM of authorities: only clients with a certificate of theirs are served.',
          ).optional(),
          min_version: leaf.choice(['1.2', '1.3'], 'Oldest version of TLS that is spoken.').prefault('1.2'),
        },
        'TLS on the inference port: it then speaks nothing else.',
      )
      .optional(),
    trust: leaf
      .list(
        leaf.parsed(parseTrusted, {
          what: 'a range of addresses',
          expected: 'an IP address or a range, such as "10.0.0.0/8" or "::1"',
          description: 'An address or CIDR range.',
        }),
        { min: 0, max: 256 },
        'Proxies whose forwarding headers (and `modelgate-shadow`) are believed; nobody’s otherwise.',
      )
      .prefault([]),
  },
  'The process: where it listens, what it may use.',
)

const audit = leaf.table(
  {
    mode: leaf
      .choice(
        ['durable', 'batched', 'best-effort'],
        '`durable`: the record is on the disk before the reply leaves, which carries a receipt. `batched`: it is written before the reply leaves and synced within 50 ms. `best-effort`: the reply leaves whether or not its record could be written; what could not is counted in the log.',
      )
      .prefault('batched'),
    digest_limit: leaf
      .size(
        '1KiB',
        '4MiB',
        'A larger body is recorded without a digest: hashing 1 MiB costs as much CPU as forwarding it.',
      )
      .prefault('512KiB'),
    retention: leaf
      .duration(
        '1d',
        '3650d',
        'How long records are kept; then whole files of them are deleted, which is itself on record.',
      )
      .meta({ defaultText: 'for ever' })
      .optional(),
    hold: leaf
      .flag(
        'A legal hold: nothing is deleted and nobody erased, whatever `retention` says. So does `modelgate audit hold on`.',
      )
      .prefault(false),
    capture: capture.prefault({}),
  },
  'The decision records.',
)

const scoring = leaf.table(
  {
    threads: leaf.auto(256, 'Threads that run local models. "auto": one per core.').prefault('auto'),
    queue: leaf
      .whole(
        1,
        1_000_000,
        'Requests that may wait for a scoring thread, over all lanes. Where there are several versions none takes more than it leaves free.',
      )
      .prefault(256),
  },
  'The worker pool for local models.',
)

const principal = leaf.table(
  {
    name: name('a name', 'Who it is.'),
    roles: leaf.list(
      leaf.choice(['viewer', 'data-scientist', 'operator', 'approver', 'auditor', 'admin'], 'A role.'),
      { min: 1, max: 6 },
      'What it may do.',
    ),
    token_sha256: leaf.pattern(
      /^[0-9a-f]{64}$/,
      'a SHA-256 digest',
      '64 lower-case hexadecimal digits',
      'Digest of its token.',
    ),
  },
  'A person or program that may use the admin API.',
)

export const configSchema = leaf.table(
  {
    server: server.prefault({}),
    audit: audit.prefault({}),
    scoring: scoring.prefault({}),
    upstream: leaf
      .table(
        {
          deny_private: leaf
            .flag(
              'Refuse endpoints at private addresses, by the address that is connected to; unix: is not affected.',
            )
            .prefault(false),
        },
        'Rules for all endpoints.',
      )
      .prefault({}),
    models: leaf
      .named(name('a model name', 'As callers name it in the path.'), modelSchema, 'The models, by name.')
      .prefault({}),
    governance: leaf
      .table(
        { principals: leaf.list(principal, { min: 0, max: 10_000 }, 'Who may do what.').prefault([]) },
        'Who may change what.',
      )
      .prefault({}),
  },
  'Configuration of modelgate (gateway.toml).',
)

export type Checked = z.output<typeof configSchema>

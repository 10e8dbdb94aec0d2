/**
 * The grammar of `[models.<name>.route]`: which version serves whom, and which ones watch.
 */
import { z } from 'zod'
import * as leaf from './leaf.ts'
import { ownTables, PRECEDENCE } from './own-settings.ts'
import { header, name, versionName } from './schema-words.ts'

const rule = leaf.table(
  {
    when: leaf.table(
      {
        header: header('Which request header is looked at.'),
        equals: leaf.text(4096, 'text', 'The value is exactly this.').optional(),
        prefix: leaf.text(4096, 'text', 'The value begins with this.').optional(),
        in: leaf
          .list(
            leaf.text(4096, 'text', 'One of the values.'),
            { min: 1, max: 1024 },
            'The value is one of these.',
          )
          .optional(),
        present: z
          .literal(true)
          .meta({ description: 'The header is there, whatever its value.', what: 'true', expected: 'true' })
          .optional(),
      },
      'What must hold: `header` and exactly one of the tests.',
    ),
    version: versionName('The version that serves what matches.'),
  },
  'Sends matching requests to a version. The first rule that matches decides.',
)

const known = {
  primary: versionName('The version that serves what nothing else claims.')
    .meta({ defaultText: 'the only version, if there is just one' })
    .optional(),
  rules: leaf.list(rule, { min: 0, max: 256 }, 'Come first, in order.').prefault([]),
  pin: leaf.flag('May a caller force a version with the header modelgate-pin?').prefault(false),
  experiment: leaf
    .table(
      {
        name: name('an experiment name', 'Part of the assignment: another name shuffles the keys anew.'),
        arms: leaf.named(
          versionName('A version of the model.'),
          leaf.percent('Share of the keys it gets.'),
          'Versions and their percents; together 100.',
        ),
      },
      'An A/B test: every sticky key belongs to one arm.',
    )
    .optional(),
  shadows: leaf
    .list(
      leaf.table(
        {
          version: versionName(
            'The version that gets a copy. The primary itself is allowed: it measures noise.',
          ),
          percent: leaf.percent('Share of the requests that are copied.').prefault(100),
          max_concurrent: leaf
            .whole(1, 100_000, 'Copies under way at once; more are dropped and counted.')
            .prefault(64),
          timeout: leaf.duration('1ms', '1h', 'How long a copy may take.').prefault('2s'),
        },
        'Copies requests to a version whose answers nobody gets.',
      ),
      { min: 0, max: 16 },
      'Versions that see copies of the traffic.',
    )
    .prefault([]),
}

/** Keys of strategies that declare their own form stand beside the others; ownSettings() reads them. */
export const route = leaf.table(
  { ...known, ...ownTables() } as typeof known,
  `Which version serves whom. Precedence: ${PRECEDENCE.join(', ')}.`,
)

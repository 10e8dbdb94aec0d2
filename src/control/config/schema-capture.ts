/** The grammar of keeping bodies: [audit.capture], and what a model has of its own. */
import * as leaf from './leaf.ts'
import { callerSource } from './schema-callers.ts'
import { parsePointer } from './words.ts'

const percent = leaf.percent('Share of the requests whose bodies are kept, chosen by the request’s id.')
const redact = leaf.list(
  leaf.parsed(parsePointer, {
    what: 'a JSON pointer',
    expected: 'a JSON pointer (RFC 6901), in which * stands for every member',
    description: 'A place that is blanked first.',
  }),
  { min: 0, max: 256 },
  'What is never kept. Where there are paths, bodies that are not JSON are not kept at all, nor is binary data behind JSON.',
)
const subject = leaf.list(
  callerSource,
  { min: 1, max: 8 },
  'Whom a body is about: the first source that is present. Its key can be destroyed by `modelgate audit erase`.',
)
const limit = leaf.size('1KiB', '1MiB', 'A larger body is not kept.')

export const capture = leaf.table(
  {
    percent: percent.prefault(0),
    redact: redact.prefault([]),
    subject: subject.meta({ defaultText: 'nobody; the key is that of the day' }).optional(),
    limit: limit.prefault('64KiB'),
  },
  'Keeping bodies, redacted and encrypted, and not only their digests.',
)

export const modelCapture = leaf.table(
  {
    percent: percent.meta({ defaultText: 'audit.capture.percent' }).optional(),
    redact: redact.meta({ defaultText: 'none beside audit.capture.redact, which always holds' }).optional(),
    subject: subject.meta({ defaultText: 'audit.capture.subject' }).optional(),
    limit: limit.meta({ defaultText: 'audit.capture.limit' }).optional(),
  },
  'Keeping bodies of this model, where it differs from [audit.capture].',
)

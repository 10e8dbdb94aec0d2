/**
 * `npm run make-audit-vectors` writes test/corpus/audit anew: small logs for whoever writes a verifier by
 * src/audit/SPEC.md. The same bytes each time. What was there before and is made no more is to be removed by hand.
 */
import { writeVectors } from './audit-vectors/write-vectors.ts'

writeVectors('test/corpus/audit')

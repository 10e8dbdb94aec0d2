/** Leaf hash of every record by its place in the log, computed here from what the files say (RFC 6962, 2.1). */
import { createHash } from 'node:crypto'
import { systemDisk } from '../../src/audit/disk.ts'
import { listSegments } from '../../src/audit/paths.ts'
import { openSegment } from '../../src/audit/segment-reader.ts'

export function leafHashesIn(dataDir: string): Map<number, string> {
  const hashes = new Map<number, string>()
  for (const segment of listSegments(dataDir)) {
    const reader = openSegment(systemDisk, segment)!
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      const leaf = createHash('sha256').update('\0').update(frame.entry)
      hashes.set(frame.sequence, leaf.digest('hex'))
    }
    reader.close()
  }
  return hashes
}

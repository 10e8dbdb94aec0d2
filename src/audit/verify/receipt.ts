/** A receipt, as callers get it in the header `modelgate-receipt`: `<origin>;<sequence>;<leaf hash>`. */
import { parseCount } from '../tree/checkpoint.ts'
import { TREE_HASH_BYTES } from '../tree/hash.ts'
import { exactBase64 } from '../tree/note.ts'

export interface Receipt {
  readonly origin: string
  readonly sequence: number
  /** 32 bytes. */
  readonly leaf: Buffer
}

/** The hash in hex or base64; one line saying why this is no receipt. */
export function parseReceipt(text: string): Receipt | string {
  const [origin = '', sequenceText = '', hashText = '', ...rest] = text.split(';')
  const sequence = parseCount(sequenceText)
  const leaf = /^[0-9a-f]{64}$/.test(hashText) ? Buffer.from(hashText, 'hex') : exactBase64(hashText)
  const isHash = leaf !== undefined && leaf.length === TREE_HASH_BYTES
  if (origin === '' || sequence === undefined || !isHash || rest.length > 0)
    return 'a receipt is ORIGIN;SEQUENCE;HASH, as in the header modelgate-receipt'
  return { origin, sequence, leaf }
}

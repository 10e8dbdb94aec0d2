/**
 * The files of `server.tls` as they are on disk now: how they look from outside, and what they hold, proven to
 * be fit to serve with. Reads synchronously, on the control thread only. The key's text ends here: what is
 * handed on is the certificate, its time, and a digest that tells whether anything changed.
 */
import { createHash, type X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import type { ServerTls } from '../domain/routes.ts'
import { readFile } from './config/load.ts'
import { certificatesIn, privateKeyIn, serverKeyProblem, validityOf } from './config/pem.ts'
import { PEM_BYTES_MAX } from './config/tls-files.ts'

/** Changes whenever a file was written, replaced or removed, also through a symbolic link to it. */
export function stampOf(tls: ServerTls): string {
  return filesOf(tls).map(stampOfFile).join(' ')
}

function stampOfFile(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true })
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable'
  }
}

const filesOf = ({ certFile, keyFile, clientCaFile }: ServerTls): readonly string[] =>
  clientCaFile === null ? [certFile, keyFile] : [certFile, keyFile, clientCaFile]

export type Pair =
  | {
      readonly ok: true
      readonly certificate: X509Certificate
      readonly expiresAt: number
      readonly digest: string
    }
  | { readonly ok: false; readonly problem: string }

export function readPair(tls: ServerTls): Pair {
  const texts: string[] = []
  for (const file of filesOf(tls)) {
    const contents = readFile(file, PEM_BYTES_MAX)
    if (!contents.ok) return { ok: false, problem: `cannot read ${file}: ${contents.reason}` }
    texts.push(Buffer.from(contents.bytes).toString('latin1'))
  }
  const [certText = '', keyText = '', clientCaText] = texts
  const certificates = certificatesIn(certText)
  if (!certificates.ok) return { ok: false, problem: `${tls.certFile} ${certificates.problem}` }
  const key = privateKeyIn(keyText)
  if (!key.ok) return { ok: false, problem: `${tls.keyFile} ${key.problem}` }
  const certificate = certificates.value[0]!
  const unusable = certificate.checkPrivateKey(key.value)
    ? serverKeyProblem(key.value)
    : 'is not the key of the certificate'
  if (unusable !== null) return { ok: false, problem: `${tls.keyFile} ${unusable}` }
  const authorities = clientCaText === undefined ? certificates : certificatesIn(clientCaText)
  if (!authorities.ok) return { ok: false, problem: `${tls.clientCaFile} ${authorities.problem}` }
  const digest = createHash('sha256').update(JSON.stringify(texts)).digest('hex')
  return { ok: true, certificate, expiresAt: validityOf(certificate).until, digest }
}

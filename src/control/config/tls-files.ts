/**
 * The PEM files that `versions.NAME.tls` names, read and proven at load: a certificate that cannot be used
 * is found by `check` and not by the first request. Their contents travel in the Snapshot, so that no lane
 * touches a disk. A certificate that runs out stays an endpoint's business: it is a warning.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import type { FileAccess, FileReport } from './files.ts'
import type { Path } from './problem.ts'
import type { Checked } from './schema.ts'
import { sizeText } from './units.ts'

export const PEM_BYTES_MAX = 1024 * 1024

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

interface Reading {
  readonly access: FileAccess
  readonly to: FileReport
  readonly pems: Map<string, string>
}

/** Contents by path as written; what could not be used is reported and left out. */
export function checkTlsFiles(checked: Checked, access: FileAccess, to: FileReport): Map<string, string> {
  const reading: Reading = { access, to, pems: new Map() }
  for (const [name, model] of Object.entries(checked.models)) {
    for (const [versionName, { tls }] of Object.entries(model.versions)) {
      if (tls === undefined) continue
      const at = ['models', name, 'versions', versionName, 'tls']
      if (tls.ca !== undefined) readCertificates(tls.ca, [...at, 'ca'], reading)
      const own = tls.cert === undefined ? undefined : readCertificates(tls.cert, [...at, 'cert'], reading)
      if (tls.key !== undefined) readKey(tls.key, own, [...at, 'key'], reading)
    }
  }
  return reading.pems
}

function readCertificates(file: string, at: Path, reading: Reading): X509Certificate | undefined {
  const text = read(file, at, reading)
  if (text === undefined) return undefined
  try {
    const certificates = (text.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem))
    if (certificates.length === 0) throw new Error('it holds no certificate')
    reading.pems.set(file, text)
    return certificates[0]
  } catch (error) {
    refuse(at, `${file} is not a PEM certificate: ${(error as Error).message}`, reading)
    return undefined
  }
}

function readKey(file: string, own: X509Certificate | undefined, at: Path, reading: Reading): void {
  const text = read(file, at, reading)
  if (text === undefined) return
  try {
    const key = createPrivateKey(text)
    reading.pems.set(file, text)
    if (own !== undefined && !own.checkPrivateKey(key)) {
      refuse(at, `${file} is not the key of the certificate`, reading)
    }
  } catch (error) {
    refuse(at, `${file} is not a PEM private key without a passphrase: ${(error as Error).message}`, reading)
  }
}

function read(file: string, at: Path, { access, to }: Reading): string | undefined {
  const contents = access.readFile(resolve(access.directory, file), PEM_BYTES_MAX)
  if (contents.ok) return Buffer.from(contents.bytes).toString('latin1')
  const expected = `a PEM file of at most ${sizeText(PEM_BYTES_MAX)}, relative to the configuration`
  const message = `cannot read ${file}: ${contents.reason}`
  to.report({ severity: 'error', at: to.original(at), on: 'value', message, expected })
  return undefined
}

function refuse(at: Path, message: string, { to }: Reading): void {
  to.report({ severity: 'error', at: to.original(at), on: 'value', message, expected: 'a usable PEM file' })
}

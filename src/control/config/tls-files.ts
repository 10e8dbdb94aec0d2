/**
 * The PEM files that the configuration names, read and proven at load: a certificate that cannot be used is
 * found by `check` and not by the first request. What `versions.NAME.tls` names travels in the Snapshot, so
 * that no lane touches a disk for it; what `server.tls` names does not: it may change while the gateway runs
 * (control/certificate-watch.ts). A certificate that ran out is a warning: the rest still works.
 */
import type { KeyObject, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import type { FileAccess, FileReport } from './files.ts'
import { certificatesIn, privateKeyIn, SERVER_KEYS, serverKeyProblem, validityProblem } from './pem.ts'
import type { Path } from './problem.ts'
import type { Checked } from './schema.ts'
import { sizeText } from './units.ts'

export const PEM_BYTES_MAX = 1024 * 1024

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

/** `now` in Unix milliseconds: a certificate has its time. */
export function checkServerTls({ server }: Checked, access: FileAccess, to: FileReport, now: number): void {
  const { tls } = server
  if (tls === undefined) return
  const reading: Reading = { access, to, pems: new Map() }
  const at = ['server', 'tls']
  const own = readCertificates(tls.cert, [...at, 'cert'], reading)
  const key = readKey(tls.key, own, [...at, 'key'], reading)
  if (tls.client_ca !== undefined) readCertificates(tls.client_ca, [...at, 'client_ca'], reading)
  const unusable = key === undefined ? null : serverKeyProblem(key)
  if (unusable !== null) refuse([...at, 'key'], `${tls.key} ${unusable}`, reading, SERVER_KEYS)
  if (own === undefined) return
  const timing = validityProblem(own, now)
  if (timing !== null)
    warn(`${tls.cert} ${timing}: clients that verify it turn away`, [...at, 'cert'], reading)
  if (own.subjectAltName === undefined) {
    warn(
      `${tls.cert} names no host (subjectAltName): clients that verify it turn away`,
      [...at, 'cert'],
      reading,
    )
  }
}

function readCertificates(file: string, at: Path, reading: Reading): X509Certificate | undefined {
  const text = read(file, at, reading)
  if (text === undefined) return undefined
  const found = certificatesIn(text)
  if (!found.ok) return refuse(at, `${file} ${found.problem}`, reading)
  reading.pems.set(file, text)
  return found.value[0]
}

function readKey(
  file: string,
  own: X509Certificate | undefined,
  at: Path,
  reading: Reading,
): KeyObject | undefined {
  const text = read(file, at, reading)
  if (text === undefined) return undefined
  const found = privateKeyIn(text)
  if (!found.ok) return refuse(at, `${file} ${found.problem}`, reading)
  reading.pems.set(file, text)
  if (own !== undefined && !own.checkPrivateKey(found.value)) {
    refuse(
      at,
      `${file} is not the key of the certificate`,
      reading,
      'the key of the first certificate in `cert`',
    )
  }
  return found.value
}

function read(file: string, at: Path, { access, to }: Reading): string | undefined {
  const contents = access.readFile(resolve(access.directory, file), PEM_BYTES_MAX)
  if (contents.ok) return Buffer.from(contents.bytes).toString('latin1')
  const expected = `a PEM file of at most ${sizeText(PEM_BYTES_MAX)}, relative to the configuration`
  const message = `cannot read ${file}: ${contents.reason}`
  to.report({ severity: 'error', at: to.original(at), on: 'value', message, expected })
  return undefined
}

function refuse(at: Path, message: string, { to }: Reading, expected = 'a usable PEM file'): undefined {
  to.report({ severity: 'error', at: to.original(at), on: 'value', message, expected })
}

function warn(message: string, at: Path, { to }: Reading): void {
  const expected = 'a certificate for the names that clients use; a new one is taken without a restart'
  to.report({ severity: 'warning', at: to.original(at), on: 'value', message, expected })
}

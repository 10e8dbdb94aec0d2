/**
 * nginx as a peer: one worker on the measured core, kept connections on both sides, a buffered access log (its
 * nearest thing to records), and buffers large enough that no body of the measurement touches a disk. Two
 * ways to move a body: held whole (`buffered`) or passed on as it comes (`passing`); which is cheaper
 * depends on the direction, so both are run and the better one counts.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MEASURED_CORE, pause, spawnPinned } from './bench-process.ts'
import type { Contender } from './contender.ts'

export type NginxManner = 'buffered' | 'passing' | 'usual' | 'default'

const MANNERS: Readonly<Record<NginxManner, string>> = {
  default: '',
  usual: `
    client_body_buffer_size 2m; proxy_buffering on;
    proxy_buffer_size 64k; proxy_buffers 16 64k; proxy_busy_buffers_size 128k;`,
  buffered: `
    client_body_buffer_size 2m; proxy_request_buffering on;
    proxy_buffering on; proxy_buffer_size 256k; proxy_buffers 8 256k; proxy_busy_buffers_size 1m;`,
  passing: `
    client_body_buffer_size 256k; proxy_request_buffering off;
    proxy_buffering off; proxy_buffer_size 256k; proxy_buffers 8 256k; proxy_busy_buffers_size 512k;`,
}

/** Undefined, with the reason printed, where there is no nginx. */
export async function startNginxPeer(
  manner: NginxManner,
  endpointPort: number,
): Promise<Contender | undefined> {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' })
  } catch {
    console.error(`SKIPPED nginx (${manner}): no nginx on this machine; install it (Debian: nginx-light)`)
    return undefined
  }
  const directory = mkdtempSync(join(tmpdir(), 'modelgate-bench-nginx-'))
  for (const name of ['body', 'proxy']) mkdirSync(join(directory, name))
  const port = await freePort()
  const file = join(directory, 'nginx.conf')
  writeFileSync(file, configuration({ directory, port, endpointPort, manner }))
  const child = spawnPinned(MEASURED_CORE, ['nginx', '-p', directory, '-c', file], 'text')
  let said = ''
  child.stderr!.on('data', (text: Buffer) => {
    said += text.toString()
  })
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  for (let attempt = 0; !(await isOpen(port)); attempt += 1) {
    if (attempt > 100 || child.exitCode !== null) throw new Error(`nginx did not start: ${said}`)
    await pause(20)
  }
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
    rmSync(directory, { recursive: true, force: true })
  }
  const processes = (): number[] => [child.pid!, ...childrenOf(child.pid!)]
  return { name: `nginx ${manner}`, port, prefix: '/models/bench', processes, stop }
}

export function nginxVersion(): string {
  return execFileSync('sh', ['-c', 'nginx -v 2>&1'], { encoding: 'utf8' }).trim()
}

interface Places {
  readonly directory: string
  readonly port: number
  readonly endpointPort: number
  readonly manner: NginxManner
}

function configuration({ directory, port, endpointPort, manner }: Places): string {
  // A master of root's gives its workers to another user, whom the directory is closed to.
  const user = process.getuid?.() === 0 ? 'user root; ' : ''
  return `${user}daemon off; master_process on; worker_processes 1; pid ${directory}/pid; error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log ${directory}/access.log combined buffer=64k flush=1s;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy;
  sendfile off; tcp_nodelay on; keepalive_timeout 60s; keepalive_requests 100000000;
  client_max_body_size 16m; proxy_max_temp_file_size 0;
  upstream endpoint { server 127.0.0.1:${endpointPort}; keepalive 128; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location /models/bench/ {
      proxy_pass http://endpoint/; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;${MANNERS[manner]}
    }
  }
}
`
}

function childrenOf(id: number): number[] {
  const text = readFileSync(`/proc/${id}/task/${id}/children`, 'utf8').trim()
  return text === '' ? [] : text.split(' ').map(Number)
}

/** A port that was free a moment ago: nginx cannot be asked for any. */
function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

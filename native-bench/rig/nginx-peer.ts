/**
 * nginx as a peer of the measurements of bodies and streams: one worker, kept connections on both sides, a buffered
 * access log (its nearest thing to records), and buffers large enough that no body of the measurement touches a disk.
 * Two ways to move a body: held whole (`buffered`) or passed on as it comes (`passing`); which is cheaper
 * depends on the direction, so both are run and the better one counts.
 */
import { isOnPath } from './compiled.ts'
import type { Contender } from './contender.ts'
import { startServed, versionOf } from './served.ts'

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
  if (!isOnPath('nginx')) {
    console.error(`SKIPPED nginx (${manner}): no nginx on this machine (Debian: apt-get install nginx-light)`)
    return undefined
  }
  return startServed({
    name: `nginx ${manner}`,
    prefix: '/models/bench',
    values: { FIRST: endpointPort, MANNER: MANNERS[manner] },
    configuration: CONFIGURATION,
    command: ['nginx', '-p', '{{DIRECTORY}}', '-c', '{{CONFIG}}'],
    saysPort: false,
  })
}

export function nginxVersion(): string {
  return versionOf('nginx', '-v')
}

const CONFIGURATION = `user {{USER}}; daemon off; master_process on; worker_processes 1; pid {{DIRECTORY}}/pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log {{DIRECTORY}}/access.log combined buffer=64k flush=1s;
  client_body_temp_path {{DIRECTORY}}/body; proxy_temp_path {{DIRECTORY}}/proxy;
  sendfile off; tcp_nodelay on; keepalive_timeout 60s; keepalive_requests 100000000;
  client_max_body_size 16m; proxy_max_temp_file_size 0;
  upstream endpoint { server 127.0.0.1:{{FIRST}}; keepalive 128; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:{{PORT}} backlog=1024;
    location /models/bench/ {
      proxy_pass http://endpoint/; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;{{MANNER}}
    }
  }
}
`

/** Other proxies in JavaScript: http-proxy passes on like a raw model, Portkey speaks for language models. */
import { gateway, gatewayAgainst, httpProxy, portkey } from '../rig/parts.ts'
import type { PairedWork } from '../rig/work.ts'

const RAW = 'path=/models/bench/score body=1024 answer=1024'
const CHAT = 'path=/v1/chat/completions body=@{{BODIES}}/chat.json answer=@{{BODIES}}/completion.json'
const PORTKEY = `${CHAT} header=x-portkey-provider:openai header=x-portkey-custom-host:http://127.0.0.1:{{FIRST}}/v1 header=authorization:Bearer%20bench`

export const otherProxiesInJavaScript: PairedWork = {
  kind: 'paired',
  name: 'javascript',
  title: 'Other proxies in JavaScript',
  parts: [
    gateway('gateway', 'gateway-pass.toml', RAW),
    gatewayAgainst('gateway', 'gateway-pass.toml', RAW),
    httpProxy(),
    gateway('gateway, openai', 'gateway-openai.toml', CHAT),
    portkey(PORTKEY),
  ],
  points: [
    { name: '1 KB, saturation', words: 'rate=0 connections=32', blocksMax: 4 },
    { name: '1 KB, 500/s', words: 'rate=500 connections=32', blocksMax: 4 },
  ],
  pairs: [
    { held: 'gateway', against: 'http-proxy' },
    { held: 'gateway, openai', against: 'portkey' },
    { held: 'gateway', against: 'gateway (against)' },
  ],
  // Portkey parses an answer and writes it anew.
  hasOtherBodies: true,
  proofRate: 200,
}

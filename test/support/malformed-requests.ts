/** Requests of a raw model `m`, in bytes; and those that no gateway may let pass, by what they are refused with. */

export const GET = 'GET /models/m/x HTTP/1.1'
export const POST = 'POST /models/m/x HTTP/1.1'
export const H = 'host: a'
export const lines = (...all: readonly string[]) => `${all.join('\r\n')}\r\n\r\n`
const escaped = (path: string) => lines(`GET /models/m/${path} HTTP/1.1`, H)
const hosted = (host: string) => lines(GET, `host: ${host}`)
const coded = (coding: string) => `${lines(POST, H, `transfer-encoding: ${coding}`)}0\r\n\r\n`
const naming = (names: string) => lines(POST, H, `connection: ${names}`, 'content-length: 0')

/** Bytes by the status they are refused with, each closing its connection and leaving one record. */
export const REFUSED: Readonly<Record<string, readonly string[]>> = {
  '400 malformed-request': [
    ...[
      'a%2fb',
      'a%2Fb',
      'a%5cb',
      'a%00b',
      'a\\b',
      '../b',
      '%2e%2E/b',
      '..',
      './b',
      '..;x/b',
      'a%zz',
      'a%',
      'a%4',
      '..%3b/b',
      '%2E%2e%3Bx/b',
      'a%c0%afb',
      '%C0%AE%c0%ae/b',
      'a%c1%9Cb',
      'a%c0%80',
      'a%e0%80%af',
      'a%F0%80%80%af',
    ].map(escaped),
    ...['a#b', 'a\u007f', 'a\u0080', 'a?b\u00ff'].map(escaped),
    ...[
      'u@a',
      'a:65536',
      'a:99999',
      'a:x',
      'a:',
      'a b',
      'a/b',
      '[::1',
      '[:::]',
      'a%zz',
      '',
      'x'.repeat(300),
    ].map(hosted),
    ...['gzip', 'gzip, chunked', 'xchunked', 'chunked, chunked', 'identity', ''].map(coded),
    `${lines(POST, H, 'transfer-encoding: chunked', 'transfer-encoding: chunked')}0\r\n\r\n`,
    ...[
      'content-length',
      'close, Host',
      'authorization',
      'content-type',
      'X-Forwarded-For',
      'modelgate-pin',
    ].map(naming),
    lines(POST, H, 'content-length: 0', 'content-length: 0'),
    `${lines(POST, H, 'content-length: 3', 'content-length: 2')}abc`,
    lines(POST, H, 'content-length: '),
    lines(POST, H, 'content-length: 1000000000000000'),
    lines(POST, H, 'content-length: 0', 'content_length: 3'),
    lines(POST, H, 'content-length: 0', 'Transfer_Encoding: chunked'),
    lines(GET, H, 'content-type: a/b', 'content_type: c/d'),
    lines(GET, H, 'content-type: a/b', 'content-type: c/d'),
    lines(GET, H, 'authorization: a', 'authorization: b'),
    lines(GET, H, 'x: a\u007fb'),
    lines(GET, H, 'x: caf\u00e9 noir'),
  ],
  '405 method-not-allowed': ['get', 'TRACE', 'QUERY', 'G@T', 'CONNECT', 'PRI', ''].map((method) =>
    lines(`${method} /models/m/x HTTP/1.1`, H),
  ),
  '411 length-required': [coded('chunked'), coded('CHUNKED'), coded('\tchunked '), lines(POST, H)],
  '413 body-too-large': [lines(POST, H, 'content-length: 999999999999999')],
  '417 expectation-failed': [lines(GET, H, 'expect: miracles')],
  '431 header-fields-too-large': [lines(GET, H, `x: ${'y'.repeat(8 * 1024)}`)],
}

/** A chunk of a chunked body. */
export const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

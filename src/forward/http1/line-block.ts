/**
 * Finds the end of a block of lines (a head or a trailer section) over any splits of its bytes, and
 * keeps what came before in a buffer of its own: the buffer it is fed from is reused by other sockets.
 *
 * Bare CR, bare LF, NUL and other control bytes, over-long lines, too many lines and too many bytes
 * are found at the same byte however the input was split (SPEC.md R1–R3). What follows the block is
 * not looked at.
 */
import { Buffer } from 'node:buffer'
import { HEAD_BYTES_MAX, HEADERS_MAX, LINE_BYTES_MAX } from './limits.ts'

const CR = 0x0d
const LF = 0x0a
const TAB = 0x09
const SPACE = 0x20
const DELETE = 0x7f

const CARRY_BYTES_MIN = 4 * 1024

export class LineBlock {
  /** All lines of a finished block, each with its CRLF, without the empty one that ended it. */
  text = ''
  /** Which rule was broken, after `read` returned -2. */
  problem = ''
  /** Lines allowed before the empty one. */
  #linesMax = HEADERS_MAX
  #lines = 0
  #lineLength = 0
  #total = 0
  #afterCr = false
  #carry: Buffer | undefined
  #carried = 0

  /** Bytes of the block seen so far. */
  get length(): number {
    return this.#total
  }

  /** `firstLine`: the block begins with a line that is no header. */
  reset(firstLine: boolean): void {
    this.#linesMax = HEADERS_MAX + (firstLine ? 1 : 0)
    this.#lines = 0
    this.#lineLength = 0
    this.#total = 0
    this.#afterCr = false
    this.#carried = 0
    if (this.#carry !== undefined && this.#carry.length > CARRY_BYTES_MIN) this.#carry = undefined
  }

  /** Position after the block; -1 when it goes on past `end`; -2 when it breaks a rule. */
  read(buffer: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + HEAD_BYTES_MAX - this.#total)
    const after = this.#scan(buffer, start, stop)
    if (after === -2) return -2
    if (after === -1) {
      this.#total += stop - start
      if (this.#total >= HEAD_BYTES_MAX) return this.#broken('the header section is too large')
      this.#keep(buffer, start, stop)
      return -1
    }
    this.#total += after - start
    this.#take(buffer, start, after)
    return after
  }

  #scan(buffer: Buffer, start: number, stop: number): number {
    let afterCr = this.#afterCr
    let lineLength = this.#lineLength
    for (let index = start; index < stop; index += 1) {
      const byte = buffer[index]!
      if (afterCr) {
        if (byte !== LF) return this.#broken('a CR without LF')
        if (lineLength === 0) return index + 1
        this.#lines += 1
        if (this.#lines > this.#linesMax) return this.#broken('too many header lines')
        afterCr = false
        lineLength = 0
      } else if (byte === CR) {
        afterCr = true
      } else {
        if (byte < SPACE && byte !== TAB) return this.#broken(controlName(byte))
        if (byte === DELETE) return this.#broken(controlName(byte))
        lineLength += 1
        if (lineLength > LINE_BYTES_MAX) return this.#broken('a line is too long')
      }
    }
    this.#afterCr = afterCr
    this.#lineLength = lineLength
    return -1
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    const needed = this.#carried + end - start
    if (this.#carry === undefined || this.#carry.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(CARRY_BYTES_MIN, 2 * needed))
      this.#carry?.copy(grown, 0, 0, this.#carried)
      this.#carry = grown
    }
    buffer.copy(this.#carry, this.#carried, start, end)
    this.#carried = needed
  }

  /**
   * Decodes once, without the last CRLF. One character for each byte, so that no byte is lost or changed
   * whatever the endpoint's encoding is (SPEC.md R17).
   */
  #take(buffer: Buffer, start: number, after: number): void {
    if (this.#carried === 0) {
      this.text = buffer.toString('latin1', start, after - 2)
      return
    }
    this.#keep(buffer, start, after)
    this.text = this.#carry!.toString('latin1', 0, this.#carried - 2)
  }

  #broken(problem: string): -2 {
    this.problem = problem
    return -2
  }
}

function controlName(byte: number): string {
  if (byte === LF) return 'an LF without CR'
  return byte === 0 ? 'a NUL byte' : 'a control byte in the header section'
}

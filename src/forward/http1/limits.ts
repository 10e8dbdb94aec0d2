/**
 * Every bound of the codec, in one place. They stop an endpoint that is broken or hostile from making
 * the gateway hold or scan without end; a well-behaved model server stays far below all of them.
 */

/** Status line, one header, one trailer: bytes without CRLF. */
export const LINE_BYTES_MAX = 16 * 1024
/** A whole head (or trailer section) with its line ends. */
export const HEAD_BYTES_MAX = 64 * 1024
/** Header lines of a head (or trailer lines). */
export const HEADERS_MAX = 128
/** 1xx answers before the final one; nobody sends more than one or two. */
export const INTERIM_ANSWERS_MAX = 16
/** 15 digits stay below 2^53, so a length is always an exact number. */
export const CONTENT_LENGTH_DIGITS_MAX = 15
/** 12 hex digits are 48 bits: 256 TiB. */
export const CHUNK_SIZE_DIGITS_MAX = 12
/** Chunk extensions, summed over one answer: they are read and thrown away. */
export const CHUNK_EXTENSION_BYTES_MAX = 4 * 1024

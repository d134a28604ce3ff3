/**
 * Cuts a byte stream into JSON objects. OVSDB (RFC 7047 §4) puts nothing between its messages, so the end of one is
 * found by counting braces outside strings. Every byte is looked at once, whatever the chunks.
 */
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN = 0x7b
const CLOSE = 0x7d

/** Returns a function that takes a chunk and answers the messages it completed. Throws when a message is not JSON. */
export function createJsonFramer(): (chunk: Buffer) => unknown[] {
  let parts: Buffer[] = []
  let depth = 0
  let inString = false
  let escaped = false

  return (chunk) => {
    const messages: unknown[] = []
    let start = 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]
      if (inString) {
        if (escaped) escaped = false
        else if (byte === BACKSLASH) escaped = true
        else if (byte === QUOTE) inString = false
      } else if (byte === QUOTE) inString = true
      else if (byte === OPEN) depth++
      else if (byte === CLOSE && --depth === 0) {
        const tail = chunk.subarray(start, i + 1)
        const whole = parts.length > 0 ? Buffer.concat([...parts, tail]) : tail
        messages.push(JSON.parse(whole.toString('utf8')))
        parts = []
        start = i + 1
      }
    }
    if (start < chunk.length) parts.push(chunk.subarray(start))
    return messages
  }
}

/** Cuts a byte stream into OpenFlow messages by the length in their header; each byte is copied at most once. */
export function createMessageFramer(): (chunk: Buffer) => Buffer[] {
  let parts: Buffer[] = []
  let held = 0

  /** Length of the message that `parts` begin with; 0 while its header is not complete. */
  const wanted = (): number => {
    if (held < 4) return 0
    if ((parts[0]?.length ?? 0) < 4) parts = [Buffer.concat(parts)]
    const length = parts[0]?.readUInt16BE(2) ?? 0
    if (length < 8) throw new Error(`a message of ${length} bytes`)
    return length
  }

  return (chunk) => {
    const messages: Buffer[] = []
    parts.push(chunk)
    held += chunk.length
    for (let length = wanted(); length > 0 && held >= length; length = wanted()) {
      const joined = (parts[0]?.length ?? 0) >= length ? parts[0] : Buffer.concat(parts)
      if (!joined) break
      messages.push(joined.subarray(0, length))
      held -= length
      const rest = joined.subarray(length)
      const others = joined === parts[0] ? parts.slice(1) : []
      parts = rest.length > 0 ? [rest, ...others] : others
    }
    return messages
  }
}

/** The text of a list while it is gathered: in few large pieces outside the heap, which are sent as they are. */

/** Objects as JSON text, in order. */
export interface Listing {
  readonly count: number
  /** The objects' texts with commas between them; between two pieces a comma is missing. */
  readonly pieces: readonly Buffer[]
  /** Keys of the first and last object, where they were asked for; else null. */
  readonly first: string | null
  readonly last: string | null
}

export interface OpenListing {
  add(json: string, key: string | null): void
  end(): Listing
}

/** Characters after which a piece is closed. A list of a hundred objects is one or two. */
const PIECE = 128 * 1024

/** `reverse`: what is added last comes first. */
export function startListing(reverse = false): OpenListing {
  const pieces: Buffer[] = []
  let texts: string[] = []
  let [count, size] = [0, 0]
  let first: string | null = null
  let last: string | null = null
  const close = (): void => {
    if (texts.length === 0) return
    if (reverse) texts.reverse()
    const text = texts.join(',')
    texts = []
    size = 0
    pieces.push(Buffer.from(text))
  }
  return {
    add(json, key) {
      if (count++ === 0) first = key
      last = key
      texts.push(json)
      size += json.length
      if (size >= PIECE) close()
    },
    end() {
      close()
      if (reverse) [first, last] = [last, first]
      return { count, pieces: reverse ? pieces.reverse() : pieces, first, last }
    },
  }
}

/**
 * The stream to one agent after its hello was accepted: a set of dirty keys, what was sent under each, and at most
 * one unacknowledged frame. A snapshot is nothing special: at first every key is dirty.
 *
 * A lone change leaves at once; the pause after a frame is 10 to 200 ms, longer the more the frame held and the more
 * streams there are to feed. Nothing is sent while the topics are in motion, and nothing when nothing differs.
 */
import { encodeFrame } from '#wire/codec.ts'
import { splitKey, type WireKey } from '#wire/objects.ts'
import { eraOf, inEra, laterOf } from '#wire/position.ts'
import type { SpokenVersions } from '#wire/versions.ts'
import type { Replica } from './replica.ts'

export interface StreamOptions {
  readonly host: string
  readonly versions: SpokenVersions
  /** What the agent has, by the fingerprints of its hello. */
  readonly have: Readonly<Record<WireKey, string>>
  /** The position that the hello was drained to; the stream starts no earlier. */
  readonly floor: string
  /** What the agent calls each era. One that began since has no name here: its first change ends the connection. */
  readonly eras: Readonly<Record<string, string>>
  readonly replica: Pick<Replica, 'topics' | 'position' | 'busy'>
  readonly send: (text: string) => void
  /** How many streams this server feeds. */
  readonly crowd: () => number
  /** A frame was taken by the agent: what it dropped, and whether the agent was in sync with it. */
  readonly onAck: (frame: { readonly drop: readonly WireKey[]; readonly inSync: boolean }) => void
}

/** After a frame of so many objects, on a server with so many streams: about 10,000 frames a second in all. */
export const pauseAfter = (objects: number, streams: number): number =>
  Math.min(200, Math.max(10, streams / 10) + objects / 5)

const FRAME_CHARS = 1024 * 1024

interface Outstanding {
  readonly frame: number
  readonly drop: readonly WireKey[]
  readonly inSync: boolean
}

export class Stream {
  readonly #options: StreamOptions
  readonly #sent: Map<WireKey, string>
  readonly #dirty: Set<WireKey>
  #outstanding: Outstanding | null = null
  #frames = 0
  #toldInSync = false
  #timer: NodeJS.Timeout | null = null
  #lastFrameAt = 0
  #pauseMs = 0

  /** The host's topics must be held and settled. */
  constructor(options: StreamOptions) {
    this.#options = options
    this.#sent = new Map(Object.entries(options.have) as [WireKey, string][])
    this.#dirty = new Set([...this.#sent.keys(), ...options.replica.topics.keysOf(options.host)])
  }

  /** Frames sent on this connection. */
  get frames(): number {
    return this.#frames
  }

  /** Since when the agent owes an acknowledgement, in ms of the epoch; null when it owes none. */
  get owedSince(): number | null {
    return this.#outstanding ? this.#lastFrameAt : null
  }

  mark(keys: Iterable<WireKey>): void {
    for (const key of keys) this.#dirty.add(key)
  }

  /** Sends what differs, now or as soon as the pause, the last frame's acknowledgement and the topics allow. */
  advance(): void {
    const idle = this.#dirty.size === 0 && this.#toldInSync
    if (idle || this.#outstanding || this.#timer || this.#options.replica.busy) return
    const waitMs = this.#lastFrameAt + this.#pauseMs - Date.now()
    if (waitMs <= 0) return this.#flush()
    this.#timer = setTimeout(() => {
      this.#timer = null
      if (!this.#outstanding && !this.#options.replica.busy) this.#flush()
    }, waitMs)
  }

  /** False when no such frame is owed: the agent is confused. */
  acknowledge(frame: number): boolean {
    const taken = this.#outstanding
    if (taken?.frame !== frame) return false
    this.#outstanding = null
    this.#options.onAck(taken)
    this.advance()
    return true
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer)
  }

  #flush(): void {
    const { put, drop } = this.#collect()
    const inSync = this.#dirty.size === 0
    if (put.length === 0 && drop.length === 0 && this.#toldInSync) return
    const { floor, eras, replica, send } = this.#options
    const position = laterOf(floor, replica.position)
    const era = eraOf(position)
    const frame = ++this.#frames
    this.#outstanding = { frame, drop, inSync }
    this.#toldInSync = inSync
    this.#pauseMs = pauseAfter(put.length + drop.length, this.#options.crowd())
    this.#lastFrameAt = Date.now()
    send(encodeFrame({ frame, put, drop, position: inEra(eras[era] ?? era, position), in_sync: inSync }))
  }

  /** Takes dirty keys until none is left or the frame is full. */
  #collect(): { readonly put: readonly string[]; readonly drop: readonly WireKey[] } {
    const { host, versions, replica } = this.#options
    const put: string[] = []
    const drop: WireKey[] = []
    let chars = 0
    for (const key of this.#dirty) {
      if (chars > FRAME_CHARS) break
      this.#dirty.delete(key)
      const item = replica.topics.lookup(host, key)
      const version = versions[splitKey(key).type]
      if (!item || version === undefined || version < item.since) {
        if (this.#sent.delete(key)) drop.push(key)
        continue
      }
      const { print, text } = item.encode(version)
      if (this.#sent.get(key) === print) continue
      // The item's own key and print: thousands of streams share them.
      this.#sent.set(item.key, print)
      put.push(text)
      chars += text.length
    }
    return { put, drop }
  }
}

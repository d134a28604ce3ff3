/** What others must hear: an event for one destination about one subject, and what is known of its delivery. */

/** Who is told. */
export type DestinationName = 'nova' | 'placement'

export interface OutboxEvent {
  readonly destination: DestinationName
  /** The port or the segment it is about. Events of one subject are delivered in their order, one after the other. */
  readonly subject: string
  readonly name: string
  /** What is sent, as the destination wants it. */
  readonly body: Readonly<Record<string, unknown>>
}

/** An event with the change it comes of; unique by both together. */
export interface DerivedEvent extends OutboxEvent {
  readonly era: number | null
  readonly xid: bigint | null
  readonly seq: bigint | null
  /** Which of that change's events. */
  readonly ordinal: number | null
}

/** An event that was taken for delivery. */
export interface TakenEvent extends OutboxEvent {
  readonly id: string
  /** This attempt included; tells it from later ones. */
  readonly attempts: number
  /** How often in a row it was refused by itself. */
  readonly failures: number
}

/** What the destination said of one event. */
export type Verdict =
  | { readonly kind: 'done'; readonly note: string | null }
  /** To be sent again later; others go on. */
  | { readonly kind: 'again'; readonly why: string }

export type Sent =
  | { readonly kind: 'judged' /** One for each event, in their order. */; readonly verdicts: readonly Verdict[] }
  /** Nothing is known of any. `answered`: it spoke, so one of the events may be what it cannot take. */
  | { readonly kind: 'fault'; readonly why: string; readonly answered: boolean }

export interface Destination {
  readonly name: DestinationName
  /** Events that one request may have. */
  readonly batch: number
  /** Must not go on once `signal` aborts. Does not throw. */
  send(events: readonly TakenEvent[], signal: AbortSignal): Promise<Sent>
}

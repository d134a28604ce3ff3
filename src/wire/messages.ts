/**
 * The messages on one agent's stream, JSON over WebSocket (`/agent` on the feed's address), one message a text frame.
 *
 * Contract. The agent says hello; the server answers with a refusal or a snapshot, then deltas. States may be skipped;
 * order holds per object; references may arrive after referrers inside one frame, never across `in_sync`. A frame is
 * acknowledged before the next one is sent. `in_sync` is true only on a frame after which the agent knows everything
 * up to `position`; it is never invented. A resumed stream sends only what differs from the hello's `have`,
 * removals included.
 */
import type { WireKey, WireObject, WireType } from './objects.ts'
import type { Realization } from './realization.ts'

/** The version of these messages; a server refuses an agent whose protocol it does not speak. */
export const PROTOCOL_VERSION = 1

export interface Hello {
  readonly type: 'hello'
  readonly protocol: number
  readonly host: string
  /** Program version, for operators. */
  readonly agent_version: string
  /** The versions the agent reads, per wire type. */
  readonly versions: Readonly<Record<WireType, readonly number[]>>
  /** What the agent already has: fingerprint of the object as it was sent, by key. */
  readonly have: Readonly<Record<WireKey, string>>
  /** Where its state stands; null for an agent without one. */
  readonly position: string | null
}

export interface Heartbeat {
  readonly type: 'heartbeat'
  /** Neutron's agent fields: `configurations` is what `openstack network agent show` prints. */
  readonly configurations: Readonly<Record<string, unknown>>
  readonly started_at: string
}

export interface Report {
  readonly type: 'report'
  readonly realizations: readonly Realization[]
}

export interface Ack {
  readonly type: 'ack'
  readonly frame: number
}

export type FromAgent = Hello | Heartbeat | Report | Ack

export interface Refusal {
  readonly type: 'refused'
  readonly reason:
    | 'protocol_unknown'
    | 'versions_unknown'
    | 'credential_missing'
    | 'credential_bad'
    | 'credential_revoked'
    | 'credential_foreign'
    | 'host_taken'
  /** One sentence for the log: what is wrong and what to do. */
  readonly message: string
}

/** Part of a snapshot or a delta. */
export interface Frame {
  readonly type: 'frame'
  /** Counts from 1 within a connection; the agent acknowledges it. */
  readonly frame: number
  /** `[key, fingerprint, object]`, the object in a version the hello named. */
  readonly put: readonly (readonly [WireKey, string, WireObject])[]
  readonly drop: readonly WireKey[]
  readonly position: string
  readonly in_sync: boolean
}

export interface Welcome {
  readonly type: 'welcome'
  readonly server: string
  /** The versions the server will send, per wire type: the highest both sides know. */
  readonly versions: Readonly<Record<WireType, number>>
  readonly heartbeat_interval_ms: number
}

export type FromServer = Refusal | Welcome | Frame
